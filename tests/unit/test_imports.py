"""The direction of imports: facts flow one way, from the register to the hub."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CELLAR = "pipeline.domains"
GROUND = {CELLAR, "pipeline.register", "pipeline.platforms", "pipeline.schema"}
ROOF = "pipeline.cli"
OURS = ("pipeline", "spiders", "hub", "tests", "data")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for folder in ("pipeline", "spiders", "hub")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports_of(path: Path) -> set[str]:
    """Every module of ours that a file names in an import, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            joined = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in joined}
    return {name for name in found if name.split(".")[0] in OURS}


@pytest.mark.parametrize("name", sorted(GROUND))
def test_ground_floor_imports_nothing_of_ours_but_domains(name: str) -> None:
    assert imports_of(MODULES[name]) <= {CELLAR} - {name}


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("spiders")])
def test_spiders_import_of_the_pipeline_only_the_ground_floor(name: str) -> None:
    foreign = {i for i in imports_of(MODULES[name]) if not i.startswith("spiders")}
    assert foreign <= GROUND


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("pipeline") and m != ROOF])
def test_pipeline_imports_only_the_pipeline_and_never_the_roof(name: str) -> None:
    found = imports_of(MODULES[name])
    assert not {i for i in found if not i.startswith("pipeline")}
    assert ROOF not in found


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("hub")])
def test_hub_imports_nothing_but_itself(name: str) -> None:
    assert not {i for i in imports_of(MODULES[name]) if not i.startswith("hub")}
