"""Crawl folders become typed tables, or are refused with file and line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from pipeline.ingest import IngestError, carried, latest, read_crawl, read_crawls, unchanged
from pipeline.schema import TABLES
from tests.unit.samples import link, page, write_crawl

if TYPE_CHECKING:
    from pathlib import Path

HOME = "https://www.wexdale.example/"


def test_every_link_becomes_a_row_with_its_page(tmp_path: Path) -> None:
    pages = [
        page("WEX", HOME, link("https://x.com/a"), link("https://x.com/b")),
        page("WEX", f"{HOME}news", purpose="follow", is_home=False),
        page("MIL", "https://www.millwick.example/", link("https://x.com/c", region="header")),
    ]
    crawl = read_crawl(write_crawl(tmp_path / "c", pages))
    rows = crawl.observations.select(["council_id", "page_url", "href", "region"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("WEX", HOME, "https://x.com/a", "footer"),
        ("WEX", HOME, "https://x.com/b", "footer"),
        ("MIL", "https://www.millwick.example/", "https://x.com/c", "header"),
    ]


def test_tables_have_the_types_of_the_schema(tmp_path: Path) -> None:
    crawl = read_crawl(write_crawl(tmp_path / "c", [page("WEX", HOME, link("https://x.com/a"))]))
    assert crawl.fetches.schema == TABLES["fetches"].arrow()
    assert crawl.observations.schema == TABLES["observations"].arrow()


def test_a_page_is_known_by_the_address_that_answered(tmp_path: Path) -> None:
    moved = page("WEX", HOME, link("https://x.com/a"), final_url="https://new.wexdale.example/")
    crawl = read_crawl(write_crawl(tmp_path / "c", [moved]))
    assert crawl.observations["page_url"].to_pylist() == ["https://new.wexdale.example/"]


def test_links_stay_as_written(tmp_path: Path) -> None:
    href = "  https://x.com/a?\tb=\u202e "
    crawl = read_crawl(write_crawl(tmp_path / "c", [page("WEX", HOME, link(href))]))
    assert crawl.observations["href"].to_pylist() == [href]


def test_words_lose_control_and_bidi_characters(tmp_path: Path) -> None:
    hostile = link("https://x.com/a", label="Follow\u202e\x00\nus\u2066", heading=" \u200f ")
    crawl = read_crawl(write_crawl(tmp_path / "c", [page("WEX", HOME, hostile)]))
    assert crawl.observations["label"].to_pylist() == ["Follow us"]
    assert crawl.observations["heading"].to_pylist() == [None]


def test_words_are_cut_to_length(tmp_path: Path) -> None:
    long = link("https://x.com/a", sentence="é" * 10_000)
    crawl = read_crawl(write_crawl(tmp_path / "c", [page("WEX", HOME, long)]))
    assert crawl.observations["sentence"].to_pylist() == ["é" * 500]


def test_half_a_character_becomes_a_question_mark(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "c", [])
    line = json.dumps(page("WEX", HOME, link("https://x.com/\ud800", label="\U0001f600")))
    (folder / "pages.jsonl").write_text(line + "\n", "utf-8")
    crawl = read_crawl(folder)
    assert crawl.observations["href"].to_pylist() == ["https://x.com/?"]
    assert crawl.observations["label"].to_pylist() == ["\U0001f600"]


def test_a_page_fetched_by_several_crawls_keeps_each_time(tmp_path: Path) -> None:
    first = write_crawl(tmp_path / "a", [page("WEX", HOME, link("https://x.com/a"))], "a")
    later = page("WEX", HOME, link("https://x.com/a"), fetched_at="2026-02-01T00:00:00Z")
    second = write_crawl(tmp_path / "b", [later], "b")
    crawl = read_crawls([first, second])
    times = [time.isoformat() for time in crawl.observations["fetched_at"].to_pylist()]
    assert times == ["2026-01-05T09:00:00+00:00", "2026-02-01T00:00:00+00:00"]


def test_now_is_the_latest_fetch(tmp_path: Path) -> None:
    pages = [page("WEX", HOME, fetched_at="2026-02-01T00:00:00Z"), page("MIL", f"{HOME}x")]
    crawl = read_crawl(write_crawl(tmp_path / "c", pages))
    assert str(latest(crawl.fetches)) == "2026-02-01T00:00:00"


def test_a_torn_last_line_of_an_interrupted_crawl_is_left_out_with_a_warning(
    tmp_path: Path,
) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME), page("MIL", HOME)], finished=False)
    raw = (folder / "pages.jsonl").read_bytes()
    (folder / "pages.jsonl").write_bytes(raw[:-20])
    crawl = read_crawl(folder)
    assert crawl.fetches["council_id"].to_pylist() == ["WEX"]
    assert "c/pages.jsonl: left out its last line" in crawl.warnings[0]


def test_a_torn_last_line_of_a_finished_crawl_is_refused(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME), page("MIL", HOME)])
    raw = (folder / "pages.jsonl").read_bytes()
    (folder / "pages.jsonl").write_bytes(raw[:-20])
    with pytest.raises(IngestError, match=r"pages\.jsonl, line 2: the file ends inside a line"):
        read_crawl(folder)


def test_a_last_line_without_its_end_is_read_when_it_is_whole(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME)])
    raw = (folder / "pages.jsonl").read_bytes()
    (folder / "pages.jsonl").write_bytes(raw.rstrip())
    assert read_crawl(folder).fetches.num_rows == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"outcome": "weird"}, "column 'outcome' holds 'weird'"),
        ({"council_id": None}, "column 'council_id' is empty"),
        ({"surprise": 1}, "unexpected field"),
        ({"depth": "deep"}, "depth"),
        ({"fetched_at": "yesterday"}, "yesterday"),
        ({"observations": [link("x", region="attic")]}, "column 'region' holds 'attic'"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    pages = [page("WEX", HOME), page("MIL", HOME) | change, page("OAK", HOME)]
    folder = write_crawl(tmp_path / "c", pages)
    with pytest.raises(IngestError, match=rf"pages\.jsonl, line 2: .*{problem}"):
        read_crawl(folder)


@pytest.mark.parametrize("raw", [b"\x00\x00\n", b"[]\n", b"{\n", b'{"council_id":"\xff"}\n'])
def test_a_damaged_line_is_refused_and_not_traced(tmp_path: Path, raw: bytes) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME)])
    with (folder / "pages.jsonl").open("ab") as file:
        file.write(raw)
    with pytest.raises(IngestError, match="line 2"):
        read_crawl(folder)


def test_a_line_longer_than_a_block_is_read(tmp_path: Path) -> None:
    links = [link("https://x.com/" + "a" * 2000) for _ in range(3000)]
    crawl = read_crawl(write_crawl(tmp_path / "c", [page("WEX", HOME, *links), page("MIL", HOME)]))
    assert crawl.observations.num_rows == 3000


def test_a_file_of_many_blocks_is_read_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [
        page("WEX", f"{HOME}{n}", link(f"https://x.com/{n % 3}", label=f"No {n}"))
        for n in range(40)
    ]
    folder = write_crawl(tmp_path / "c", pages)
    whole = read_crawl(folder)
    monkeypatch.setattr("pipeline.ingest.BLOCK", 1000)
    blocks = read_crawl(folder)
    assert blocks.fetches.equals(whole.fetches)
    assert blocks.observations.equals(whole.observations)


def test_a_faulty_line_of_a_later_block_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [page("WEX", f"{HOME}{n}") for n in range(40)]
    pages[30]["depth"] = "deep"
    monkeypatch.setattr("pipeline.ingest.BLOCK", 1000)
    with pytest.raises(IngestError, match=r"pages\.jsonl, line 31: "):
        read_crawl(write_crawl(tmp_path / "c", pages))


def test_a_crawl_that_recorded_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="holds no fetch"):
        read_crawls([write_crawl(tmp_path / "c", [])])


def test_a_folder_given_twice_is_refused(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME)])
    with pytest.raises(IngestError, match="given twice"):
        read_crawls([folder, tmp_path / "." / "c"])


@pytest.mark.parametrize("run", [None, "{", "[]", "{}", '{"crawl_id": 3}'])
def test_a_folder_without_a_usable_run_is_refused(tmp_path: Path, run: str | None) -> None:
    folder = write_crawl(tmp_path / "c", [page("WEX", HOME)])
    (folder / "run.json").unlink()
    if run is not None:
        (folder / "run.json").write_text(run, "utf-8")
    with pytest.raises(IngestError, match=r"run\.json"):
        read_crawl(folder)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path / "c", [])
    (folder / "pages.jsonl").unlink()
    with pytest.raises(IngestError, match="is it a crawl"):
        read_crawl(folder)


def test_parquet_parts_are_read_like_lines(tmp_path: Path) -> None:
    lines = read_crawl(write_crawl(tmp_path / "a", [page("WEX", HOME, link("https://x.com/a"))]))
    folder = write_crawl(tmp_path / "b", [])
    (folder / "pages.jsonl").unlink()
    pq.write_table(lines.fetches, folder / "fetches-0001.parquet")
    pq.write_table(lines.observations, folder / "observations-0001.parquet")
    parts = read_crawl(folder)
    assert parts.fetches.equals(lines.fetches)
    assert parts.observations.equals(lines.observations)


def test_a_parquet_part_of_another_table_is_refused(tmp_path: Path) -> None:
    lines = read_crawl(write_crawl(tmp_path / "a", [page("WEX", HOME)]))
    folder = write_crawl(tmp_path / "b", [])
    pq.write_table(lines.observations, folder / "fetches-0001.parquet")
    with pytest.raises(IngestError, match=r"fetches-0001\.parquet: has the columns"):
        read_crawl(folder)


def test_a_torn_parquet_part_is_refused(tmp_path: Path) -> None:
    lines = read_crawl(write_crawl(tmp_path / "a", [page("WEX", HOME)]))
    folder = write_crawl(tmp_path / "b", [])
    path = folder / "fetches-0001.parquet"
    pq.write_table(lines.fetches, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(IngestError, match="is no whole Parquet file"):
        read_crawl(folder)


def test_a_page_not_modified_carries_what_it_carried_before(tmp_path: Path) -> None:
    news = f"{HOME}news"
    before = read_crawl(
        write_crawl(
            tmp_path / "a",
            [
                page("WEX", HOME, link("https://x.com/a")),
                page("WEX", news, link("https://x.com/b")),
            ],
            "a",
        )
    )
    same = page("WEX", HOME, outcome="not_modified", fetched_at="2026-01-12T09:00:00Z")
    now = read_crawl(write_crawl(tmp_path / "b", [same], "b"))
    rows = unchanged(now, before.observations).to_pylist()
    assert [(r["crawl_id"], r["href"], str(r["fetched_at"].date())) for r in rows] == [
        ("b", "https://x.com/a", "2026-01-12")
    ]


def test_a_page_not_due_is_carried_from_a_release_of_a_version_without_a_browser(
    tmp_path: Path,
) -> None:
    before = read_crawl(write_crawl(tmp_path / "a", [page("WEX", HOME, link("https://x.com/a"))]))
    rest = page("WEX", HOME, outcome="not_due", fetched_at="2026-01-12T09:00:00Z")
    now = read_crawl(write_crawl(tmp_path / "b", [rest], "b"))
    older = before.fetches.drop_columns("rendered")
    found = carried(now, older, before.observations)
    assert found.fetches.schema == now.fetches.schema
    assert found.fetches["outcome"].to_pylist() == ["not_due", "ok"]
    assert found.fetches["rendered"].to_pylist() == [False, False]
