"""Connections that are refused, under a server other than Daphne."""

from tests.support.gateway.asgi import Listings, begin, disconnect, receive_event
from tests.support.gateway.sessions import make_connections, open_session
from watchlist.gateway.protocol import CloseCode

CAN_SEND_STATUS = {"websocket.http.response": {}}


async def test_a_refusal_is_a_close_code_if_the_server_can_send_no_status(start_local_gateway):
    local = start_local_gateway(max_connections=1)
    first = local.connect()
    await begin(first)
    second = local.connect()
    assert await begin(second) == {"type": "websocket.accept"}
    assert await receive_event(second) == {"type": "websocket.close", "code": 4003}
    await disconnect(first)


async def test_an_address_with_too_many_open_sockets_is_refused_until_one_ends(start_local_gateway):
    local = start_local_gateway(max_per_address=1)
    first = local.connect()
    await begin(first)
    assert (await begin(local.connect(extensions=CAN_SEND_STATUS)))["status"] == 429
    other = local.connect(client=["192.0.2.1", 1])
    assert await begin(other) == {"type": "websocket.accept"}
    await disconnect(first)
    again = local.connect()
    assert await begin(again) == {"type": "websocket.accept"}
    for client in (other, again):
        await disconnect(client)


async def test_a_refusal_is_a_status_if_the_server_can_send_one(start_local_gateway):
    client = start_local_gateway().connect("/other", extensions=CAN_SEND_STATUS)
    answer = await begin(client)
    assert (answer["type"], answer["status"]) == ("websocket.http.response.start", 404)
    assert (await receive_event(client))["body"] == b""


async def test_a_foreign_origin_is_refused_before_the_socket_is_accepted(start_local_gateway):
    local = start_local_gateway(allowed_origins=("https://a.example",))
    client = local.connect(headers=[(b"origin", b"https://b.example")])
    assert await begin(client) == {"type": "websocket.close"}
    assert local.gateway.counts.refused == {"origin": 1}


async def test_connections_are_refused_until_the_tickers_can_be_read(start_local_gateway):
    listings = Listings(readable=False)
    local = start_local_gateway(load=listings.load)
    assert (await begin(local.connect(extensions=CAN_SEND_STATUS)))["status"] == 503
    listings.readable = True
    client = local.connect()
    assert await begin(client) == {"type": "websocket.accept"}
    await disconnect(client)


async def test_a_draining_gateway_closes_its_sockets_and_accepts_none(start_local_gateway):
    local = start_local_gateway()
    client = local.connect()
    await begin(client)
    local.gateway.drain()
    assert await receive_event(client) == {"type": "websocket.close", "code": 4001}
    assert (await begin(local.connect(extensions=CAN_SEND_STATUS)))["status"] == 503
    await disconnect(client)


def test_the_limit_counts_the_connections_of_all_processes():
    connections = make_connections(max_connections=5)
    noted = []

    def note_connections(own):
        noted.append(own)
        return 3

    connections.share(note_connections, lambda _address, _change: 0)
    session = open_session(connections)
    with connections.pending():
        assert not connections.is_full(pending=True)
        assert noted[-1] == 2
        assert connections.is_full(pending=False)
    assert connections.total == 4
    session.close(CloseCode.SHUTDOWN, 0.0)
    connections.end(session)
    assert noted[-1] == 0
    assert connections.total == 3


def test_the_limit_of_a_process_counts_its_own_connections():
    connections = make_connections(max_connections=0, max_per_process=2)
    connections.share(lambda _own: 1000, lambda _address, _change: 0)
    open_session(connections)
    with connections.pending():
        assert not connections.is_full(pending=True)
        assert connections.is_full(pending=False)


def test_the_limit_of_an_address_counts_its_sockets_in_all_processes():
    connections = make_connections(max_per_address=3)
    noted = []

    def note_address(address, change):
        noted.append((address, change))
        return 2 if address == "192.0.2.1" else 0

    connections.share(lambda _own: 0, note_address)
    assert not connections.is_address_full("192.0.2.1")
    session = open_session(connections, address="192.0.2.1")
    assert noted[-1] == ("192.0.2.1", 1)
    assert connections.is_address_full("192.0.2.1")
    assert not connections.is_address_full("192.0.2.2")
    session.close(CloseCode.SHUTDOWN, 0.0)
    connections.end(session)
    assert noted[-1] == ("192.0.2.1", -1)
    assert not connections.is_address_full("192.0.2.1")


def test_an_address_is_full_until_one_of_its_sockets_ends():
    connections = make_connections(max_per_address=2)
    first, second = (open_session(connections, address="192.0.2.1") for _ in range(2))
    assert connections.is_address_full("192.0.2.1")
    for session in (first, second):
        session.close(CloseCode.SHUTDOWN, 0.0)
        connections.end(session)
        assert not connections.is_address_full("192.0.2.1")
