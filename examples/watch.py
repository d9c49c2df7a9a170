"""Prints updates: python watch.py ws://localhost:8081/ws AAPL GOOG"""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

MIN_WAIT_SECONDS, MAX_WAIT_SECONDS = 0.5, 8.0


async def print_updates(url: str, symbols: list[str], answered: asyncio.Event) -> None:
    async with connect(url) as socket:
        await socket.send(json.dumps({"action": "subscribe", "id": "1", "payload": {"symbols": symbols}}))
        while True:
            text = await socket.recv()
            try:
                frame = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if not isinstance(frame, dict):  # a frame that this client does not know
                continue
            if "price" in frame and "seq_id" in frame:  # an update; it may have more keys, also one named `type`
                print(text, flush=True)
            elif frame.get("type") == "ack":
                answered.set()
                print("rejected:", frame.get("rejected", {}), file=sys.stderr)
            elif frame.get("type") == "error":
                sys.exit(str(frame.get("message")))


async def watch(url: str, symbols: list[str]) -> None:
    wait = MIN_WAIT_SECONDS
    while True:
        answered = asyncio.Event()
        try:
            await print_updates(url, symbols, answered)
        except ConnectionClosed as error:
            if error.rcvd and 4500 <= error.rcvd.code <= 4999:
                sys.exit(f"closed for good: {error.rcvd.code}")
        except InvalidStatus as error:
            if error.response.status_code != 429 and error.response.status_code < 500:
                sys.exit(f"refused: {error.response.status_code}")
        except (OSError, InvalidHandshake) as error:
            print(error, file=sys.stderr)
        wait = MIN_WAIT_SECONDS if answered.is_set() else min(MAX_WAIT_SECONDS, 2 * wait)
        await asyncio.sleep(wait * random.uniform(0.5, 1))


asyncio.run(watch(sys.argv[1], sys.argv[2:]))
