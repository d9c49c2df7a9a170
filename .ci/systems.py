"""Lists the systems and versions of Python that the packages are for, and evaluates markers for them."""

from packaging.markers import Marker

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "x86_64-unknown-linux-gnu": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    "aarch64-unknown-linux-gnu": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    "x86_64-apple-darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "x86_64"},
    "aarch64-apple-darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
}
"""What markers see of each system, by the name that uv gives it."""

CPYTHON = {"os_name": "posix", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
# Markers exclude single releases too: some packages are needed before 3.11.3 only.
RELEASES = [f"{python}.{release}" for python in PYTHONS for release in range(20)]
ENVIRONMENTS = [
    {**CPYTHON, **system, "python_version": full.rpartition(".")[0], "python_full_version": full}
    for system in SYSTEMS.values()
    for full in RELEASES
]


def find_environments(marker: str) -> set[int]:
    """Returns the indexes in `ENVIRONMENTS` of those in which the marker is true. An empty marker is always true."""
    parsed = Marker(marker) if marker else None
    return {
        index for index, environment in enumerate(ENVIRONMENTS) if parsed is None or parsed.evaluate({**environment})
    }
