"""What an answer is: every rule by its own example, and pages that only look like one."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.schema import OUTCOMES
from spiders.extract import RULES, Answer, Asked, name_outcome, read_page
from spiders.scan import MOST_OBSERVATIONS
from spiders.sitemap import locations

ROWS: list[dict[str, Any]] = tomllib.loads(RULES.read_text(encoding="utf-8"))["answer"]
URL = "https://www.avonbrook.example/"
HTML = {"content-type": "text/html"}


def _name(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> str:
    return name_outcome(Answer(URL, status, HTML if headers is None else headers, body))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['outcome']}-{row['name']}")
def test_each_rule_fits_its_example(row: dict[str, Any]) -> None:
    example = row["example"]
    headers = HTML | example["headers"]
    assert _name(example["body"].encode(), example["status"], headers) == row["outcome"]
    assert row["outcome"] in OUTCOMES


@pytest.mark.parametrize(
    "body",
    [
        b"<title>Council</title><script src=//static.queue-it.net/q.js></script>",
        b"<title>Council</title><script src=/cdn-cgi/challenge-platform/h/b.js></script>",
    ],
)
def test_a_page_that_loads_a_firewalls_script_is_a_page(body: bytes) -> None:
    assert _name(body) == "ok"


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        (b"<p>x", "text/html; charset=utf-8", "ok"),
        (b"<p>x", "application/xhtml+xml", "ok"),
        (b"<p>x", "text/plain", "ok"),
        (b"<p>x", "", "ok"),
        (b"words alone", "text/plain", "not_html"),
        (b"%PDF-1.7 <", "application/pdf", "not_html"),
        (b"GIF89a\x00\x01<", "text/html", "not_html"),
        (b"", "text/html", "ok"),
        ("<p>x".encode("utf-16"), "text/html", "ok"),
    ],
)
def test_a_page_is_told_from_a_file(body: bytes, declared: str, expected: str) -> None:
    assert _name(body, 200, {"content-type": declared} if declared else {}) == expected


@given(st.binary(max_size=500), st.integers(100, 599))
def test_any_answer_has_an_outcome_of_the_schema(body: bytes, status: int) -> None:
    asked = Asked("AVON", URL, "home", 0, "2026-01-01T00:00:00Z", is_home=True)
    fetch, _ = read_page(asked, Answer(URL, status, HTML, body), frozenset())
    assert fetch.outcome in OUTCOMES


def test_a_page_with_more_than_is_recorded_is_truncated() -> None:
    many = b"".join(b"<a href=https://%d.example/>x</a>" % i for i in range(MOST_OBSERVATIONS + 1))
    asked = Asked("AVO", URL, "home", 0, "2026-05-04T09:00:00Z")
    fetch, _ = read_page(asked, Answer(URL, 200, HTML, many), ())
    assert (fetch.outcome, len(fetch.observations)) == ("truncated", MOST_OBSERVATIONS)


def test_a_sitemap_is_read_to_its_limit() -> None:
    body = b"<urlset>" + b"<url><loc>https://a.example/x</loc></url>" * 50 + b"</urlset>"
    assert len(locations(body, 10, 10_000)[0]) == 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<urlset><url><loc>https://a.example/x</loc></url><url><lo",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><urlset><loc>&b;</loc></urlset>',
        b"\x1f\x8b\x08broken",
    ],
)
def test_a_broken_sitemap_gives_what_it_has(body: bytes) -> None:
    pages, sitemaps = locations(body, 10, 10_000)
    assert (len(pages) <= 1, sitemaps) == (True, [])
