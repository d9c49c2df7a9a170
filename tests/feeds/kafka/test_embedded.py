import subprocess
import sys
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from feeds.errors import BrokerUnavailable
from feeds.kafka.embedded import EmbeddedCluster

ASK = """
import sys
from confluent_kafka.admin import AdminClient
print(len(AdminClient({"bootstrap.servers": sys.argv[1]}).list_topics(timeout=10).brokers))
"""


def test_a_cluster_has_as_many_addresses_as_brokers_and_each_answers():
    with EmbeddedCluster(brokers=2) as cluster:
        for address in cluster.addresses.split(","):
            assert address.startswith("127.0.0.1:")
            assert len(AdminClient({"bootstrap.servers": address}).list_topics(timeout=10).brokers) == 2


def test_another_process_reaches_the_cluster(kafka: str):
    asked = subprocess.run([sys.executable, "-c", ASK, kafka], capture_output=True, text=True, timeout=30, check=True)

    assert asked.stdout.strip() == "3"


def test_a_closed_cluster_is_gone_and_may_be_closed_again():
    cluster = EmbeddedCluster(brokers=1)
    cluster.start()
    address = cluster.addresses
    cluster.close()
    cluster.close()

    assert cluster.addresses == ""
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": address, "log_level": 2}).list_topics(timeout=0.2)


def test_a_cluster_that_has_not_started_does_nothing():
    assert EmbeddedCluster().addresses == ""


def test_a_cluster_that_lacks_brokers_is_refused(monkeypatch: pytest.MonkeyPatch):
    none = SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(brokers={}), close=lambda: True)
    monkeypatch.setattr("feeds.kafka.embedded.Producer", lambda options: none)

    with pytest.raises(BrokerUnavailable, match="0 of 1"):
        EmbeddedCluster(brokers=1).start()
