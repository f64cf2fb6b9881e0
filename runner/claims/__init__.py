"""What an agent says of its trials: reads its log in any sane layout, and holds it to the ledger.

`reader.read` reads an `experiments.csv`; `fidelity.reconcile` compares its rows with the trials.
"""
