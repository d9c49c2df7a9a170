"""Runs a processor that dies after its third write to Redis, before it commits the offsets of this write."""

import os
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line

from feeds.store.batch import Batch
from feeds.store.quote_writer import QuoteWriter

EXIT_CODE = 70

write = QuoteWriter.write
writes = count(1)


def write_and_die(self: QuoteWriter, batch: Batch) -> int:
    written = write(self, batch)
    if next(writes) == 3:
        os._exit(EXIT_CODE)
    return written


QuoteWriter.write = write_and_die  # type: ignore[method-assign]
execute_from_command_line(["manage.py", "runprocessor"])
