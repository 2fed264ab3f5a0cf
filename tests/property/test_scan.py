"""Any bytes at all give a page: nothing in a body makes scanning or reading raise."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.schema import MECHANISMS, REGIONS
from spiders.read import observe
from spiders.scan import MOST_LINKS, MOST_OBSERVATIONS, scan
from spiders.target import LONGEST_HREF, target_of
from spiders.written import in_json_ld, in_script, in_text

BASE = "https://www.avonbrook.example/"
PAGES = sorted((Path(__file__).parents[1] / "sites" / "places").glob("*.html"))

# Pieces of markup, so that the bytes tried are mostly nearly pages.
PIECES = st.sampled_from(
    [
        *(b"<a href=", b'"', b"'", b">", b"</a>", b"<", b"/>", b"\0", b"&#x2f;", b"&", b"\xff"),
        *(
            b"https://twitter.com/",
            b"//facebook.com/x",
            b"@avonbrook",
            b" Twitter ",
            b"javascript:",
        ),
        *(
            b"<script type=application/ld+json>",
            b"</script>",
            b'{"sameAs":',
            b"[",
            b"]",
            b"{{",
            b"<!--",
        ),
        *(
            b"<template>",
            b"<noscript>",
            b"<svg><a xlink:href=",
            b"<base href=",
            b"http://[",
            b"%5B",
        ),
        *(
            b'<meta name="twitter:site" content=',
            b"<footer>",
            b"<td>",
            b"<li>",
            b"<dl><dd>",
            b"<dt>",
        ),
        *(
            b" onclick=",
            b" data-x=",
            b" data-href=",
            b" itemprop=sameAs ",
            b" aria-labelledby=a id=a ",
        ),
        *(
            b"<textarea>",
            b"<!DOCTYPE",
            b"<?xml",
            b"]]>",
            b"\xef\xbb\xbf",
            b"\xfe\xff",
            b"<table><tr>",
        ),
    ]
)
BODIES = st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=40).map(b"".join)


@settings(deadline=None)
@given(BODIES, st.none() | st.text(max_size=40))
def test_any_bytes_give_observations_of_known_kinds(body: bytes, content_type: str | None) -> None:
    page = observe(body, BASE, content_type)
    assert len(page.observations) <= MOST_OBSERVATIONS
    for observation in page.observations:
        assert observation.mechanism in MECHANISMS
        assert observation.region in REGIONS
        assert len(observation.href) <= LONGEST_HREF


@settings(deadline=None)
@given(BODIES)
def test_any_bytes_give_the_page_itself(body: bytes) -> None:
    page = scan(body, BASE)
    assert len(page.links) <= MOST_LINKS
    assert page.language != ""
    assert page.refresh != ""
    assert page.is_empty_shell in {True, False}


@settings(deadline=None)
@given(BODIES)
def test_same_bytes_give_the_same_observations(body: bytes) -> None:
    assert scan(body, BASE).observations == scan(body, BASE).observations


@settings(deadline=None)
@given(st.text())
def test_any_text_is_searched(text: str) -> None:
    for written in in_text(text):
        assert 0 <= written.start < len(text)
    assert all(href for href, _ in in_script(text))
    assert all(isinstance(value, str) for _, value in in_json_ld(text))


@settings(deadline=None)
@given(st.text(), st.text(max_size=20))
def test_any_link_has_a_target(href: str, site: str) -> None:
    assert target_of(href, site) in {"network", "off_site", "short", "internal", "none"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_page_cut_anywhere_gives_a_page(path: Path, data: st.DataObject) -> None:
    body = path.read_bytes()
    end = data.draw(st.integers(0, len(body)))
    observe(body[:end], BASE)


def test_every_beginning_of_a_page_gives_a_page() -> None:
    body = next(path for path in PAGES if path.stem == "widget-badges").read_bytes()
    for end in range(len(body)):
        scan(body[:end], BASE)


@pytest.mark.parametrize(
    "unit",
    [
        *(b"<div>", b"<a>", b"<a href=x>", b"<p>@a ", b'data-x="', b"data-", b"<!--", b"&amp;"),
        *(b"//", b"//twitter.com/", b"x.com/", b"@", b", ", b"Twitter ", b"<td>", b"<li>", b"&lt;"),
        *(
            b"<a href='////",
            b"<a href='%2f%2f",
            b"<a href='",
            b'<a onclick="',
            b"<script>",
            b'{"sameAs":["',
            b"\xff",
            b"<b>",
            b"<svg>",
        ),
    ],
)
def test_repetition_is_not_quadratic(unit: bytes) -> None:
    """A megabyte would take hours if it were: the run itself is the test."""
    observe(unit * (1_000_000 // len(unit)), BASE)
