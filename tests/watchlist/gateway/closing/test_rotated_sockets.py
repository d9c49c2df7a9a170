"""Sockets that are closed because of their age, with real processes."""

from tests.bench.returning import rotation_case
from tests.support.gateway.process import receive_close_code, receive_frame_of_type
from tests.support.waiting import wait_until

PAGES = 30


def test_rotation_fills_a_new_process_and_no_page_misses_a_price():
    found = rotation_case(PAGES)
    assert (found["lost"], found["newest"], found["older"]) == (PAGES, PAGES, 0)
    assert found["twice"] == 0, "a page needed a second attempt, so it was away for longer than its first wait"


def test_an_old_socket_is_closed_with_4001_after_a_notice(run_gateway, redis_client):
    gateway = run_gateway("rungateway", GATEWAY_MAX_AGE="1s")
    with gateway.connect("?notice=1") as client:
        client.send('["AAPL"]')
        assert receive_frame_of_type(client, "reconnect")["retry_after_ms"] < 1000
        assert receive_close_code(client) == 4001
    assert gateway.metric("rotated_total") == 1
    wait_until(lambda: gateway.metric("connections") == 0)


def test_sockets_are_rotated_under_other_servers_too(run_gateway, redis_client):
    gateway = run_gateway("uvicorn", GATEWAY_MAX_AGE="1s")
    with gateway.connect() as client:
        client.send('["AAPL"]')
        assert receive_close_code(client) == 4001
