"""Tell which account a URL names, or by which rule it names none.

The grammar of every network is data, in `data/rules/platforms.toml`; this module reads it and knows
no network by name. Whatever text it is given, the answer is an `Account` or a `Rejected` with a
named reason: a link that vanished without a reason could not be counted, and a wrong guess would
be published as a council's own account.

How a URL is decided: paste errors are repaired, the host picks a table of rules, and of the rules
whose path, query and text fit, the most particular one decides: one that asks for more of the query
before one that asks for less, then a literal word before a name, and a name before a wildcard.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set

RULES_FILE = Path(__file__).parents[1] / "data" / "rules" / "platforms.toml"
KINDS = frozenset({"profile", "page", "group", "channel", "place", "directory"})
VIAS = frozenset({"post", "plugin", "feed", "login", "message"})

_LONGEST = 4096
_LONGEST_HOST = 253
_DEEPEST = 5
_HOSTS_REMEMBERED = 1 << 16


class RulesError(ValueError):
    """The rules file cannot be used; the message names the file, the rule and what to write."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account on one network, however it was written.

    Two writings of one account have equal `(platform, key)`. `handle` keeps the case in which it
    was written, `url` is the canonical address, and `via` says from what the account was derived
    (a post, a plugin, a feed, a login wall, a message link); empty when the link names it itself.
    """

    platform: str
    key: str
    handle: str
    kind: str
    url: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """No account, with the named reason; `[reasons]` of the rules file says what each means."""

    reason: str
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Platform:
    """One network as the rules describe it; `published` gives it a column in the directory."""

    id: str
    name: str
    published: bool
    reserved: frozenset[str]
    retired: str | None
    renamed: str | None


# --- Rules ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """How one sort of account is shown, addressed and compared."""

    platform: str
    kind: str
    handle: str
    url: str
    compare: str

    def account(self, parts: Mapping[str, str], via: str) -> Account:
        """The account that the parts of a URL name."""
        handle = self.handle.format_map(parts)
        url = self.url.format_map({name: _quoted(value) for name, value in parts.items()})
        key = _COMPARE[self.compare](handle)
        return Account(self.platform, key, handle, self.kind, url, via)


_COMPARE: dict[str, Callable[[str], str]] = {
    "fold": str.casefold,
    "dotless": lambda handle: handle.casefold().replace(".", ""),
    "exact": str,
}

_CONVERT: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "digits": lambda text: "".join(filter(str.isdecimal, text)),
    "hexadecimal": lambda text: str(int(text, 16)),
    "dashed_host": lambda text: re.sub(r"--|-", lambda m: "." if m[0] == "-" else "-", text),
}


def _from_base64(text: str) -> str:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8")


def _from_token(text: str) -> str:
    """The `url` that the middle part of a signed token (JSON Web Token) carries."""
    found = re.search(r'"url"\s*:\s*"([^"]+)"', _from_base64(text.split(".")[1]))
    return found[1] if found else ""


_DECODE: dict[str, Callable[[str], str]] = {
    "base64": _from_base64,
    "token": _from_token,
    "dash_percent": lambda text: unquote(text.replace("-", "%").replace("_", "/")),
}

_TOKEN = re.compile(r"\{(\w+)(?::(\w+))?\}|\(([^)]*)\)|\*")
_NAME = re.compile(r"(?:\(@\))?\{(\w+)(?::\w+)?\}")
_AT_ROOT = re.compile(r"https://(?:[^/{]+/)?\{(\w+)\}(?:\.[^/{]+)?")


def _literal(text: str) -> str:
    words = "|".join(map(re.escape, text.split("|")))
    return f"(?:{words})" if "|" in text else words


def _pattern(text: str, parts: Mapping[str, str], anything: str) -> str:
    """Translate one segment or value: `{name:part}`, `(optional)`, `*`, `|` between words."""
    out, end = [], 0
    for token in _TOKEN.finditer(text):
        name, part, optional = token.groups()
        out.append(_literal(text[end : token.start()]))
        if name:
            out.append(f"(?P<{name}>{parts[part or name]})")
        else:
            out.append(f"(?:{re.escape(optional)})?" if optional else anything)
        end = token.end()
    return "".join(out) + _literal(text[end:])


def _path_pattern(segments: tuple[str, ...], parts: Mapping[str, str]) -> str:
    """Translate a path; a closing `**` stands for any further segments, or none."""
    if segments[-1:] != ("**",):
        return "/".join("[^/]+" if s == "*" else _pattern(s, parts, "[^/]*") for s in segments)
    before = _path_pattern(segments[:-1], parts)
    return f"{before}(?:/.*)?" if before else ".*"


def _segment_rank(segment: str) -> int:
    if segment in ("*", "**"):
        return 2 + len(segment)
    if _NAME.fullmatch(segment):
        return 2
    return 1 if _TOKEN.search(segment) else 0


def _is_as_written(match: re.Match[str]) -> bool:
    """Whether a text fits by its own letters: where case does not count, [a-z] takes in ı and ſ."""
    if match.string.isascii():
        return True
    plainly = match.re.fullmatch(match.string.translate(_FOLDING))
    return plainly is not None and plainly.regs == match.regs


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@dataclass(eq=False)
class Rule:
    """One row of the rules file: where it applies and what it decides.

    Patterns are compiled when a URL first asks for them, so that loading stays quick.
    """

    action: str
    platform: str | None
    hosts: tuple[str, ...]
    example: str
    path: str = "**"
    query: Mapping[str, str] = field(default_factory=dict)
    find: str = ""
    gives: str = ""
    reason: str = ""
    via: str = ""
    target: str = ""
    to: str = ""
    decode: str = ""
    form: _Form | None = None
    parts: Mapping[str, str] = field(default_factory=dict, repr=False)
    convert: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The path pattern by segments; a host label that names the account comes first."""
        path = tuple(filter(None, self.path.split("/")))
        label = self.hosts[0].partition(".")[0]
        return (label, *path) if label.startswith("{") else path

    @cached_property
    def first_words(self) -> tuple[str, ...]:
        """The words that the first segment may be: `""` for no path, none for names."""
        if not self.segments:
            return ("",)
        first = self.segments[0]
        return () if _TOKEN.search(first) else tuple(first.casefold().split("|"))

    @cached_property
    def guarded(self) -> str | None:
        """The part for which no reserved word may be taken: a name that stands at the root.

        It stands there in this very path, or in the canonical address.
        """
        match = _NAME.fullmatch(self.segments[0]) if self.segments else None
        match = match or (_AT_ROOT.fullmatch(self.form.url) if self.form else None)
        return match[1] if match else None

    @cached_property
    def rank(self) -> tuple[int, tuple[int, ...]]:
        """The order of trial: the smaller, the more particular."""
        demands = len(self.query) + bool(self.find) + bool(self.target)
        return -demands, tuple(map(_segment_rank, self.segments))

    @cached_property
    def path_regex(self) -> re.Pattern[str]:
        """The path pattern as a regular expression."""
        return _compile(_path_pattern(self.segments, self.parts))

    @cached_property
    def query_regexes(self) -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
        """Per demanded parameter: the names it may have, and what its value looks like."""
        return tuple(
            (tuple(names.split("|")), _compile(_pattern(value, self.parts, ".*")))
            for names, value in self.query.items()
        )

    @cached_property
    def find_regex(self) -> re.Pattern[str]:
        """What the text after the host, as written, must hold."""
        return _compile(self.find)

    def match(self, link: _Link, path: str) -> dict[str, str] | None:
        """The parts that the URL gives when the rule fits it, otherwise None."""
        match = self.path_regex.fullmatch(path)
        if match is None or not _is_as_written(match):
            return None
        parts = match.groupdict()
        for names, regex in self.query_regexes if self.query else ():
            value = next((link.params[n] for n in names if n in link.params), None)
            found = None if value is None else regex.fullmatch(value)
            if found is None or not _is_as_written(found):
                return None
            parts |= found.groupdict()
        if self.find:
            found = self.find_regex.search(link.rest)
            if found is None:
                return None
            parts |= found.groupdict()
        return parts

    def inner(self, link: _Link, parts: Mapping[str, str]) -> str:
        """The URL within the URL; empty when there is none."""
        if self.to:
            return self.to.format(rest=link.rest, **self.values(parts))
        names = self.target.split("|")
        text = parts.get("target") or next(
            (link.params[name] for name in names if link.params.get(name)), ""
        )
        if self.decode and text:
            try:
                text = _DECODE[self.decode](text)
            except (ValueError, IndexError):
                return ""
        relative = text.startswith("/") and not text.startswith("//")
        return f"https://{link.host}{text}" if relative else text

    def values(self, parts: Mapping[str, str]) -> dict[str, str]:
        """The parts as the accounts of the network are written."""
        return {name: self._converted(name, value) for name, value in parts.items() if value}

    def _converted(self, name: str, value: str) -> str:
        how = self.convert.get(name)
        return _CONVERT[how](value) if how else value


