import re

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.stockwatch.packages.scripts import ROOT, load_script

NAMES = sorted(path.stem for path in ROOT.glob("requirements*.in"))
ENVIRONMENTS = load_script("systems.py")["ENVIRONMENTS"]
ENTRY = re.compile(r"^[A-Za-z0-9].*\n(?: .*\n)*", re.MULTILINE)
INTEL_MACS = "sys_platform == 'darwin' and platform_machine == 'x86_64'"


def read(name: str) -> str:
    return (ROOT / name).read_text()


def required(text: str) -> list[Requirement]:
    """Returns the packages in a requirements file, with their versions and markers."""
    return [Requirement(entry.partition("\\")[0].strip()) for entry in ENTRY.findall(text)]


def versions(requirements: list[Requirement], environment: dict[str, str]) -> list[tuple[str, str]]:
    """Returns the names and versions of those packages that are installed in an environment."""
    return [
        (requirement.name.lower().replace("_", "-"), str(requirement.specifier))
        for requirement in requirements
        if not requirement.marker or requirement.marker.evaluate({**environment})
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_locked_file_has_the_versions_of_its_source_and_hashes_of_every_package(name: str):
    source, locked = required(read(f"{name}.in")), required(read(f"{name}.txt"))
    for environment in ENVIRONMENTS:
        assert set(versions(source, environment)) <= set(versions(locked, environment)), "run `make lock`"
    entries = ENTRY.findall(read(f"{name}.txt"))
    assert len(entries) == len(locked)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    included = re.findall(r"^-r (\S+)\.in$", read(f"{name}.in"), re.MULTILINE)
    assert re.findall(r"^-r (\S+)\.txt$", read(f"{name}.txt"), re.MULTILINE) == included


def test_no_package_has_two_versions_on_one_system():
    files = [required(read(f"{name}.txt")) for name in NAMES if name != "requirements-audit"]
    for environment in ENVIRONMENTS:
        for file in files:
            names = [name for name, _ in versions(file, environment)]
            assert len(set(names)) == len(names)
        # Apprise and the tests need some of the same packages.
        pairs = {pair for file in files for pair in versions(file, environment)}
        assert len({name for name, _ in pairs}) == len(pairs)


def test_every_requirements_file_has_a_source():
    assert sorted(path.stem for path in ROOT.glob("requirements*.txt")) == NAMES


def test_linux_gets_the_newest_of_the_versions_in_production():
    locked = required(read("requirements.txt"))
    every_version = [pair for environment in ENVIRONMENTS for pair in versions(locked, environment)]
    newest: dict[str, Version] = {}
    for name, version in every_version:
        newest[name] = max(newest.get(name, Version("0")), Version(version.removeprefix("==")))
    for environment in (environment for environment in ENVIRONMENTS if environment["sys_platform"] == "linux"):
        assert [pair for pair in versions(locked, environment) if Version(pair[1][2:]) != newest[pair[0]]] == []


KNOWN = [INTEL_MACS, "sys_platform != 'darwin' or platform_machine != 'x86_64'"]
MARKERS = {
    "": "",
    "platform_python_implementation == 'CPython' and (sys_platform == 'darwin' or sys_platform == 'linux')": "",
    "python_full_version < '3.15' and implementation_name != 'pypy'": "",
    "python_full_version < '3.11.3' and sys_platform == 'linux' or python_full_version < '3.11.3' "
    "and sys_platform == 'darwin'": "python_full_version < '3.11.3'",
    "platform_machine == 'x86_64' and sys_platform == 'darwin' and python_full_version < '3.15'": INTEL_MACS,
    "sys_platform == 'linux' or (platform_machine != 'x86_64' and sys_platform == 'darwin')": (
        "sys_platform != 'darwin' or platform_machine != 'x86_64'"
    ),
    "python_full_version < '3.12' and sys_platform == 'linux'": (
        "python_full_version < '3.12' and sys_platform == 'linux'"
    ),
}


@pytest.mark.parametrize(("marker", "simple"), MARKERS.items())
def test_a_locked_marker_is_simple_and_true_on_the_same_supported_systems(marker: str, simple: str):
    assert load_script("lock")["simplify_marker"](marker, KNOWN) == simple
