"""Runs Debian's Prometheus with the rules of `deploy/prometheus`."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import yaml

from stockwatch.local.redis_server import free_port
from tests.support.waiting import wait_until

RULES = (Path(__file__).resolve().parents[3] / "deploy/prometheus/alerts.yml").read_text()
ADDED_TARGETS = "added-*.json"
"""The files with targets that are added later, in the folder of Prometheus."""


def shorten(rules: str) -> str:
    """Makes all rules fire as soon as their condition is true, and divides ages of 1,000 seconds or more by 100.

    Some rules look at the last minutes all the same.
    """
    rules = re.sub(r"for: \w+", "for: 1s", rules)
    return re.sub(r"(_seconds\) >) (\d{4,})$", lambda age: f"{age[1]} {int(age[2]) / 100}", rules, flags=re.MULTILINE)


class Prometheus:
    """A Prometheus that reads the given targets by job every two seconds, and evaluates rules every second."""

    def __init__(self, folder: Path, targets: Mapping[str, int], rules: str = RULES) -> None:
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        self._opener = build_opener(ProxyHandler({}))
        (folder / "alerts.yml").write_text(rules)
        jobs = [
            {"job_name": f"stockwatch-{name}", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in targets.items()
        ]
        # Faults add files with further programs while Prometheus runs.
        jobs.append({"job_name": "added", "file_sd_configs": [{"files": [f"{folder}/{ADDED_TARGETS}"]}]})
        settings = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
        configuration = {"global": settings, "rule_files": ["alerts.yml"], "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
            )
        wait_until(self._is_ready, 120, "start of Prometheus")

    def firing(self) -> set[str]:
        """Returns the names of the alerts that fire now."""
        alerts = json.loads(self._get("/api/v1/alerts"))["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _get(self, path: str) -> bytes:
        with self._opener.open(self._url + path, timeout=60) as answer:
            return answer.read()

    def _is_ready(self) -> bool:
        try:
            self._get("/-/ready")
        except (OSError, urllib.error.HTTPError):
            return False
        return True

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)
