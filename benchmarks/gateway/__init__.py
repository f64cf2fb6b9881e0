"""What the gateway adds to a request, beside none and beside LiteLLM's proxy."""
