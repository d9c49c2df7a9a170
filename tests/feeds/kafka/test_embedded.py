import subprocess
import sys
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from feeds.errors import BrokerUnavailable
from feeds.kafka.embedded import EmbeddedCluster

COUNT_BROKERS = """
import sys
from confluent_kafka.admin import AdminClient
print(len(AdminClient({"bootstrap.servers": sys.argv[1]}).list_topics(timeout=60).brokers))
"""


def test_a_cluster_has_an_address_for_each_broker_and_each_answers():
    with EmbeddedCluster(brokers=2) as cluster:
        for address in cluster.addresses.split(","):
            assert address.startswith("127.0.0.1:")
            assert len(AdminClient({"bootstrap.servers": address}).list_topics(timeout=60).brokers) == 2


def test_another_process_can_connect_to_the_cluster(kafka: str):
    counting = subprocess.run(
        [sys.executable, "-c", COUNT_BROKERS, kafka], capture_output=True, text=True, timeout=120, check=True
    )

    assert counting.stdout.strip() == "3"


def test_a_closed_cluster_does_not_answer_and_may_be_closed_again():
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    address = cluster.addresses
    cluster.close()
    cluster.close()

    assert cluster.addresses == ""
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": address, "log_level": 2}).list_topics(timeout=0.2)


def test_a_cluster_that_was_not_started_has_no_addresses():
    assert EmbeddedCluster().addresses == ""


def test_a_start_fails_if_a_broker_is_missing(monkeypatch: pytest.MonkeyPatch):
    empty = SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(brokers={}), close=lambda: True)
    monkeypatch.setattr("feeds.kafka.embedded.Producer", lambda options: empty)

    with pytest.raises(BrokerUnavailable, match="0 of 1"):
        EmbeddedCluster(brokers=1).start()
