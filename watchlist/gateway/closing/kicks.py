"""Holds which clients the operator refuses, and for how long. Pure."""

import math
from collections.abc import Mapping


class Kicks:
    """The clients that the operator refuses, as subjects.

    A subject is a text that names clients: `address:203.0.113.9`, or `account:7` for the web sessions and personal
    tokens of an account.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def replace(self, seconds: Mapping[str, float], now: float) -> None:
        """Replaces all refusals. `now` is in monotonic seconds.

        `seconds` maps each refused subject to the seconds until the end of the refusal.
        """
        self._until = {subject: now + left for subject, left in seconds.items()}

    def seconds_left(self, now: float, address: str, account: int | None = None) -> int:
        """Returns for how many more seconds a client is refused; 0 if the client is not refused."""
        if not self._until:
            return 0
        until = max(self._until.get(subject, 0.0) for subject in name_subjects(address, account))
        return max(0, math.ceil(until - now))


def name_subjects(address: str, account: int | None = None) -> list[str]:
    """Returns all subjects that name this client."""
    return [f"address:{address}", *([] if account is None else [f"account:{account}"])]
