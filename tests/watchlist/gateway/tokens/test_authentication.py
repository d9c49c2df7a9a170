"""The authentication of one socket, without a server: time-outs, waiting requests, and a database that is away."""

import asyncio

from tests.support.gateway.asgi import Listings, begin, disconnect, receive_event, receive_json, send_json
from tests.support.gateway.fakes import FakeClock
from tests.support.gateway.sessions import received_frames, send
from tests.support.waiting import until
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.tokens import verifier as verifiers

TOKEN = "sw_" + "A" * 43
AUTH = {"action": "auth", "payload": {"token": TOKEN}, "id": "1"}


class Lookups:
    """Replaces the look-up in the database: each waits until `answers` has a value for it."""

    def __init__(self, monkeypatch):
        self.answers = asyncio.Queue()
        self.started = 0
        monkeypatch.setattr(verifiers, "look_up", self._look_up)
        monkeypatch.setattr("watchlist.gateway.database.QUERY_TIMEOUT_SECONDS", 60.0)
        monkeypatch.setattr(verifiers, "store_use", lambda _token: None)

    async def _look_up(self, _token):
        self.started += 1
        return await self.answers.get()


class Row:
    pk = 7
    owner_id = 3
    scope_names = ("read",)


async def connect_private(start_local_gateway, **options):
    local = start_local_gateway(private=True, **options)
    client = local.connect()
    assert await begin(client) == {"type": "websocket.accept"}
    [session] = local.gateway.sessions
    return local, client, session


async def test_a_client_that_sends_no_token_within_ten_seconds_is_closed(start_local_gateway):
    clock = FakeClock()
    local, client, session = await connect_private(start_local_gateway, clock=clock)
    session.sweep(10.0)
    assert not session.closing_since
    session.sweep(10.1)
    assert await receive_event(client) == {"type": "websocket.close", "code": int(CloseCode.TOKEN)}
    await disconnect(client)
    assert local.gateway.counts.closed == {"token": 1}


async def test_without_the_database_the_client_is_told_so_and_may_come_again(start_local_gateway):
    listings = Listings()
    local, client, _ = await connect_private(start_local_gateway, load=listings.load)
    listings.readable = False
    await until(lambda: not local.gateway.database.available)
    await send_json(client, AUTH)
    frame = await receive_json(client)
    assert (frame["type"], frame["code"], frame["id"], frame["retry_after_ms"]) == ("error", 503, "1", 5000)
    assert await receive_event(client) == {"type": "websocket.close", "code": int(CloseCode.FULL)}
    await disconnect(client)
    headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
    other = local.connect(headers=headers, extensions={"websocket.http.response": {}})
    assert (await begin(other))["status"] == 503


async def test_an_account_that_the_operator_refuses_gets_no_update_with_a_new_token(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    local, client, session = await connect_private(start_local_gateway)
    local.gateway.connections.kicks.replace({f"account:{Row.owner_id}": 3600.0}, local.gateway.clock.now())
    lookups.answers.put_nowait(Row())
    await send_json(client, AUTH)
    await send_json(client, {"action": "subscribe", "payload": {"symbols": ["AAPL"]}})
    frame = await receive_json(client)
    assert (frame["type"], frame["code"], frame["id"]) == ("error", 429, "1")
    assert 0 < frame["retry_after_ms"] <= 3_600_000
    assert await receive_event(client) == {"type": "websocket.close", "code": int(CloseCode.KICKED)}
    assert (session.token, local.gateway.hub.subscriptions) == (None, 0)
    await disconnect(client)
    lookups.answers.put_nowait(Row())
    headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
    other = local.connect(headers=headers, extensions={"websocket.http.response": {}})
    assert (await begin(other))["status"] == 429


async def test_requests_wait_in_order_until_the_token_is_verified(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    local, client, session = await connect_private(start_local_gateway)
    await send_json(client, AUTH)
    await until(lambda: lookups.started)
    for number in range(3):
        await send_json(client, {"action": "ping", "id": str(number)})
    local.gateway.connections.announce_database(False)
    lookups.answers.put_nowait(Row())
    frames = [await receive_json(client) for _ in range(4)]
    assert [frame["type"] for frame in frames] == ["ack", "pong", "pong", "pong"]
    assert [frame["id"] for frame in frames] == ["1", "0", "1", "2"]
    assert session.token == 7
    await disconnect(client)


async def test_too_many_requests_during_the_verification_close_the_socket(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    _, client, session = await connect_private(start_local_gateway)
    await send_json(client, AUTH)
    await until(lambda: lookups.started)
    for _ in range(33):
        send(session, {"action": "ping"}, session.opened_at)
    assert await receive_event(client) == {"type": "websocket.close", "code": int(CloseCode.FLOOD)}
    lookups.answers.put_nowait(Row())
    await disconnect(client)


async def test_a_client_that_leaves_during_the_verification_is_not_subscribed(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    local, client, session = await connect_private(start_local_gateway)
    await send_json(client, AUTH)
    await send_json(client, {"action": "subscribe", "payload": {"symbols": ["AAPL"]}})
    await until(lambda: lookups.started)
    await disconnect(client)
    lookups.answers.put_nowait(Row())
    await until(lambda: not local.gateway.sessions)
    await asyncio.sleep(0)
    assert session.token is None
    assert local.gateway.hub.subscriptions == 0


async def test_a_socket_that_must_authenticate_gets_no_frames_about_the_site(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    local = start_local_gateway(private=True)
    client = local.connect(query_string=b"meta=1&heartbeat=1&notice=1")
    await begin(client)
    local.gateway.connections.announce_database(False)
    await send_json(client, AUTH)
    await until(lambda: lookups.started)
    lookups.answers.put_nowait(Row())
    assert [(await receive_json(client))["type"] for _ in range(2)] == ["ack", "service"]
    await disconnect(client)


async def test_clients_without_a_token_leave_most_of_the_room_to_others(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    local, first, _ = await connect_private(start_local_gateway, max_connections=20)
    second = local.connect()
    await begin(second)
    refused = {"extensions": {"websocket.http.response": {}}}
    assert (await begin(local.connect(**refused)))["status"] == 429
    lookups.answers.put_nowait(Row())
    by_header = local.connect(headers=[(b"authorization", b"Bearer " + TOKEN.encode())])
    assert await begin(by_header) == {"type": "websocket.accept"}
    lookups.answers.put_nowait(Row())
    await send_json(first, AUTH)
    await receive_json(first)
    third = local.connect()
    assert await begin(third) == {"type": "websocket.accept"}
    assert (await begin(local.connect(**refused)))["status"] == 429
    await disconnect(second)
    fourth = local.connect()
    assert await begin(fourth) == {"type": "websocket.accept"}
    for client in (first, by_header, third, fourth):
        await disconnect(client)


def test_a_session_without_a_verifier_refuses_tokens():
    from tests.support.gateway.sessions import open_session

    session = open_session()
    send(session, AUTH)
    assert received_frames(session)[0]["code"] == 400


async def test_many_wrong_tokens_at_once_cause_few_queries(start_local_gateway, monkeypatch):
    lookups = Lookups(monkeypatch)
    for _ in range(100):
        lookups.answers.put_nowait(None)
    local = start_local_gateway(rate_burst=5)
    await local.gateway.start()
    headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
    clients = [local.connect(headers=headers, extensions={"websocket.http.response": {}}) for _ in range(50)]
    statuses = [answer["status"] for answer in await asyncio.gather(*map(begin, clients))]
    assert set(statuses) == {401, 429}
    assert lookups.started <= verifiers.MAX_VERIFICATIONS
