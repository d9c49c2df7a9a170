import re
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.delivery.database import Database
from tests.support.delivery.mail_sink import MailSink
from tests.support.delivery.receiver import OK, WebhookReceiver, silence
from tests.support.servers.commands import Command
from tests.support.servers.postgres import Postgres, started_postgres
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a migrated, empty database."""
    file = tmp_path_factory.mktemp("migrated") / "db.sqlite3"
    Database(f"sqlite:///{file}").migrate()
    return file


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Database:
    return Database(f"sqlite:///{shutil.copy(migrated, tmp_path / 'db.sqlite3')}")


def states(database: Database) -> set[str]:
    return {state for state, _ in database.deliveries()}


def wait_until_started(*senders: Command) -> None:
    """Waits until each sender handles SIGTERM itself."""
    wait_until(lambda: all(map(blocks_sigterm, senders)), what="the senders")


def blocks_sigterm(sender: Command) -> bool:
    blocked = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{sender.process.pid}/status").read_text())
    return blocked is not None and bool(int(blocked[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_a_firing_that_a_killed_sender_was_sending_is_sent_again_with_the_same_key(database: Database, tmp_path: Path):
    with WebhookReceiver(silence, OK) as receiver:
        database.fire(receiver.url, webhook=1)
        killed = Command("rundelivery", database.environment, tmp_path / "killed.log")
        wait_until(lambda: receiver.requests, what="the first request")
        killed.end(signal.SIGKILL)
        assert database.deliveries()[0][0] == "waiting"
        sender = Command("rundelivery", database.environment, tmp_path / "sender.log")
        wait_until(lambda: database.deliveries()[0][0] == "done", what="the delivery")
        assert sender.end() == 0
    first, second, *_ = receiver.requests  # a busy machine may cause a third attempt
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == "1-1"
    assert first.body == second.body
    assert not sender.logged("Traceback")


def test_senders_that_are_killed_lose_no_delivery(database: Database, tmp_path: Path):
    with WebhookReceiver(seconds=0.005) as receiver:
        database.fire(receiver.url, webhook=400)
        for number in range(3):
            before = len(receiver.requests)
            sender = Command("rundelivery", database.environment, tmp_path / f"{number}.log")
            wait_until(lambda before=before: len(receiver.requests) > before + 5, what="some requests")
            sender.end(signal.SIGKILL)
        senders = [Command("rundelivery", database.environment, tmp_path / f"last{number}.log") for number in range(2)]
        wait_until(lambda: states(database) == {"done"}, 120, "all deliveries")
        wait_until_started(*senders)
        assert [sender.end() for sender in senders] == [0, 0]
    assert len(set(receiver.keys())) == 400
    assert receiver.most_open == 1
    # Each killed sender repeats at most what it was sending, and what it had not written yet.
    assert len(receiver.requests) <= 400 + 3 * 20


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        yield server


def test_senders_survive_the_death_of_postgresql(postgres: Postgres, tmp_path: Path):
    database = Database(postgres.address)
    database.migrate()
    with WebhookReceiver() as receiver:
        database.fire(receiver.url, webhook=400)
        senders = [Command("rundelivery", database.environment, tmp_path / f"{number}.log") for number in range(2)]
        wait_until(lambda: len(receiver.requests) > 20, what="some requests")
        postgres.kill()
        postgres.start()
        wait_until(lambda: states(database) == {"done"}, 120, "all deliveries")
        wait_until_started(*senders)
        assert [sender.end() for sender in senders] == [0, 0]
    assert len(set(receiver.keys())) == 400
    # A receipt that could not be written is written later. Only a lease that ended meanwhile causes repeats.
    assert len(receiver.requests) <= 400 + 20
    assert not any(sender.logged("Traceback") for sender in senders)


def test_e_mails_and_webhooks_are_delivered_beside_each_other(database: Database, tmp_path: Path):
    with WebhookReceiver() as receiver, MailSink() as sink:
        environment = database.environment | {"EMAIL_URL": sink.url, "EMAIL_FROM": "stocks@example.org"}
        years = {datetime.now(UTC).year, (datetime.now(UTC) + timedelta(hours=1)).year}
        database.fire(receiver.url, webhook=2, email=500)
        sender = Command("rundelivery", environment, tmp_path / "sender.log")
        wait_until(lambda: states(database) == {"done"}, 120, "all deliveries")
        assert sender.end() == 0
    assert len(set(receiver.keys())) == 2
    [mail] = sink.mails
    assert mail["Subject"] == "500 alerts fired: AAPL"
    assert mail["From"] == "stocks@example.org"
    assert "https://stocks.example.org/alerts/" in mail.get_content()
    assert any(f"{year}-" in mail.get_content() for year in years)


def test_a_mail_server_that_is_down_is_reported_and_tried_again(database: Database, tmp_path: Path):
    with MailSink() as sink:
        pass
    database.fire(email=1)
    sender = Command("rundelivery", database.environment | {"EMAIL_URL": sink.url}, tmp_path / "sender.log")
    wait_until(lambda: database.deliveries() == [("waiting", 1)], what="an attempt")
    assert sender.end() == 0


def test_a_missing_package_is_named_in_one_line(database: Database, tmp_path: Path):
    sender = Command("rundelivery", database.environment | {"APPRISE_SERVICES": "ntfys"}, tmp_path / "sender.log")
    assert sender.process.wait(60) == 1
    assert sender.text == (
        "stockwatch: APPRISE_SERVICES needs the package apprise: pip install -r requirements-apprise.txt\n"
    )
