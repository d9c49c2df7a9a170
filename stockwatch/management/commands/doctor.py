"""`manage.py doctor`: names what is wrong with an installation, and what to do about it."""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from stockwatch.doctor.checking import run_checks
from stockwatch.doctor.finding import clean, find_exit_status, format_findings
from stockwatch.doctor.subjects import SUBJECTS, list_secrets, make_checks

DEFAULT_SECONDS = 20.0
MAX_SECONDS = 3600.0


class Command(BaseCommand):
    help = "Checks this installation: one line each, with what to do. Exits with 1 if a check fails."
    requires_system_checks = ()  # the doctor runs the system checks itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="some of: " + ", ".join(SUBJECTS))
        parser.add_argument("--json", action="store_true", dest="as_json", help="write one JSON object")
        parser.add_argument(
            "--timeout", type=read_seconds, default=DEFAULT_SECONDS, help="the most seconds for all checks"
        )

    def handle(self, *_args: Any, subjects: list[str], as_json: bool, timeout: float, **_options: Any) -> None:
        if unknown := set(subjects) - set(SUBJECTS):
            names = ", ".join(sorted(unknown))
            raise CommandError(f"{names} cannot be checked: name some of {', '.join(SUBJECTS)}", returncode=2)
        checks = make_checks(settings, subjects or SUBJECTS)
        found, have_ended = run_checks(checks, timeout)
        secrets = list_secrets(settings)
        findings = [clean(finding, secrets) for finding in found]
        self.stdout.write(format_findings(findings, as_json))
        status = find_exit_status(findings)
        if not have_ended:  # `sys.exit` could wait for the threads of a library
            sys.stdout.flush()
            os._exit(status)
        sys.exit(status)


def read_seconds(text: str) -> float:
    """Returns the value of `--timeout`. Raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:  # also refuses NaN
        raise ArgumentTypeError(f"write a number of seconds above 0, at most {MAX_SECONDS:g}")
    return seconds
