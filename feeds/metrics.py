"""What generator, processor and recorder count, in Prometheus' terms, and the port where it is read.

The hot path counts by batch, never by update.
"""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

PRODUCED = Counter("stockwatch_generator_produced", "Updates handed to Kafka's queue.")
DELIVERED = Counter("stockwatch_generator_delivered", "Updates that the brokers acknowledged.")
FAILED = Counter("stockwatch_generator_failed", "Updates that were not delivered.", ["reason"])
MISSED = Counter(
    "stockwatch_generator_missed_intervals", "Intervals that passed without updates, the generator being late."
)
ACTIVE = Gauge("stockwatch_generator_active_tickers", "Tickers that get an update each interval.")

READ = Counter("stockwatch_processor_read", "Records read from Kafka.")
WRITTEN = Counter("stockwatch_processor_written", "Updates stored and published.")
STALE = Counter("stockwatch_processor_stale", "Updates dropped as not newer than what is stored.")
LETTERS = Counter("stockwatch_processor_dead_letters", "Records that are no prices, put aside.", ["reason"])
RETRIES = Counter("stockwatch_processor_retries", "Writes tried again, Redis being away.")
PAUSED = Counter("stockwatch_processor_pauses", "Times that partitions were paused, the workers being full.")
BATCH = Histogram(
    "stockwatch_processor_batch_size",
    "Updates in one write to Redis.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
AGE = Histogram(
    "stockwatch_processor_age_seconds",
    "From the timestamp of a write's oldest update until it is in Redis.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
DELAY = Histogram(
    "stockwatch_processor_delay_seconds",
    "From a write's first record being produced to Kafka, by its producer's clock in ms, until it is in Redis.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
WORKERS_HELD = Gauge("stockwatch_processor_workers_held", "Workers that have had the same updates for over 30 s.")

LAG = Gauge("stockwatch_consumer_lag", "Records of a partition of ours that are not done yet.", ["partition"])

RECORDED = Counter("stockwatch_recorder_recorded", "Updates entered into bars.")
KNOWN = Counter("stockwatch_recorder_known", "Updates that the bars had already.")
SKIPPED = Counter("stockwatch_recorder_skipped", "Records that are no updates.", ["reason"])
RING_WRITES = Counter("stockwatch_recorder_ring_writes", "Symbols brought to Redis.")
SAVED = Counter("stockwatch_recorder_saved", "Bars written to the database.")
PURGED = Counter("stockwatch_recorder_purged", "Minutes deleted, being older than RECORDER_RETENTION.")
RECORD_RETRIES = Counter("stockwatch_recorder_retries", "Writes and readings tried again.", ["what"])
HELD = Gauge("stockwatch_recorder_symbols", "Symbols whose bars are under way.")


def serve_metrics(port: int, variable: str) -> None:
    """Listens where a port is set; 0 is none. Ends the program with one line where it cannot be had."""
    if port == 0:
        return
    try:
        start_http_server(port)
    except OSError as error:
        raise SystemExit(f"stockwatch: {variable}={port} cannot be used: {error.strerror}; set another or 0") from error
