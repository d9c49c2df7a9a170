"""Runs cases of Autobahn's test suite with kosoku: `python -m tests.clients.conformance URL CHOICE`.

CHOICE is a JSON object with arguments of `run_fuzzingclient`. Prints a JSON object from each case to whether it passed
and to its behavior. A process of its own, because kosoku supports one event loop, and replaces modules of autobahn.
"""

import asyncio
import json
import sys

from kosoku import FailureError, run_fuzzingclient


async def play(url: str, choice: dict) -> dict[str, tuple[bool, str]]:
    try:
        results = await run_fuzzingclient(url, concurrency=4, **choice)
    except FailureError as error:
        results = error.results
    return {result.case_id: (result.passed, result.behavior.value) for result in results}


if __name__ == "__main__":
    json.dump(asyncio.run(play(sys.argv[1], json.loads(sys.argv[2]))), sys.stdout)
