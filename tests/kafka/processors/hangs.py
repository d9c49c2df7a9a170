"""A processor whose writes of one symbol hang until SIGUSR1, and that reports such a worker after 2 s.

Run as a script by one test.
"""

import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line

from feeds.kafka import consumer as source
from feeds.processor import loop as workers
from feeds.processor.batch import Batch
from feeds.store.quote_writer import QuoteWriter

go = threading.Event()
write = QuoteWriter.write


def hang(self: QuoteWriter, batch: Batch) -> int:
    if "AAPL" in batch.series:
        go.wait()
    return write(self, batch)


QuoteWriter.write = hang  # type: ignore[method-assign]
workers.HELD = 2.0
source.AHEAD["max.poll.interval.ms"] = 6000
# As feeds.stop_signals does: a handler might find the main thread inside the event.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=lambda: go.set() if signal.sigwait([signal.SIGUSR1]) else None, daemon=True).start()
execute_from_command_line(["manage.py", "runprocessor"])
