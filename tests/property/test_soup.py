"""What is left out of a page before BeautifulSoup reads it held no word that is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spiders import read
from spiders.document import parse
from spiders.read import observe
from spiders.soup import grow

if TYPE_CHECKING:
    from collections.abc import Collection

    from bs4 import BeautifulSoup
    from lxml import etree

    from spiders.items import Observation

BASE = "https://www.avonbrook.example/"
TESTS = Path(__file__).parents[1]
PAGES = sorted((*TESTS.glob("sites/**/*.html"), *TESTS.parent.glob("data/sample/sites/**/*.html")))
FACEBOOK, TWITTER = "https://www.facebook.com/avonbrook", "https://x.com/avonbrookdc"


def grow_whole(root: etree._Element, _around: Collection[str] | None = None) -> BeautifulSoup:
    return grow(root)


def read_whole(body: bytes) -> list[Observation]:
    with patch.object(read, "grow", grow_whole):
        return observe(body, BASE).observations


@pytest.mark.parametrize("path", PAGES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_page_of_the_tests_is_read_as_if_it_were_whole(path: Path) -> None:
    body = path.read_bytes()
    assert observe(body, BASE).observations == read_whole(body)


BLOCKS = (
    *("div", "div", "section", "article", "main", "nav", "header", "footer", "aside", "form"),
    *("ul", "ol", "li", "li", "dl", "dt", "dd", "table", "tr", "td", "th", "caption", "p", "p"),
    *("h2", "h3", "figure", "details", "summary", "button", "strong", "b", "span", "noscript", "a"),
)
ATTRIBUTES = st.sampled_from(
    [
        *("", "", "", ' class="card__title"', ' class="site-footer"', ' role="heading"'),
        *(' id="a"', ' id="b"', ' aria-labelledby="a b"', ' aria-label="Parks"', ' lang="cy"'),
        *(' aria-expanded="true"', ' role="navigation"', f' data-url="{FACEBOOK}"'),
    ]
)
TEXTS = st.sampled_from(["", " ", "Libraries", "Twitter", "Follow us. ", "\n", "<br>", "Museums: "])
LINKS = st.sampled_from([FACEBOOK, FACEBOOK, TWITTER, "/news", "/parks", "https://other.example/"])


def element(tag: str, attributes: str, children: list[str]) -> str:
    return f"<{tag}{attributes}>{''.join(children)}</{tag}>"


def link(href: str, attributes: str, text: str) -> str:
    return f'<a href="{href}"{attributes}>{text}</a>'


FRAME = f'<iframe title="Our page" src="{FACEBOOK}"></iframe>'
LEAVES = st.one_of(TEXTS, st.builds(link, LINKS, ATTRIBUTES, TEXTS), st.just(FRAME))
MARKUP = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        element, st.sampled_from(BLOCKS), ATTRIBUTES, st.lists(inner, min_size=1, max_size=5)
    ),
    max_leaves=40,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.lists(MARKUP, min_size=1, max_size=6), st.booleans())
def test_any_page_is_read_as_if_it_were_whole(parts: list[str], has_account: bool) -> None:
    account = link(FACEBOOK, "", "") if has_account else ""
    body = f"<html lang=en><body>{''.join(parts)}{account}</body></html>".encode()
    assert observe(body, BASE).observations == read_whole(body)


def test_an_attribute_whose_name_cannot_be_looked_up_is_no_hindrance() -> None:
    body = f'<p \x01odd="1">We are on <a href="{TWITTER}">X</a>.</p>'.encode()
    assert [o.sentence for o in observe(body, BASE).observations] == ["We are on X."]


def test_what_only_holds_links_is_emptied() -> None:
    menu = "".join(f'<li><a href="/{i}">Step {i}</a></li>' for i in range(50))
    main = "<p>Words without end. <a href=/a>More</a></p>" * 50
    footer = f'<h2>Follow us</h2><ul><li><a href="{TWITTER}">X</a></li></ul>'
    body = f"<nav><ul>{menu}</ul></nav><main><h1>News</h1>{main}</main><footer>{footer}</footer>"
    soup = grow(parse(body.encode()), {TWITTER})
    assert [str(tag) for tag in soup.body.find_all(True, recursive=False)] == [  # type: ignore[union-attr]  # it has one
        "<nav><a></a><a></a></nav>",
        "<main><a></a><a></a></main>",
        f"<footer>{footer}</footer>",
    ]
    assert len(grow(parse(body.encode())).find_all("a")) == 101
