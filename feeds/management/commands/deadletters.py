"""`manage.py deadletters list|show|replay`: lists, shows or replays records that are not valid updates."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds.dead_letters import DeadLetter, DeadLetterFilter, describe, explain_refusal, tabulate
from feeds.errors import FeedError
from feeds.kafka.dead_letter_topic import read_dead_letters, replay

DEFAULT_LIMIT = 100


class Command(BaseCommand):
    help = "Lists, shows or replays dead letters: records that are not valid updates."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action", choices=("list", "show", "replay"), help="replay: send the records to their topic again"
        )
        parser.add_argument("--partition", type=int, help="only records from this partition")
        parser.add_argument("--offset", type=int, help="only records with this offset")
        parser.add_argument("--reason", help="only records with this reason, one word of the table")
        parser.add_argument(
            "--limit",
            type=_parse_count,
            help=f"only the newest records; the default is {DEFAULT_LIMIT} for list and show, all for replay",
        )

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        limit = DEFAULT_LIMIT if options["limit"] is None and action != "replay" else options["limit"]
        selection = DeadLetterFilter(options["partition"], options["offset"], options["reason"], limit)
        act = {"list": self._list, "show": self._show, "replay": self._replay}[action]
        try:
            act(selection.select(read_dead_letters(settings.KAFKA_BROKERS, settings.KAFKA_DLQ_TOPIC)))
        except FeedError as error:
            raise CommandError(str(error)) from error

    def _list(self, dead_letters: Iterable[DeadLetter]) -> None:
        self.stdout.write("\n".join(tabulate(dead_letters)))

    def _show(self, dead_letters: Iterable[DeadLetter]) -> None:
        for dead_letter in dead_letters:
            self.stdout.write("\n".join([*describe(dead_letter), ""]))

    def _replay(self, dead_letters: Iterable[DeadLetter]) -> None:
        result = replay(settings.KAFKA_BROKERS, dead_letters)
        for dead_letter in result.truncated:
            self.stdout.write(explain_refusal(dead_letter))
        refused = len(result.truncated)
        self.stdout.write(
            f"replayed {result.acknowledged}, refused {refused}, not acknowledged {result.unacknowledged}"
        )
        if refused or result.unacknowledged:
            raise SystemExit(1)


def _parse_count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text[:20]!r} is not a whole number from 1 on")
    return int(text)
