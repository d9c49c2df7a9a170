"""Configures the Django app `stockwatch`, which adds the running version to all metrics."""

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from prometheus_client import Gauge

from stockwatch import VERSION


class StockwatchConfig(AppConfig):
    name = "stockwatch"

    def ready(self) -> None:
        build = Gauge("stockwatch_build_info", "Always 1. The labels name the running version.", ["version", "commit"])
        build.labels(VERSION, settings.BUILD_COMMIT or read_commit(settings.BASE_DIR) or "unknown").set(1)


def read_commit(folder: Path) -> str:
    """Returns the id of the git commit that is checked out in `folder`, or an empty text if it cannot be read."""
    try:
        head = (folder / ".git/HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        return head if name == head else (folder / ".git" / name).read_text().strip()
    except OSError:
        return ""
