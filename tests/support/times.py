"""Timestamps for tests that need an order of updates, but no real time."""

START = 1_766_480_000_000_000
"""A time in the past, in unix microseconds."""


def at(number: int) -> int:
    """Returns a timestamp that the pipeline accepts. A greater number gives a later timestamp."""
    return START + number
