from datetime import UTC, datetime

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from feeds.models import Ticker
from watchlist.alerts.engine_state import EngineState, EngineStates


@pytest.fixture
def page(client: Client, person: User, tickers: list[Ticker], store: redis.Redis) -> Client:
    """A browser in which a person is signed in. The alert engine runs."""
    EngineStates(store).write("a", EngineState(timezone.now().timestamp() + 3600, 0.0))
    client.force_login(person)
    return client


@pytest.fixture
def noon() -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC)
