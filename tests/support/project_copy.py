"""Copies the project's settings, so that a test can use its own `.env`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("feeds", "watchlist", "templates", "static")


def copy_project(folder: Path, environment_file: bytes | None = None) -> Path:
    """Makes a project folder with its own settings and `.env`. Returns the folder.

    The packages in LINKED are links to the folders of this project.
    """
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "stockwatch", folder / "stockwatch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    if environment_file is not None:
        (folder / ".env").write_bytes(environment_file)
    return folder


def run_manage(
    project: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs `manage.py` of a project. The environment has only PATH and `variables`."""
    command = [sys.executable, str(project / "manage.py"), *arguments]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        command, env=environment, cwd=cwd or project, capture_output=True, text=True, timeout=120, check=False
    )


def read_settings(project: Path, *names: str, cwd: Path | None = None, **variables: str) -> str:
    """Returns the values of the settings `names`, separated by spaces, as a process of the project prints them.

    If the process fails, returns the text of the error.
    """
    code = f"from stockwatch import settings as s; print(*(getattr(s, name) for name in {names!r}))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project), **variables}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=cwd or project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return (ended.stdout or ended.stderr).rstrip("\n")
