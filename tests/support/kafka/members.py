"""Types and constants of tests with consumer groups."""

from collections.abc import Callable
from datetime import timedelta

from feeds.kafka.consumer import UpdateConsumer

DAY = timedelta(hours=24)

Join = Callable[..., UpdateConsumer]
