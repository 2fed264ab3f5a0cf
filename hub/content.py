"""Read the hub's own texts: Markdown pages with their front matter, and the site's settings."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markdown_it import MarkdownIt

from hub.release import HubError

if TYPE_CHECKING:
    from datetime import date

CONTENT = Path(__file__).parent / "content"
KINDS = ("guide", "checklist", "case-study", "links")
NATIONS = ("England", "Scotland", "Wales", "Northern Ireland")
REQUIRED = (
    "title",
    "summary",
    "section",
    "order",
    "nations",
    "owner",
    "last_reviewed",
    "next_review",
    "sources",
)
WORDS_A_MINUTE = 200

_FRONT = re.compile(r"\A\+\+\+\n(.*?)\n\+\+\+\n(.*)\Z", re.DOTALL)
_TICK = re.compile(r"<li>\[ \] (.*?)</li>", re.DOTALL)
_TICK_LIST = re.compile(r"<ul>(\s*<li>\[ \])")


class Source(NamedTuple):
    """Where a page's claims come from."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of guidance: its text as Markdown, and all that its front matter says."""

    section: str
    slug: str
    title: str
    summary: str
    order: int
    nations: tuple[str, ...]
    owner: str
    last_reviewed: date
    next_review: date
    sources: tuple[Source, ...]
    body: str = field(repr=False)
    kind: str = "guide"
    audience: str = ""
    council: str = ""
    happened: str = ""

    @property
    def path(self) -> str:
        """Where it stands on the site, from the root."""
        return f"/{self.section}/{self.slug}/"

    @property
    def minutes(self) -> int:
        """Reading time in minutes, at least one."""
        return max(1, round(len(self.body.split()) / WORDS_A_MINUTE))


def read_toml(path: Path) -> dict[str, Any]:
    """One settings or words file of the hub."""
    with path.open("rb") as file:
        return tomllib.load(file)


def read_pages(folder: Path = CONTENT) -> list[Page]:
    """Every page under `folder`, by section and order.

    Raises:
        HubError: front matter that is missing, incomplete or wrong, with the file's name.
    """
    pages = [_read_page(path, folder) for path in sorted(folder.glob("*/*.md"))]
    return sorted(pages, key=lambda page: (page.section, page.order, page.slug))


def _read_page(path: Path, folder: Path) -> Page:
    name = path.relative_to(folder)
    match = _FRONT.match(path.read_text(encoding="utf-8"))
    if not match:
        raise HubError(f"{name}: begins with no front matter; write it between two lines of +++")
    try:
        meta = tomllib.loads(match[1])
    except tomllib.TOMLDecodeError as error:
        raise HubError(f"{name}: front matter is not TOML: {error}") from error
    missing = [key for key in REQUIRED if not meta.get(key)]
    if missing:
        raise HubError(f"{name}: front matter lacks {', '.join(missing)}")
    if meta["section"] != path.parent.name:
        raise HubError(f"{name}: section is {meta['section']!r}; write {path.parent.name!r}")
    if meta["next_review"] <= meta["last_reviewed"]:
        raise HubError(f"{name}: next_review must come after last_reviewed")
    if unknown := sorted(set(meta["nations"]) - set(NATIONS)):
        raise HubError(f"{name}: unknown nation {unknown[0]!r}; write one of {', '.join(NATIONS)}")
    if meta.get("kind", "guide") not in KINDS:
        raise HubError(f"{name}: kind {meta['kind']!r} is none of {', '.join(KINDS)}")
    try:
        sources = tuple(Source(**source) for source in meta.pop("sources"))
        nations = tuple(meta.pop("nations"))
        if strange := [s.url for s in sources if not s.url.startswith(("https://", "http://"))]:
            raise HubError(f"{name}: source {strange[0]!r} is no web address; begin with https://")
        return Page(slug=path.stem, body=match[2], sources=sources, nations=nations, **meta)
    except TypeError as error:
        raise HubError(f"{name}: front matter: {error}") from error


class Markdown:
    """Markdown to HTML: raw HTML is shown as text, links from the root get the base path."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._parser = MarkdownIt("commonmark", {"html": False}).enable("table")

    def render(self, text: str) -> str:
        """The HTML of one page, with ids on headings and boxes to tick where it lists them."""
        tokens = self._parser.parse(text)
        used: dict[str, int] = {}
        for before, token in pairwise(tokens):
            if before.type == "heading_open":
                before.attrSet("id", _unique(slug(token.content), used))
            for child in token.children or []:
                href = child.attrGet("href")
                if isinstance(href, str) and href.startswith("/"):
                    child.attrSet("href", self._base + href)
        html: str = self._parser.renderer.render(tokens, self._parser.options, {})
        html = (
            html.replace("<pre>", '<pre tabindex="0">')
            .replace(
                "<table>",
                '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>',
            )
            .replace("</table>", "</table></div>")
        )
        return _tickable(html)


def _tickable(html: str) -> str:
    """Lists of `[ ]` become checkboxes; each is named by its own words, so ticks survive edits."""
    used: dict[str, int] = {}

    def box(match: re.Match[str]) -> str:
        key = _unique("t-" + slug(match[1])[:60], used)
        return (
            f'<li><input type="checkbox" id="{key}"><label for="{key}">{match[1].strip()}'
            "</label></li>"
        )

    return _TICK.sub(box, _TICK_LIST.sub(r'<ul class="ticks">\1', html))


def slug(text: str) -> str:
    """Lower-case words joined by hyphens, for an id or an address."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"<[^>]+>|&\w+;", "", text).lower()).strip("-")


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, 0) + 1
    return name if used[name] == 1 else f"{name}-{used[name]}"
