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
    """Returns a folder with what the script needs; its name contains a space. A folder `bin` beside it is the PATH."""
    clone = tmp_path / "a clone"
    shutil.copytree(ROOT / ".ci", clone / ".ci")
    for name in ("requirements.txt", "requirements-local.txt", "requirements-dev.txt"):
        (clone / name).write_text("")  # no package is installed in these tests
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return clone


def add_python(clone: Path, name: str, version: str, has_venv: bool = True) -> None:
    """Adds a command to PATH that behaves like Python of that version."""
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


def test_without_python_one_line_says_what_to_install(clone: Path):
    ended = run(clone)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "no Python from 3.11 to 3.14 is on PATH: install one" in ended.stderr


def test_an_old_python_and_a_shim_are_ignored(clone: Path):
    add_python(clone, "python3", "(3, 10)")
    shim = clone.parent / "bin" / "python3.13"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert "no Python from 3.11 to 3.14" in run(clone).stderr


def test_without_venv_the_error_names_the_package_to_install(clone: Path):
    add_python(clone, "python3.12", "(3, 12)", has_venv=False)
    ended = run(clone)
    assert ended.returncode == 1
    assert "python3.12 has no venv module: install it (Debian and Ubuntu: apt install python3.12-venv)" in ended.stderr


def test_the_newest_python_creates_the_environment_and_a_second_run_does_nothing(clone: Path):
    for name, version in (("python3.11", "(3, 11)"), ("python3.13", "(3, 13)"), ("python3", "(3, 11)")):
        add_python(clone, name, version)
    first = run(clone)
    assert first.returncode == 0, first.stderr
    assert "creating .venv with python3.13, " in first.stdout
    second = run(clone)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_find_prints_the_interpreter_and_creates_nothing(clone: Path):
    add_python(clone, "python3.11", "(3, 11)")
    add_python(clone, "python3.12", "(3, 12)", has_venv=False)
    assert run(clone, "find").stdout == "python3.11\n"
    assert not (clone / ".venv").exists()


def test_changed_requirements_are_installed_again(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    run(clone)
    (clone / "requirements.txt").write_text("# a comment\n")
    ended = run(clone)
    assert ended.stdout == "stockwatch: installing requirements-local.txt into .venv\n"


def test_an_environment_for_tests_is_sufficient_to_run(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    assert run(clone, "dev").returncode == 0
    assert run(clone, "local").stdout == ""


def test_an_interpreter_that_cannot_be_used_is_refused(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    ended = run(clone, PYTHON="python9")
    assert "PYTHON=python9 is not a Python 3.11 to 3.14 with the venv module" in ended.stderr


def test_a_folder_that_is_not_a_virtual_environment_is_not_changed(clone: Path):
    add_python(clone, "python3", "(3, 11)")
    (clone / "kept").mkdir()
    (clone / "kept" / "notes.txt").write_text("text")
    ended = run(clone, VENV="kept")
    assert ended.returncode == 1
    assert "kept exists and is not a virtual environment" in ended.stderr
    assert (clone / "kept" / "notes.txt").exists()
