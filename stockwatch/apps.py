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
        return head if name == head else _read_reference(folder / ".git", name)
    except OSError:
        return ""


def _read_reference(repository: Path, name: str) -> str:
    """Returns the commit of a reference such as `refs/heads/main`; empty if it is missing. Raises OSError."""
    if (repository / name).exists():
        return (repository / name).read_text().strip()
    # `git gc` moves references into this file, which has one line `COMMIT NAME` for each.
    lines = (repository / "packed-refs").read_text().splitlines()
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {name}")), "")
