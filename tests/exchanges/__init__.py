"""Fake exchanges with the protocols of real exchanges, a ledger of all trades, and named faults."""
