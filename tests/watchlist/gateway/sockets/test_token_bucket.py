import pytest

from watchlist.gateway.sockets.token_bucket import TokenBucket


def test_tokens_are_spent_and_refilled_over_time():
    bucket = TokenBucket(rate=5, burst=2, now=0)
    assert [bucket.spend(0), bucket.spend(0), bucket.spend(0)] == [True, True, False]
    assert bucket.seconds_to_next() == pytest.approx(0.2)
    assert bucket.spend(0.2)
    assert not bucket.spend(0.3)
    assert [bucket.spend(100), bucket.spend(100), bucket.spend(100)] == [True, True, False]
