"""The commands that keep the directory: how they end, and what a person sees and decides."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.lock import locked
from pipeline.overrides import load_overrides

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one release of the sample."""
    store = tmp_path_factory.mktemp("practice")
    result = run("refresh", "--sample", "--store", store)
    assert result.exit_code == 0, result.output
    return store


def test_a_refresh_leaves_a_release_a_site_and_its_health(store: Path) -> None:
    assert (store / "current" / "directory.csv").exists()
    assert (store / "site" / "index.html").exists()
    assert json.loads((store / "health.json").read_text("utf-8"))["state"] == "published"


def test_a_refresh_of_a_locked_store_ends_with_2(store: Path) -> None:
    with locked(store, "2026-01-05T03:00:00Z"):
        result = run("refresh", "--sample", "--store", store)
    assert result.exit_code == 2
    assert "since 2026-01-05T03:00:00Z" in result.stderr


def test_a_refresh_with_a_register_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    register = tmp_path / "councils.csv"
    register.write_text("council_id\nAVBK\n", "utf-8")
    result = run("refresh", "--store", tmp_path / "store", "--register", register)
    assert result.exit_code == 2
    assert "councils.csv" in result.stderr


def test_a_refresh_with_a_gate_that_does_not_exist_ends_with_2(tmp_path: Path) -> None:
    result = run("refresh", "--sample", "--store", tmp_path, "--allow", "all", "because")
    assert result.exit_code == 2
    assert "the gates are" in result.stderr


def test_rollback_of_the_only_release_ends_with_1(store: Path) -> None:
    result = run("rollback", "--store", store)
    assert result.exit_code == 1
    assert "there is none before" in result.stderr


def test_review_asks_and_keeps_each_answer_before_the_next(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "overrides.csv"
    command = ("review", "--release", store / "current", "--overrides", target)
    result = run(*command, "--author", "A. Person", stdin="s\nr\nnot theirs\nc\nseen\n")
    assert "kept in" in result.stdout
    rows = load_overrides(target)
    assert rows["action"].tolist() == ["reject", "confirm"]
    assert rows["author"].tolist() == ["A. Person"] * 2


def test_review_asks_again_for_nothing_that_cannot_be_kept(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "overrides.csv"
    command = ("review", "--release", store / "current", "--overrides", target)
    result = run(*command, "--author", "A. Person", stdin="t\nbroken\nbecause\nq\n")
    assert "not kept" in result.stdout
    assert not target.exists()


def test_a_sheet_that_was_filled_in_is_read_back(store: Path, tmp_path: Path) -> None:
    sheet, target = tmp_path / "sheet.csv", tmp_path / "overrides.csv"
    printed = run("review", "--release", store / "current", "--format", "csv", "--limit", "3")
    rows = list(csv.DictReader(printed.stdout.splitlines()))
    rows[1] |= {"decision": "confirm", "reason": "their footer", "author": "A. Person"}
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    result = run("review", "--release", store / "current", "--read", sheet, "--overrides", target)
    assert "decisions added: 1" in result.stdout
    assert load_overrides(target)["account"].tolist() == [rows[1]["account"]]
