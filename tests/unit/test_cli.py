"""The commands as a person or a program calls them: what they print, and how they end."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """<!doctype html><html lang="en"><body>
<main><p>See <a href="https://x.com/AvonbrookSample/status/12">our post</a>.</p></main>
<footer><h2>Follow us</h2>
<a href="https://www.facebook.com/AvonbrookSample" aria-label="Facebook">f</a>
<a href="https://www.facebook.com/sharer.php?u=x">Share</a></footer></body></html>"""


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_identify_answers_one_row_per_line_in_input_order() -> None:
    urls = ["https://x.com/AvonbrookSample", "", "not a link", "https://x.com/share?url=y"]
    result = run("identify", "--format", "csv", stdin="\n".join(urls) + "\n")
    assert [row["url"] for row in rows(result)] == urls
    assert [bool(row["platform"]) for row in rows(result)] == [True, False, False, False]
    assert [bool(row["reason"]) for row in rows(result)] == [False, True, True, True]


def test_identify_says_how_an_account_was_derived() -> None:
    result = run("identify", "https://x.com/AvonbrookSample/status/12", "--format", "csv")
    assert rows(result)[0]["account"] == "AvonbrookSample"
    assert rows(result)[0]["reason"] == "derived: post"


def test_scan_names_accounts_and_leaves_posts_and_shares_without(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    base = "https://www.avonbrook.example/"
    result = run("scan", str(page), "--base-url", base, "--format", "jsonl")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    accounts = {(row["platform"], row["account"]) for row in found if row["account"]}
    assert accounts == {("facebook", "AvonbrookSample")}
    assert {"post", "share"} <= {row["reason"] for row in found}


def test_each_command_has_help_with_an_example() -> None:
    for name in main.commands:
        assert "Example:" in run(name, "--help").stdout, name


def test_bad_register_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    register = tmp_path / "councils.csv"
    register.write_text("name\nAvonbrook\n", encoding="utf-8")
    result = run("crawl", "--out", str(tmp_path / "crawl"), "--register", str(register))
    assert result.exit_code == 1
    assert "councils.csv" in result.stderr
    assert "Traceback" not in result.output


def test_unknown_council_is_told_with_the_nearest_names(tmp_path: Path) -> None:
    result = run("crawl", "--out", str(tmp_path / "crawl"), "--council", "Bradfrod")
    assert result.exit_code == 1
    assert "Bradford" in result.stderr


@pytest.mark.parametrize("arguments", [["scan"], ["build", "no-such-folder"], ["nonsense"]])
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_fault_of_ours_is_not_hidden_as_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: str) -> None:
        raise ValueError(url)

    monkeypatch.setattr("pipeline.platforms.identify", broken)
    result = run("identify", "https://x.com/AvonbrookSample")
    assert isinstance(result.exception, ValueError)
