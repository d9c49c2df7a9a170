"""The programs on real brokers that require TLS, a client certificate and a user."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from feeds.wire import Update, decode
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.distribution import KafkaNotInstalled
from tests.support.kafka.secure_listener import PASSWORD, USER
from tests.support.kafka.traffic import read_log
from tests.support.servers.certificates import Certificates, make_certificates
from tests.support.servers.commands import ROOT, Command
from tests.support.servers.pipeline import Programs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_brokers(certificates: Certificates) -> Iterator[Brokers]:
    try:
        brokers = Brokers(secure=certificates)
    except KafkaNotInstalled as error:
        pytest.skip(str(error))
    with brokers:
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
        brokers.admin.alter_user_scram_credentials([change], request_timeout=60)[USER].result(90)
        yield brokers


@pytest.fixture
def variables(
    secure_brokers: Brokers,
    certificates: Certificates,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> dict[str, str]:
    """The environment variables of programs on the secure listener, with a migrated database."""
    variables = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "REDIS_ADDR": redis_server.address,
        "KAFKA_BROKERS": secure_brokers.secure_addresses,
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_CA_FILE": str(certificates.authority),
        "KAFKA_CERT_FILE": str(certificates.certificate),
        "KAFKA_KEY_FILE": str(certificates.key),
        "KAFKA_SESSION_TIMEOUT": "6s",
        "KAFKA_OPTION_CLIENT_RACK": "a",
    }
    migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"]
    subprocess.run(migrate, env=os.environ | variables, check=True, timeout=120)
    return variables


def newest_of(brokers: Brokers, topic: str) -> dict[str, Update]:
    newest: dict[str, Update] = {}
    for update, _ in read_log(brokers.addresses, topic):
        if update.symbol not in newest or update.order > newest[update.symbol].order:
            newest[update.symbol] = update
    return newest


@pytest.mark.parametrize("mechanism", ["scram-sha-512", "plain"])
def test_no_price_is_lost_over_tls_and_sasl(
    variables: dict[str, str], secure_brokers: Brokers, redis_client: redis.Redis, tmp_path: Path, mechanism: str
):
    topic = f"ticks-{mechanism}"
    more = {"KAFKA_SASL_MECHANISM": mechanism, "KAFKA_TOPIC": topic, "KAFKA_TOPIC_PARTITIONS": "3"}
    programs = Programs(secure_brokers.secure_addresses, tmp_path / "db.sqlite3", tmp_path, variables | more)
    try:
        wait_until(lambda: len(redis_client.keys("stock:*")) == 4, 60, "prices of all tickers")
        wait_until(lambda: redis_client.keys("ring:1s:*"), 60, "bars")
        assert programs.generator.end() == 0
        newest = newest_of(secure_brokers, topic)

        def stored() -> dict[str, Update]:
            return {symbol: decode(redis_client.get(f"stock:{symbol}") or b"") for symbol in newest}

        wait_until(lambda: stored() == newest, 60, "the newest update of each symbol")
        assert [programs.recorder.end(), programs.processor.end()] == [0, 0]
    finally:
        programs.close()
    assert len(secure_brokers.admin.list_topics(topic).topics[topic].partitions) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"KAFKA_SASL_PASSWORD": "other"}, "Kafka unavailable"),
        ({"KAFKA_CA_FILE": ""}, "Kafka unavailable"),
        ({"KAFKA_CA_FILE": "/no/such/file"}, "stockwatch: the Kafka settings cannot be used: "),
        ({"KAFKA_OPTION_NO_SUCH_THING": "1"}, "stockwatch: the Kafka settings cannot be used: No such configuration"),
        ({"KAFKA_OPTION_ACKS": "1"}, "stockwatch: KAFKA_OPTION_ACKS='…' cannot be used: it must be not set"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    variables: dict[str, str], tmp_path: Path, change: dict[str, str], said: str
):
    processor = Command("runprocessor", os.environ | variables | change, tmp_path / "processor.log")
    wait_until(lambda: processor.logged(said), 60, said)
    assert "Traceback" not in processor.text
    if processor.process.poll() is None:
        processor.end()
