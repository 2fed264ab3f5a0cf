"""Every command that the documents tell a maintainer to run exists, with its options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli import main

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = re.compile(r"(?:(?<!opt/)\bdigital-councils|\bdc) ([a-z]+)\b((?:[^\n`#|&]|\\\n)*)")
FILES = sorted(
    path
    for path in (*DOCS.glob("*.md"), *(DOCS / "deploy").iterdir())
    if COMMAND.search(path.read_text("utf-8"))
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_command_in_a_document_exists_with_its_options(path: Path) -> None:
    unknown = []
    for name, rest in COMMAND.findall(path.read_text("utf-8").replace("\\\n", " ")):
        command = main.commands.get(name)
        if command is None:
            unknown.append(name)
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        wanted = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
        unknown += [f"{name} {option}" for option in sorted(wanted - known)]
    assert unknown == []


def test_the_maintainers_document_is_among_them() -> None:
    assert "maintaining.md" in [path.name for path in FILES]
