import pytest
from msgspec.structs import replace

from feeds.feeder.network import http_client
from feeds.feeder.network.http_client import HttpClient, RequestFailed
from feeds.sources.adapter import Credentials, Request
from feeds.sources.alpaca import alpaca_source
from feeds.sources.kraken import KRAKEN
from stockwatch.local.redis_server import free_port
from tests.exchanges.kraken import KrakenExchange

PAIRS = Request("/0/public/AssetPairs", {"info": "info"}, {"X-Test": "yes"})
QUICK = replace(KRAKEN, rest_interval=0.0)


async def test_it_sends_path_parameters_and_headers_and_returns_the_body():
    source = replace(alpaca_source("iex"), rest_interval=0.0)
    with KrakenExchange() as exchange:
        client = HttpClient(source, exchange.rest_url, Credentials("key", "secret"))
        body = await client.get(PAIRS)
        await client.close()

    (request,) = exchange.requests
    assert b"XXBTZUSD" in body
    assert (request.path, request.parameters) == ("/0/public/AssetPairs", {"info": "info"})
    assert request.headers["x-test"] == "yes"
    assert request.headers["apca-api-key-id"] == "key"


@pytest.mark.parametrize(("fault", "is_permanent"), [("requests_fail", False), ("country_refused", True)])
async def test_another_status_is_a_failure(fault: str, is_permanent: bool):
    with KrakenExchange() as exchange:
        exchange.set_fault(fault)
        client = HttpClient(QUICK, exchange.rest_url, Credentials())
        with pytest.raises(RequestFailed, match="HTTP") as failure:
            await client.get(PAIRS)
        await client.close()
    assert failure.value.is_permanent == is_permanent


async def test_a_server_that_does_not_answer_is_a_failure():
    client = HttpClient(QUICK, f"http://127.0.0.1:{free_port()}", Credentials())
    with pytest.raises(RequestFailed, match="failed"):
        await client.get(PAIRS)
    await client.close()


async def test_a_response_that_is_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 10)
    with KrakenExchange() as exchange:
        client = HttpClient(QUICK, exchange.rest_url, Credentials())
        with pytest.raises(RequestFailed, match="longer than 10 bytes"):
            await client.get(PAIRS)
        await client.close()


async def test_requests_keep_the_pace_of_the_source():
    moments = iter([10.0, 10.0, 10.5, 11.0, 11.0])
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with KrakenExchange() as exchange, pytest.MonkeyPatch.context() as patch:
        client = HttpClient(replace(KRAKEN, rest_interval=1.0), exchange.rest_url, Credentials(), lambda: next(moments))
        patch.setattr(http_client.asyncio, "sleep", sleep)
        await client.get(PAIRS)
        await client.get(PAIRS)
        await client.close()
    assert slept[:2] == [0.0, 0.5]
