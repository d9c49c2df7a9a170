"""Compares the gateway with other WebSocket servers: `make bench-peers`."""
