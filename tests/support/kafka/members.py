"""Members of a consumer group, for tests."""

from collections.abc import Callable
from datetime import timedelta

from feeds.kafka.consumer import UpdateConsumer

DAY = timedelta(hours=24)


Join = Callable[..., UpdateConsumer]
