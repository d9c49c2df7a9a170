"""Reads the import graph of the project, TYPE_CHECKING imports included."""

from functools import cache

import grimp

from tests.support.source_files import PACKAGES


@cache
def import_graph() -> grimp.ImportGraph:
    """Returns the graph of all modules and of the libraries that they import. Callers must not change it."""
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def find_cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Returns each group of modules that import each other, directly or not (strongly connected components)."""
    upstream = {module: graph.find_upstream_modules(module) for module in graph.modules}
    groups = {
        frozenset(other for other in upstream[module] if module in upstream[other]) | {module}
        for module in graph.modules
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)
