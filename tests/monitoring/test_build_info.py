import tomllib
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from stockwatch import VERSION
from stockwatch.apps import read_commit

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_that_of_the_project():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_metrics_name_the_version():
    (family,) = [family for family in REGISTRY.collect() if family.name == "stockwatch_build_info"]
    assert [(sample.labels["version"], sample.value) for sample in family.samples] == [(VERSION, 1)]


@pytest.mark.parametrize("head", ["ref: refs/heads/main\n", "c0ffee\n"])
def test_the_commit_is_that_of_the_checkout(tmp_path: Path, head: str):
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text(head)
    (tmp_path / ".git/refs/heads/main").write_text("c0ffee\n")
    assert read_commit(tmp_path) == "c0ffee"


def test_the_commit_of_a_checkout_is_known_after_git_has_packed_its_references(tmp_path: Path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    packed = ["# pack-refs with: peeled fully-peeled sorted", "0ff refs/heads/maintenance", "c0ffee refs/heads/main"]
    (tmp_path / ".git/packed-refs").write_text("\n".join(packed) + "\n")
    assert read_commit(tmp_path) == "c0ffee"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".git": "gitdir: elsewhere\n"},
        {".git/HEAD": "ref: refs/heads/packed\n"},
        {".git/HEAD": "ref: refs/heads/packed\n", ".git/packed-refs": "c0ffee refs/heads/main\n"},
    ],
)
def test_a_folder_that_does_not_show_its_commit_has_none(tmp_path: Path, files: dict[str, str]):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert read_commit(tmp_path) == ""
