"""Restores the quotes of quiet symbols from Kafka if Redis has lost its data.

A busy symbol gets a new quote with its next update. A quiet symbol, for example one whose market is closed, would have
no price for a long time.
"""

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from feeds.errors import BrokerUnavailable, StoreUnavailable
from feeds.retry import Outage
from feeds.store.batch import EncodedUpdate
from feeds.store.quote_restorer import QuoteRestorer

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0

REPEAT_SECONDS = 10.0
"""The time between the first and the second restoring of lost quotes.

Only committed updates are restored. The last updates before the loss may be committed after the first restoring.
"""


class LostQuotes(threading.Thread):
    """A thread that checks once a second whether Redis has lost its quotes, and restores lost quotes.

    `read_processed` returns the newest processed update of each symbol. It may raise BrokerUnavailable.
    `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        restorer: QuoteRestorer,
        read_processed: Callable[[], Iterable[EncodedUpdate]],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="lost-quotes", daemon=True)
        self._restorer = restorer
        self._read_processed = read_processed
        self._stop_event = stop
        self._clock = clock
        self._kafka = Outage("Kafka for lost quotes")
        self._repeat_at: float | None = None

    def run(self) -> None:
        while not self._stop_event.wait(CHECK_SECONDS):
            try:
                self.check()
            except Exception:
                log.exception("lost quotes could not be restored, trying again")
        self._restorer.close()

    def check(self) -> None:
        """Restores the quotes if they are lost, and again REPEAT_SECONDS later."""
        try:
            if not self._restorer.are_lost():
                self._repeat_at = None
            elif self._repeat_at is None:
                self._restore()
                self._repeat_at = self._clock() + REPEAT_SECONDS
            elif self._clock() >= self._repeat_at:
                self._restore()
                self._restorer.mark()
        except StoreUnavailable:
            # The workers log that Redis is unavailable.
            pass
        except BrokerUnavailable as error:
            self._kafka.begin(error)
        else:
            self._kafka.end()

    def _restore(self) -> None:
        if count := self._restorer.restore(self._read_processed()):
            log.info("Redis has lost quotes, restored from Kafka", quotes=count)
