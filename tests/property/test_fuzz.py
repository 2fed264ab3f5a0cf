"""Any bytes from anybody: each reader of strangers' data gives an answer or its own error.

`make fuzz` looks for a hundred times as long; see the profile in tests/conftest.py.
"""

from __future__ import annotations

import gzip
import io
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.platforms import Account, Rejected, identify
from pipeline.register import Hosts
from pipeline.schema import MECHANISMS, OUTCOMES
from spiders import robots, warc
from spiders.archive import ArchiveError, Tally, mine
from spiders.decoding import DecodedTooLargeError, decode
from spiders.extract import Answer, Asked, read_page
from spiders.read import observe
from spiders.sitemap import locations
from tests.crawl.web import register

if TYPE_CHECKING:
    from pathlib import Path

HOST = "www.avonbrook.example"
BASE = f"https://{HOST}/"
PAGE = (
    b'<!doctype html><html lang=cy><head><base href="/x/"><title>T</title>'
    b'<meta http-equiv=refresh content="9;url=/y"><meta name="twitter:site" content="@avonbrook">'
    b'<script type="application/ld+json">{"sameAs":["https://x.com/avonbrook"]}</script></head>'
    b'<body><nav><a href="https://www.facebook.com/avonbrook" title=F>F</a></nav><noscript>'
    b'<a href="//instagram.com/avonbrook"></noscript><p>Follow @avonbrook on Twitter</p></body>'
)
ROBOTS = b"User-agent: *\nDisallow: /a*b$\nAllow: /%61\nCrawl-delay: 2\nSitemap: /s.xml\n"
SITEMAP = b"<?xml version='1.0'?><urlset><url><loc>https://a.example/</loc></url></urlset>"
URL = "https://www.facebook.com/pages/Avonbrook/118508024841691?ref=ts#!/profile.php?id=5"


@st.composite
def spoiled(draw: st.DrawFn, *originals: bytes) -> bytes:
    """Bytes that were in order, with pieces cut out, repeated, replaced or put in."""
    body = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 60)))
        middle = draw(st.one_of(st.just(b""), st.binary(max_size=20), st.just(body[start:end] * 3)))
        body = body[:start] + middle + body[end:]
    return body


def _warc() -> bytes:
    """A WARC file of three records, each a gzip member of its own."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for path in ("", "news", "contact"):
        head = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                BASE + path,
                "response",
                payload=io.BytesIO(PAGE),
                length=len(PAGE),
                http_headers=head,
            )
        )
    return out.getvalue()


COMPRESSED = _warc()
PLAIN = gzip.decompress(COMPRESSED)
HOSTS = Hosts(register(HOST))
same_folder = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example writes its file anew


@settings(deadline=None)
@given(spoiled(PAGE), st.none() | st.text(max_size=30))
def test_any_page_is_scanned(body: bytes, content_type: str | None) -> None:
    page = observe(body, BASE, content_type)
    assert all(observation.mechanism in MECHANISMS for observation in page.observations)


@settings(deadline=None)
@given(spoiled(PAGE, ROBOTS, SITEMAP), st.integers(100, 999), st.booleans())
def test_any_answer_is_named(body: bytes, status: int, cut: bool) -> None:
    asked = Asked("AVON", BASE, "home", 0, "2026-01-01T00:00:00Z", is_home=True)
    answer = Answer(BASE, status, {"content-type": "text/html"}, body, cut)
    fetch, _ = read_page(asked, answer, frozenset())
    assert fetch.outcome in OUTCOMES


@settings(deadline=None)
@given(spoiled(URL.encode()))
def test_any_url_is_identified_or_rejected_by_name(url: bytes) -> None:
    found = identify(url.decode("utf-8", "surrogateescape"))
    assert isinstance(found, Account | Rejected)
    assert isinstance(found, Rejected) or found.url.startswith("https://")


@settings(deadline=None)
@given(spoiled(ROBOTS), spoiled(URL.encode()))
def test_any_robots_txt_has_an_answer(body: bytes, url: bytes) -> None:
    rules = robots.parse(body)
    assert rules.allowed("DigitalCouncils", url.decode("latin-1")) in {True, False}
    delay = rules.delay("DigitalCouncils")
    assert delay is None or 0 <= delay < float("inf")


@settings(deadline=None)
@given(spoiled(SITEMAP, gzip.compress(SITEMAP)))
def test_any_sitemap_gives_what_it_has(body: bytes) -> None:
    pages, sitemaps = locations(body, 5, 100_000)
    assert len(pages) + len(sitemaps) <= 5


@settings(deadline=None)
@given(
    spoiled(gzip.compress(PAGE), b"\x28\xb5\x2f\xfd\x04\x00", b"\x0b\x02\x80", PAGE),
    st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "odd"]), max_size=3),
)
def test_any_body_is_decoded_within_its_limit(body: bytes, encodings: list[str]) -> None:
    try:
        decoded = decode(body, tuple(encodings), 10_000)
    except DecodedTooLargeError:
        return
    assert len(decoded.body) <= max(10_000, len(body))


@same_folder
@given(spoiled(COMPRESSED, PLAIN))
def test_any_archive_is_mined_as_far_as_it_goes(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(body)
    with suppress(ArchiveError):
        for fetch in mine([path], HOSTS, frozenset({"avonbrook.example"}), Tally()):
            assert fetch.outcome in OUTCOMES


@same_folder
@given(st.integers(0, len(COMPRESSED)), st.binary(max_size=40))
def test_a_torn_capture_is_cut_to_whole_records(tmp_path: Path, end: int, more: bytes) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(COMPRESSED[:end] + more)
    warc.repair(path)
    assert warc.repair(path) == 0
    assert gzip.decompress(path.read_bytes() or gzip.compress(b"")) is not None


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(PAGE)
    with pytest.raises(ArchiveError, match="no WARC record"):
        list(mine([path], HOSTS, frozenset(), Tally()))
