"""Timestamps for tests that need an order of updates, but no real time."""

START = 1_766_480_000_000_000
"""Unix microseconds, in the past."""


def at(number: int) -> int:
    """Returns a timestamp that the pipeline accepts, in the order of the numbers."""
    return START + number