_FOLDING = str.maketrans("İıſ", "ééé")
_SAFE = re.compile(r"[\w.~/@:+,;!$'()*-]*", re.ASCII)


def _quoted(text: str) -> str:
    return text if _SAFE.fullmatch(text) else quote(text, safe="/@:+,;~!$'()*")


# --- Repairing and taking apart what was pasted -----------------------------------------------

_AROUND = " \t\r\n\f\v\"'`<>()[]{}“”‘’«»"
_AFTER = _AROUND + ".,;!|*…"
_ENTITY = re.compile(r"&(?:#x?[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u00([0-9a-f]{2})", re.IGNORECASE)
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufffd]"
)
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_ENCODED = re.compile(r"(?:https?%3a|[\w.-]+%2f)", re.IGNORECASE)
_SCHEMES = re.compile(r"(?:https?(?:\s*[:;]\s*/*\s*|//+))+", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+-]*:", re.IGNORECASE)
_AFTER_HOST = re.compile(r"[/?#]")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_GLUED = re.compile(r"https?:*$", re.IGNORECASE)
_NESTED = re.compile(r"https?:?/", re.IGNORECASE)
_QUERY_WITHOUT_MARK = re.compile(r"&(?=\w+=)")
_ORDINARY = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[\w\-./?=%]*)?")
# A URL that needs no repair: host, path without empty or dotted ends, query, fragment.
_PLAIN = re.compile(
    r"https?://([\w-]+(?:\.[\w-]+)+)((?:/[\w@~+-](?:[\w@~+.,:-]*[\w-])?)*)/?"
    r"(?:\?([\w/@~+.,:?=&%-]*))?(?:#([\w/@~+.,:?=&%-]*))?",
    re.ASCII,
)
_WWW = re.compile(r"(?:w{2,5}\d?\.)+")


