"""What the gateway adds to a request, compared with no gateway and with two other gateways."""
