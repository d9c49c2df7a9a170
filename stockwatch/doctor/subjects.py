"""Makes the checks of all subjects from the settings."""

import re
from collections.abc import Callable, Collection
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from feeds.management.source_settings import rest_url
from feeds.source_names import MARKET_ZONES
from feeds.sources.registry import find_source
from stockwatch.doctor.checking import Check
from stockwatch.doctor.clocks import check_clocks
from stockwatch.doctor.database import check_database
from stockwatch.doctor.disk import check_disks
from stockwatch.doctor.installation import check_installation
from stockwatch.doctor.kafka_checks import KafkaPlan, check_kafka
from stockwatch.doctor.ports import check_ports
from stockwatch.doctor.production import check_production, check_settings
from stockwatch.doctor.redis_checks import check_redis
from stockwatch.doctor.sources import check_sources

METRICS_PORTS = (
    *("GENERATOR_METRICS_PORT", "FEED_METRICS_PORT", "PROCESSOR_METRICS_PORT", "RECORDER_METRICS_PORT"),
    *("ALERTS_METRICS_PORT", "DELIVERY_METRICS_PORT"),
)
SOURCE_URLS = tuple(f"{name.upper()}_{kind}" for name in MARKET_ZONES for kind in ("URL", "REST_URL"))
SECRET_OPTION = re.compile(r"password|secret|jaas|\.pem$")
"""Matches the names of options of Kafka and of the database whose values are secrets, such as `sasl.password`."""
SUBJECTS = ("python", "settings", "database", "redis", "kafka", "ports", "clock", "sources", "disk")
"""The names of the subjects, in the order of the output."""


def make_checks(settings: Any, names: Collection[str]) -> dict[str, Check]:
    """Returns the check of each subject in `names`. `settings` has the attributes of Django's settings."""
    makers: dict[str, Callable[[], Check]] = {
        "python": lambda: partial(check_installation, settings.BASE_DIR / "requirements.txt"),
        "settings": lambda: _make_settings_check(settings),
        "database": lambda: partial(check_database, settings.PRODUCTION),
        "redis": lambda: partial(check_redis, settings.REDIS),
        "kafka": lambda: partial(check_kafka, _make_kafka_plan(settings)),
        "ports": lambda: partial(check_ports, _list_ports(settings)),
        "clock": lambda: _make_clock_check(settings),
        "sources": lambda: partial(check_sources, settings.FEEDS),
        "disk": lambda: partial(check_disks, _list_folders(settings)),
    }
    return {name: makers[name]() for name in SUBJECTS if name in names}


def list_secrets(settings: Any) -> list[str]:
    """Returns the texts that no result may contain."""
    database = settings.DATABASES["default"]
    options = {**settings.KAFKA_OPTIONS, **database.get("OPTIONS", {})}
    values = [
        *(settings.SECRET_KEY, settings.EMAIL_HOST_PASSWORD, settings.ALPACA_SECRET_KEY, settings.ALPACA_KEY_ID),
        *(settings.REDIS.get("password"), settings.REDIS.get("sentinel_password")),
        *settings.SECRET_KEY_FALLBACKS,
        database.get("PASSWORD"),
        *(value for name, value in options.items() if SECRET_OPTION.search(name)),
        *(_find_password(getattr(settings, name)) for name in SOURCE_URLS),
    ]
    return [value for value in values if value]


def _find_password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:  # not a valid URL
        return None


def _make_settings_check(settings: Any) -> Check:
    names = partial(
        check_settings,
        settings.UNKNOWN_VARIABLES,
        settings.APP_ENV,
        settings.PRODUCTION,
        settings.SECRET_KEY == settings.PUBLISHED_SECRET_KEY,
    )
    if not settings.PRODUCTION:
        return names
    return lambda: chain(names(), check_production(settings))


def _make_kafka_plan(settings: Any) -> KafkaPlan:
    return KafkaPlan(
        brokers=settings.KAFKA_BROKERS,
        topic=settings.KAFKA_TOPIC,
        partitions=settings.KAFKA_TOPIC_PARTITIONS,
        replicas=settings.KAFKA_TOPIC_REPLICAS,
        groups={
            "processor": settings.KAFKA_GROUP_ID,
            "recorder": settings.RECORDER_GROUP_ID,
            "alert engine": settings.ALERTS_GROUP_ID,
        },
        is_production=settings.PRODUCTION,
    )


def _list_ports(settings: Any) -> dict[str, tuple[str, int]]:
    ports = {"APP_PORT": (settings.APP_HOST, settings.APP_PORT)}
    return ports | {name: ("", getattr(settings, name)) for name in METRICS_PORTS}


def _make_clock_check(settings: Any) -> Check:
    urls = {name: rest_url(find_source(name, settings.ALPACA_FEED)) for name in settings.FEEDS}
    has_server = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    return partial(check_clocks, settings.REDIS, has_server, urls)


def _list_folders(settings: Any) -> list[Path]:
    database = settings.DATABASES["default"]
    is_file = database["ENGINE"].endswith("sqlite3") and database["NAME"] != ":memory:"
    return [Path(str(database["NAME"])).parent] if is_file else []
