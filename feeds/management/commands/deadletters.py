"""`manage.py deadletters list|show|replay`: what the processor has put aside. Arguments, wiring and output only."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds.dead_letters import DeadLetter, DeadLetterFilter, describe, refuse_replay, tabulate
from feeds.errors import FeedError
from feeds.kafka.dead_letter_topic import read_dead_letters, replay

SHOWN = 100


class Command(BaseCommand):
    help = "Lists, shows or replays records that were no price updates."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("list", "show", "replay"), help="replay: to the topic they came from")
        parser.add_argument("--partition", type=int, help="those that came from this partition")
        parser.add_argument("--offset", type=int, help="those that had this offset there")
        parser.add_argument("--reason", help="those of this reason, one word of the table")
        parser.add_argument(
            "--limit", type=_read_count, help=f"the newest so many; list and show: {SHOWN}, replay: all"
        )

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        limit = SHOWN if options["limit"] is None and action != "replay" else options["limit"]
        choice = DeadLetterFilter(options["partition"], options["offset"], options["reason"], limit)
        act = {"list": self._list, "show": self._show, "replay": self._replay}[action]
        try:
            act(choice.pick(read_dead_letters(settings.KAFKA_BROKERS, settings.KAFKA_DLQ_TOPIC)))
        except FeedError as error:
            raise CommandError(str(error)) from error

    def _list(self, letters: Iterable[DeadLetter]) -> None:
        self.stdout.write("\n".join(tabulate(letters)))

    def _show(self, letters: Iterable[DeadLetter]) -> None:
        for letter in letters:
            self.stdout.write("\n".join([*describe(letter), ""]))

    def _replay(self, letters: Iterable[DeadLetter]) -> None:
        report = replay(settings.KAFKA_BROKERS, letters)
        for letter in report.cut:
            self.stdout.write(refuse_replay(letter))
        self.stdout.write(f"replayed {report.acked}, refused {len(report.cut)}, not acknowledged {report.missing}")
        if report.cut or report.missing:
            raise SystemExit(1)


def _read_count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text[:20]!r} is no count: it must be a whole number from 1 on")
    return int(text)
