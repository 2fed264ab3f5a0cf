"""What a link means on its page: label, heading, sentence and language."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from bs4.element import Tag
from lxml import etree

from spiders.read import LONGEST_HEADING, LONGEST_LABEL, LONGEST_SENTENCE, MOST_READ, observe, read
from spiders.scan import scan
from spiders.soup import MOST_GROWN

if TYPE_CHECKING:
    from spiders.items import Observation

BASE = "https://www.avonbrook.example/council/social-media"
FACEBOOK = "https://www.facebook.com/avonbrook"
TWITTER = "https://twitter.com/avonbrookdc"


def seen(markup: str, href: str = FACEBOOK) -> Observation:
    """The one observation of this href, read."""
    page = observe(markup.encode(), BASE)
    found = [observation for observation in page.observations if observation.href == href]
    assert len(found) == 1
    return found[0]


# --- Labels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "content", "label"),
    [
        ("", "Our <b>Facebook</b> page", "Our Facebook page"),
        ('aria-label="Facebook, opens in a new window"', "f", "Facebook,"),
        ('aria-labelledby="a b"', "f", "Libraries on Facebook"),
        ('title="Facebook"', "", "Facebook"),
        ('title="visit us"', '<img src="/f.png" alt="Facebook">', "Facebook"),
        ("", '<svg role="img"><title>Facebook</title><path d="M0 0"/></svg>', "Facebook"),
        ("", '<i class="icon"></i><span class="visually-hidden">Facebook</span>', "Facebook"),
        ("", '<i class="icon" title="Facebook"></i>', "Facebook"),
        ("", '<span aria-hidden="true">f</span><span>Facebook</span>', "Facebook"),
        ("", '<span aria-hidden="true">Facebook</span>', "Facebook"),
        ("", "Facebook <em>(link is external)</em>", "Facebook"),
        ("", "Face\u202ebook\u200b\x07", "Facebook"),
        ("", "<!-- hidden -->", None),
        ("", "x" * 300, "x" * (LONGEST_LABEL - 1) + "…"),
    ],
)
def test_label_is_the_accessible_name(attributes: str, content: str, label: str | None) -> None:
    names = '<span id="a">Libraries</span> <span id="b">on Facebook</span>'
    assert seen(f'<p>{names} <a href="{FACEBOOK}" {attributes}>{content}</a></p>').label == label


def test_label_that_names_another_network_is_kept_and_the_link_stands() -> None:
    observation = seen(f'<a href="{TWITTER}" aria-label="Facebook">t</a>', TWITTER)
    assert (observation.href, observation.label) == (TWITTER, "Facebook")


def test_label_comes_from_the_link_that_has_one() -> None:
    icon = f'<a href="{FACEBOOK}"><i class="icon"></i></a>'
    assert seen(f'<p>{icon} <a href="{FACEBOOK}">Facebook</a></p>').label == "Facebook"


def test_label_comes_from_the_same_region() -> None:
    markup = (
        f'<main><a href="{FACEBOOK}">Libraries</a></main>'
        f'<footer><a href="{FACEBOOK}">Council</a></footer>'
    )
    labels = {o.region: o.label for o in observe(markup.encode(), BASE).observations}
    assert labels == {"main": "Libraries", "footer": "Council"}


def test_frame_is_labelled_by_its_title() -> None:
    source = (
        "https://www.facebook.com/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2Fabc123"
    )
    assert seen(f'<iframe title="Our page" src="{source}"></iframe>', source).label == "Our page"


# --- Headings ---------------------------------------------------------------------------------

LINK = f'<a href="{FACEBOOK}">Facebook</a>'


@pytest.mark.parametrize(
    ("markup", "heading"),
    [
        (f"<h1>Council</h1><h2>Libraries</h2><p>{LINK}</p>", "Libraries"),
        (f"<h2>Libraries</h2><ul><li>x</li><li>{LINK}</li></ul><h2>Museums</h2>", "Libraries"),
        (f"<div><h3>Libraries</h3></div><div><p>{LINK}</p></div>", "Libraries"),
        (f'<div class="card"><div class="card-title">Libraries</div>{LINK}</div>', "Libraries"),
        (f'<p role="heading">Libraries</p><p>{LINK}</p>', "Libraries"),
        (f"<p><strong>Libraries</strong></p><p>{LINK}</p>", "Libraries"),
        (f"<details><summary>Libraries</summary><p>{LINK}</p></details>", "Libraries"),
        (f"<fieldset><legend>Libraries</legend>{LINK}</fieldset>", "Libraries"),
        (f"<dl><dt>Libraries</dt><dd>{LINK}</dd></dl>", "Libraries"),
        (f"<ul><li>Libraries:<ul><li>{LINK}</li></ul></li></ul>", "Libraries"),
        (f"<ul><li><strong>Libraries</strong>: {LINK}</li></ul>", "Libraries"),
        (
            f'<h2 id="h">Libraries</h2><section></section><div aria-labelledby="h">{LINK}</div>',
            "Libraries",
        ),
        (f'<button aria-expanded="false">Libraries</button><div><p>{LINK}</p></div>', "Libraries"),
        (f'<h1>Council</h1><ul aria-label="Social media"><li>{LINK}</li></ul>', "Social media"),
        (f"<table><tr><th>Libraries</th><td>{LINK}</td></tr></table>", "Libraries"),
        (f"<table><tr><td>Libraries</td><td>{LINK}</td></tr></table>", "Libraries"),
        (
            f"<table><tr><th>Service</th><th>Facebook</th></tr><tr><td>Libraries</td><td>{LINK}</td></tr></table>",
            "Libraries – Facebook",
        ),
        (f"<h2>Libraries</h2><h3>Facebook</h3><p>{LINK}</p>", "Libraries – Facebook"),
        (f"<div><h3>Museums</h3><a href='/m'>m</a></div><div>{LINK}</div>", None),
        (f"<main><h2>Roads</h2></main><footer><p>{LINK}</p></footer>", None),
        (f"<h2>{'x' * 300}</h2>{LINK}", "x" * (LONGEST_HEADING - 1) + "…"),
    ],
)
def test_heading_is_the_nearest_that_names_the_entry(markup: str, heading: str | None) -> None:
    assert seen(markup).heading == heading


# --- Sentences --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "sentence"),
    [
        (f"<p>Like us on {LINK} for news.</p><p>More</p>", "Like us on Facebook for news."),
        (f"<ul><li>Libraries: {LINK}</li></ul>", "Libraries: Facebook"),
        (f"<table><tr><td>Libraries</td><td>{LINK}</td></tr></table>", "Libraries Facebook"),
        (f"<dl><dt>Libraries</dt><dd>{LINK}</dd></dl>", "Libraries Facebook"),
        (f"<div>One <p>two</p> three {LINK} four <p>five</p></div>", "three Facebook four"),
        (
            f"<div><h3>Facebook</h3><p>We no longer post here.</p>{LINK}</div>",
            "Facebook We no longer post here. Facebook",
        ),
        (
            f"<p>We have left X.</p><ul><li>{LINK}</li><li><a href='/b'>b</a></li></ul>",
            "We have left X.",
        ),
        (f"<ul><li>{LINK}</li><li><a href='/b'>b</a></li></ul><p>© Avonbrook</p>", None),
    ],
)
def test_sentence_is_what_surrounds_the_link(markup: str, sentence: str | None) -> None:
    assert seen(markup).sentence == sentence


def test_long_paragraph_is_cut_to_the_sentences_around_the_link() -> None:
    filler = "Bins are emptied weekly. " * 30
    sentence = seen(
        f"<p>{filler}We no longer post on {LINK}. Write to us instead. {filler}</p>"
    ).sentence
    assert sentence is not None
    assert "We no longer post on Facebook. Write to us instead." in sentence
    assert len(sentence) <= LONGEST_SENTENCE


def test_text_is_read_around_a_written_address() -> None:
    filler = "Bins are emptied weekly. " * 30
    written = "www.facebook.com/avonbrook"
    observation = seen(
        f"<h2>Libraries</h2><p>{filler}See {written} for more. {filler}</p>", written
    )
    assert observation.heading == "Libraries"
    assert observation.sentence is not None
    assert f"See {written} for more." in observation.sentence


# --- Language ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "language"),
    [
        (f'<html lang="en"><p>{LINK}</p>', "en"),
        (f'<html lang="en"><p lang="cy">{LINK}</p>', "cy"),
        (f'<html lang="en"><a href="{FACEBOOK}" hreflang="cy">Gweplyfr</a>', "cy"),
        (f'<html lang="[% lang %]"><p>{LINK}</p>', None),
    ],
)
def test_language_is_that_of_the_target_else_of_the_words(
    markup: str, language: str | None
) -> None:
    assert seen(markup).language == language


def test_twins_have_their_own_languages() -> None:
    markup = (
        f'<html lang="cy"><footer><a href="{TWITTER}">Trydar</a>'
        f'<a lang="en" href="https://twitter.com/avonbrooken">Twitter</a></footer>'
    )
    page = observe(markup.encode(), BASE)
    assert [o.language for o in page.observations] == ["cy", "en"]


# --- Which are read -----------------------------------------------------------------------------


def test_known_hrefs_are_not_read_in_the_template() -> None:
    page = observe(f"<footer>See {LINK}</footer>".encode(), BASE, known={FACEBOOK})
    assert [o.label for o in page.observations] == [None]


def test_known_hrefs_are_read_in_the_text_of_a_page() -> None:
    page = observe(f"<p>We have left {LINK}.</p>".encode(), BASE, known={FACEBOOK})
    assert [o.sentence for o in page.observations] == ["We have left Facebook."]


@pytest.mark.parametrize("href", ["/facebook", "https://bit.ly/3abcdef", FACEBOOK])
def test_what_could_be_an_account_is_read(href: str) -> None:
    assert seen(f'<p><a href="{href}">Our page</a></p>', href).label == "Our page"


@pytest.mark.parametrize(
    "href", ["https://supplier.example/", "https://www.facebook.com/sharer.php"]
)
def test_what_is_no_account_is_not_read(href: str) -> None:
    assert seen(f'<p><a href="{href}">Our page</a></p>', href).label is None


def test_limit_of_reading_leaves_the_rest_with_its_language() -> None:
    links = "".join(f'<a href="https://x.com/avonbrook{i}">x</a>' for i in range(MOST_READ + 1))
    page = observe(f'<html lang="en">{links}'.encode(), BASE)
    assert [o.label for o in page.observations[-2:]] == ["x", None]
    assert page.observations[-1].language == "en"


@pytest.mark.parametrize(("before", "label"), [(MOST_GROWN - 10, "Follow us"), (MOST_GROWN, None)])
def test_words_are_read_among_so_many_elements_of_a_page(before: int, label: str | None) -> None:
    link = '<a href="https://x.com/avonbrook">Follow us</a>'
    page = observe(f"<p>{'<br>' * before}{link}".encode(), BASE)
    assert [o.label for o in page.observations] == [label]


def test_no_tree_is_left_for_the_collector_when_a_page_is_read() -> None:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        observe(b'<main><p><a href="https://x.com/avonbrook">Follow us</a>', BASE)
        gc.collect()
        left = {type(thing) for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left.isdisjoint({Tag, etree._Element})


def test_social_media_page_gives_each_entry_its_service_and_network() -> None:
    """A table, an accordion, cards and a nested list, as council pages have them."""
    services = ("libraries", "museums", "roads", "parks")
    link = {s: f'<a href="https://twitter.com/avon{s}">@avon{s}</a>' for s in services}
    markup = f"""<main><h1>Our social media</h1>
    <table><thead><tr><th>Service</th><th>Twitter</th></tr></thead>
    <tbody><tr><td>Libraries</td><td>{link["libraries"]}</td></tr></tbody></table>
    <div class="accordion"><h2><button aria-expanded="false">Museums</button></h2>
    <div class="panel"><p>Twitter: {link["museums"]}</p></div></div>
    <div class="card"><h3>Roads</h3><p>Follow us on Twitter</p>{link["roads"]}</div>
    <ul><li>Parks<ul><li>Twitter {link["parks"]}</li></ul></li></ul></main>"""
    for observation, service in zip(
        observe(markup.encode(), BASE).observations, services, strict=True
    ):
        words = f"{observation.heading} {observation.label} {observation.sentence}".lower()
        assert service in words
        assert "twitter" in words


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"<", b"<a", b"<?xml version='1.0'?><html/>", b"\xff\xfe"]
)
def test_odd_body_is_read_without_complaint(body: bytes) -> None:
    assert observe(body, BASE).observations == []


def test_page_that_links_nowhere_is_not_parsed_again() -> None:
    page = scan(b'<html lang="gd"><meta name="twitter:site" content="@avonbrookdc">', BASE)
    assert [o.language for o in read(page, page.observations)] == ["gd"]
