"""Reads the import graph of the project, including TYPE_CHECKING imports."""

from functools import cache

import grimp

from tests.support.source_files import PACKAGES


@cache
def import_graph() -> grimp.ImportGraph:
    """Returns the graph of all modules and of all imported libraries.

    Callers must not change the graph.
    """
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def find_cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Returns the groups of modules that import each other directly or indirectly."""
    upstream = {module: graph.find_upstream_modules(module) for module in graph.modules}
    groups = {
        frozenset(other for other in upstream[module] if module in upstream[other]) | {module}
        for module in graph.modules
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)
