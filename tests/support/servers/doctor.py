"""Runs `manage.py doctor` as a process, and reads its results."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stockwatch.doctor.checking import Check, run_checks
from stockwatch.doctor.finding import clean, find_exit_status, format_findings
from tests.support.servers.commands import ROOT

PASSWORD = "hunter2-is-secret"
"""The password that tests give to the doctor. No output may contain it."""


@dataclass(frozen=True)
class Diagnosis:
    """The exit status of the doctor, and its results as JSON objects."""

    status: int
    findings: list[dict[str, str]]

    def lines(self, level: str) -> list[str]:
        """Returns subject, finding and advice of each result of this level, as one text each."""
        return [
            f"{each['subject']}: {each['found']}: {each['advice']}" for each in self.findings if each["level"] == level
        ]


def diagnose(check: Check, seconds: float = 60.0) -> Diagnosis:
    """Runs one check in this process, which takes less time than a process of its own."""
    found, _ = run_checks({"check": check}, seconds)
    findings = [clean(finding, [PASSWORD]) for finding in found]
    return Diagnosis(find_exit_status(findings), json.loads(format_findings(findings, as_json=True))["findings"])


def expect_fault(diagnosis: Diagnosis, *texts: str, level: str = "fail") -> None:
    """Checks that one result of this level contains all texts, and that the exit status fits."""
    lines = diagnosis.lines(level)
    assert any(all(text in line for text in texts) for line in lines), diagnosis.findings
    assert diagnosis.status == (1 if diagnosis.lines("fail") else 0)


def run_doctor(*arguments: str, project: Path = ROOT, **variables: str) -> Diagnosis:
    """Runs the doctor with these environment variables. `arguments` are subjects and options."""
    ended = subprocess.run(
        [sys.executable, str(project / "manage.py"), "doctor", "--json", *arguments],
        cwd=project,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stderr == "", ended.stderr
    assert PASSWORD not in ended.stdout
    return Diagnosis(ended.returncode, json.loads(ended.stdout)["findings"])
