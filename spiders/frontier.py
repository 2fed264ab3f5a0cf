"""Which internal link of a council next, within which budget; pure, without network or clock.

Without it a crawl follows what a site offers: calendars, session ids and print views without end.
A link is judged, and known ones dropped, before a request exists; each refusal has a name, so the
crawl can count them.
"""

from __future__ import annotations

import heapq
import re
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urljoin, urlsplit

from pipeline.domains import origin_of

if TYPE_CHECKING:
    from collections.abc import Collection

RULES = Path(__file__).parents[1] / "data" / "rules" / "follow.toml"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_PATH_SESSION = re.compile(r"(?i);(?:jsessionid|phpsessid|sid)=[^/?]*|/\((?:S|A|F)\([0-9a-z]+\)\)")
_PASSED_OVER = str.maketrans("", "", "\t\r\n")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PLAIN_PATH = r"(?:/[A-Za-z0-9_~][A-Za-z0-9._~%-]*+)"  # nothing in it to resolve or to drop
_ROOTED = re.compile(rf"{_PLAIN_PATH}*+/|{_PLAIN_PATH}++")
_NORMAL = re.compile(
    rf"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?{_PLAIN_PATH}*+/|"
    rf"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?{_PLAIN_PATH}++"
)
_REPEATS = 3  # a path segment that stands more often than this is a trap
_SEGMENTS = 12
LONGEST_PATH = 2_048  # what stands beyond is not looked at: a link may fill a page
LONGEST_TEXT = 500  # of a link's text or path, in characters, that are read for words
_TEXT_LIMIT = 120  # of a link's text, kept in the journal


class FollowError(ValueError):
    """The rules file cannot be used; the message names file, row and what to write instead."""


class Task(NamedTuple):
    """One request to make: its normalised URL, why, and how deep below the home page it is."""

    url: str
    purpose: str
    depth: int
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The follow rules, compiled: words to weights, and patterns that refuse or drop."""

    weights: dict[tuple[str, ...], int]
    starts: dict[str, tuple[tuple[str, ...], ...]]  # first word → the phrases it may start
    refusals: tuple[tuple[str, str, re.Pattern[str]], ...]
    drops: tuple[re.Pattern[str], ...]
    probes: tuple[tuple[str, str], ...]  # path, purpose
    short_hosts: frozenset[str]
    depth_cost: int

    def weight(self, url: str, text: str) -> int:
        """How promising a normalised link is: the highest weight that fits, 0 if none does."""
        return max(self.weight_of_path(path_of(url)), self.weight_of_text(text))

    def weight_of_path(self, path: str) -> int:
        """How promising a link is by its path alone."""
        return _weight_of_path(self, path[:LONGEST_PATH])

    def weight_of_text(self, text: str) -> int:
        """How promising a link is by its text alone."""
        return _weight_of_text(self, text[:LONGEST_TEXT])

    def phrases(self, words: tuple[str, ...]) -> int:
        """The highest weight of the phrases among words."""
        best = 0
        if self.starts.keys().isdisjoint(words):
            return best  # as nearly always: told at once
        for at, word in enumerate(words):
            for phrase in self.starts.get(word, ()):
                if words[at : at + len(phrase)] == phrase:
                    best = max(best, self.weights[phrase])
        return best

    def refusal(self, url: str) -> str | None:
        """Name of the rule that forbids to follow a normalised URL, or None."""
        path, query = path_of(url), url.partition("?")[2]
        for name, part, pattern in self.refusals:
            if pattern.search(path if part == "path" else query):
                return name
        segments = [segment for segment in path.split("/") if segment]
        if len(segments) > _SEGMENTS:
            return "deep_path"
        if len(segments) >= _REPEATS and max(Counter(segments).values()) >= _REPEATS:
            return "repeated_path"
        return None

    def normalise(self, url: str, base: str | None = None) -> str | None:
        """One form for all writings of an http(s) URL: no fragment, tracking or session id."""
        if _NORMAL.fullmatch(url):
            return url
        if base and _ROOTED.fullmatch(url):
            origin = _origin_at(origin_of(base))
            return None if origin is None else origin + url
        return self.taken_apart(url, base)

    def taken_apart(self, url: str, base: str | None = None) -> str | None:
        """What `normalise` makes of any URL, the long way: most are of two simple forms."""
        try:
            parts = urlsplit(urljoin(base, url) if base else url)
            origin = _origin(parts)
        except ValueError:
            return None
        if origin is None:
            return None
        path = "/" + _PATH_SESSION.sub("", parts.path).removeprefix("/")
        query = self._query(parts.query)
        return f"{origin}{path}?{query}" if query else origin + path

    def short_links(self, base: str, hrefs: Collection[str]) -> list[str]:
        """The links to short hosts among those of a page, normalised, each once."""
        # A URL's reader passes over tabs and line ends within it.
        text = " ".join([base, *hrefs]).translate(_PASSED_OVER).lower()
        if not any(name in text for name in self.short_hosts):
            return []
        urls = dict.fromkeys(self.normalise(href.strip(), base) for href in hrefs)
        return [url for url in urls if url and urlsplit(url).hostname in self.short_hosts]

    def _query(self, query: str) -> str:
        if not query:
            return ""
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [pair for pair in pairs if not any(drop.search(pair[0]) for drop in self.drops)]
        return query if len(kept) == len(pairs) else urlencode(kept)


@cache
def load_rules(path: Path = RULES) -> Rules:
    """Read and compile the follow rules; FollowError names a row that cannot be used."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FollowError(f"{path}: {error}") from error
    weights: dict[tuple[str, ...], int] = {}
    for row in data.get("follow", []):
        for words in _need(path, row, "words"):
            # A file name such as sitemap.xml is compared whole, not word by word.
            key = (words,) if "." in words else _words(words)
            weights[key] = max(weights.get(key, 0), int(_need(path, row, "weight")))
    starts: dict[str, list[tuple[str, ...]]] = {}
    for phrase in weights:
        starts.setdefault(phrase[0], []).append(phrase)
    refusals = [
        (_need(path, row, "name"), part, re.compile(row[part], re.IGNORECASE))
        for row in data.get("refuse", [])
        for part in ("path", "query")
        if part in row
    ]
    short_hosts = frozenset(host for row in data.get("short_link", []) for host in row["hosts"])
    return Rules(
        weights,
        {word: tuple(phrases) for word, phrases in starts.items()},
        tuple(refusals),
        tuple(re.compile(row["query"], re.IGNORECASE) for row in data.get("drop", [])),
        tuple((row["path"], row["purpose"]) for row in data.get("probe", [])),
        short_hosts,
        int(data.get("depth_cost", 0)),
    )


