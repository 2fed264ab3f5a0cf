"""Where a page leads: the links that promise something, each once, and none off the site."""

from __future__ import annotations

import pytest

from spiders.leads import Leads, leads_of
from spiders.scan import scan

BASE = "https://www.avonbrook.example/council/"
OWN = frozenset({"avonbrook.example", "avonbrook-libraries.example"})


def leads(markup: str, most: int = 100) -> Leads:
    return leads_of(scan(markup.encode(), BASE), BASE, OWN, most)


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ('<a href="/contact-us">Here</a>', ("/contact-us", "Here")),
        ('<a href="/p?id=7">Contact  us</a>', ("/p?id=7", "Contact us")),
        ('<a href="/p7"><img alt=""></a><a href="/p7" title="News"></a>', ("/p7", "News")),
        ('<a href="/p7">Seven</a><a href="/p7">News</a><a href="/p7">Press</a>', ("/p7", "News")),
        ('<a href="news">A</a><a href="/council/news#b">B</a>', ("/council/news", "A")),
        ('<map><area href="/news"></map>', ("/news", "")),
        ('<iframe src="/news"></iframe>', ("/news", "")),
        ('<a href="/news?at=https://x.com/a">A</a>', ("/news?at=https://x.com/a", "A")),
    ],
)
def test_a_promising_link_comes_with_the_text_it_promises_with(
    markup: str, expected: tuple[str, str]
) -> None:
    path, text = expected
    assert leads(markup).links == [(f"https://www.avonbrook.example{path}", text)]


@pytest.mark.parametrize(
    "href",
    [
        "/bins",
        "mailto:news@avonbrook.example",
        "#news",
        "",
        "https://www.facebook.com/news",
        "https://www.other.example/news",
        "//other.example/news",
        "http://[/news",
    ],
)
def test_a_link_that_promises_nothing_or_leaves_the_site_is_no_lead(href: str) -> None:
    assert leads(f'<a href="{href}">A page</a>').links == []


@pytest.mark.parametrize("host", ["www.avonbrook-libraries.example", "news.avonbrook.example"])
def test_every_host_on_a_domain_of_the_site_is_the_site(host: str) -> None:
    assert leads(f'<a href="https://{host}/news">x</a>').links == [(f"https://{host}/news", "x")]


def test_a_page_whose_base_is_elsewhere_leads_nowhere() -> None:
    markup = '<base href="https://www.other.example/"><a href="/news">News</a>'
    assert leads(markup).links == []


def test_links_to_look_at_are_counted() -> None:
    markup = '<a href="/bins">Bins</a><a href="/news">News</a>'
    assert leads(markup, most=1).links == []


def test_short_links_and_a_refresh_are_leads() -> None:
    refresh = '<meta http-equiv="Refresh" content="0; url=/home">'
    found = leads(f'{refresh}<a href="https://bit.ly/3abc">Our page</a>')
    assert found == Leads("https://www.avonbrook.example/home", [], ["https://bit.ly/3abc"])
