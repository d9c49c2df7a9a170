from pathlib import Path

import pytest

from tests.support.deploy.compose import Stack
from tests.support.deploy.engine import Engine

pytestmark = pytest.mark.deploy


@pytest.mark.parametrize("variables", [{}, {"APP_ENV": "development"}], ids=["no .env", "development"])
def test_without_a_key_of_its_own_a_program_ends_with_one_line(
    engine: Engine, tmp_path: Path, variables: dict[str, str]
):
    stack = Stack(engine, tmp_path / "stockwatch", "stockwatch-refused", **variables)
    ended = stack.compose("run", "--rm", "--no-deps", "--no-TTY", "web")
    stack.down("--volumes")
    assert ended.returncode == 1
    refusals = [line for line in ended.stderr.splitlines() if "SECRET_KEY" in line]
    assert len(refusals) == 1
    assert refusals[0].startswith("stockwatch: SECRET_KEY='' cannot be used")
