"""A processor that is wrong on purpose: it stores and commits offsets before the updates are in Redis.

Run as a script by one test, which must see it lose updates.
"""

import os
import sys
from collections.abc import Collection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line

from feeds.processor.loop import Processor
from feeds.records import Record

give = Processor._give


def commit_first(self: Processor, records: Collection[Record]) -> None:
    self._source.store({record.partition() or 0: (record.offset() or 0) + 1 for record in records})
    self._source.commit()
    give(self, records)


Processor._give = commit_first  # type: ignore[method-assign]
execute_from_command_line(["manage.py", "runprocessor"])
