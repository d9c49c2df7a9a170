import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from stockwatch import settings

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = settings.env.defaults
PREFIXES = tuple(name.removesuffix("*") for name in DEFAULTS if name.endswith("*"))
# Where the root folder is, only the machine knows; the papers show the address as it is from there.
SHOWN = {"DATABASE_URL": "sqlite:///db.sqlite3"}
TARGETS = (
    "run test test-kafka test-postgres test-clients check fmt up up-all down logs restart gen proc rec gtw"
    " bench bench-pipeline bench-page bench-churn bench-soak bench-charts bench-replay shot"
)
PAGES = [
    *("README.md", "CONTRIBUTING.md", "THIRD_PARTY.md", "examples/README.md"),
    *("docs/design.md", "docs/protocol.md"),
]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def example() -> dict[str, str]:
    """Variables of .env.example with their values; those of a prefix by the prefix and a star."""
    found = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", read(".env.example"), re.MULTILINE))
    return {
        next((f"{prefix}*" for prefix in PREFIXES if name.startswith(prefix)), name): value
        for name, value in found.items()
    }


def table() -> dict[str, str]:
    """Variables of the README's table with their defaults."""
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]*\*?)` \| (?:`(.*?)` )?\|", read("README.md"), re.MULTILINE)
    return dict(rows)


def test_the_example_names_every_variable_that_is_read_and_no_other():
    assert set(example()) == set(DEFAULTS)


def test_the_readme_names_every_variable_that_is_read_and_no_other():
    assert set(table()) == set(DEFAULTS)


@pytest.mark.parametrize("name", [name for name in DEFAULTS if not name.endswith("*")])
def test_the_papers_show_the_default_that_is_in_force(name: str):
    assert example()[name] == SHOWN.get(name, DEFAULTS[name])
    assert table()[name] == SHOWN.get(name, DEFAULTS[name])


def test_the_example_changes_nothing_when_it_is_copied():
    lines = [line for line in read(".env.example").splitlines() if line and not line.startswith("#")]
    assert lines == []


def test_nothing_but_the_settings_reads_a_variable():
    offenders = [
        path.relative_to(ROOT).as_posix()
        for package in ("stockwatch", "feeds", "watchlist")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"os\.(getenv|environ\b(?!\.setdefault\(\"DJANGO_SETTINGS_MODULE\"))", path.read_text())
    ]
    # runstack hands the whole environment on to the processes it starts, and looks at nothing in it.
    assert sorted(offenders) == ["stockwatch/management/commands/runstack.py", "stockwatch/settings.py"]


def test_help_lists_every_target():
    command = ["make", "--no-print-directory", "help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in printed.splitlines()} == {"help", *TARGETS.split()}


def third_party() -> dict[str, str]:
    """Vendored files with their hashes."""
    return dict(re.findall(r"^\| `([^`]+)` .*\| `([0-9a-f]{64})` \|$", read("THIRD_PARTY.md"), re.MULTILINE))


def test_vendored_files_are_those_that_the_list_names():
    for name, digest in third_party().items():
        assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == digest, name


def test_every_file_in_a_vendored_folder_is_listed():
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/**/vendor*/**/*") if path.is_file()}
    assert found == set(third_party())


def test_the_image_has_the_project_s_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert f"image: stockwatch:{version}" in read("docker-compose.yml")


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#:]+)\)", read(page)):
        assert (folder / target).exists(), target


def test_every_package_that_is_pinned_for_production_says_what_it_is_for():
    direct = read("requirements.txt").split("# What these bring along.")[0]
    names = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==", direct, re.MULTILINE)
    design = read("docs/design.md")
    assert [name for name in names if name.lower() not in design.lower()] == []
