"""Defines the step of a fault: a function that is called again and again while the fault lasts."""

from collections.abc import Callable

Step = Callable[[], None]


def do_nothing() -> None:
    """The step of a fault that lasts by itself."""
