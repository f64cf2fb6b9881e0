"""The HTTP server that the agent's CLI talks to: checks, limits, and the exchange itself."""
