import gc
import sys

import pytest

from watchlist.gateway.sockets import daphne_transport
from watchlist.gateway.sockets.daphne_transport import AttachTransport
from watchlist.gateway.sockets.server_tuning import (
    GC_THRESHOLD,
    SWITCH_SECONDS,
    freeze_loaded_objects,
    tune_server,
)


async def do_nothing(*_):
    return


@pytest.fixture
def restore_collector():
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def test_present_objects_are_exempt_from_garbage_collection(restore_collector):
    freeze_loaded_objects()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == GC_THRESHOLD


def test_the_event_loop_waits_less_for_threads(restore_collector):
    tune_server()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)


async def test_the_server_is_tuned_once_at_the_first_socket(monkeypatch):
    tuned = []
    monkeypatch.setattr(daphne_transport, "tune_server", lambda: tuned.append(True))
    application = AttachTransport(do_nothing)
    await application({"type": "http"}, do_nothing, do_nothing)
    assert not tuned
    for _ in range(2):
        await application({"type": "websocket"}, do_nothing, do_nothing)
    assert tuned == [True]
