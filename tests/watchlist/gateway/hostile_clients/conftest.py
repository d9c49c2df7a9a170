"""A gateway under `rungateway` and under plain `daphne`, with one client that must not be affected by hostile ones."""

import threading

import pytest

from tests.support.gateway.process import receive_frame
from tests.support.gateway.raw_socket import upgrade
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=["rungateway", "daphne"])
def gateway(run_gateway, request):
    gateway = run_gateway(
        request.param, GATEWAY_ALLOWED_ORIGINS="https://prices.example", GATEWAY_TIMEOUTS_WRITE_WAIT="1s"
    )
    gateway.redis.flushall()  # An old quote would reach the bystander before the first update.
    return gateway


@pytest.fixture(scope="module")
def silent(gateway):
    """A client that connects before all tests and sends nothing. The last test checks that it was closed."""
    with upgrade(gateway) as client:
        yield client


@pytest.fixture(scope="module")
def bystander(gateway, silent):
    """A client that subscribes before all tests and reads."""
    with gateway.connect() as client:
        client.send('["AAPL"]')
        wait_until(lambda: gateway.redis.pubsub_numsub("prices.AAPL")[0][1] == 1)
        yield client


@pytest.fixture(autouse=True)
def others_miss_nothing(gateway, bystander):
    """Checks that the bystander receives each update during and after each test, and that the log has no traceback."""
    ended = threading.Event()
    missed = []

    def publish_and_check():
        while not ended.wait(0.01):
            update = gateway.publish("AAPL")
            if receive_frame(bystander).get("seq_id") != update.seq_id:
                missed.append(update.seq_id)

    checker = threading.Thread(target=publish_and_check)
    checker.start()
    yield
    ended.set()
    checker.join()
    assert missed == []
    update = gateway.publish("AAPL")
    assert receive_frame(bystander)["seq_id"] == update.seq_id
    assert "Traceback" not in gateway.log.read_text()
