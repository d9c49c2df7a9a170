"""Fixtures for tests of the Helm chart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helm.tools import HELM, KUBECONFORM, build, write_schemas


@pytest.fixture(scope="session")
def helm() -> str:
    return build(HELM)


@pytest.fixture(scope="session")
def kubeconform() -> str:
    return build(KUBECONFORM)


@pytest.fixture(scope="session")
def schemas() -> Callable[[str], Path]:
    """Returns a function that returns the folder with the schemas of a version of Kubernetes."""
    folders: dict[str, Path] = {}

    def find(version: str) -> Path:
        if version not in folders:
            folders[version] = write_schemas(version)
        return folders[version]

    return find
