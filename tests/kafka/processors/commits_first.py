"""Runs a wrong processor, which commits offsets before the updates are in Redis."""

import os
import sys
from collections.abc import Collection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line

from feeds.processor.loop import Processor
from feeds.records import Record

dispatch = Processor._dispatch


def commit_first(self: Processor, records: Collection[Record]) -> None:
    self._consumer.store({record.partition() or 0: (record.offset() or 0) + 1 for record in records})
    self._consumer.commit()
    dispatch(self, records)


Processor._dispatch = commit_first  # type: ignore[method-assign]
execute_from_command_line(["manage.py", "runprocessor"])
