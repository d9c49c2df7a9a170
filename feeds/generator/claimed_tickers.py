"""Follows changes of the ticker table, and tells the simulator which tickers to feed."""

import threading
from collections.abc import Callable, Mapping
from random import Random

import structlog

from feeds import metrics
from feeds.errors import BrokerUnavailable, StoreUnavailable, TransientError
from feeds.generator.claims import Claims, Grant
from feeds.kafka.producer import UpdateProducer
from feeds.retry import Outage, retry
from feeds.sources.simulated import Instrument, PriceSimulator

log = structlog.get_logger(__name__)


class ClaimedTickers:
    """The simulated tickers whose symbols this process has claimed.

    Call `prepare` first. Then one thread calls `refresh`, and the thread of the generator loop calls `apply`.
    `read_tickers` returns all simulated tickers, active or not.
    """

    def __init__(
        self,
        read_tickers: Callable[[], list[Instrument]],
        claims: Claims,
        simulator: PriceSimulator,
        producer: UpdateProducer,
        redis: Outage,
    ) -> None:
        self._read_tickers = read_tickers
        self._claims = claims
        self._simulator = simulator
        self._producer = producer
        self._redis = redis
        self._database = Outage("database")
        self._instruments: list[Instrument] = []
        self._applied: tuple[Mapping[str, Grant], list[Instrument]] | None = None
        self._resumed: dict[str, Grant] = {}

    def prepare(self, stop: threading.Event) -> bool:
        """Reads the tickers, claims their symbols and reads the symbols' last updates.

        Repeats each step until it succeeds or `stop` is set. Returns whether all steps succeeded.
        """
        steps: tuple[tuple[Callable[[], object], Outage], ...] = (
            (self._read, self._database),
            (self._take, self._redis),
            (self._claims.resume, self._producer.outage),
        )
        return all(retry(step, outage, stop, Random()) for step, outage in steps)  # noqa: S311

    def _read(self) -> None:
        self._instruments = self._read_tickers()

    @property
    def counts(self) -> dict[str, int]:
        """Two counts, by name: `tickers` and `continued`.

        `tickers` counts all tickers. `continued` counts the symbols that this process may feed and that have an update
        in the topic.
        """
        grants = self._claims.grants.values()
        return {"tickers": len(self._instruments), "continued": sum(grant.last is not None for grant in grants)}

    def refresh(self) -> None:
        """Reads the tickers again, claims new symbols, and releases symbols of removed tickers."""
        try:
            instruments = self._read_tickers()
        except TransientError as error:
            self._database.begin(f"{error}; feeding the last known tickers")
            return
        self._database.end()
        if instruments != self._instruments:
            self._instruments = instruments
        try:
            self._take()
            if self._claims.resume():
                self._producer.outage.end()
        except StoreUnavailable as error:
            self._redis.begin(f"{error}; feeding without a lease")
        except BrokerUnavailable as error:
            self._producer.outage.begin(error)

    def _take(self) -> None:
        self._claims.take([instrument.symbol for instrument in self._instruments])

    def apply(self) -> None:
        """Makes the simulator feed the current tickers, and ends the right to feed removed tickers."""
        # A symbol gets its grant after its ticker was read. The tickers are read last here, so that they include the
        # ticker of each granted symbol.
        grants = self._claims.grants
        instruments = self._instruments
        if self._applied is not None and grants is self._applied[0] and instruments is self._applied[1]:
            return
        self._applied = grants, instruments
        fed = [each for each in instruments if (grant := grants.get(each.symbol)) is not None and not grant.ended]
        self._feed(fed, grants)
        self._end(grants.keys() - {instrument.symbol for instrument in fed}, grants)
        if not any(instrument.active for instrument in instruments):
            log.warning("no active tickers: activate one in the admin")

    def _feed(self, instruments: list[Instrument], grants: Mapping[str, Grant]) -> None:
        """Makes the simulator feed instruments. A newly granted symbol continues after its last update."""
        self._simulator.set_instruments(instruments)
        metrics.ACTIVE_TICKERS.set(self._simulator.active_count)
        granted = {instrument.symbol: grants[instrument.symbol] for instrument in instruments}
        for symbol, grant in granted.items():
            if grant is not self._resumed.get(symbol) and grant.last is not None:
                self._simulator.resume(grant.last)
        self._resumed = granted

    def _end(self, symbols: set[str], grants: Mapping[str, Grant]) -> None:
        running = [grants[symbol] for symbol in symbols if not grants[symbol].ended]
        if running:
            is_finished = self._producer.barrier()
            for grant in running:
                grant.end(is_finished)