@dataclass(slots=True)
class _Link:
    """A repaired URL, taken apart; `rest` is the text after the host, as written."""

    host: str
    port: str
    rest: str
    schemed: bool
    path: str
    query: str
    fragment: str
    _params: dict[str, str] | None = None

    @property
    def params(self) -> dict[str, str]:
        """The parameters of query and fragment, decoded, names in lower case, the first wins."""
        if self._params is None:
            self._params = {}
            for piece in f"{self.query}&{self.fragment}".split("&"):
                name, _, value = piece.partition("=")
                name = name.casefold().lstrip("?!/_ ").removeprefix("amp;")
                self._params.setdefault(name, _visible(unquote(value)).strip(_AFTER))
        return self._params


def _clean(text: str) -> str:
    """Undo what editors, scripts and mail programs do to a pasted URL."""
    if "&" in text and ";" in text:
        text = _ENTITY.sub(lambda match: unescape(match[0]), text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).replace("\\", "/")
    text = _visible(text).strip(_AROUND)
    return _visible(unquote(text)) if "%" in text and _ENCODED.match(text) else text


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _INVISIBLE.sub("", text)))


def _take_apart(text: str, depth: int = 0) -> _Link | Rejected:
    """Read a URL as a browser would, and where a browser could not, as its author meant it."""
    # Most URLs are as they should be; the repairs below cost three times as much.
    if (plain := _PLAIN.fullmatch(text)) and len(plain[1]) <= _LONGEST_HOST:
        host, path, query, fragment = plain.groups("")
        return _Link(host.lower(), "", text[plain.end(1) :], True, path[1:], query, fragment)
    if depth > _DEEPEST:
        return Rejected("nested")
    text = _clean(text)
    if not text:
        return Rejected("empty")
    schemes = _SCHEMES.match(text)
    schemed = schemes is not None or text.startswith(("//", "://"))
    text = (text[schemes.end() :] if schemes else text).lstrip(":/" if schemed else "")
    if not schemed:
        if text[0] in "/#?.":
            return Rejected("relative")
        if _OTHER_SCHEME.match(text):
            return Rejected("not_http")
    authority = _AFTER_HOST.split(text, maxsplit=1)[0]
    rest = text[len(authority) :]
    if "%" in authority and (decoded := unquote(authority)) != authority:
        return _take_apart(("//" if schemed else "") + decoded + rest, depth + 1)
    if _GLUED.search(authority) and rest.startswith("//"):
        return _take_apart(rest, depth + 1)
    if "@" in authority:
        return Rejected("userinfo" if schemed else "relative")
    return _split(authority, rest, schemed)


