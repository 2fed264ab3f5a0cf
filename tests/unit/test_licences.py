"""What the crawler needs may be used and passed on: every locked package has a known licence."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[2] / "requirements.txt"
NAMES = sorted(set(re.findall(r"^([\w.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)))
# As SPDX expressions, classifiers and older metadata write them.
ALLOWED = re.compile(
    r"MIT(-0)?|MIT License|(0BSD|BSD)(-[23]-Clause)?|BSD License|Apache([- ]2\.0)?"
    r"|Apache License, Version 2\.0|Apache Software License|PSF-2\.0|PSFL"
    r"|Python Software Foundation License|MPL-2\.0|ZPL-2\.1|Zlib|CC0-1\.0"
    r"|Mozilla Public License 2\.0 \(MPL 2\.0\)"
)


@pytest.mark.parametrize("name", NAMES)
def test_a_package_of_the_lock_has_a_licence_that_allows_its_use(name: str) -> None:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is locked for another interpreter or system")
    kinds = [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    stated = (
        *(about.get_all("License-Expression") or []),
        *(text.rpartition(" :: ")[2] for text in kinds),
        *(about.get_all("License") or []),
    )
    names = [part.strip() for part in re.split(r" AND | OR |, (?!Version)", next(iter(stated), ""))]
    assert [part for part in names if not ALLOWED.fullmatch(part)] == []
