from random import Random

from structlog.testing import capture_logs

from feeds.outage import Backoff, Outage


def test_an_outage_is_said_once_and_its_end_once():
    times = iter([10.0, 14.5])
    outage = Outage("Redis", clock=lambda: next(times))
    with capture_logs() as lines:
        outage.begin("refused")
        outage.begin("refused again")
        assert outage.lasting
        outage.end()
        outage.end()

    assert [(line["log_level"], line.get("reason"), line.get("seconds")) for line in lines] == [
        ("warning", "refused", None),
        ("info", None, 4.5),
    ]
    assert not outage.lasting


def test_waits_grow_to_a_ceiling_and_start_again_after_a_success():
    backoff = Backoff(Random(1), least=0.1, most=1.0)
    waits = [backoff() for _ in range(50)]

    assert all(0.1 <= wait <= 1.0 for wait in waits)
    assert max(waits[:1]) <= 0.2
    assert max(waits) > 0.8
    backoff.reset()
    assert backoff() <= 0.2


def test_two_who_wait_do_not_come_back_at_once():
    assert Backoff(Random(1))() != Backoff(Random(2))()
