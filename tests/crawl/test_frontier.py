"""The frontier: every rule by its own example, one form for all writings, each refusal named."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spiders.frontier import RULES, FollowError, Frontier, Limits, load_rules

if TYPE_CHECKING:
    from pathlib import Path

SITE = "https://www.avonbrook.example"
ROWS: dict[str, Any] = tomllib.loads(RULES.read_text(encoding="utf-8"))
FOLLOW = load_rules()


def _frontier(pages: int = 25, depth: int = 3, waiting: int = 100) -> Frontier:
    return Frontier(FOLLOW, Limits(pages, depth, waiting, 200))


@pytest.mark.parametrize("row", ROWS["follow"], ids=lambda row: row["example"])
def test_each_follow_rule_fits_its_example(row: dict[str, Any]) -> None:
    assert FOLLOW.weight(row["example"], "") == row["weight"]


@pytest.mark.parametrize("row", ROWS["refuse"], ids=lambda row: row["example"])
def test_each_refusal_fits_its_example(row: dict[str, Any]) -> None:
    assert FOLLOW.refusal(row["example"]) == row["name"]


@pytest.mark.parametrize("row", ROWS["drop"], ids=lambda row: row["example"])
def test_each_dropped_parameter_is_dropped(row: dict[str, Any]) -> None:
    assert FOLLOW.normalise(row["example"]) == row["example"].partition("?")[0]


_PIECES = (
    *("http", "https", "://", ":", "/", "//", "a", "b.example", "www.", "..", ".", "?", "a=1", "#"),
    *("utm_source=x", "%20", "%", "~", "-", "_", ";jsessionid=1", "(S(abc))", "@", ":80", ":443"),
    *("[::1]", "É", "\t", "A", "news", "http://h.example", "https://h.example/"),
)
_BASES = (None, "", "http://a.example/x/y?q#f", "https://b.example:443/", "http://u@h.example/")


@given(st.lists(st.sampled_from(_PIECES), max_size=7).map("".join), st.sampled_from(_BASES))
def test_the_short_way_to_the_one_form_leads_where_the_long_one_does(
    url: str, base: str | None
) -> None:
    assert FOLLOW.normalise(url, base) == FOLLOW.taken_apart(url, base)


def test_a_short_host_is_seen_however_it_is_written() -> None:
    hrefs = ["/bitly", "https://BIT.ly/3abcDEF", "https://bi\tt.ly/3abcDEF", "//tinyurl.com/a b"]
    found = FOLLOW.short_links("https://www.avonbrook.example/news", hrefs)
    assert found == ["https://bit.ly/3abcDEF", "https://tinyurl.com/a b"]
    assert FOLLOW.short_links("https://www.avonbrook.example/bitly", hrefs[:1]) == []


@pytest.mark.parametrize("row", ROWS["short_link"], ids=lambda row: row["example"])
def test_each_short_link_is_known(row: dict[str, Any]) -> None:
    assert row["example"].split("/")[2] in FOLLOW.short_hosts


@pytest.mark.parametrize("table", ["follow", "probe", "refuse", "drop", "short_link"])
def test_every_row_has_a_reason(table: str) -> None:
    assert all(row["reason"] and row["example"] for row in ROWS[table])


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("Social media", 100),
        ("Cyfryngau cymdeithasol", 100),
        ("Meadhanan sòisealta", 100),
        ("meadhanan soisealta", 100),
        ("DILYNWCH NI", 95),
        ("Cysylltwch â ni", 70),
        ("A–Z", 50),
        ("A to Z of services", 50),
        ("Newsletters", 75),
        ("Antisocial mediation", 0),
        ("Pay your council tax", 0),
        ("", 0),
    ],
)
def test_link_text_is_weighed_by_whole_words(text: str, weight: int) -> None:
    assert FOLLOW.weight(f"{SITE}/x", text) == weight


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("HTTPS://WWW.Avonbrook.Example:443/News#top", f"{SITE}/News"),
        (f"{SITE}", f"{SITE}/"),
        (f"{SITE}/a?utm_source=x&id=3&fbclid=y", f"{SITE}/a?id=3"),
        (f"{SITE}/a;jsessionid=0A1B?x=1", f"{SITE}/a?x=1"),
        (f"{SITE}/(S(abc123))/news", f"{SITE}/news"),
        ("http://www.avonbrook.example:8080/", "http://www.avonbrook.example:8080/"),
        ("mailto:x@avonbrook.example", None),
        ("file:///etc/passwd", None),
        ("javascript:void(0)", None),
        ("https://user@avonbrook.example/", None),
        ("http://[::1", None),
        ("https://www.avonbrook.example:99999/", None),
    ],
)
def test_a_url_has_one_form(url: str, form: str | None) -> None:
    assert FOLLOW.normalise(url) == form


@given(st.text(max_size=80))
def test_any_text_has_one_form_or_none(text: str) -> None:
    form = FOLLOW.normalise(text, f"{SITE}/a/b")
    assert form is None or FOLLOW.normalise(form) == form


def test_the_most_promising_link_is_next() -> None:
    frontier = _frontier()
    for path in ("news", "social-media", "contact"):
        frontier.offer(f"{SITE}/{path}", "", 1)
    tasks = [frontier.next() for _ in range(4)]
    assert [task and task.url.rpartition("/")[2] for task in tasks] == [
        "social-media",
        "contact",
        "news",
        None,
    ]


def test_a_link_is_taken_once() -> None:
    frontier = _frontier()
    assert frontier.offer(f"{SITE}/news", "", 1)
    assert frontier.offer(f"{SITE}/news", "", 1) is None


@pytest.mark.parametrize(
    ("url", "depth", "reason"),
    [
        (f"{SITE}/news", 9, "depth"),
        (f"{SITE}/news/{'a' * 300}", 1, "long_url"),
        (f"{SITE}/news/a/news/a/news", 1, "repeated_path"),
        (f"{SITE}/news/{'/'.join('abcdefghijklm')}", 1, "deep_path"),
        (f"{SITE}/news.pdf?x=news", 1, "file"),
    ],
)
def test_what_is_kept_out_is_counted_by_name(url: str, depth: int, reason: str) -> None:
    frontier = _frontier()
    assert frontier.offer(url, "News", depth) is None
    assert frontier.refused == {reason: 1}


def test_the_queue_has_an_end() -> None:
    frontier = _frontier(waiting=2)
    for i in range(5):
        frontier.offer(f"{SITE}/news/{i}", "", 1)
    assert (len(frontier.left()), frontier.refused) == (2, {"too_many_links": 3})


def test_a_row_without_weight_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "follow.toml"
    path.write_text('[[follow]]\nwords = ["news"]\n')
    with pytest.raises(FollowError, match=r"follow\.toml.*weight"):
        load_rules(path)
