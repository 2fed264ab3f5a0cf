"""Where a page leads: the links that promise something, each once, and none off the site."""

from __future__ import annotations

import pytest

from spiders.frontier import Seen
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


def test_a_menu_is_looked_at_once_for_each_root_of_a_site() -> None:
    menu = '<a href="/news">News</a><a href="news">News</a><a href="/bins">Bins</a>'
    other = "http://www.avonbrook.example/"
    seen = Seen({"https://www.avonbrook.example/news"})
    for _ in range(2):
        at_home = leads_of(scan(menu.encode(), BASE), BASE, OWN, 100, seen)
        assert at_home.links == [("https://www.avonbrook.example/council/news", "News")]
        elsewhere = leads_of(scan(menu.encode(), other), other, OWN, 100, seen)
        assert elsewhere.links == [("http://www.avonbrook.example/news", "News")]
    assert seen.hrefs["https://www.avonbrook.example/"] == {"/news"}


def test_a_hostile_menu_is_not_remembered_whole() -> None:
    hrefs = [f"/news/{number}" for number in range(2_000)] + ["/news/" + "x" * 1_000]
    seen = Seen({f"https://www.avonbrook.example{href}" for href in hrefs})
    menu = "".join(f'<a href="{href}">News</a>' for href in hrefs).encode()
    assert leads_of(scan(menu, BASE), BASE, OWN, 5_000, seen).links == []
    assert sum(map(len, seen.hrefs["https://www.avonbrook.example/"])) < 500 * 200
