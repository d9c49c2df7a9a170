import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.kafka


def test_engines_that_are_killed_fire_what_a_plain_computation_says(tmp_path: Path):
    # The clock runs as usual. A faster one would leave a busy machine too little time to notice a new alert.
    size = ["--alerts", "2000", "--symbols", "20", "--seconds", "60", "--speed", "1", "--kills", "3"]
    command = [sys.executable, "-m", "tests.bench.alert_ledger", *size, "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
