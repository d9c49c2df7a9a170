from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from stockwatch.doctor.finding import passed
from stockwatch.doctor.installation import check_installation
from tests.support.servers.doctor import diagnose, expect_fault

HASH = "    --hash=sha256:0123456789abcdef"


def check(folder: Path, *lines: str) -> partial:
    file = folder / "requirements.txt"
    file.write_text("\n".join(f"{line} \\\n{HASH}" for line in lines))
    return partial(check_installation, file)


def test_packages_with_the_pinned_versions_have_no_fault(tmp_path: Path):
    lines = (f"redis[hiredis]=={version('redis')}", f"msgspec=={version('msgspec')} ; python_version >= '3.0'")
    diagnosis = diagnose(check(tmp_path, *lines))
    assert diagnosis.lines("ok")[1:] == ["packages: all 2 packages have the versions of requirements.txt: "]


def test_a_package_that_this_python_does_not_need_may_be_missing(tmp_path: Path):
    diagnosis = diagnose(check(tmp_path, "absent-package==1.0 ; python_full_version < '3.0.0'"))
    assert len(diagnosis.lines("ok")) == 2


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("absent-package==1.0", "absent-package missing, not 1.0"),
        ("msgspec==0.1", f"msgspec {version('msgspec')}, not 0.1"),
        ("msgspec==0.1 ; python_version >= '3.0'", f"msgspec {version('msgspec')}, not 0.1"),
    ],
)
def test_a_package_with_another_version_is_named(tmp_path: Path, line: str, found: str):
    diagnosis = diagnose(check(tmp_path, line))
    expect_fault(diagnosis, found, "pip install -r requirements.txt", level="warn")


def test_a_missing_list_of_packages_is_a_warning(tmp_path: Path):
    diagnosis = diagnose(partial(check_installation, tmp_path / "requirements.txt"))
    expect_fault(diagnosis, "requirements.txt cannot be read", level="warn")


def check_packages(folder: Path, *lines: str):
    file = folder / "requirements.txt"
    file.write_text("# A comment.\n" + "".join(f"{line} \\\n{HASH}\n" for line in lines))
    return list(check_installation(file))[-1]


def test_packages_for_other_systems_are_not_compared(tmp_path: Path):
    finding = check_packages(
        tmp_path,
        f"django=={version('django')}",
        "missing==1.0 ; sys_platform == 'another'",
        "packaging==0.1 ; python_full_version < '3.11'",
        f"packaging=={version('packaging')} ; python_full_version >= '3.11'",
    )
    assert finding == passed("packages", "all 2 packages have the versions of requirements.txt")


def test_missing_packages_and_other_versions_are_named(tmp_path: Path):
    finding = check_packages(tmp_path, "missing==1.0 ; sys_platform != 'another'", "django[argon2]==0.1")
    assert finding.found == f"missing missing, not 1.0; django {version('django')}, not 0.1"
    assert finding.advice == "install them: pip install -r requirements.txt"