# The words of a menu come again on every page, and its paths on the sites of one maker.
@lru_cache(maxsize=8_192)
def _weight_of_path(rules: Rules, path: str) -> int:
    leaf = path.rpartition("/")[2].lower()
    words = _words(unquote(path)[:LONGEST_TEXT])
    return max(rules.phrases(words), rules.weights.get((leaf,), 0))


@lru_cache(maxsize=16_384)
def _weight_of_text(rules: Rules, text: str) -> int:
    return rules.phrases(_words(text))


def path_of(url: str) -> str:
    """The path of a normalised URL."""
    return url[url.index("/", len("https://")) :].partition("?")[0]


def _need(path: Path, row: dict[str, Any], key: str) -> Any:
    if key not in row:
        raise FollowError(f"{path}: a row has no {key!r}: {row}; write {key} = …")
    return row[key]


def _origin(parts: SplitResult) -> str | None:
    """Scheme, host and unusual port of an http(s) URL; ValueError where the port is no number."""
    port = parts.port
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        netloc = f"{netloc}:{port}"
    return f"{parts.scheme}://{netloc}"


@lru_cache(maxsize=4_096)
def _origin_at(origin: str) -> str | None:
    try:
        return _origin(urlsplit(urljoin(origin, "/")))
    except ValueError:
        return None


def _words(text: str) -> tuple[str, ...]:
    """The words of a text or path, without case and accents."""
    plain = text.casefold()
    if not plain.isascii():
        parts = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in parts if not unicodedata.combining(c))
    return tuple(_WORD.findall(plain))


@dataclass(slots=True)
class Limits:
    """What one council may cost: pages asked for, depth, links waiting, characters of a URL."""

    pages: int
    depth: int
    waiting: int
    url_length: int


@dataclass(slots=True)
class Seen:
    """What a visit has met.

    Attributes:
        urls: Those that were in the queue, or refused: to offer one again changes nothing.
        hrefs: As written, those that lead to one of them or nowhere, by the root of the pages on
            which they do: a menu comes again on every page.
    """

    urls: set[str] = field(default_factory=set)
    hrefs: dict[str, set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Frontier:
    """The links of one council that wait to be followed, the most promising first.

    `offer` is the only way in and `next` the only way out, so a URL is asked for once.
    """

    rules: Rules
    limits: Limits
    refused: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    seen: Seen = field(default_factory=Seen)
    _heap: list[tuple[int, int, Task]] = field(default_factory=list)
    _order: int = 0

    def offer(self, url: str, text: str, depth: int, purpose: str = "follow") -> Task | None:
        """Put a link in the queue if it is new, promising and allowed; the task, or None.

        `url` is normalised. A link that was seen or promises nothing is no refusal; what a rule or
        limit keeps out is counted in `refused`.
        """
        if url in self.seen.urls:
            return None
        weight = self.rules.weight(url, text)
        if weight == 0:
            return None
        self.seen.urls.add(url)
        reason = self._refusal(url, depth, purpose)
        if reason:
            self.refused[reason] += 1
            return None
        task = Task(url, purpose, depth, text[:_TEXT_LIMIT])
        self._order += 1
        priority = self.rules.depth_cost * depth - weight
        heapq.heappush(self._heap, (priority, self._order, task))
        return task

    def pass_over(self, url: str) -> None:
        """Never take this URL: it is no page of the site."""
        self.seen.urls.add(url)

    def _refusal(self, url: str, depth: int, purpose: str) -> str | None:
        if depth > self.limits.depth:
            return "depth"
        if len(url) > self.limits.url_length:
            return "long_url"
        if len(self._heap) >= self.limits.waiting:
            return "too_many_links"
        return None if purpose == "sitemap" else self.rules.refusal(url)

    def next(self) -> Task | None:
        """The most promising task within the budget of pages, or None when nothing is left."""
        if not self._heap or self.asked >= self.limits.pages:
            return None
        self.asked += 1
        return heapq.heappop(self._heap)[2]

    def left(self) -> list[Task]:
        """The tasks that the budget leaves unasked, most promising first."""
        return [task for _, _, task in sorted(self._heap, key=lambda entry: entry[:2])]

    def take(self, url: str) -> bool:
        """Take a URL out of the queue, because it was asked for; whether it stood there."""
        self.seen.urls.add(url)
        kept = [entry for entry in self._heap if entry[2].url != url]
        found = len(kept) < len(self._heap)
        if found:
            self._heap = kept
            heapq.heapify(self._heap)
        return found
