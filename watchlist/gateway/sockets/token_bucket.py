"""Defines a token bucket, which limits how much a client may send. Pure."""


class TokenBucket:
    """A bucket that starts with `burst` tokens. The bucket gains `rate` tokens per second, up to `burst` tokens.

    `now` arguments are in monotonic seconds.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated_at")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._updated_at = now

    def spend(self, now: float, count: int = 1) -> bool:
        """Takes `count` tokens and returns True. If the bucket holds fewer tokens, takes no token and returns False."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._updated_at) * self._rate)
        self._updated_at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def seconds_to_next(self) -> float:
        """Returns the number of seconds from the last call of `spend` until the bucket holds a whole token."""
        return max(0.0, (1 - self._tokens) / self._rate)
