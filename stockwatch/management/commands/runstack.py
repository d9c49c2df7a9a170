"""`manage.py runstack`: runs the whole system on this machine.

This module parses the arguments and makes the plan; `stockwatch.local` does the work.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import FeedError
from stockwatch.local.demo import prepare
from stockwatch.local.redis_server import RedisNotStarted
from stockwatch.local.stack import PARTS, Plan, Stack, StackFailure, choose_parts, require_free_port
from stockwatch.local.supervisor import Supervisor
from stockwatch.logging import configure


class Command(BaseCommand):
    help = "Starts Redis, Kafka and all services on this machine, the feeder if FEEDS is set; Ctrl-C stops them all."
    requires_system_checks = ()  # the services check the same code

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", default="", help="some of: " + ",".join(PARTS))
        parser.add_argument("--external", action="store_true", help="use the Redis and Kafka that .env names")
        parser.add_argument(
            "--host", default=settings.APP_HOST or "127.0.0.1", help="address on which the page listens"
        )

    def handle(self, *_args: Any, only: str, external: bool, host: str, **_options: Any) -> None:
        environment = {"LOGGER_FORMAT": "console", **os.environ}  # passed on whole; the services read it
        configure(level=settings.LOGGER_LEVEL, form=environment["LOGGER_FORMAT"].lower())
        try:
            plan = make_plan(choose_parts(only, external, bool(settings.FEEDS)), host, environment)
            with Stack(plan, supervisor := Supervisor(sys.stdout)) as stack:
                supervisor.handle_signals()
                self._run(stack, supervisor.write_line)
        except (StackFailure, RedisNotStarted, FeedError) as error:
            raise SystemExit(f"stockwatch: {error}") from error

    @staticmethod
    def _run(stack: Stack, write_line: Callable[[str], None]) -> None:
        stack.start_servers()
        for line in stack.describe_servers():
            write_line(line)
        hint = stack.start_services(lambda: prepare(bool(stack.page_url), settings.PRODUCTION))
        if stack.page_url and (state := stack.wait_for_page()):
            write_line(f"stockwatch: {stack.page_url} {state}{hint}")
        stack.run()


def make_plan(parts: frozenset[str], host: str, environment: dict[str, str]) -> Plan:
    """Returns the plan that runs `parts`. The plan's port and Redis come from the settings.

    Raises StackFailure if `parts` contains the gateway and the port of the page is in use.
    """
    if "gateway" in parts:
        require_free_port(host, settings.APP_PORT)
    return Plan(
        parts=parts,
        host=host,
        port=settings.APP_PORT,
        manage=settings.BASE_DIR / "manage.py",
        environment=environment,
        redis=settings.REDIS,
        host_header=next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "localhost"),
    )
