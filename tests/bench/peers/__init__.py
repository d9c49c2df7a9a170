"""Measures the gateway beside other servers: `make bench-peers`."""
