"""docs/dictionary.md says what the schema says."""

from __future__ import annotations

from pipeline.dictionary import FILE, dictionary


def test_dictionary_is_that_of_the_schema() -> None:
    told = FILE.read_text(encoding="utf-8")
    assert told == dictionary(), "run python -m pipeline.dictionary, and read what changed"
