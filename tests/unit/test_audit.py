"""An advisory fails the check; a question that nobody answered is never told as a good answer."""

from __future__ import annotations

import pytest

from tests.audit import verdict

GOOD = {"name": "lxml", "version": "6.1.0", "vulns": []}
BAD = GOOD | {"vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["6.1.1"]}]}
SILENT = {"name": "scrapy", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize("strict", [True, False])
def test_packages_without_advisory_pass(strict: bool) -> None:
    status, words = verdict({"dependencies": [GOOD, GOOD]}, strict=strict)
    assert (status, words) == (
        0,
        "No advisory is known on any of the 2 packages that are locked.",
    )


@pytest.mark.parametrize("strict", [True, False])
def test_an_advisory_fails_and_names_the_version_to_lock(strict: bool) -> None:
    status, words = verdict({"dependencies": [SILENT, BAD]}, strict=strict)
    assert status == 1
    assert "lxml 6.1.0: PYSEC-2026-1, mended in 6.1.1" in words


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("report", "silent"),
    [(None, "anything"), ({"dependencies": [GOOD, SILENT]}, "1 of 2 packages")],
)
def test_no_answer_is_told_and_fails_where_an_answer_is_wanted(
    report: dict[str, object] | None, silent: str, strict: bool
) -> None:
    status, words = verdict(report, strict=strict)
    assert status == int(strict)
    assert words.startswith(f"NOT CHECKED for advisories: the service did not answer for {silent}.")
