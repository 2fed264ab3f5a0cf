"""The sample crawled and built, held against what a person finds on its sites by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from spiders.sample import sample_sites

ROOT = Path(__file__).parents[2]
KEY = ["council_id", "platform", "account"]
COLUMNS = ["role", "service", "primary", "language", "status"]
TRUTH = pd.read_csv(sample_sites().parent / "expected.csv", dtype="str", keep_default_na=False)
OFFICIAL = TRUTH[TRUTH["role"].isin(("corporate", "service"))].set_index(KEY)


@pytest.fixture(scope="module", name="accounts")
def published(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The accounts of the release that `demo` makes, in the columns of expected.csv."""
    out = tmp_path_factory.mktemp("demo")
    code = "from pipeline.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    table = pd.read_parquet(out / "release" / "accounts.parquet")
    table = table.assign(primary=table["is_primary"].map({True: "yes", False: "no"}))
    table = table.rename(columns={"handle": "account", "scope": "role"}).set_index(KEY)
    return table[COLUMNS].astype("str").fillna("")


def test_every_official_account_is_published(accounts: pd.DataFrame) -> None:
    assert sorted(set(OFFICIAL.index) - set(accounts.index)) == []


def test_no_other_account_is_published(accounts: pd.DataFrame) -> None:
    assert sorted(set(accounts.index) - set(OFFICIAL.index)) == []


@pytest.mark.parametrize("column", COLUMNS)
def test_published_accounts_are_told_as_a_person_tells_them(
    accounts: pd.DataFrame, column: str
) -> None:
    both = OFFICIAL.index.intersection(accounts.index)
    expected, told = OFFICIAL.loc[both, column], accounts.loc[both, column]
    assert told[told != expected].to_dict() == {}
