from importlib.metadata import version
from pathlib import Path

from stockwatch.doctor.finding import passed
from stockwatch.doctor.installation import check_installation

HASH = " \\\n    --hash=sha256:00\n"


def check_packages(folder: Path, *lines: str):
    file = folder / "requirements.txt"
    file.write_text("# A comment.\n" + "".join(line + HASH for line in lines))
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
