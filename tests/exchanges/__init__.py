"""Fake exchanges: they speak the protocols of real ones, keep a ledger of their trades, and have faults by name."""