def _split(authority: str, rest: str, schemed: bool) -> _Link | Rejected:
    host, _, port = "".join(authority.split()).lower().partition(":")
    host = host.strip(".")
    if not host.isascii():
        return Rejected("non_ascii_host")
    if (port and not port.isdecimal()) or not _HOST.fullmatch(host) or len(host) > _LONGEST_HOST:
        return Rejected("malformed" if schemed else "relative")
    before, _, fragment = rest.partition("#")
    path, _, query = before.partition("?")
    if not query and "&" in path:
        path, query = [*_QUERY_WITHOUT_MARK.split(path, maxsplit=1), ""][:2]
    if "%" in path:
        path, _, more = _visible(unquote(path)).partition("?")
        query = query or more
    return _Link(host, port, rest, schemed, _tidy(path), query, fragment)


def _tidy(path: str) -> str:
    """The path without empty segments, stray spaces and the full stop of the sentence it ended."""
    segments = [s for s in map(str.strip, path.split("/")) if s not in ("", ".", "..")]
    while segments and segments[0] in ("!", "#!", "#"):
        del segments[0]
    return "/".join(filter(None, (s.rstrip(_AFTER) for s in segments))).rstrip(_AFTER + ":/")


def absolute(href: str, base: str) -> str:
    """The http(s) URL that `href`, as written on the page `base`, asks a server for.

    Schemes pasted twice, a missing scheme before a known host and the like are repaired. Empty
    when it is no web address (mail, telephone, script).
    """
    if _ORDINARY.fullmatch(href):
        return href
    link = _take_apart(href[:_LONGEST])
    if isinstance(link, _Link) and _names_host(link):
        scheme = "http" if _clean(href).lower().startswith("http:") else "https"
        port = f":{link.port}" if link.port else ""
        return f"{scheme}://{link.host}{port}{link.rest}"
    try:
        joined = "" if link == Rejected("not_http") else urljoin(base, href.strip())
    except ValueError:
        return ""
    return joined if joined.startswith(("http://", "https://")) else ""


def is_relative(href: str) -> bool:
    """Whether the address that `href` asks a server for depends on the page that carries it."""
    link = _take_apart(href[:_LONGEST])
    return not (isinstance(link, _Link) and _names_host(link))


