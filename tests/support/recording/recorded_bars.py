"""Stores the bars of given updates as the recorder does, for tests of pages."""

from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.recent_bars import RecentBars
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer
from tests.support.recording.bars import NO_OLDEST, UTC_EVERYWHERE


class RecordedBars:
    """Stores bars in a Redis and in the test's database."""

    def __init__(self, server: RedisServer) -> None:
        self._recent_bars = RecentBars(connect({"host": server.host, "port": server.port}))
        self._archive = BarArchive()

    def record(self, *updates: Update, save: bool = True) -> None:
        """Stores the bars of these updates in Redis. If `save` is true, also stores the bars in the database.

        All updates of one minute or day must be in the same call.
        """
        open_bars = OpenBars(UTC_EVERYWHERE)
        for symbol_bars in self._archive.load_symbols({update.symbol: -1 for update in updates}):
            open_bars.add_symbol(symbol_bars)
        for update in updates:
            open_bars.add(update, 0, *NO_OLDEST)
        self._recent_bars.write(open_bars.unwritten_symbols())
        if save:
            self._archive.save(open_bars.unsaved_minutes(), open_bars.unsaved_days())
            self._archive.save_closes(open_bars.symbols_with_unsaved_close())

    def close(self) -> None:
        self._recent_bars.close()
