import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.demo.faults import FAULTS as DEMONSTRATED_FAULTS
from tests.support.monitoring.prometheus import shorten
from tests.support.monitoring.registered_metrics import registered_series

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
HEALTHY, *FAULTS = TESTS
METRIC = re.compile(r"\b(?:stockwatch_\w+|process_\w+|up)\b")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, in the package prometheus")


def metrics_in(expression: str) -> set[str]:
    return set(METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def expected_alerts(test: dict[str, Any]) -> list[set[str]]:
    """Returns the names of the alerts that fire at each time at which a test reads them."""
    return [
        {name for sample in query["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
        for query in test["promql_expr_test"]
    ]


@needs_promtool
@pytest.mark.parametrize(
    "command", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"]
)
def test_promtool_accepts_the_file(command: str):
    result = subprocess.run(["promtool", *command.split()], cwd=FOLDER, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_in_a_test_of_its_fault_and_not_before(alert: str):
    assert [set(), {f"{alert}"}] in [expected_alerts(test) for test in FAULTS]


def test_the_demonstration_causes_a_fault_for_each_alert():
    demonstrated = {f"Stockwatch{alert}" for fault in DEMONSTRATED_FAULTS.values() for alert in fault.alerts}
    assert demonstrated == set(ALERTS)


def test_the_demonstration_shortens_durations_and_ages():
    groups = yaml.safe_load(shorten((FOLDER / "alerts.yml").read_text()))["groups"]
    shortened = {rule.get("alert"): rule for group in groups for rule in group["rules"]}
    assert {rule["for"] for rule in shortened.values() if "for" in rule} == {"1s"}
    changed = {name for name, rule in ALERTS.items() if rule["expr"] != shortened[name]["expr"]}
    assert changed == {"StockwatchDeliveryStuck"}
    assert shortened["StockwatchDeliveryStuck"]["expr"] == "max(stockwatch_delivery_oldest_seconds) > 39.0"


def test_no_alert_fires_in_a_healthy_system():
    assert set().union(*expected_alerts(HEALTHY)) == set()


def test_the_healthy_system_has_the_series_of_all_rules():
    given = {METRIC.findall(series["series"])[0] for series in HEALTHY["input_series"]}
    assert set().union(*(metrics_in(rule["expr"]) for rule in RULES)) <= given


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_metrics_that_exist(rule: dict[str, Any]):
    assert metrics_in(rule["expr"]) <= {"up", *registered_series()}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_severity_and_a_summary(alert: str):
    assert ALERTS[alert]["labels"]["severity"] in {"page", "ticket"}
    assert ALERTS[alert]["annotations"]["summary"]


@pytest.mark.parametrize("alert", ALERTS)
def test_a_summary_writes_numbers_without_prefixes_of_units(alert: str):
    assert "| humanize }}" not in ALERTS[alert]["annotations"]["summary"]  # it writes 0.2 as 200m


def test_the_page_for_operators_explains_exactly_the_alerts():
    page = (ROOT / "docs/operations.md").read_text()
    assert re.findall(r"^\| `(Stockwatch\w+)` \| \S", page, re.MULTILINE) == list(ALERTS)


def test_prometheus_reads_all_programs_of_the_compose_file_that_have_a_port_of_metrics():
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in jobs for each in job["static_configs"] for target in each["targets"]}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    programs = {
        f"{name}:{value}"
        for name, service in services.items()
        for variable, value in service.get("environment", {}).items()
        if variable.endswith("_METRICS_PORT") and value != "0"
    }
    assert programs
    assert programs <= targets
