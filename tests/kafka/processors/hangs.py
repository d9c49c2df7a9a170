"""Runs a processor whose writes of AAPL block until SIGUSR1, and that reports a stalled worker after 2 s."""

import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line

from feeds.kafka import consumer
from feeds.processor import loop
from feeds.store.batch import Batch
from feeds.store.quote_writer import QuoteWriter

unblock = threading.Event()
write = QuoteWriter.write


def block(self: QuoteWriter, batch: Batch) -> int:
    if "AAPL" in batch.by_symbol:
        unblock.wait()
    return write(self, batch)


QuoteWriter.write = block  # type: ignore[method-assign]
loop.STALLED_AFTER_SECONDS = 2.0
consumer.PREFETCH["max.poll.interval.ms"] = 6000
# As in feeds.stop_signals: a signal handler that sets an event can deadlock.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=lambda: unblock.set() if signal.sigwait([signal.SIGUSR1]) else None, daemon=True).start()
execute_from_command_line(["manage.py", "runprocessor"])
