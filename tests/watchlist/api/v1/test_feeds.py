from feeds.store.feed_state import FeedState, FeedStateStore

FEEDS = "/api/v1/feeds"


def test_each_served_source_has_a_state(client, make_ticker, store):
    make_ticker("AAPL"), make_ticker("BTC/USD", source="kraken"), make_ticker("ETH/USD", source="coinbase")
    FeedStateStore(store).write({"kraken": FeedState("connected", "", 5, 6, {"halted": ["BTC/USD"]})})
    coinbase, kraken, simulated = client.get(FEEDS).json()["feeds"]
    assert kraken == {
        "source": "kraken",
        "title": "Kraken",
        "state": "connected",
        "reason": "",
        "since": 5,
        "last_message": 6,
        "symbols": {"halted": ["BTC/USD"]},
    }
    assert (coinbase["state"], coinbase["reason"]) == ("reconnecting", "runfeed is not running")
    assert (simulated["source"], simulated["state"]) == ("simulated", "")


def test_without_redis_the_response_is_503(client, make_ticker, settings):
    make_ticker("BTC/USD", source="kraken")
    settings.REDIS = settings.REDIS | {"port": 1}
    assert client.get(FEEDS).status_code == 503
