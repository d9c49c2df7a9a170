import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.monitoring.registered_metrics import registered_series

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/stockwatch.json").read_text())
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
GRAPHS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = sorted({target["expr"] for panel in GRAPHS for target in panel["targets"]})
METRIC = re.compile(r"\b(?:stockwatch_\w+|process_\w+|up)\b")


def test_the_rows_follow_a_price_from_its_source_to_the_browser():
    assert [row["title"] for row in ROWS] == ["Feed", "Processor", "Gateway", "Page", "Alerts", "Recorder"]


def test_the_dashboard_has_the_shape_of_grafana_11():
    assert DASHBOARD["schemaVersion"] == 39
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)


def test_panels_do_not_overlap_and_fit_the_24_columns():
    cells: list[tuple[int, int]] = []
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        assert place["x"] + place["w"] <= 24
        cells += [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
    assert len(set(cells)) == len(cells)


def test_every_panel_reads_the_chosen_data_source():
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(part["datasource"] == chosen for panel in GRAPHS for part in (panel, *panel["targets"]))


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: f"{panel['id']} {panel['title']}")
def test_a_panel_has_a_title_a_unit_and_different_targets(panel: dict[str, Any]):
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_panel_names_only_metrics_that_exist(expression: str):
    assert set(METRIC.findall(re.sub(r'"[^"]*"', '""', expression))) <= {"up", *registered_series()}


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, in the package prometheus")
def test_promtool_accepts_every_expression(tmp_path: Path):
    queries = [expression.replace("$__rate_interval", "1m") for expression in EXPRESSIONS]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(tmp_path / "panels.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert f"{len(rules)} rules found" in result.stdout
