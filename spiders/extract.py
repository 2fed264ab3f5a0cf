"""One answer of a server → its named outcome and what its page carries.

The live crawl, its replay and the reading of archives all come through here, so that the same
bytes give the same record whichever way they came.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spiders.items import Fetch
from spiders.journal import observations_as_written
from spiders.leads import Leads, leads_of
from spiders.read import observe

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spiders.frontier import Seen
    from spiders.scan import Page

RULES = Path(__file__).parents[1] / "data" / "rules" / "blocked.toml"
_TITLE = re.compile(rb"(?is)<title[^>]*>(.{0,300}?)</title")
_HTML = re.compile(r"(?i)^\s*(?:text/html|application/xhtml\+xml)")
_TEXT = re.compile(r"(?i)^\s*(?:text/|application/(?:.*\+)?xml|application/(?:x-)?gzip)")
_HEAD_BYTES = 20_000  # a title stands within these
# A tree takes some fifty times the bytes of its page; the largest honest pages have a tenth of it.
PAGE_BYTES = 1_500_000
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]|^%PDF-")  # WHATWG MIME Sniffing, 3
_BEFORE_MARKUP = b"\x00\xff\xfe\xef\xbb\xbf \t\r\n\f"  # byte order marks and white space


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """One row of data/rules/blocked.toml, compiled."""

    outcome: str
    name: str
    status: frozenset[int]
    header: tuple[tuple[str, str], ...]
    body: tuple[bytes, ...]
    title: tuple[str, ...]
    max_bytes: int | None

    def may_fit(self, answer: Answer, title: str) -> bool:
        """Whether all conditions hold but that for the body: these are soon told."""
        if self.status and answer.status not in self.status:
            return False
        if self.max_bytes is not None and len(answer.body) > self.max_bytes:
            return False
        if self.title and not any(part in title for part in self.title):
            return False
        headers = answer.headers
        return all(name in headers and part in headers[name] for name, part in self.header)

    def fits(self, lowered: bytes) -> bool:
        """Whether the condition for the body, in lower case, holds."""
        return not self.body or any(part in lowered for part in self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came from a server, decoded: headers by lower-case name, `truncated` if cut short."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: whose, which URL, why, how deep, when the answer came.

    `own` are the domains of the site that it was asked of.
    """

    council_id: str
    url: str
    purpose: str
    depth: int
    fetched_at: str
    is_home: bool = False
    own: frozenset[str] = frozenset()

    def fetch(self, outcome: str) -> Fetch:
        """The record of a request that brought no answer to read."""
        return Fetch(
            council_id=self.council_id,
            url=self.url,
            purpose=self.purpose,
            depth=self.depth,
            outcome=outcome,
            fetched_at=self.fetched_at,
            is_home=self.is_home,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading an answer, for a crawl: its record, and where its page leads.

    The record's observations, `count` of them, are written already; `hrefs` are those of a home
    page's.
    """

    fetch: Fetch
    observations: str
    count: int
    hrefs: frozenset[str]
    leads: Leads | None


@cache
def load_answer_rules(path: Path = RULES) -> tuple[AnswerRule, ...]:
    """The rows of data/rules/blocked.toml, in order; ValueError when the file cannot be read."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["answer"]
    return tuple(_rule(row) for row in rows)


def _rule(row: dict[str, Any]) -> AnswerRule:
    return AnswerRule(
        row["outcome"],
        row["name"],
        frozenset(row.get("status", [])),
        tuple(row.get("header", {}).items()),
        tuple(text.lower().encode() for text in row.get("body", [])),
        tuple(row.get("title", [])),
        row.get("max_bytes"),
    )


def name_outcome(answer: Answer) -> str:
    """What an answer is by status, headers, title and body, before its page is read."""
    found = _TITLE.search(answer.body, 0, _HEAD_BYTES)
    title = unescape(found.group(1).decode("utf-8", "replace")).casefold() if found else ""
    rules = [rule for rule in load_answer_rules() if rule.may_fit(answer, title)]
    lowered = answer.body.lower() if any(rule.body for rule in rules) else b""
    for rule in rules:
        if rule.fits(lowered):
            return rule.outcome
    if answer.status == 304:
        return "not_modified"
    if not 200 <= answer.status < 300:
        return "http_error"
    if answer.truncated:
        return "truncated"
    return "ok" if is_text(answer) else "not_html"


def is_text(answer: Answer) -> bool:
    """Whether the body can be a page: by its declared type, else by its first bytes."""
    declared = answer.headers.get("content-type", "")
    start = answer.body[:1024]
    # Markup is markup whatever stray bytes stand in it, UTF-16 among them.
    if not start.translate(None, _BEFORE_MARKUP).startswith(b"<") and _BINARY.search(start):
        return False
    if _HTML.match(declared):
        return True
    return b"<" in start and (not declared or _TEXT.match(declared) is not None)


def read_page(asked: Asked, answer: Answer, known: Collection[str]) -> tuple[Fetch, Page | None]:
    """The record of one answer with its observations, and its page where it could be read.

    `known` are the links that the council's home page carries already: what is found again outside
    the text is recorded, but not read for the words around it.
    """
    fetch = asked.fetch(name_outcome(answer))
    fetch.final_url = answer.url
    fetch.status = answer.status
    fetch.bytes = len(answer.body)
    fetch.sha256 = hashlib.sha256(answer.body).hexdigest()
    if fetch.outcome == "ok" and not answer.body.strip():
        fetch.outcome = "not_html"  # nothing at all is no page without links
    if fetch.outcome not in {"ok", "truncated"}:
        return fetch, None
    if len(answer.body) > PAGE_BYTES:
        fetch.outcome = "truncated"  # by us: what stands beyond is not read
    body = answer.body[:PAGE_BYTES]
    page = observe(body, answer.url, answer.headers.get("content-type"), known)
    fetch.observations = page.observations
    if page.truncated:
        fetch.outcome = "truncated"
    if not page.observations and not page.refresh and page.is_empty_shell:
        fetch.outcome = "needs_browser"
    return fetch, page


def read_for_crawl(
    asked: Asked,
    answer: Answer,
    known: Collection[str],
    most_links: int,
    seen: Seen | None = None,
) -> Reading:
    """What a crawl needs of one answer; its page leads on by its first `most_links` links.

    Of those it leaves out what was `seen` already, and adds to it.
    """
    fetch, page = read_page(asked, answer, known)
    observations, fetch.observations = fetch.observations, []
    hrefs = frozenset(o.href for o in observations if asked.is_home)
    leads = None if page is None else leads_of(page, answer.url, asked.own, most_links, seen)
    written = observations_as_written(observations)
    return Reading(fetch, written, len(observations), hrefs, leads)
