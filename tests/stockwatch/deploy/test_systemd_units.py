import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from stockwatch import settings

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs/deploy/systemd"
README = (ROOT / "docs/deploy/README.md").read_text()
UNITS = sorted(path.name for path in FOLDER.iterdir())
SERVICES = [name for name in UNITS if name.endswith(".service")]
PROGRAMS = [name for name in SERVICES if name != "stockwatch-migrate.service"]
NOT_STARTED = {"stockwatch-generator.service", "stockwatch-migrate.service"}
MAX_EXPOSURE = 20
"""The highest exposure, in tenths, that `systemd-analyze security` may find. A unit without protection has 96."""


def read_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((FOLDER / name).read_text())
    return unit


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with all units, whose paths lead to this project."""
    for name in UNITS:
        text = (FOLDER / name).read_text()
        text = text.replace("/opt/stockwatch/app/.venv/bin/python", sys.executable)
        (tmp_path / name).write_text(text.replace("/opt/stockwatch/app", str(ROOT)))
    return tmp_path


def analyze(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"}
    try:
        return subprocess.run(
            ["systemd-analyze", *map(str, arguments)], env=variables, capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        pytest.skip("needs systemd-analyze")


def test_systemd_accepts_all_units_without_a_remark(installed: Path):
    checked = analyze("verify", "--man=no", *(installed / name for name in UNITS), folder=installed)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_systemd_finds_a_fault_in_a_unit(installed: Path):
    file = installed / "stockwatch-web.service"
    file.write_text(file.read_text().replace("TimeoutStopSec=", "TimoutStopSec="))
    assert "TimoutStopSec" in analyze("verify", "--man=no", file, folder=installed).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_each_program_is_shut_off_from_the_host(installed: Path, name: str):
    options = ("--offline=true", f"--threshold={MAX_EXPOSURE}")
    checked = analyze("security", *options, installed / name, folder=installed)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_each_unit_runs_a_command_that_exists_with_options_that_it_has(name: str):
    python, script, command, *options = shlex.split(read_unit(name)["Service"]["ExecStart"].replace("%i", "8082"))
    assert (python, script) == ("/opt/stockwatch/app/.venv/bin/python", "manage.py")
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    parser.parse_args(options)


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_started_again_and_ended_in_order(name: str):
    unit = read_unit(name)
    service = unit["Service"]
    assert (service["Restart"], service["KillSignal"], service["KillMode"]) == ("always", "SIGTERM", "mixed")
    assert (service["User"], service["EnvironmentFile"]) == ("stockwatch", "/etc/stockwatch/stockwatch.env")
    assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == "stockwatch.target"


@pytest.mark.parametrize("name", ["stockwatch-gateway@.service", "stockwatch-web.service"])
def test_a_gateway_has_more_time_to_stop_than_its_longest_drain(name: str):
    closing, children = 3, 5
    drain = settings.GATEWAY_MAX_DRAIN.total_seconds()
    assert int(read_unit(name)["Service"]["TimeoutStopSec"]) > drain + closing + children


def test_the_installation_starts_all_programs_but_the_generator():
    [line] = re.findall(r"systemctl enable (.*)", README)
    named = {re.sub(r"@\d+$", "@", unit) + ("" if "." in unit else ".service") for unit in line.split()}
    assert named == set(UNITS) - NOT_STARTED


def test_the_ports_of_units_proxies_and_documentation_are_the_same():
    for file in ("nginx.conf", "Caddyfile"):
        text = (ROOT / "docs/deploy" / file).read_text()
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == {"8081", "8082", "8083"}, file
    metrics = re.findall(r"_METRICS_PORT=(\d+)", "".join((FOLDER / name).read_text() for name in SERVICES))
    assert all(f"| {port}, metrics |" in README or f"{port}," in README for port in metrics)
    assert "--port 8081" in read_unit("stockwatch-web.service")["Service"]["ExecStart"]
