"""Money and tokens: prices, reservations, the ledger, and what each request is charged."""
