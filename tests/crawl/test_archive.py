"""Mining WARC files: the same extraction, each record's own date, and no network."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.register import load_register
from spiders import journal
from spiders.archive import ArchiveError
from spiders.run import mine_to
from tests.crawl.web import Web, page, register, visit

HOST = "www.avonbrook.example"
REAL = Path(__file__).parents[2].parent / "shared" / "real" / "pages.warc.gz"


def _write(path: Path, *captures: tuple[str, str, bytes]) -> Path:
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True, warc_version="WARC/1.1")
        for url, date, body in captures:
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            record = writer.create_warc_record(
                url,
                "response",
                payload=BytesIO(body),
                length=len(body),
                http_headers=head,
                warc_headers_dict={"WARC-Date": date},
            )
            writer.write_record(record)
    return path


HOME = page("Home", {"https://twitter.com/AvonSample": "X"}).body


def test_captures_of_one_page_keep_their_own_dates(tmp_path: Path) -> None:
    url = f"http://{HOST}/"
    dates = ("2012-03-04T05:06:07Z", "2020-01-01T00:00:00.123Z")
    archive = _write(tmp_path / "a.warc.gz", *((url, date, HOME) for date in dates))
    report = mine_to([archive], tmp_path / "c", register(HOST))
    lines = list(journal.read(tmp_path / "c" / journal.PAGES))
    assert [line["fetched_at"] for line in lines] == [
        "2012-03-04T05:06:07Z",
        "2020-01-01T00:00:00Z",
    ]
    assert all(line["is_home"] and len(line["observations"]) == 1 for line in lines)
    assert report.finished


def test_a_host_of_no_council_is_counted_and_named(tmp_path: Path) -> None:
    captures = (f"http://{HOST}/", "https://shop.example/a", "https://shop.example/b")
    archive = _write(
        tmp_path / "a.warc.gz", *((url, "2020-01-01T00:00:00Z", HOME) for url in captures)
    )
    report = mine_to([archive], tmp_path / "c", register(HOST))
    assert report.report["unknown_hosts"] == {"shop.example": 2}
    assert report.exit_status == 0


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    archive = _write(tmp_path / "a.warc.gz", (f"http://{HOST}/", "2020-01-01T00:00:00Z", HOME))
    for name in ("one", "two"):
        mine_to([archive], tmp_path / name, register(HOST))
    for name in (journal.PAGES, "run.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    captures = [(f"http://{HOST}/{i}", "2020-01-01T00:00:00Z", HOME * 50) for i in range(3)]
    archive = _write(tmp_path / "a.warc.gz", *captures)
    archive.write_bytes(archive.read_bytes()[:-60])
    report = mine_to([archive], tmp_path / "c", register(HOST))
    assert report.report["broken"][0].startswith("a.warc.gz: breaks off")
    assert "byte" in report.report["broken"][0]
    assert report.outcomes == {"ok": 2, "truncated": 1}


def test_garbage_between_records_is_named(tmp_path: Path) -> None:
    first = _write(tmp_path / "a.warc.gz", (f"http://{HOST}/", "2020-01-01T00:00:00Z", HOME))
    first.write_bytes(first.read_bytes() + b"\x00garbage\xff" * 20)
    report = mine_to([first], tmp_path / "c", register(HOST))
    assert len(report.report["broken"]) == 1
    assert report.outcomes == {"ok": 1}


@pytest.mark.parametrize("content", [b"", b"<html>no archive</html>" * 10, b"\x1f\x8b\x08junk"])
def test_what_is_no_warc_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"page\.html"):
        mine_to([path], tmp_path / "c", register(HOST))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"none\.warc"):
        mine_to([tmp_path / "none.warc"], tmp_path / "c", register(HOST))


def test_our_own_capture_can_be_mined(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"https://twitter.com/AvonSample": "X", "/news": "News"}))
    web.put(HOST, "/news", page("News"))
    captured = tmp_path / "crawl.warc.gz"
    _, live = visit(web, tmp_path / "live", register(HOST), capture=captured)
    mine_to([captured], tmp_path / "mined", register(HOST))
    mined = list(journal.read(tmp_path / "mined" / journal.PAGES))
    wanted = {"home", "follow"}
    assert [line["observations"] for line in mined if line["outcome"] == "ok"] == [
        line["observations"] for line in live if line["purpose"] in wanted
    ]


def test_real_captures_are_read(tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip(f"{REAL} is not there: the project is built without it")
    report = mine_to([REAL], tmp_path / "c", load_register())
    lines = list(journal.read(tmp_path / "c" / journal.PAGES))
    assert Counter(line["outcome"] for line in lines)["ok"] > 0.9 * len(lines)
    assert report.finished