def _names_host(link: _Link) -> bool:
    return link.schemed or is_candidate_host(link.host)


# --- Hosts ------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Router:
    """The rules of one host, by the first word of the path."""

    owner: str | None
    rules: list[Rule] = field(default_factory=list)
    subdomains: re.Pattern[str] | None = None

    @cached_property
    def by_word(self) -> dict[str, tuple[Rule, ...]]:
        """Candidates per first word that some rule names, most particular first."""
        words = {word for rule in self.rules for word in rule.first_words} | {""}
        return {word: self._ranked(word) for word in words}

    @cached_property
    def general(self) -> tuple[Rule, ...]:
        """Candidates for any other first word."""
        return self._ranked(None)

    def _ranked(self, word: str | None) -> tuple[Rule, ...]:
        fitting = (r for r in self.rules if word in r.first_words or not r.first_words)
        return tuple(sorted(fitting, key=lambda rule: rule.rank))


@dataclass(frozen=True, slots=True)
class _Place:
    """What a host means: its owner, its rules, and the label of it that names an account.

    A host without rules is a service host: the network's own, but without accounts.
    """

    owner: str | None
    router: _Router | None = None
    label: str = ""


_ACTIONS = ("unwrap", "derive", "accept", "reject")
_TABLE_FIELDS = {
    *("hosts", "subdomains", "owns", "host_words", "hash_route", "reserved", "part", "convert"),
    *_ACTIONS,
}
_PLATFORM_FIELDS = {
    *("name", "published", "retired", "renamed", "form", "bare"),
    *_TABLE_FIELDS,
}
_RULE_FIELDS = {
    *("path", "host", "query", "find", "example", "gives", "form"),
    *("reason", "via", "target", "to", "decode"),
}


@dataclass(frozen=True, slots=True)
class _Table:
    """One `[platform.…]` or `[service.…]` of the rules file, as its rules need it."""

    where: str
    platform: str | None
    hosts: tuple[str, ...]
    forms: Mapping[str, _Form]
    data: Mapping[str, Any]

    def rule(self, action: str, row: Mapping[str, Any], hosts: tuple[str, ...]) -> Rule:
        """The rule that a row writes; on `hosts`, or where it has none on those of the table."""
        where = f"{self.where}, {action} {row.get('path', '**')!r}"
        _refuse_unknown(row, _RULE_FIELDS, where)
        if "example" not in row:
            raise RulesError(f"{where}: no example; write the plainest URL that it decides")
        if action == "derive" and row.get("via") not in VIAS:
            raise RulesError(f"{where}: via must be one of {', '.join(sorted(VIAS))}")
        return Rule(
            action,
            self.platform,
            hosts or self.hosts,
            form=self._form(action, row, where),
            parts=self.data.get("part", {}),
            convert=self.data.get("convert", {}),
            **{key: value for key, value in row.items() if key not in ("host", "form")},
        )

    def _form(self, action: str, row: Mapping[str, Any], where: str) -> _Form | None:
        """The form of the account that the rule names; None when it leads on or rejects."""
        leads_on = "target" in row or "to" in row or "(?P<target>" in row.get("find", "")
        if action in ("unwrap", "reject") or leads_on:
            return None
        form = self.forms.get(row.get("form", "account"))
        if form is None:
            known = ", ".join(self.forms)
            raise RulesError(f"{where}: no such form; write one of [{self.where}.form]: {known}")
        return form


