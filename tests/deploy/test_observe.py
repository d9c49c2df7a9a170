import json
from collections.abc import Iterator
from typing import Any

import pytest

from stockwatch import VERSION
from tests.support.deploy.compose import HEALTHY_SECONDS, Stack
from tests.support.deploy.images import COMMIT, PROGRAM
from tests.support.waiting import wait_until

pytestmark = pytest.mark.deploy


@pytest.fixture(scope="module")
def observed_stack(stack: Stack) -> Iterator[Stack]:
    """The stack with Prometheus and redis-exporter, after Prometheus has reached all targets."""
    stack.up("prometheus", "redis-exporter")
    wait_until(
        lambda: set(target_health(stack).values()) == {"up"}, HEALTHY_SECONDS, "all targets are up", interval=0.5
    )
    yield stack
    assert stack.compose("rm", "--stop", "--force", "prometheus", "redis-exporter").returncode == 0


def ask_prometheus(stack: Stack, path: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:9090/api/v1/{path}"
    return dict(json.loads(stack.run("prometheus", "wget", "--quiet", "--output-document", "-", url))["data"])


def target_health(stack: Stack) -> dict[str, str]:
    targets = ask_prometheus(stack, "targets")["activeTargets"]
    return {target["labels"]["instance"]: target["health"] for target in targets}


def test_prometheus_reads_every_program_and_the_alert_rules(observed_stack: Stack):
    assert len(target_health(observed_stack)) == 10
    rules = [rule["name"] for group in ask_prometheus(observed_stack, "rules")["groups"] for rule in group["rules"]]
    assert "StockwatchTargetDown" in rules


def test_every_program_and_the_image_name_the_version_and_the_commit(observed_stack: Stack):
    found = ask_prometheus(observed_stack, "query?query=stockwatch_build_info")["result"]
    named = {each["metric"]["instance"]: (each["metric"]["version"], each["metric"]["commit"]) for each in found}
    assert named == dict.fromkeys(target_health(observed_stack).keys() - {"redis-exporter:9121"}, (VERSION, COMMIT))
    [image] = observed_stack.engine.inspect(PROGRAM)
    labels = {name.rpartition(".")[2]: value for name, value in image["Config"]["Labels"].items()}
    assert (labels["version"], labels["revision"]) == (VERSION, COMMIT)
