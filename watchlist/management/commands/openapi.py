"""Writes the OpenAPI document of `/api/v1` into a file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from watchlist.api.v1.document import encode_document


class Command(BaseCommand):
    """Writes the OpenAPI document. Only the build and the tests use this command."""

    help = "Writes the OpenAPI document of /api/v1 into a file."
    requires_system_checks: tuple[str, ...] = ()  # the document needs no database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="such as docs/openapi.json")

    def handle(self, *_: Any, **options: Any) -> None:
        options["file"].write_text(encode_document())
