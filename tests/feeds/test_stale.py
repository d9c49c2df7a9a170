"""One table of cases tests every implementation of the rule that says which update is newer."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import redis

from feeds.stale import Order, is_newer
from feeds.store.batch import Batch
from feeds.store.connection import connect
from feeds.store.quote_writer import QuoteWriter
from feeds.wire import Update, encode, stock_key
from stockwatch.local.redis_server import RedisServer
from tests.support.cases import read_cases, to_accepted

CASES = read_cases("newer_than")
NEWEST = to_accepted((2**53 - 1, 2**53 - 1))
Pair = tuple[int, int]
Rule = Callable[[Pair, Pair | None], bool]

newer_than_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['update']} than {case['than']}")


def make_update(pair: Pair) -> Update:
    return Update("AAPL", 1.5, *pair)


def batch_of(*pairs: Pair) -> Batch:
    updates = map(make_update, pairs)
    return Batch([[(update, encode(update)) for update in updates]])


def check(case: dict, rule: Rule) -> None:
    than = tuple(case["than"]) if case["than"] else None
    assert rule(tuple(case["update"]), than) is case["newer"]


@newer_than_cases
def test_the_rule_in_python(case: dict):
    check(case, lambda update, than: is_newer(Order(*update), Order(*than) if than else None))


@newer_than_cases
def test_the_rule_applied_to_a_batch(case: dict):
    def rule(update: Pair, than: Pair | None) -> bool:
        batch = batch_of(*([than] if than else []), update)
        return batch.stale == 0 and batch.by_symbol["AAPL"].last == make_update(update)

    check(case, rule)


@pytest.fixture
def writer(redis_server: RedisServer, redis_client: redis.Redis) -> Iterator[QuoteWriter]:
    writer = QuoteWriter(connect({"host": redis_server.host, "port": redis_server.port}), timedelta(hours=1))
    yield writer
    writer.close()


@newer_than_cases
@pytest.mark.parametrize("spaces", [False, True], ids=["own format", "foreign format"])
def test_the_rule_in_the_lua_script(case: dict, spaces: bool, writer: QuoteWriter, redis_client: redis.Redis):
    def rule(update: Pair, than: Pair | None) -> bool:
        if than:
            stored = encode(make_update(to_accepted(than)))
            redis_client.set(stock_key("AAPL"), stored.replace(b",", b", ") if spaces else stored)
        return writer.write(batch_of(to_accepted(update))) == 1

    check(case, rule)


@pytest.mark.parametrize("case", [case for case in CASES if [2**53 - 1] * 2 not in (case["update"], case["than"])])
def test_the_rule_in_the_lua_script_for_the_first_update_of_a_batch(
    case: dict, writer: QuoteWriter, redis_client: redis.Redis
):
    def rule(update: Pair, than: Pair | None) -> bool:
        if than:
            redis_client.set(stock_key("AAPL"), encode(make_update(to_accepted(than))))
        return writer.write(batch_of(to_accepted(update), NEWEST)) == 2

    check(case, rule)
