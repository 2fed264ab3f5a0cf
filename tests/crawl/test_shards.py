"""Several crawls that share a register are, together, the crawl of the whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.build import build
from pipeline.cli import SAMPLE_SETTINGS, chosen
from pipeline.overrides import load_overrides
from pipeline.register import load_register
from pipeline.release import read_release
from spiders import run, sample
from spiders.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

QUIET = SAMPLE_SETTINGS | {"LOG_ENABLED": False}


@pytest.fixture(scope="module")
def register() -> pd.DataFrame:
    return load_register(sample.sample_register())


@pytest.fixture(scope="module")
def captured(register: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawl of the sample as WARC: each replay of it has the same times."""
    folder = tmp_path_factory.mktemp("captured")
    with sample.serve(sample.sample_sites()) as proxy:
        run.crawl(
            chosen(register, (), None, None),
            folder / "crawl",
            register=register,
            capture=folder / "sample.warc.gz",
            proxy=proxy,
            settings=QUIET,
        )
    return folder / "sample.warc.gz"


def replay(register: pd.DataFrame, captured: Path, out: Path, shard: str) -> Path:
    report = run.crawl(
        Shard.of(shard).rows(chosen(register, (), None, None)),
        out,
        register=register,
        replay=captured,
        shard=shard,
        crawl_id="sample",
        settings=QUIET,
    )
    assert report.finished
    return out


def release_of(crawls: Sequence[Path], out: Path, register: pd.DataFrame) -> Path:
    report = build(crawls, out, None, register, load_overrides(None, None))
    assert report.published, report.findings
    return out


def files(release: Path) -> dict[str, bytes]:
    """The files of a release, without the one that names the crawls."""
    return {path.name: path.read_bytes() for path in release.iterdir() if path.name != "run.json"}


def test_shards_built_together_are_the_release_of_the_whole(
    register: pd.DataFrame, captured: Path, tmp_path: Path
) -> None:
    whole = replay(register, captured, tmp_path / "whole", "1/1")
    shards = [replay(register, captured, tmp_path / f"{n}", f"{n}/3") for n in (3, 1, 2)]
    together = release_of(shards, tmp_path / "together", register)
    assert files(together) == files(release_of([whole], tmp_path / "release", register))


def test_a_shard_without_a_council_is_a_whole_crawl(
    register: pd.DataFrame, captured: Path, tmp_path: Path
) -> None:
    count = 400
    rows = chosen(register, (), None, None)
    empty = next(n for n in range(1, count) if Shard(n, count).rows(rows).empty)
    out = replay(register, captured, tmp_path / "c", f"{empty}/{count}")
    told: Any = json.loads((out / "run.json").read_text("utf-8"))
    assert (told["finished"], told["inputs"]["shard"]) == (True, f"{empty}/{count}")


def test_councils_of_other_shards_are_not_checked_and_not_without_accounts(
    register: pd.DataFrame, captured: Path, tmp_path: Path
) -> None:
    crawl = replay(register, captured, tmp_path / "c", "1/3")
    asked = Shard.of("1/3").rows(chosen(register, (), None, None))["council_id"]
    report = build([crawl], tmp_path / "release", None, register, load_overrides(None, None))
    coverage = read_release(report.folder).frame("coverage")
    others = coverage[~coverage["council_id"].isin(asked)]
    assert set(others["state"]) == {"not_checked"}
    assert "found" in set(coverage["state"])