def _refuse_unknown(row: Mapping[str, Any], known: Set[str], where: str) -> None:
    if unknown := sorted(set(row) - known):
        raise RulesError(
            f"{where}: unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )


class Rules:
    """The grammar of all networks: `identify` is its one use, the rest tells what it holds."""

    def __init__(self, data: Mapping[str, Any], source: str) -> None:
        self._source = source
        self._suffixes: list[str] = data["suffixes"]
        self._locale: str = data["locale"]
        self._file = _compile(rf".+\.(?:{'|'.join(data['files'])})")
        self._routers: dict[str, _Router] = {}
        self._labelled: dict[str, _Router] = {}
        self._wild: dict[str, _Router] = {}
        self._owned: dict[str, str | None] = {}
        self._host_words: list[tuple[re.Pattern[str], _Router]] = []
        self._hash_routes: dict[str | None, re.Pattern[str]] = {}
        self._reserved: dict[str | None, frozenset[str]] = {}
        self._homes: dict[str | None, str] = {}
        self._bare: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        self.reasons: dict[str, str] = data["reasons"]
        self.rules: list[Rule] = []
        for name, table in data["service"].items():
            self._read(name, None, table)
        self.platforms = tuple(self._platform(*item) for item in data["platform"].items())
        self.published = tuple(p.id for p in self.platforms if p.published)
        self._place = lru_cache(maxsize=_HOSTS_REMEMBERED)(self._find_place)
        self._words = lru_cache(maxsize=None)(self._own_words)

    # Reading the file

    def _platform(self, name: str, table: Mapping[str, Any]) -> Platform:
        self._bare[name] = [(re.compile(p), url) for p, url in table.get("bare", [])]
        self._read(name, name, table)
        return Platform(
            id=name,
            name=table["name"],
            published=table.get("published", False),
            reserved=self._reserved[name],
            retired=str(table["retired"]) if "retired" in table else None,
            renamed=table.get("renamed"),
        )

    def _read(self, name: str, platform: str | None, data: Mapping[str, Any]) -> None:
        """Take in one table: its hosts, what is said of them, and its rules."""
        where = f"{self._source}, {name}"
        _refuse_unknown(data, _PLATFORM_FIELDS if platform else _TABLE_FIELDS, where)
        hosts = self._expanded(data.get("hosts", []))
        self._read_hosts(platform, hosts, data)
        self._reserved[platform] = frozenset(data.get("reserved", "").split())
        forms = {
            key: _Form(name, f["kind"], f["handle"], f["url"], f.get("compare", "fold"))
            for key, f in data.get("form", {}).items()
        }
        table = _Table(where, platform, hosts, forms, data)
        for action in _ACTIONS:
            for row in data.get(action, []):
                host = row.get("host", [])
                own = self._expanded([host] if isinstance(host, str) else host)
                self._add(table.rule(action, row, own))

    def _read_hosts(
        self, platform: str | None, hosts: tuple[str, ...], data: Mapping[str, Any]
    ) -> None:
        subdomains = "|".join(data.get("subdomains", [])).replace("{locale}", self._locale)
        for host in hosts:
            self._router(host, platform).subdomains = re.compile(subdomains)
        if platform and hosts:
            self._homes[platform] = hosts[0]
        self._owned |= dict.fromkeys(self._expanded(data.get("owns", [])), platform)
        if "hash_route" in data:
            self._hash_routes[platform] = re.compile(data["hash_route"])
        if "host_words" in data:
            self._host_words.append((re.compile(data["host_words"]), self._routers[hosts[0]]))

    def _expanded(self, hosts: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            host.replace("{tld}", suffix)
            for host in hosts
            for suffix in (self._suffixes if "{tld}" in host else [""])
        )

    def _router(self, host: str, owner: str | None) -> _Router:
        """The router of a host: `{name}.host` for account labels, `*.host` for any label."""
        label, _, base = host.partition(".")
        if label.startswith("{"):
            return self._labelled.setdefault(base, _Router(owner))
        if label == "*":
            return self._wild.setdefault(base, _Router(owner))
        return self._routers.setdefault(host, _Router(owner))

    def _add(self, rule: Rule) -> None:
        if rule.action == "reject" and rule.reason not in self.reasons:
            raise RulesError(
                f"{self._source}, reject {rule.path!r} ({rule.example}): "
                f"reason {rule.reason!r} is not among [reasons]; describe it there"
            )
        self.rules.append(rule)
        for host in rule.hosts:
            self._router(host, rule.platform).rules.append(rule)

    # Hosts

    def _find_place(self, host: str) -> _Place | None:
        """What a host means; None when it is nobody's that we know."""
        return self._listed(host) or self._worded(host)

    def _listed(self, host: str) -> _Place | None:
        """The place of a host that the rules name, or one above it."""
        host = _without_www(host)
        if router := self._routers.get(host):
            return _Place(router.owner, router)
        label, _, base = host.partition(".")
        router = self._routers.get(base)
        if router and router.subdomains and router.subdomains.fullmatch(label):
            return _Place(router.owner, router)
        if router := self._labelled.get(base):
            return _Place(router.owner, router, label)
        return self._below(host)

    def _below(self, host: str) -> _Place | None:
        """The place of a host below one that a network or redirector owns."""
        for base in _parents(host):
            if router := self._wild.get(base):
                return _Place(router.owner, router)
            if base in self._owned:
                return _Place(self._owned[base])
            if router := self._routers.get(base) or self._labelled.get(base):
                return _Place(router.owner)
        return None

    def _worded(self, host: str) -> _Place | None:
        """The place of a host that a word in it gives away."""
        host = _without_www(host)
        for words, router in self._host_words:
            if words.search(host):
                return _Place(router.owner, router)
        return None

    def is_candidate_host(self, host: str) -> bool:
        """Whether links to this host are worth a look: a network, a shortener, a redirector."""
        return self._place(host) is not None

    # Identifying

    def identify(self, url: str, hint: str | None = None) -> Account | Rejected:
        """The account that `url` names, or why it names none.

        `hint` is the network that the markup itself names: with it, a bare handle or id counts.
        """
        return self.decide(url, hint)[0]

    def decide(self, url: str, hint: str | None = None) -> tuple[Account | Rejected, Rule | None]:
        """As `identify`, with the rule that decided; None when the text itself did."""
        text = url.strip()
        if len(text) > _LONGEST:
            return Rejected("too_long"), None
        outcome = self._read_url(text, 0)
        if isinstance(outcome[0], Rejected) and hint in self._bare:
            for pattern, written in self._bare[hint]:
                if match := pattern.fullmatch(_clean(text)):
                    return self._read_url(written.format(match[1]), 0)
        return outcome

    def _read_url(self, text: str, depth: int) -> tuple[Account | Rejected, Rule | None]:
        if depth > _DEEPEST:
            return Rejected("nested"), None
        link = _take_apart(text)
        if isinstance(link, Rejected):
            return link, None
        place = self._place(link.host)
        if place is None:
            return Rejected("unknown_host" if link.schemed else "relative"), None
        if place.router is None:
            return Rejected("service_host", place.owner), None
        self._follow_hash_route(link, place.owner)
        if again := self._pasted_again(link):
            return self._read_url(again, depth + 1)
        return self._apply_rules(link, place.router, place.label, depth)

    def _follow_hash_route(self, link: _Link, owner: str | None) -> None:
        """Some networks once kept the real address after the hash."""
        route = self._hash_routes.get(owner) if link.fragment else None
        if route and (match := route.fullmatch(f"{link.path}#{unquote(link.fragment)}")):
            path, _, link.query = match["route"].partition("?")
            link.path, link.fragment = _tidy(path), ""

    def _pasted_again(self, link: _Link) -> str | None:
        """The address that follows when a known host was pasted in front of a whole address."""
        first, _, rest = link.path.partition("/")
        place = self._listed(first.lower()) if "." in first else None
        return f"https://{first}/{rest}?{link.query}" if place and place.router else None

    def _apply_rules(
        self, link: _Link, router: _Router, label: str, depth: int
    ) -> tuple[Account | Rejected, Rule | None]:
        path = f"{label}/{link.path}".rstrip("/") if label else link.path
        first = path.partition("/")[0].lower()
        for rule in router.by_word.get(first) or router.general:
            parts = rule.match(link, path)
            if parts is None or self._is_taken(rule, parts):
                continue
            if outcome := self._outcome(rule, parts, link, depth):
                return outcome
        if nested := _NESTED.search(link.path):
            return self._first_of_two(link, nested.start(), depth)
        return Rejected(self._why_none(first, path, router.owner), router.owner), None

    def _first_of_two(
        self, link: _Link, start: int, depth: int
    ) -> tuple[Account | Rejected, Rule | None]:
        """Of two addresses pasted into one, the first that names an account."""
        before, after = link.path[:start], link.path[start:]
        outcome = self._read_url(f"https://{link.host}/{before}", depth + 1)
        if isinstance(outcome[0], Account):
            return outcome
        return self._read_url(f"{after}?{link.query}", depth + 1)

    def _is_taken(self, rule: Rule, parts: Mapping[str, str]) -> bool:
        """Whether the name at the root is one of the network's own words, a file or a host."""
        name = parts.get(rule.guarded or "", "").casefold()
        if name in self._words(rule.platform):
            return True
        return "." in name and bool(self._file.fullmatch(name) or self._listed(name))

    def _own_words(self, platform: str | None) -> frozenset[str]:
        """Words that a network reserves, and those that open its own paths."""
        home = self._homes.get(platform)
        opening = self._routers[home].by_word if home else ()
        return self._reserved.get(platform, frozenset()) | frozenset(opening) - {""}

    def _outcome(
        self, rule: Rule, parts: Mapping[str, str], link: _Link, depth: int
    ) -> tuple[Account | Rejected, Rule | None] | None:
        """What a rule that fits decides; None when it needed an inner URL and found none."""
        if rule.action == "reject":
            return Rejected(rule.reason, rule.platform), rule
        if rule.form:
            values = {**rule.values(parts), "host": _without_www(link.host)}
            return rule.form.account(values, rule.via), rule
        inner = rule.inner(link, parts)
        if not inner:
            return None
        result, _ = self._read_url(inner, depth + 1)
        if rule.action == "unwrap":
            return result, rule
        if isinstance(result, Account) and result.platform == rule.platform:
            return replace(result, via=rule.via), rule
        return None

    def _why_none(self, first: str, path: str, owner: str | None) -> str:
        if not path:
            return "home_page"
        if first in self._words(owner):
            return "reserved"
        if self._file.fullmatch(first):
            return "file"
        return "unknown_path" if "/" in path else "malformed"


def _without_www(host: str) -> str:
    match = _WWW.match(host)
    return host[match.end() :] if match else host


def _parents(host: str) -> Iterator[str]:
    while "." in host:
        yield host
        host = host.partition(".")[2]


def load_rules(path: Path | None = None) -> Rules:
    """Read the grammar, by default the project's own.

    Raises `RulesError` when the file is not TOML or a rule is incomplete.
    """
    file = path or RULES_FILE
    try:
        return Rules(tomllib.loads(file.read_text(encoding="utf-8")), file.name)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RulesError(f"{file}: {error}") from error
    except KeyError as error:
        raise RulesError(f"{file}: {error} is missing") from error


@lru_cache(maxsize=1)
def default_rules() -> Rules:
    """The project's own grammar, read once."""
    return load_rules()


def identify(url: str, hint: str | None = None) -> Account | Rejected:
    """The account that `url` names by the project's own grammar, or why it names none."""
    return _remembered(url, hint) if len(url) <= _LONGEST else default_rules().identify(url, hint)


@lru_cache(maxsize=65_536)
def _remembered(url: str, hint: str | None) -> Account | Rejected:
    # A site's pages carry the same links over and over.
    return default_rules().identify(url, hint)


def is_candidate_host(host: str) -> bool:
    """Whether links to this host (lower case) lead to a network, a shortener or a redirector."""
    return default_rules().is_candidate_host(host)
