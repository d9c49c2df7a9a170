"""Defines the Prometheus metrics of generator, feeder, processor, recorder, alert engine and sender.

Code changes a metric once per batch of updates, never once per update.
"""

from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram


class UpdateHistogram(Histogram):
    """A histogram that counts each update of a batch. All updates of a batch are observed at once."""

    def observe_batch(self, seconds: float, updates: int) -> None:
        """Does the same as `updates` calls of `observe(seconds)`."""
        self._sum.inc(seconds * updates)
        self._buckets[bisect_left(self._upper_bounds, seconds)].inc(updates)


PRODUCED = Counter("stockwatch_generator_produced", "Updates added to the producer's queue.")
DELIVERED = Counter("stockwatch_generator_delivered", "Updates that the brokers acknowledged.")
FAILED = Counter("stockwatch_generator_failed", "Updates that were not delivered.", ["reason"])
MISSED_INTERVALS = Counter(
    "stockwatch_generator_missed_intervals", "Intervals without updates because the generator was late."
)
ACTIVE_TICKERS = Gauge("stockwatch_generator_active_tickers", "Tickers that get an update each interval.")

FEED_MESSAGES = Counter("stockwatch_feed_messages", "Messages received from a source.", ["source"])
FEED_TRADES = Counter("stockwatch_feed_trades", "Trades accepted for publication.", ["source"])
FEED_REPEATS = Counter("stockwatch_feed_repeats", "Trades dropped because they were received before.", ["source"])
FEED_IGNORED = Counter("stockwatch_feed_ignored", "Trades dropped because they do not set the price.", ["source"])
FEED_GAPS = Counter("stockwatch_feed_gaps", "Times that trades were missing between two trades.", ["source"])
FEED_JUMPS = Counter("stockwatch_feed_jumps", "Times that the numbers of the source went back.", ["source"])
FEED_MISSED = Counter("stockwatch_feed_missed", "Trades that were missing according to their numbers.", ["source"])
FEED_FETCHED = Counter("stockwatch_feed_fetched", "Missed trades that arrived later or were fetched.", ["source"])
FEED_UNFILLED = Counter("stockwatch_feed_unfilled", "Missed trades that could not be fetched.", ["source"])
FEED_MERGED = Counter("stockwatch_feed_merged", "Trades merged into newer ones while Kafka was slow.", ["source"])
FEED_CONNECTS = Counter("stockwatch_feed_connects", "Attempts to connect to a source.", ["source"])
FEED_DELIVERED = Counter("stockwatch_feed_delivered", "Updates of all sources that the brokers acknowledged.")
FEED_FAILED = Counter("stockwatch_feed_failed", "Updates of all sources that were not delivered.", ["reason"])
FEED_LAG = Histogram(
    "stockwatch_feed_lag_seconds",
    "From the time of a trade at the source to the receipt of its message; 0 if the source's clock is ahead.",
    ["source"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
FEED_CLOCK_DIFFERENCE = Gauge(
    "stockwatch_feed_clock_difference_seconds",
    "Time of the newest trade minus the time of its receipt. Above 0 the source's clock is ahead of ours.",
    ["source"],
)
FEED_LAST_MESSAGE = Gauge(
    "stockwatch_feed_last_message_timestamp_seconds", "Receipt of the newest message of a source.", ["source"]
)
FEED_STATE = Gauge("stockwatch_feed_state", "1 for the current state of a source, 0 for others.", ["source", "state"])

READ = Counter("stockwatch_processor_read", "Records read from Kafka.")
WRITTEN = Counter("stockwatch_processor_written", "Updates stored and published.")
STALE = Counter("stockwatch_processor_stale", "Updates dropped because the stored one is not older.")
DEAD_LETTERS = Counter("stockwatch_processor_dead_letters", "Invalid records written to the dead letters.", ["reason"])
for _reason in ("malformed", "null", "key", "oversize", "symbol", "price", "order", "timestamp"):
    DEAD_LETTERS.labels(_reason)  # begins at 0: Prometheus does not count the first value as an increase
WRITE_RETRIES = Counter("stockwatch_processor_retries", "Writes repeated because Redis was unavailable.")
PAUSES = Counter("stockwatch_processor_pauses", "Times that partitions were paused because the workers were full.")

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
BATCH_SIZE = Histogram(
    "stockwatch_processor_batch_size",
    "Updates in one write to Redis.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
# With one count per write, a stall would hide: the many updates of a stall need few writes.
UPDATE_AGE = UpdateHistogram(
    "stockwatch_processor_age_seconds",
    "From the timestamp of the oldest update of a write until it is in Redis, for each update of the write.",
    buckets=LATENCY_BUCKETS,
)
DELAY = UpdateHistogram(
    "stockwatch_processor_delay_seconds",
    "From the producer's timestamp of the first record of a write until it is in Redis, for each update of the write.",
    buckets=LATENCY_BUCKETS,
)
MERGED = Counter(
    "stockwatch_processor_merged",
    "Updates that were not published, because a node did not answer for long and newer updates of the symbol came.",
)
BLOCKED_WORKERS = Gauge("stockwatch_processor_blocked_workers", "Workers whose last write to Redis has failed.")
STALLED_WORKERS = Gauge("stockwatch_processor_workers_held", "Workers without progress for more than 30 s.")
MISSING_REPLICAS = Gauge(
    "stockwatch_processor_missing_replicas", "Replicas of a partition that are not in sync, at most; NaN if unknown."
)

LOST_RECORDS = Counter("stockwatch_consumer_lost", "Records deleted from the topic before they were read.")
RECREATED = Counter("stockwatch_consumer_topic_recreated", "Partitions whose topic was created again.")
LAG = Gauge("stockwatch_consumer_lag", "Records of an assigned partition that are not finished.", ["partition"])

RECORDED = Counter("stockwatch_recorder_recorded", "Updates added to bars.")
KNOWN = Counter("stockwatch_recorder_known", "Updates that the bars already contained.")
SKIPPED = Counter("stockwatch_recorder_skipped", "Records that are not valid updates.", ["reason"])
RING_WRITES = Counter("stockwatch_recorder_ring_writes", "Symbols whose recent bars were written to Redis.")
SAVED = Counter("stockwatch_recorder_saved", "Bars written to the database.")
PURGED = Counter("stockwatch_recorder_purged", "Minute bars deleted because they were older than RECORDER_RETENTION.")
RECORDER_RETRIES = Counter("stockwatch_recorder_retries", "Writes and reads that were repeated.", ["what"])
PAST_BARS = Counter("stockwatch_recorder_past", "Tapes whose simulated past was written.")
AUDIT_LOST = Gauge("stockwatch_audit_lost", "Trades of a day that were not recorded, by the newest audit.", ["source"])
AUDIT_REPEATED = Gauge(
    "stockwatch_audit_repeated", "Trades of a day that were recorded more than once, by the newest audit.", ["source"]
)
AUDIT_INEXACT = Gauge(
    "stockwatch_audit_inexact_minutes",
    "Minutes of a day that differ from the source's, by the newest audit.",
    ["source"],
)
OPEN_SYMBOLS = Gauge("stockwatch_recorder_symbols", "Symbols with open bars.")

ALERTS_READ = Counter("stockwatch_alerts_read", "Records read from Kafka by the alert engine.")
ALERTS_SKIPPED = Counter("stockwatch_alerts_skipped", "Records that are not valid updates.", ["reason"])
ALERTS_FIRED = Counter("stockwatch_alerts_fired", "Firings written to the database.")
ALERTS_FIRED_LATE = Counter("stockwatch_alerts_fired_late", "Firings by an update older than the newest one.")
ALERTS_CONFLICTS = Counter("stockwatch_alerts_conflicts", "Alerts evaluated again because they were changed meanwhile.")
ALERTS_RETRIES = Counter("stockwatch_alerts_retries", "Reads and writes repeated because the database did not answer.")
ALERTS_ACTIVE = Gauge("stockwatch_alerts_active", "Active alerts in memory.")
ALERTS_BLIND = Gauge("stockwatch_alerts_blind", "Active alerts that cannot fire now: blind alerts.")
ALERTS_LAG = Gauge("stockwatch_alerts_lag_seconds", "How long the newest evaluated update has waited in Kafka.")
ALERTS_DELAY = Histogram(
    "stockwatch_alerts_delay_seconds",
    "From the producer's timestamp of the record until its firing is in the database.",
    buckets=LATENCY_BUCKETS,
)

DELIVERY_SENT = Counter("stockwatch_delivery_sent", "Firings delivered by the sender.", ["channel"])
DELIVERY_RETRIED = Counter(
    "stockwatch_delivery_retried", "Failed attempts after which another one follows.", ["channel"]
)
DELIVERY_FAILED = Counter("stockwatch_delivery_failed", "Deliveries that were given up.", ["channel"])
DELIVERY_RETRIES = Counter("stockwatch_delivery_database_retries", "Times that the database did not answer the sender.")
DELIVERY_WAITING = Gauge("stockwatch_delivery_waiting", "Deliveries that are not finished.")
DELIVERY_OLDEST = Gauge("stockwatch_delivery_oldest_seconds", "Age of the oldest firing whose delivery waits; else 0.")
