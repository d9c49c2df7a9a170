"""Loads the page at a fixed rate: `python -m tests.bench.visitor PORT PAGES_PER_SECOND`.

This process runs until it is killed.
"""

import sys
import threading
import time
import urllib.request
from contextlib import suppress


def load_page(address: str) -> None:
    with suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
        answer.read()


def main(port: int, pages_per_second: float) -> None:
    due = time.monotonic()
    while True:
        threading.Thread(target=load_page, args=(f"http://127.0.0.1:{port}/",), daemon=True).start()
        due += 1 / pages_per_second
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
