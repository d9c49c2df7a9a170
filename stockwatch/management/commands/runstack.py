"""`manage.py runstack`: everything on this machine from one command. Arguments, wiring and order only."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import FeedError
from stockwatch.local.demo import prepare
from stockwatch.local.redis_server import NoServer
from stockwatch.local.stack import PARTS, Plan, Stack, StackFailure, choose_parts, require_port
from stockwatch.local.supervisor import Supervisor
from stockwatch.logging import configure


class Command(BaseCommand):
    help = "Starts Redis, Kafka, generator, processor, recorder and gateway on this machine; Ctrl-C stops them all."
    requires_system_checks = ()  # the services check the same code

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", default="", help="some of: " + ",".join(PARTS))
        parser.add_argument("--external", action="store_true", help="use the Redis and Kafka that .env names")
        parser.add_argument("--host", default=settings.APP_HOST or "127.0.0.1", help="where the page listens")

    def handle(self, *_args: Any, only: str, external: bool, host: str, **_options: Any) -> None:
        environment = {"LOGGER_FORMAT": "console", **os.environ}  # handed on whole, for the services to read
        configure(level=settings.LOGGER_LEVEL, form=environment["LOGGER_FORMAT"].lower())
        try:
            parts = choose_parts(only, external)
            plan = Plan(parts, host, settings.APP_PORT, settings.BASE_DIR / "manage.py", environment, settings.REDIS)
            if "gateway" in parts:
                require_port(host, settings.APP_PORT)
            with Stack(plan, supervisor := Supervisor(sys.stdout)) as stack:
                supervisor.obey_signals()
                self._run(stack, supervisor.say)
        except (StackFailure, NoServer, FeedError) as error:
            raise SystemExit(f"stockwatch: {error}") from error

    def _run(self, stack: Stack, say: Callable[[str], None]) -> None:
        stack.start_servers()
        for line in stack.describe_servers():
            say(line)
        words = stack.start_services(lambda: prepare(bool(stack.address), settings.PRODUCTION))
        if stack.address and (state := stack.await_page()):
            say(f"stockwatch: {stack.address} {state}{words}")
        stack.run()
