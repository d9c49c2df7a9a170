import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from stockwatch import settings
from tests.support.monitoring.registered_metrics import registered_metrics

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = settings.env.defaults
PREFIXES = tuple(name.removesuffix("*") for name in DEFAULTS if name.endswith("*"))
MAX_README_LINES = 150
TARGETS = (
    "run test test-kafka test-network test-postgres test-clients test-helm test-deploy check audit lock wheels fmt"
    " openapi up up-all down logs restart gen proc rec gtw"
    " bench bench-accepts bench-pipeline bench-page bench-churn bench-soak bench-hostile bench-charts bench-replay"
    " bench-feed bench-keys bench-sockets bench-reconnect bench-peers bench-scale bench-alerts bench-alert-ledger"
    " bench-stream alerts-demo shot"
)
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/deploy/*.md"),
        *ROOT.glob("docs/operations/*.md"),
        *ROOT.glob("examples/*.md"),
    ]
)
FOLDERS = ("feeds", "watchlist", "stockwatch", "tests", "static", "templates", "docs", "examples")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
"""A path of the repository in backticks. Files that a command writes are in `build/`."""


def read(name: str) -> str:
    return (ROOT / name).read_text()


def example_variables() -> dict[str, str]:
    """Returns the values in .env.example by name; a variable with a prefix by the prefix and a star."""
    found = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", read(".env.example"), re.MULTILINE))
    return {
        next((f"{prefix}*" for prefix in PREFIXES if name.startswith(prefix)), name): value
        for name, value in found.items()
    }


def documented_variables() -> dict[str, str]:
    """Returns the defaults in the tables of docs/settings.md by name."""
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]*\*?)` \| (?:`(.*?)` )?\|", read("docs/settings.md"), re.MULTILINE)
    return dict(rows)


def test_the_example_names_exactly_the_variables_that_are_read():
    assert set(example_variables()) == set(DEFAULTS)


def test_the_settings_page_names_exactly_the_variables_that_are_read():
    assert set(documented_variables()) == set(DEFAULTS)


@pytest.mark.parametrize("name", [name for name in DEFAULTS if not name.endswith("*")])
def test_the_documentation_shows_the_default_of_each_variable(name: str):
    assert example_variables()[name] == DEFAULTS[name]
    assert documented_variables()[name] == DEFAULTS[name]


def test_a_copy_of_the_example_changes_no_setting():
    lines = [line for line in read(".env.example").splitlines() if line and not line.startswith("#")]
    assert lines == []


def test_only_the_settings_read_the_environment():
    offenders = [
        path.relative_to(ROOT).as_posix()
        for package in ("stockwatch", "feeds", "watchlist")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"os\.(getenv|environ\b(?!\.setdefault\(\"DJANGO_SETTINGS_MODULE\"))", path.read_text())
    ]
    # runstack passes the whole environment to the processes that it starts, and reads none of it.
    assert sorted(offenders) == ["stockwatch/management/commands/runstack.py", "stockwatch/settings.py"]


def test_the_metrics_page_names_exactly_the_metrics_that_are_registered():
    documented = re.findall(r"^\| `(stockwatch_\w+)` \| (?:counter|gauge|histogram) \|", read("docs/metrics.md"), re.M)
    assert len(documented) == len(set(documented))
    assert set(documented) == registered_metrics()


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_in_a_page_exists(page: str):
    names = set(re.findall(r"`(stockwatch_\w+)", read(page)))
    assert names <= registered_metrics()


def test_the_readme_has_at_most_150_lines():
    assert len(read("README.md").splitlines()) <= MAX_README_LINES


def test_help_lists_every_target():
    command = ["make", "--no-print-directory", "help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in printed.splitlines()} == {"help", *TARGETS.split()}


def test_every_target_in_a_page_exists():
    named = {target for page in PAGES for target in re.findall(r"`make ([a-z-]+)", read(page))}
    assert named <= {"help", *TARGETS.split()}


def third_party_hashes() -> dict[str, str]:
    """Returns the hashes in THIRD_PARTY.md by file."""
    return dict(re.findall(r"^\| `([^`]+)` .*\| `([0-9a-f]{64})` \|$", read("THIRD_PARTY.md"), re.MULTILINE))


def test_vendored_files_have_the_listed_hashes():
    hashes = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in third_party_hashes()}
    assert hashes == third_party_hashes()


def test_every_file_in_a_vendored_folder_is_listed():
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/**/vendor*/**/*") if path.is_file()}
    assert found == set(third_party_hashes())


def test_the_image_has_the_project_s_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert f"image: stockwatch:{version}" in read("docker-compose.yml")


def heading_anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_to_files_and_headings(page: str):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^):]+)\)", read(page)):
        name, _, anchor = target.partition("#")
        linked = folder / name if name else ROOT / page
        assert linked.exists(), target
        assert not anchor or anchor in heading_anchors(linked), target


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_a_page_exists(page: str):
    assert [path for path in PATH.findall(read(page)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_a_page_runs_exists(page: str):
    modules = re.findall(r"python -m ((?:tests|stockwatch)[\w.]+)", read(page))
    files = {name: [f"{name.replace('.', '/')}{end}" for end in (".py", "/__main__.py")] for name in modules}
    assert [name for name in modules if not any((ROOT / file).exists() for file in files[name])] == []


def test_the_design_explains_every_direct_package_of_production():
    names = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==", read("requirements.in"), re.MULTILINE)
    design = read("docs/design.md")
    assert [name for name in names if name.lower() not in design.lower()] == []
