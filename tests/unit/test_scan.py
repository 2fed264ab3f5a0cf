"""Every place of a page that can name an account, and every kind of noise that cannot.

The pages of tests/sites/places say in a comment what they show and which observations they expect;
the rows of data/rules/places.toml carry their own examples.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.platforms import Account, identify
from pipeline.schema import MECHANISMS, REGIONS
from spiders.places import load_places
from spiders.scan import MOST_LINKS, MOST_MENTIONS, MOST_OBSERVATIONS, Page, scan
from spiders.target import LONGEST_HREF, is_short_address, target_of

if TYPE_CHECKING:
    from spiders.items import Observation

PLACES = Path(__file__).parents[1] / "sites" / "places"
PAGES = sorted(PLACES.glob("*.html"))
BASE = "https://www.avonbrook.example/council/index.html"
EXPECTED = re.compile(r"^expect: (\w+) (\w+) (?:\[(\w+)\] )?(.+)$", re.MULTILINE)
FACEBOOK = "https://www.facebook.com/avonbrook"

Row = tuple[str, str, str, str | None]


def row(observation: Observation) -> Row:
    """Mechanism, region, href on one line, and hint."""
    href = "".join(observation.href.split())
    return observation.mechanism, observation.region, href, observation.hint


def is_expected(observation: Observation) -> bool:
    """An account, an off-site link or a short address; not what the grammar rejects by name."""
    decision = identify(observation.href, observation.hint)
    if isinstance(decision, Account):
        return decision.via != "post"
    return decision.reason == "unknown_host" or is_short_address(observation.href)


def hrefs(markup: str) -> list[str]:
    return [observation.href for observation in scan(markup.encode(), BASE).observations]


def regions(markup: str) -> list[str]:
    return [observation.region for observation in scan(markup.encode(), BASE).observations]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_gives_what_it_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted = {(m, r, href, hint or None) for m, r, hint, href in EXPECTED.findall(text)}
    assert wanted or "expect: nothing" in text
    assert {row(o) for o in scan(text.encode(), BASE).observations if is_expected(o)} == wanted


def test_every_mechanism_has_a_page() -> None:
    found = {m for path in PAGES for m, *_ in EXPECTED.findall(path.read_text(encoding="utf-8"))}
    assert found == set(MECHANISMS)


def test_every_region_has_a_page() -> None:
    found = {r for path in PAGES for _, r, *_ in EXPECTED.findall(path.read_text(encoding="utf-8"))}
    assert found == set(REGIONS)


def examples() -> list[Any]:
    rows = load_places().rows
    tables = ("meta", "handle", "element", "call", "script", "network")
    listed = [(f"{table}-{i}", r) for table in tables for i, r in enumerate(rows[table])]
    listed.append(("addthis", {**rows["addthis"], "hint": "facebook"}))
    return [pytest.param(r, id=name) for name, r in listed]


@pytest.mark.parametrize("rule", examples())
def test_example_of_rule_is_found(rule: dict[str, Any]) -> None:
    assert rule["finds"] in hrefs(rule["example"])


@pytest.mark.parametrize("rule", examples())
def test_rule_has_a_reason(rule: dict[str, Any]) -> None:
    assert rule["reason"]


# --- Targets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "target"),
    [
        (FACEBOOK, "network"),
        ("HTTPS://WWW.FACEBOOK.COM/avonbrook", "network"),
        ("\n //twitter.com/avonbrookdc\t", "network"),
        ("facebook.com/avonbrook", "network"),
        ("https:/www.facebook.com/avonbrook", "network"),
        ("/news/www.facebook.com-scams", "internal"),
        ("/go?to=https%3A%2F%2Fwww.facebook.com%2Favonbrook", "network"),
        ("https://www.avonbrook.example/https://twitter.com/avonbrookdc", "network"),
        ("https://facebook.com.evil.example/avonbrook", "off_site"),
        ("https://twitter.com@evil.example/", "off_site"),
        ("http://[half/", "off_site"),
        ("https://petitions.avonbrook.example/", "internal"),
        ("about", "internal"),
        ("/news/facebook-scams", "internal"),
        ("/facebook", "short"),
        ("http://avonbrook.example/social/Twitter.aspx?id=3", "short"),
        ("#facebook", "none"),
        ("mailto:facebook@avonbrook.example", "none"),
        ("javascript:window.open('https://www.facebook.com/avonbrook')", "none"),
        ("   ", "none"),
    ],
)
def test_target_of(href: str, target: str) -> None:
    assert target_of(href, "avonbrook.example") == target


def test_internal_links_are_no_observations() -> None:
    assert hrefs('<a href="/news">News</a><a href="https://avonbrook.example/a">A</a>') == []


def test_off_site_link_is_kept() -> None:
    assert hrefs('<a href="https://supplier.example/">Supplier</a>') == [
        "https://supplier.example/"
    ]


def test_href_stays_as_written() -> None:
    href = "  https://www.facebook.com/avon brook?ref=ts&x=1  "
    assert hrefs(f'<a href="{href}">Facebook</a>') == [href]


def test_same_link_in_one_region_is_one_observation() -> None:
    assert len(hrefs(f'<a href="{FACEBOOK}">a</a><a href="{FACEBOOK}">b</a>')) == 1


def test_same_link_in_two_regions_is_two_observations() -> None:
    link = f'<a href="{FACEBOOK}">a</a>'
    assert regions(f"<header>{link}</header><footer>{link}</footer>") == ["header", "footer"]


# --- Regions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "region"),
    [
        ("<footer><nav>{}</nav></footer>", "footer"),
        ("<main><article><footer>{}</footer></article></main>", "main"),
        ("<main><article><header>{}</header></article></main>", "main"),
        ("<main><div>{}</div><footer></footer></main>", "main"),
        ("<main><aside>{}</aside></main>", "aside"),
        ('<div role="contentinfo">{}</div>', "footer"),
        ('<div role="banner"><nav>{}</nav></div>', "header"),
        ('<div id="ftr">{}</div>', "footer"),
        ('<div class="region region-footer">{}</div>', "footer"),
        ('<div class="globalFooterInner">{}</div>', "footer"),
        ('<div class="card__footer">{}</div>', "main"),
        ('<div class="no-footer">{}</div>', "main"),
        ('<div class="barefoot">{}</div>', "main"),
        ("<p>{}</p>", "main"),
    ],
)
def test_region_of_a_link(markup: str, region: str) -> None:
    assert regions(markup.format(f'<a href="{FACEBOOK}">Facebook</a>')) == [region]


# --- Text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Write to twitter@avonbrook.example",
        "RT @somebody on the road works",
        "Twitter. Photo: @somebody",
        "See you @ 5pm on Twitter",
        "Thanks to @somebody, who helped",
        "Twitter is one network among others, and there is much more to say before @somebody",
        "avonbrook.example/facebook.com",
        "Visit essex.com/avonbrook",
        'href="https://www.facebook.com/avonbrook"',
    ],
)
def test_text_names_no_account(text: str) -> None:
    assert hrefs(f"<p>{text}</p>") == []


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ("<p>Twitter: @avonbrookdc.</p>", ["@avonbrookdc"]),
        ("<p><b>Twitter</b> <span>@avonbrookdc</span></p>", ["@avonbrookdc"]),
        ("<p>Twitter: @avonbrookdc and @avonbrooknews</p>", ["@avonbrookdc", "@avonbrooknews"]),
        ("<p>Facebook (facebook.com/avonbrook)</p>", ["facebook.com/avonbrook"]),
        ("<p>__https://www.facebook.com/avonbrook__</p>", []),
        ("<p>Facebook</p><script>x</script><p>@avonbrook</p>", ["@avonbrook"]),
    ],
)
def test_text_names_accounts(markup: str, found: list[str]) -> None:
    expected = found or ["https://www.facebook.com/avonbrook__"]
    assert hrefs(markup) == expected


def test_words_of_a_link_to_a_network_name_nothing_more() -> None:
    assert hrefs(f'<p><a href="{FACEBOOK}">Facebook</a> @somebody</p>') == [FACEBOOK]


def test_text_of_a_link_that_leads_nowhere_counts() -> None:
    assert hrefs('<p><a href="#">www.facebook.com/avonbrook</a></p>') == [
        "www.facebook.com/avonbrook"
    ]


# --- Encodings --------------------------------------------------------------------------------

WELSH = f'<title>Cyngor Bro Ŵyr</title><p>Trydar: @broŵyr <a href="{FACEBOOK}">Gweplyfr</a></p>'


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (WELSH.encode(), None),
        (WELSH.encode(), "text/html; charset=iso-8859-1"),
        (b"\xef\xbb\xbf" + WELSH.encode(), "text/html; charset=iso-8859-1"),
        (WELSH.encode("utf-16"), "text/html; charset=utf-8"),
        (WELSH.encode("utf-16-le"), None),
        (WELSH.encode("utf-16-be"), None),
        (WELSH.encode("utf-32"), None),
        (WELSH.encode("iso8859-14"), "text/html; charset=iso-8859-14"),
        (b'<meta charset="iso-8859-14">' + WELSH.encode("iso8859-14"), None),
    ],
)
def test_text_is_decoded(body: bytes, header: str | None) -> None:
    assert scan(body, BASE, header).text.startswith("Cyngor Bro Ŵyr\n")


@pytest.mark.parametrize("charset", ["utf-8", "rot13", "unicode_escape", "no-such-thing", "utf-16"])
def test_wrong_charset_falls_back_to_windows_1252(charset: str) -> None:
    page = scan(
        "<title>Council’s page</title>".encode("cp1252"), BASE, f"text/html; charset={charset}"
    )
    assert page.text == "Council’s page"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\0",
        b"<",
        b"<html",
        b"<!--",
        b"\xff\xfe",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"%PDF-1.7",
        b"{}",
        b"<?xml version='1.0' encoding='utf-16'?><html/>",
        b"<script>document.write('<a href=",
        b'<base href="http://[/"><a href="x">x</a>',
        b"<script type='application/ld+json'>" + b"[" * 100_000,
    ],
)
def test_odd_body_gives_a_page(body: bytes) -> None:
    page = scan(body, BASE)
    assert isinstance(page, Page)
    assert page.observations == []


def test_null_bytes_do_not_end_the_page() -> None:
    assert hrefs(f'<p>\0</p><a href="{FACEBOOK}">Facebook</a>') == [FACEBOOK]


@pytest.mark.parametrize("start", ["<title>Avonbrook</title>", "<head><title>Avonbrook</title>"])
def test_a_head_that_is_not_closed_ends_where_the_page_begins(start: str) -> None:
    link = f'<a href="{FACEBOOK}">Facebook</a>'
    assert regions(f"{start}<main>{link}</main><footer>{link}</footer>") == ["main", "footer"]


def test_attributes_in_capitals_count() -> None:
    assert hrefs(f"""<P ONCLICK="open('{FACEBOOK}')">Facebook</P>""") == [FACEBOOK]


# --- Sizes ------------------------------------------------------------------------------------


def test_deep_nesting_hides_no_link() -> None:
    assert hrefs("<div>" * 10_000 + f'<a href="{FACEBOOK}">Facebook</a>') == [FACEBOOK]


def test_observations_are_cut_and_say_so() -> None:
    many = "".join(
        f'<a href="https://site{i}.example/">x</a>' for i in range(MOST_OBSERVATIONS + 1)
    )
    page = scan(many.encode(), BASE)
    assert (len(page.observations), page.truncated) == (MOST_OBSERVATIONS, True)


def test_links_to_follow_are_cut() -> None:
    page = scan("".join(f'<a href="/{i}">x</a>' for i in range(MOST_LINKS + 1)).encode(), BASE)
    assert len(page.links) == MOST_LINKS


def test_mentions_are_cut_and_say_so() -> None:
    page = scan(b"<p>@somebody" * (MOST_MENTIONS + 1), BASE)
    assert (page.observations, page.truncated) == ([], True)


def test_long_href_is_cut() -> None:
    assert hrefs(f'<a href="{FACEBOOK}?{"x" * 1_000_000}">x</a>') == [
        f"{FACEBOOK}?{'x' * LONGEST_HREF}"[:LONGEST_HREF]
    ]


# --- The page itself ----------------------------------------------------------------------------


def test_base_element_is_respected() -> None:
    assert scan(b'<base href="/cy/">', BASE).base_url == "https://www.avonbrook.example/cy/"


@pytest.mark.parametrize(
    ("markup", "language"),
    [
        ('<html lang="cy">', "cy"),
        ('<html xml:lang="en-GB">', "en-GB"),
        ('<html><meta http-equiv="Content-Language" content="gd">', "gd"),
        ('<html lang="[% lang %]">', None),
        ("<html>", None),
    ],
)
def test_language_of_page(markup: str, language: str | None) -> None:
    assert scan(markup.encode(), BASE).language == language


def test_refresh_is_absolute() -> None:
    page = scan(b'<meta http-equiv="Refresh" content="0; URL=\'/home\'">', BASE)
    assert page.refresh == "https://www.avonbrook.example/home"


def test_refresh_of_the_page_itself_leads_nowhere() -> None:
    assert scan(b'<meta http-equiv="refresh" content="300">', BASE).refresh is None


def test_page_made_in_the_browser_is_an_empty_shell() -> None:
    page = scan(b'<body><div id="root"></div><script>start("a long text");</script></body>', BASE)
    assert page.is_empty_shell


@pytest.mark.parametrize(
    "markup", ["<p>Short page</p>", '<div id="root">' + "words " * 100 + "</div>"]
)
def test_page_with_text_is_no_shell(markup: str) -> None:
    assert not scan(markup.encode(), BASE).is_empty_shell


def test_a_page_is_the_same_whatever_pages_of_its_site_came_before() -> None:
    head = '<link rel="canonical" href="/a"><link rel="me" href="/a">'
    pages = ['<body><a href="/a">A</a><a href="/b">B</a></body>', f"{head}<a href='/a'>A</a>"]
    alone = [scan(page.encode(), f"https://www.{n}.example/") for n, page in enumerate(pages)]
    together = [scan(page.encode(), "https://www.oakshire.example/") for page in pages]
    for one, other in zip(alone, together, strict=True):
        assert one.observations == other.observations
        assert [(e.tag, href) for e, href in one.links] == [(e.tag, h) for e, h in other.links]
