import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stockwatch import settings

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "docs/deploy/README.md").read_text()


@pytest.fixture
def documented_settings() -> dict[str, str]:
    """The variables of the documented file `stockwatch.env`, with a secret key."""
    lines = README.partition("<<END\n")[2].partition(" END\n")[0].splitlines()
    pairs = (line.strip().partition("=") for line in lines)
    values = {name: shlex.split(value)[0] if value and "$(" not in value else value for name, _, value in pairs if name}
    return values | {"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop"}


def test_production_starts_with_the_documented_settings(documented_settings: dict[str, str]):
    assert set(documented_settings) <= set(settings.env.defaults)
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=os.environ | documented_settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stderr


def test_systemd_and_the_shell_read_the_same_documented_values(documented_settings: dict[str, str]):
    file = README.partition("<<END\n")[2].partition(" END\n")[0]
    for line in file.splitlines():
        value = line.strip().partition("=")[2]
        assert re.fullmatch(r"'[^']*\$\(python3 .*\)'|[\w.:/@+,-]*", value), line


def test_an_installation_needs_only_the_requirements_of_production():
    commands = re.findall(r"pip install .*", README)
    assert commands == ["pip install --only-binary :all: -r requirements.txt"]
    for unit in (ROOT / "docs/deploy/systemd").iterdir():
        assert "runstack" not in unit.read_text()
