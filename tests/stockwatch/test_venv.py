import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "cmp", "dirname")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with a space in its name that has what the script needs, and an empty PATH beside it."""
    clone = tmp_path / "a clone"
    shutil.copytree(ROOT / ".ci", clone / ".ci")
    for name in ("requirements.txt", "requirements-local.txt", "requirements-dev.txt"):
        (clone / name).write_text("")  # nothing to install: these tests are about what comes before
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return clone


def add_python(clone: Path, name: str, version: str, has_venv: bool = True) -> None:
    """A command on PATH that passes for such a Python."""
    script = clone.parent / "bin" / name
    real = shlex.quote(sys.executable)
    script.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *version_info*) exec {real} -c "import sys; sys.version_info = {version}; $2";; esac\n'
        f'case "$2" in *ensurepip*) {"" if has_venv else "exit 1"};; esac\n'
        f'exec {real} "$@"\n'
    )
    script.chmod(0o755)


def run(clone: Path, kind: str = "local", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(clone.parent / "bin"), "HOME": os.environ.get("HOME", "/"), **variables}
    command = ["sh", str(clone / ".ci" / "venv"), kind]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_no_python_is_said_in_one_line_with_what_to_install(clone: Path):
    ended = run(clone)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "no Python from 3.11 to 3.14 is on PATH: install one" in ended.stderr


def test_a_python_that_is_too_old_or_only_a_shim_does_not_count(clone: Path):
    add_python(clone, "python3", "(3, 10)")
    shim = clone.parent / "bin" / "python3.13"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert "no Python from 3.11 to 3.14" in run(clone).stderr


def test_a_python_without_venv_is_said_with_its_package(clone: Path):
    add_python(clone, "python3.12", "(3, 12)", has_venv=False)
    ended = run(clone)
    assert ended.returncode == 1
    assert "python3.12 has no venv module: install it (Debian and Ubuntu: apt install python3.12-venv)" in ended.stderr


def test_the_newest_python_makes_the_environment_and_a_second_start_does_nothing(clone: Path):
    for name, version in (("python3.11", "(3, 11)"), ("python3.13", "(3, 13)"), ("python3", "(3, 11)")):
        add_python(clone, name, version)
    first = run(clone)
    assert first.returncode == 0, first.stderr
    assert "making .venv with python3.13, " in first.stdout
    second = run(clone)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_asked_to_find_it_names_the_interpreter_and_makes_nothing(clone: Path):
    add_python(clone, "python3.11", "(3, 11)")
    add_python(clone, "python3.12", "(3, 12)", has_venv=False)
    assert run(clone, "find").stdout == "python3.11\n"
    assert not (clone / ".venv").exists()


def test_a_changed_pin_is_installed_again(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    run(clone)
    (clone / "requirements.txt").write_text("# a comment is a change too\n")
    ended = run(clone)
    assert ended.stdout == "stockwatch: installing requirements-local.txt into .venv\n"


def test_what_is_installed_for_tests_serves_to_run_too(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    assert run(clone, "dev").returncode == 0
    assert run(clone, "local").stdout == ""


def test_a_named_interpreter_that_does_not_serve_is_refused(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    ended = run(clone, PYTHON="python9")
    assert "PYTHON=python9 is no Python 3.11 to 3.14 with the venv module" in ended.stderr


def test_a_folder_that_is_no_environment_is_left_alone(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    (clone / "kept").mkdir()
    (clone / "kept" / "letter.txt").write_text("dear reader")
    ended = run(clone, VENV="kept")
    assert ended.returncode == 1
    assert "kept is there and is no virtual environment" in ended.stderr
    assert (clone / "kept" / "letter.txt").exists()
