"""Builds the images of docker-compose.yml from Debian's packages, because tests reach no registry of images.

The servers are real. The images around them are stand-ins for the public ones: `images/Dockerfile` says what each has.
"""

import shutil
import subprocess
from pathlib import Path

from stockwatch import VERSION
from tests.support.deploy.engine import CACHE, Engine, EngineNotStarted
from tests.support.kafka.distribution import jars

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PREFIX = "stockwatch-stand-in"
STAND_INS = ("kafka", "valkey", "postgres", "nginx", "prometheus", "redis-exporter")
PYTHON = "python:3.13-slim-trixie"
"""The name that the project's Dockerfile begins with; in the tests' own engine a stand-in has it."""
PROGRAM = f"stockwatch:{VERSION}"
COMMIT = "tests-1-gc0ffee0"
"""The commit that the tests build the project's image with."""
RELEASE = "trixie"
PACKAGES = (
    "adduser,ca-certificates,curl,netcat-openbsd,nginx-light,openjdk-21-jre-headless,postgresql-17,prometheus"
    ",prometheus-redis-exporter,python3,python3-venv,valkey-server,wget"
)


def build_images(engine: Engine, folder: Path) -> None:
    """Builds the stand-ins and the project's image. Layers that the engine has are not built again."""
    if "debian:latest" not in engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        engine.docker("import", str(debian()), "debian:latest")
    context = folder / "images"
    shutil.copytree(HERE / "images", context)
    shutil.copytree(jars(), context / "jars")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    for name in ("python", *STAND_INS):
        engine.docker("build", "--network=none", "--target", name, "--tag", f"{PREFIX}/{name}", str(context))
    engine.docker("tag", f"{PREFIX}/python", PYTHON)
    commit = f"BUILD_COMMIT={COMMIT}"
    engine.docker("build", "--network=host", "--build-arg", commit, "--tag", PROGRAM, str(ROOT))


def debian() -> Path:
    """Returns a tar file of a Debian with PACKAGES. Makes it with debootstrap the first time."""
    tar = CACHE / f"{RELEASE}.tar"
    if tar.exists():
        return tar
    if not shutil.which("debootstrap"):
        raise EngineNotStarted("no debootstrap: install it (Debian and Ubuntu: apt install debootstrap)")
    root = CACHE / "debian"
    shutil.rmtree(root, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(root)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if made.returncode:
        raise EngineNotStarted(f"debootstrap failed: {made.stdout[-800:]}")
    unneeded = ("./proc/*", "./sys/*", "./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*")
    excluded = [f"--exclude={pattern}" for pattern in unneeded]
    subprocess.run(["tar", "-C", str(root), *excluded, "-cf", f"{tar}.new", "."], timeout=600, check=True)
    shutil.rmtree(root)
    return Path(f"{tar}.new").rename(tar)
