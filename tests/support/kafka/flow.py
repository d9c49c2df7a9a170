"""Checks that prices flow through a pipeline, and that none is lost."""

import sqlite3
from contextlib import closing

from feeds.models import Origin
from tests.support.kafka.pipeline import Pipeline
from tests.support.kafka.programs import Program
from tests.support.waiting import wait_until


def await_flow(pipeline: Pipeline, seconds: float = 90.0) -> None:
    """Waits until each symbol has a new price."""
    before = dict(pipeline.listener.newest)

    def flows() -> bool:
        return all(pipeline.listener.newest[symbol].order > update.order for symbol, update in before.items())

    wait_until(flows, seconds, "new prices of each symbol")


def await_missing(processor: Program, count: int) -> None:
    """Waits until the processor reports that `count` replicas are missing."""
    wait_until(lambda: processor.metric("stockwatch_processor_missing_replicas") == count, 60, f"{count} missing")


def finish(pipeline: Pipeline, generator: Program) -> int:
    """Stops the generator and returns how many updates it delivered, which the log must contain."""
    assert generator.stop() == 0
    totals = generator.logged("generator stopped")[-1]
    assert totals["undelivered"] == 0
    count = pipeline.read_log()
    assert count == totals["delivered"]
    return count


def expect_no_loss(pipeline: Pipeline, programs: tuple[Program, Program]) -> int:
    """Stops generator and processor: every acknowledged update was published, in order and once.

    Returns the number of updates.
    """
    generator, processor = programs
    count = finish(pipeline, generator)
    report = pipeline.settle()
    assert report.due == count
    assert report.faults == {}
    assert processor.stop() == 0
    return count


def expect_recorded(pipeline: Pipeline, recorder: Program, count: int) -> None:
    """Waits until the recorder has saved its minute bars, about once a minute: they contain every update, once.

    The metrics of the recorder do not suffice. After the loss of a partition it counts the updates of its unsaved bars
    again.
    """
    wait_until(lambda: _recorded_in(pipeline) >= count, 150, f"bars with {count} updates")
    assert recorder.stop() == 0
    assert _recorded_in(pipeline) == count


def _recorded_in(pipeline: Pipeline) -> int:
    query = "SELECT coalesce(sum(count), 0) FROM feeds_minutebar WHERE origin = ?"
    with closing(sqlite3.connect(pipeline.database, timeout=60)) as database:
        return int(database.execute(query, (Origin.RECORDED,)).fetchone()[0])
