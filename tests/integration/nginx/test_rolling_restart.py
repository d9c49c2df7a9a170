"""Restarts all programs behind nginx, one after the other, while clients read prices and pages."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.gateway.process import SYMBOLS, GatewayProcess
from tests.support.servers.nginx import ORIGIN, Nginx, ProxiedSite
from tests.support.waiting import wait_until

NGINX_TIMEOUT_SECONDS = 60
CLIENTS = 20
SUBSCRIBE = json.dumps({"action": "subscribe", "payload": {"symbols": SYMBOLS}})


class Clients:
    """Clients of `/ws` in a thread. Each client connects again, as the page does, when its socket is closed."""

    def __init__(self, nginx: Nginx) -> None:
        self._nginx = nginx
        self.newest: list[dict[str, int]] = [{} for _ in range(CLIENTS)]
        """For each client, the seq_id of the newest update of each symbol."""
        self.closes: Counter[int | None] = Counter()
        self._loop, self._ended = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(90)
        self._loop.close()

    async def _run(self) -> None:
        tasks = [asyncio.create_task(self._follow(number)) for number in range(CLIENTS)]
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, number: int) -> None:
        url = f"wss://localhost:{self._nginx.port}/ws"
        while True:
            try:
                async with connect(
                    url, ssl=self._nginx.tls, host="127.0.0.1", origin=ORIGIN, open_timeout=60
                ) as socket:
                    await socket.send(SUBSCRIBE)
                    async for text in socket:
                        update = json.loads(text)
                        if "seq_id" in update:
                            newest = self.newest[number]
                            newest[update["symbol"]] = max(update["seq_id"], newest.get(update["symbol"], 0))
                self.closes[socket.close_code] += 1
            except ConnectionClosed as error:
                self.closes[error.rcvd.code if error.rcvd else None] += 1
            except (InvalidHandshake, OSError):
                self.closes[0] += 1
            await asyncio.sleep(0.05)

    def have(self, numbers: dict[str, int]) -> bool:
        """Returns whether each client has these or newer updates."""
        return all(newest.get(symbol, 0) >= number for newest in self.newest for symbol, number in numbers.items())


@contextmanager
def reading_pages(nginx: Nginx) -> Iterator[Counter[int]]:
    """Requests the page without a pause. Yields how many answers had which status."""
    statuses: Counter[int] = Counter()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            statuses[nginx.get("/")[0]] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join(90)


def publish_all(program: GatewayProcess) -> dict[str, int]:
    return {symbol: program.publish(symbol).seq_id for symbol in SYMBOLS}


def test_no_page_fails_and_no_client_misses_a_last_price_while_all_programs_restart(proxied_site: ProxiedSite):
    clients = Clients(proxied_site.nginx)
    clients.start()
    try:
        wait_until(lambda: clients.have(publish_all(proxied_site.web)), 90, "prices for all clients")
        with reading_pages(proxied_site.nginx) as statuses:
            for program in (*proxied_site.gateways, proxied_site.web):
                program.signal()
                numbers = publish_all(proxied_site.web)
                assert program.wait() == 0
                while_down = statuses.total()
                wait_until(lambda: clients.have(numbers), 60, "the last prices after a stop")  # noqa: B023
                wait_until(lambda: statuses.total() > while_down + 1, 60, "a page while a program is down")  # noqa: B023
                program.start()
                numbers = publish_all(proxied_site.web)
                wait_until(lambda: clients.have(numbers), 60, "the last prices after a start")  # noqa: B023
    finally:
        clients.end()
    assert set(statuses) == {200}
    assert clients.closes[4001] >= CLIENTS, clients.closes
