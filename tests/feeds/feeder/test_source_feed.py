from prometheus_client import REGISTRY

from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.publisher import Publisher
from feeds.feeder.source_feed import OBSERVE_US, SourceFeed
from feeds.feeder.source_metrics import SourceMetrics
from feeds.retry import Outage
from feeds.sources.kraken import KRAKEN
from tests.support.feeder.source import TopicList
from tests.support.feeder.trades import BEGIN, trade


def count_lags() -> float:
    return REGISTRY.get_sample_value("stockwatch_feed_lag_seconds_count", {"source": "kraken"}) or 0.0


async def test_of_messages_within_a_millisecond_one_lag_counts_although_the_clock_is_set_back():
    publisher = Publisher(TopicList(), lambda _symbol, _trades: None)
    feed = SourceFeed(KRAKEN, publisher, SourceStateTracker(BEGIN), Outage("Kraken"), SourceMetrics("kraken"))
    before = count_lags()
    counted = []
    for receipt in (BEGIN, BEGIN + OBSERVE_US - 1, BEGIN + OBSERVE_US, BEGIN - 60_000_000):
        feed.handle([trade(1)], receipt)
        counted.append(count_lags() - before)
    assert counted == [1, 1, 2, 3]
