"""Where steps run: the protocol, local worker processes."""
