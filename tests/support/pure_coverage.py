"""A plugin of coverage.py: only pure modules are measured. `pyproject.toml` names this plugin."""

from typing import Any

from coverage import CoveragePlugin
from coverage.plugin_support import Plugins

from tests.support.source_files import ROOT, pure_modules


class PureModules(CoveragePlugin):
    """Sets the list of the files to measure."""

    def configure(self, config: Any) -> None:
        config.set_option("run:include", [path.relative_to(ROOT).as_posix() for path in pure_modules().values()])


def coverage_init(registry: Plugins, _options: Any) -> None:
    registry.add_configurer(PureModules())
