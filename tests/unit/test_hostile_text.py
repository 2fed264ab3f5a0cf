"""Whatever strangers write stays text: in tables, in spreadsheets, on the hub, on a terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd
import pytest

from hub.build import build as build_hub
from pipeline.explain import explain
from pipeline.ingest import TEXT_LIMIT, read_crawl
from pipeline.release import read_release
from pipeline.show import show
from spiders.read import LONGEST_READ, observe
from tests.unit.releases import LINKS, WEX, made, pages
from tests.unit.samples import link, page, write_crawl

if TYPE_CHECKING:
    from pathlib import Path

FACEBOOK = "https://www.facebook.com/WexdaleCouncil"
MARKUP = "</script></textarea><script>alert(1)</script><img src=x onerror=alert(1)>"
HOSTILE = {
    "formula": "=cmd|' /C calc'!A0",
    "formula behind blanks": "\t\r\n=1+1",
    "formula of wide letters": "\uff1d1+1",
    "markup": MARKUP,
    "attribute": '" onmouseover="alert(1)" \'',
    "script url": "javascript:alert(1)",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7}",
    "control characters": "Follow\x00\x1b[2J\x07\x7f\x85 us",
    "direction": "Follow \u202eetisbew eht\u202c \u2066us\u2069\u200f\u061c",
    "line separators": "Follow\u2028us\u2029",
    "no width": "F\u200bo\u200cl\u200dl\u2060o\ufeffw\u00ad\u034f\u3164",
    "tags": "Follow" + "".join(chr(0xE0000 + ord(c)) for c in "hidden"),
    "a megabyte": "Follow us on this network " * 40_000,
    "a megabyte of one word": "a" * 1_000_000,
    "accents without end": "Follow" + "\u0301" * 5_000,
    "half a character": "Follow \ud83d us",
    "markdown": "[us](javascript:alert(1)) `code` | ![x](http://tracker.example/x.png)",
}


def shown_only(text: str) -> bool:
    """Whether a text is one line of characters that are seen, and not too long."""
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return len(text) <= TEXT_LIMIT and not any(unicodedata.category(c) in unseen for c in text)


def escaped(text: str) -> str:
    """The text as an author of HTML who knows what they do would write it."""
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
    return "".join(named.get(c, c) for c in text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_words_of_a_page_are_cut_and_cleaned_where_they_are_read(text: str) -> None:
    said = escaped(text)
    body = (
        f"<html lang='{said[:200]}'><h2>{said}</h2><p>See {said} <a href='{FACEBOOK}' "
        f"aria-label='{said}' title='{said}'>{said}</a>.</p>"
    )
    found = observe(body.encode("utf-8", "replace"), WEX).observations
    words = [word for o in found for word in (o.label, o.heading, o.sentence, o.language) if word]
    assert words or len(text) > LONGEST_READ // 4  # it stands four times on the page
    assert all(map(shown_only, words))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_words_are_cut_and_cleaned_before_they_enter_the_table(tmp_path: Path, text: str) -> None:
    words = dict.fromkeys(("label", "heading", "sentence", "language", "hint"), text)
    folder = write_crawl(tmp_path / "c", [])
    line = json.dumps(page("WEX", WEX, link(FACEBOOK, **words)))
    (folder / "pages.jsonl").write_text(line + "\n", "utf-8")
    table = read_crawl(folder).observations
    entered = [word for name in words for word in table[name].to_pylist() if word]
    assert len(entered) == len(words)
    assert all(map(shown_only, entered))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of a council on whose pages every hostile text stands, in every place."""
    observations = [
        link(LINKS["WEX"][0], label=text, heading=text, sentence=text)
        for text in HOSTILE.values()
        if "\ud83d" not in text
    ]
    hrefs = [
        "javascript:alert(document.domain)//https://x.com/a",
        f"https://x.com/WexdaleCouncil{MARKUP}",
        'https://www.facebook.com/Wexdale"onload="alert(1)',
        f"https://evil.example/{MARKUP}",
        "https://www.linkedin.com/company/=cmd|'%20/C%20calc'!A0",
        "https://www.youtube.com/@=HYPERLINK(1)",
        "https://www.tiktok.com/@\u202eelalixew",
        "https://mastodon.social/@a\x1b[2J",
        "data:text/html,<script>alert(1)</script>",
    ]
    lines = pages()
    lines[0] |= {
        "observations": observations + [link(href, label=MARKUP) for href in hrefs],
        "final_url": WEX + "?a=<script>alert(1)</script>",
    }
    return made(tmp_path_factory.mktemp("hostile"), lines).folder


def test_no_cell_of_a_spreadsheet_runs(release: Path) -> None:
    for path in release.glob("*.csv"):
        cells = pd.read_csv(path, dtype="str", keep_default_na=False).to_numpy().ravel()
        assert not [cell for cell in cells if re.match("\\s*['‘]?[=+@\\-\t\r\n＝＋－＠]", cell)
                    and not cell.startswith("'")]  # fmt: skip
        assert all(shown_only(line) for cell in cells for line in cell.split("\n"))


def test_links_are_published_as_our_grammar_writes_them(release: Path) -> None:
    tables = read_release(release)
    directory = tables.frame("directory")
    columns = [name for name in directory if str(name).endswith("_url")]
    urls = [*tables.frame("accounts")["url"], *directory[columns].to_numpy().ravel()]
    for url in filter(lambda url: isinstance(url, str), urls):
        assert re.fullmatch(r"https://[a-z0-9.-]+(/[\w\-.~%@:+,;!$()*/?=&']*)?", url, re.ASCII), url


class Page(HTMLParser):
    """What a browser would run or follow on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.images: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "script":
            self.scripts.append(values.get("src") or values.get("type") or "inline")
        if tag == "img":
            self.images.append(values.get("src") or "")
        self.addresses += [v for k, v in attrs if k in {"href", "src", "action"} and v]


def test_nothing_hostile_runs_on_the_hub(release: Path, tmp_path: Path) -> None:
    build_hub(release, tmp_path / "site")
    paths = [*(tmp_path / "site").rglob("*.html")]
    assert paths
    for path in paths:
        found = Page(path.read_text("utf-8"))
        assert found.handlers == []
        assert {urlsplit(a).scheme for a in found.addresses} <= {"", "https", "http", "mailto"}
        assert all(script.startswith("/") or "json" in script for script in found.scripts)
        assert not [image for image in found.images if "tracker" in image]


def test_nothing_hostile_steers_a_terminal(
    release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = read_release(release)
    names = ("accounts", "rejections", "signals", "coverage", "councils", "fetches")
    told = explain("WEX", {name: tables.frame(name) for name in names if name in tables.tables})
    assert all(c.isprintable() or c == "\n" for c in told)
    show(("text",), [{"text": text} for text in HOSTILE.values()], "table")
    assert all(c.isprintable() or c == "\n" for c in capsys.readouterr().out)
