import json
from typing import Any

import pytest

from tests.support.deploy.compose import HEALTHY_SECONDS, Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.deploy


def ask_prometheus(stack: Stack, path: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:9090/api/v1/{path}"
    return dict(json.loads(stack.run("prometheus", "wget", "--quiet", "--output-document", "-", url))["data"])


def test_prometheus_reads_every_program_and_the_alert_rules(stack: Stack):
    stack.up("prometheus", "redis-exporter")

    def health() -> dict[str, str]:
        targets = ask_prometheus(stack, "targets")["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in targets}

    wait_until(lambda: set(health().values()) == {"up"}, HEALTHY_SECONDS, "all targets are up")
    assert len(health()) == 10
    rules = [rule["name"] for group in ask_prometheus(stack, "rules")["groups"] for rule in group["rules"]]
    assert "StockwatchTargetDown" in rules
    assert stack.compose("rm", "--stop", "--force", "prometheus", "redis-exporter").returncode == 0
