"""What a council's own pages say about each account: one row of signals per council and account.

Deciding comes later, in attribute.py. Here nothing is left out and nothing is judged, so that a
decision that looks wrong can be traced to a column that anybody can see.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.codes import encode, pruned
from pipeline.likeness import likeness, place_words, plain_text, tier_of
from pipeline.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

RULES = Path(__file__).parents[1] / "data" / "rules"
KEY = ["council_id", "platform", "account_key"]
CHROME = ("header", "nav", "footer")
DECLARING = ("json_ld", "meta", "link_rel", "microdata", "rdfa")
DERIVED = ("post", "login", "message")
REGION_ORDER = {"footer": 0, "header": 1, "nav": 2, "main": 3, "aside": 4, "head": 5}
INDIRECT = ("plugin", "feed")
TEXTS = ("label", "heading", "sentence")
CODED = [
    *KEY,
    "handle",
    "kind",
    "url",
    "via",
    "page_url",
    "mechanism",
    "region",
    "language",
    *TEXTS,
]
READ = ("ok", "not_modified", "truncated")
PAGES = ("home", "follow")
# Which words win when several name a service; the page's address counts only by itself.
FROM_LABEL, FROM_HEADING, FROM_SENTENCE = 0, 1, 2

# Texts that one core reads before it takes the next ones: patterns are compiled for each part.
TEXTS_AT_ONCE = 1 << 16
FULL_TITLE = frozenset(["council", "cyngor", "comhairle", "borough"])

Flags: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool_]]"
Codes: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"


@dataclass(frozen=True, slots=True)
class Notice:
    """A kind of sentence that means: still there, but left, moved or unattended."""

    rule: str
    about: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The rule files of attribution, compiled.

    Attributes:
        raw: data/rules/attribution.toml as read.
        words: Patterns of the `words` tables, by name; and of any service, stranger or notice.
        services: One pattern with a group per service.
        pieces: Piece of a handle → service.
        strangers: One pattern with a group per stranger.
        stranger_rules: Stranger → rule of the policy.
        listed: Strangers that the council's own list overrules.
        notices: Kinds of notices.
        unless: Pattern of what is no notice after all.
        networks: Name in a sentence → platform.
    """

    raw: Mapping[str, Any]
    words: Mapping[str, str]
    services: re.Pattern[str]
    pieces: Mapping[str, str]
    strangers: re.Pattern[str]
    stranger_rules: Mapping[str, str]
    listed: frozenset[str]
    notices: tuple[Notice, ...]
    unless: re.Pattern[str]
    networks: Mapping[str, str]

    def weight(self, name: str) -> float:
        """A weight, in log-odds."""
        return float(self.raw["weight"][name]["value"])

    def threshold(self, name: str) -> float:
        """A threshold, in the unit that its reason tells."""
        return float(self.raw["threshold"][name]["value"])


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((RULES / name).read_text(encoding="utf-8"))


def _any_of(patterns: list[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


@cache
def load_vocabulary() -> Vocabulary:
    """Read data/rules/attribution.toml, services.toml, strangers.toml and notices.toml."""
    raw, notices = _toml("attribution.toml"), _toml("notices.toml")
    services, strangers = _toml("services.toml")["service"], _toml("strangers.toml")["stranger"]
    names = {
        re.sub(r"\\", "", word): i for i, words in notices["networks"].items() for word in words
    }
    network = "|".join(
        sorted((w for words in notices["networks"].values() for w in words), key=len, reverse=True)
    )
    words = {name: _any_of(entry["patterns"]) for name, entry in raw["words"].items()}
    named = rf"\b(?:{'|'.join(word for s in services for word in s['words'])})\b"
    words["service"] = _without_lookahead(named)
    unsure = [word for s in services for word in s["words"] if "(?!" in word]
    words["service_unsure"] = _without_lookahead(_any_of(unsure))
    words["office"] = words["office"].replace("{service}", words["service"])
    words["stranger"] = _without_lookahead(_any_of([s["pattern"] for s in strangers]))
    words["notice"] = _any_of([n["pattern"] for n in notices["notice"]]).replace(
        "{network}", f"(?:{network})"
    )
    named_services = (f"(?P<{s['id']}>{'|'.join(s['words'])})" for s in services)
    return Vocabulary(
        raw=raw,
        words=words,
        services=re.compile(rf"\b(?:{'|'.join(named_services)})\b", re.IGNORECASE),
        pieces={piece: s["id"] for s in reversed(services) for piece in s["handle"]},
        strangers=re.compile("|".join(f"(?P<{s['id']}>{s['pattern']})" for s in strangers)),
        stranger_rules={s["id"]: s["rule"] for s in strangers},
        listed=frozenset(s["id"] for s in strangers if s.get("unless_listed")),
        notices=tuple(
            Notice(n["rule"], n["about"], _notice_pattern(n["pattern"], network))
            for n in notices["notice"]
        ),
        unless=_notice_pattern(_any_of([u["pattern"] for u in notices["unless"]]), network),
        networks=names,
    )


def _without_lookahead(pattern: str) -> str:
    """For the columnwise engine, which knows none; the pattern then only lets more through."""
    return re.sub(r"\(\?!.*?\)", "", pattern)


def _notice_pattern(pattern: str, network: str) -> re.Pattern[str]:
    """Every alternative captures the network that it names, in a group of its own."""
    whole = rf"({network})(?!\w)"
    return re.compile(pattern.replace("{network}", whole), re.IGNORECASE)


# --- One column at a time --------------------------------------------------------------------


def by_unique(
    column: pd.Series, function: Callable[[str], object], only: str | None = None
) -> pd.Series:
    """Apply a function of one text to a column, once per distinct text.

    Texts that the pattern `only` does not match are left out unread. Returns the values in the
    column's order and index; missing where the text is missing or left out.
    """
    texts = distinct(column)
    near = contains(texts, only) if only else np.ones(len(texts), dtype=bool)
    read = texts.filter(pa.array(near)).to_pylist()
    values = np.full(len(texts) + 1, None, dtype=object)  # the last is for rows without a text
    values[:-1][near] = pd.Series([function(text) for text in read], dtype="object")
    return pd.Series(values[encode(column).cat.codes], index=column.index, dtype="object")


def distinct(column: pd.Series) -> pa.Array:
    """The distinct texts of a column, in their order."""
    texts = pa.array(encode(column).cat.categories, pa.string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def contains(texts: pd.Series | pa.Array, pattern: str) -> Flags:
    """Which texts match the pattern anywhere, in any case; it must have no groups."""
    # Of pandas' own method most of the time goes into reading the pattern, call by call.
    cells = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    match = partial(pc.match_substring_regex, pattern=pattern, ignore_case=True)
    hits = pa.chunked_array(in_parts(match, cells), pa.bool_())
    return np.asarray(hits.fill_null(False), dtype=bool)


def in_parts(read: Callable[[pa.Array], Any], texts: pa.Array) -> Iterator[Any]:
    """What a function makes of some of the texts at a time, one after the other: for every core."""
    starts = range(0, len(texts) or 1, TEXTS_AT_ONCE)
    return side_by_side(read, (texts.slice(start, TEXTS_AT_ONCE) for start in starts))


def says(column: pd.Series, pattern: str) -> Flags:
    """Which rows of a column match the pattern, each distinct text looked at once."""
    hits = contains(distinct(column), pattern)
    return np.append(hits, False)[encode(column).cat.codes]


def service_of_text(vocabulary: Vocabulary) -> Callable[[str], str | None]:
    """The service that a text names first, if any."""

    def service(text: str) -> str | None:
        found = vocabulary.services.search(text)
        return found.lastgroup if found else None

    return service


def services_in(texts: pa.Array, vocabulary: Vocabulary) -> pd.Categorical[Any]:
    """The service that each text names first, if any."""
    kinds = pd.CategoricalDtype(sorted(vocabulary.services.groupindex))
    read = in_parts(partial(_services_in, vocabulary=vocabulary, kinds=kinds.categories), texts)
    return pd.Categorical.from_codes(np.concatenate([*read]), dtype=kinds)


def _services_in(texts: pa.Array, vocabulary: Vocabulary, kinds: pd.Index) -> Codes:
    """The place among the kinds of services of what each text names, -1 for none.

    Python's engine takes as long over one sentence as Arrow's over twenty. So Arrow finds the word,
    and Python says which service each distinct word is. It reads a whole text only where Arrow may
    err: a word that depends on what follows it, or letters that Arrow takes for no letters.
    """
    words = vocabulary.words
    near = contains(texts, words["service"])
    asked = texts.filter(pa.array(near))
    found = pc.extract_regex(asked, f"(?i)(?P<word>{words['service']})").field("word")
    doubtful = contains(asked, words["service_unsure"]) | ~np.asarray(pc.string_is_ascii(asked))
    read = pc.if_else(pa.array(doubtful), asked, found).dictionary_encode()
    named = [*map(service_of_text(vocabulary), read.dictionary.to_pylist())]
    services = np.full(len(texts), -1)
    services[near] = kinds.get_indexer(pd.Index(named, dtype="object"))[read.indices.to_numpy()]
    return services


def words_of_address(url: pa.Array) -> pa.ChunkedArray:
    """What a page's address says, as words: the first label of its host, and its path."""
    return pa.chunked_array(in_parts(_words_of_address, url), pa.string())


def _words_of_address(url: pa.Array) -> pa.Array:
    parts = pc.extract_regex(url, "(?s)^.*?://(?P<label>[^/.]*)[^/]*(?:/(?P<path>.*))?$")
    text = pc.binary_join_element_wise(parts.field("label"), parts.field("path"), " ")
    return pc.replace_substring_regex(pc.fill_null(text, ""), "[-_/.?=&+%]+", " ")


def service_of_residual(vocabulary: Vocabulary) -> Callable[[str], str | None]:
    """The service in what stands beside the council's name in a handle, if any.

    Short pieces must stand alone: 'ts' is in too many words.
    """
    long = sorted((p for p in vocabulary.pieces if len(p) > 4), key=lambda p: (-len(p), p))

    def service(residual: str) -> str | None:
        for word in residual.split():
            if word in vocabulary.pieces:
                return vocabulary.pieces[word]
        inside = next((piece for piece in long if piece in residual), None)
        return vocabulary.pieces[inside] if inside else None

    return service


def stranger_of_name(vocabulary: Vocabulary) -> Callable[[str], str | None]:
    """The known third party that a handle, letters and digits only, belongs to."""

    def stranger(name: str) -> str | None:
        found = vocabulary.strangers.search(name)
        return found.lastgroup if found else None

    return stranger


# --- The table -------------------------------------------------------------------------------


def collect(
    identified: pd.DataFrame, fetches: pd.DataFrame, register: pd.DataFrame, vocabulary: Vocabulary
) -> pd.DataFrame:
    """Everything that the pages say of each account, one row per council and account.

    Args:
        identified: Observations with platform, account_key, handle, kind, url, via and reason.
        fetches: The table of that name; says how many pages were read.
        register: The councils, abolished ones among them.
        vocabulary: The rule files.

    Returns:
        Rows sorted by council_id, platform and account_key, whatever the order of the input. The
        columns are those of schema.SIGNALS up to the decision, and url, first_seen, last_seen,
        evidence_url, evidence_region, evidence_mechanism, evidence_text.
    """
    seen = with_partners(_encoded(identified, register), register)
    seen = _with_facts(seen, vocabulary)
    accounts = _shown(seen)
    accounts = accounts.join(_sums(seen, len(accounts)))
    accounts["pages_share"] = accounts["pages_seen"] / pages_read(
        identified, fetches, accounts, register
    )
    accounts = accounts.join(_service_by_words(seen, accounts))
    accounts = _with_likeness(accounts, register, vocabulary)
    accounts["on_social_page"] |= _on_listing_page(seen, accounts, vocabulary)
    accounts["agreed"] = _agreed(accounts)
    accounts["named"] = _named(seen, accounts, register, vocabulary)
    accounts = accounts.join(_told(seen, accounts, register, vocabulary))
    accounts["other_councils"] = _other_councils(accounts, register)
    accounts["siblings"] = _siblings(accounts)
    return accounts.join(_notices(seen, accounts, vocabulary))


def _encoded(identified: pd.DataFrame, register: pd.DataFrame) -> pd.DataFrame:
    """The observations that name accounts, in the columns that count here, texts as codes.

    The codes of councils have room for those that share a website with one of them.
    """
    named = identified["reason"].isna() & identified["account_key"].notna()
    seen = identified.loc[named, [*CODED, "is_home", "fetched_at"]].reset_index(drop=True)
    table = pd.DataFrame({column: pruned(seen[column]) for column in CODED})
    councils = table["council_id"].cat.categories.union(partners(register).index)
    table["council_id"] = table["council_id"].cat.set_categories(councils)
    table["is_home"] = seen["is_home"].astype(bool)
    table["fetched_at"] = pd.to_datetime(seen["fetched_at"], utc=True)
    return table


def with_partners(table: pd.DataFrame, register: pd.DataFrame) -> pd.DataFrame:
    """Give what stands on a website of two councils to both of them, once each."""
    shared = partners(register)
    also = table["council_id"].isin(shared.index)
    if not also.any():
        return table
    # Rows are taken by number: joining coded frames would hash every text of every column.
    own, rest = np.flatnonzero(also), np.flatnonzero(~also)
    given = table.iloc[np.concatenate([rest, own, own])].reset_index(drop=True)
    partner = table["council_id"].iloc[own].map(shared)
    given.loc[len(rest) + len(own) :, "council_id"] = partner.to_numpy()
    again = given.iloc[len(rest) :].duplicated()
    return given.drop(again.index[again]).reset_index(drop=True)


def partners(register: pd.DataFrame) -> pd.Series:
    """council_id → the council with which it shares a website, both ways round."""
    known = register.dropna(subset=["shares_website_with"])
    known = known[known["shares_website_with"] != ""]
    one, other = known["council_id"].tolist(), known["shares_website_with"].tolist()
    pairs = dict(zip(other, one, strict=True)) | dict(zip(one, other, strict=True))
    return pd.Series(pairs, dtype="str").rename_axis("council_id")


def _with_facts(seen: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """Add to each observation its account's code and what its region, mechanism and words mean."""
    words = vocabulary.words
    label, heading, sentence = (seen[text] for text in TEXTS)
    facts = pd.DataFrame(index=seen.index)
    facts["code"] = seen.groupby(KEY, sort=True, observed=True).ngroup().to_numpy()
    facts["page"] = seen["page_url"].cat.codes
    facts["chrome"] = seen["region"].isin(CHROME)
    facts["declared"] = seen["mechanism"].isin(DECLARING)
    facts["direct"] = ~seen["via"].isin((*DERIVED, *INDIRECT))
    facts["derived"] = seen["via"].isin(DERIVED)
    # What is said around an embedded player is said of what it plays.
    player = seen["mechanism"].eq("iframe") & seen["kind"].eq("channel")
    read = {name: distinct(seen[name]) for name in ("page_url", *TEXTS)}
    read["page_url"] = words_of_address(read["page_url"]).combine_chunks()
    for name, texts in read.items():
        told = _spread(seen[name], services_in(texts, vocabulary))
        facts["page_service" if name == "page_url" else f"{name}_service"] = told.mask(player)
    listed = says(seen["page_url"], words["social_path"]) | says(heading, words["social_heading"])
    facts["listed"] = listed & seen["region"].isin(("main", "aside"))
    facts["follow"] = says(label, words["follow"]) | says(heading, words["follow"])
    facts["credit"] = (
        says(label, words["credit"])
        | says(heading, words["credit"])
        | says(sentence, words["credit"])
    )
    facts["disowned"] = says(label, words["disowned"]) | says(sentence, words["disowned"])
    facts["office"] = says(label, words["office"]) | says(sentence, words["office"])
    facts["person"] = says(label, words["person"])
    facts["welsh"] = says(label, words["welsh"]) | says(seen["language"], "^cy")
    facts["tongue"] = seen["language"].notna()
    return seen.join(facts)


def _spread(column: pd.Series, services: pd.Categorical[Any]) -> pd.Series:
    """The service of each distinct text of a column, spread over its rows."""
    codes = np.append(services.codes, -1)[encode(column).cat.codes]
    told = pd.Categorical.from_codes(codes, dtype=services.dtype)
    return pd.Series(told, index=column.index)


def _shown(seen: pd.DataFrame) -> pd.DataFrame:
    """Each account as its best observation shows it, in the order of the codes.

    Best is: linked itself, in the template rather than the text, with words, lately.
    """
    order = [
        seen["code"],
        ~seen["direct"],
        seen["region"].map(REGION_ORDER).astype(float).fillna(len(REGION_ORDER)),
        seen["label"].isna(),
        ~seen["is_home"],
        -seen["fetched_at"].astype("int64"),
        *(
            seen[column].cat.codes
            for column in ("page_url", "mechanism", "label", "handle", "url", "kind", "sentence")
        ),
    ]
    ranked = np.lexsort([column.to_numpy() for column in reversed(order)])
    codes = seen["code"].to_numpy()[ranked]
    first = ranked[np.append(True, codes[1:] != codes[:-1])[: len(codes)]]
    best = seen.iloc[first].set_index("code").astype(dict.fromkeys(CODED, "str"))
    shown: pd.DataFrame = best[[*KEY, "handle", "kind", "url"]].copy()
    shown["evidence_url"] = best["page_url"]
    shown["evidence_region"] = best["region"]
    shown["evidence_mechanism"] = best["mechanism"]
    shown["evidence_text"] = best["label"].fillna(best["sentence"])
    return shown


def _sums(seen: pd.DataFrame, size: int) -> pd.DataFrame:
    """Counts and flags per account: on how many pages, and whether any observation says so."""
    code = seen["code"].to_numpy()

    def any_of(flags: pd.Series) -> Flags:
        return np.bincount(code[flags.to_numpy(dtype=bool)], minlength=size) > 0

    sums = pd.DataFrame(index=pd.RangeIndex(size, name="code"))
    width = int(seen["page"].max()) + 1 if size else 1
    on_pages = pd.unique(code.astype("int64") * width + seen["page"].to_numpy())
    sums["pages_seen"] = np.bincount(on_pages // width, minlength=size)
    sums["on_home"] = any_of(seen["is_home"] & ~seen["derived"])
    sums["in_chrome"] = any_of(seen["chrome"] & ~seen["derived"])
    sums["in_text"] = any_of(~seen["chrome"] & ~seen["declared"])
    sums["declared"] = any_of(seen["declared"])
    foreign = seen["credit"] | seen["disowned"]
    sums["on_social_page"] = any_of(seen["listed"] & ~foreign & ~seen["derived"])
    sums["direct"] = any_of(seen["direct"])
    sums["linked"] = any_of(~seen["derived"])
    sums["follow"] = any_of(seen["follow"])
    sums["credit"] = any_of(foreign)
    sums["disowned"] = any_of(seen["disowned"])
    sums["office"] = any_of(seen["office"])
    sums["person"] = any_of(seen["person"])
    # Welsh where every observation whose language is known is Welsh.
    sums["welsh"] = any_of(seen["welsh"]) & ~any_of(seen["tongue"] & ~seen["welsh"])
    times = seen["fetched_at"].groupby(code)
    sums["first_seen"], sums["last_seen"] = times.min(), times.max()
    return sums


def pages_read(
    identified: pd.DataFrame, fetches: pd.DataFrame, accounts: pd.DataFrame, register: pd.DataFrame
) -> pd.Series:
    """How many pages of each account's council were read, at least one; in the accounts' order."""
    asked = fetches[fetches["outcome"].isin(READ) & fetches["purpose"].isin(PAGES)]
    fetched = asked.drop_duplicates(["council_id", "url"]).groupby("council_id").size()
    carried = identified.drop_duplicates(["council_id", "page_url"]).groupby("council_id").size()
    pages = pd.concat([fetched, carried], axis=1).max(axis=1)
    shared = partners(register)
    total = pages.add(pages.reindex(shared.to_numpy()).set_axis(shared.index), fill_value=0)
    known = accounts["council_id"].map(total).astype(float).fillna(1.0)
    return known.clip(lower=accounts["pages_seen"]).clip(lower=1)


def _service_by_words(seen: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """The service that the page's words give each account, and whence: service_words, service_from.

    For an account in the template only the template's own labels count, because the heading above
    a footer link is often that of the column beside it.
    """
    in_chrome = accounts["in_chrome"].to_numpy()[seen["code"].to_numpy()]
    label = seen["label_service"].where(seen["chrome"] | ~in_chrome)
    in_text = ~seen["chrome"] & ~in_chrome & ~seen["declared"]
    sources = {
        FROM_LABEL: label,
        FROM_HEADING: seen["heading_service"].where(in_text),
        FROM_SENTENCE: seen["sentence_service"].where(in_text),
    }
    said = pd.concat(
        [
            pd.DataFrame({"code": seen["code"], "source": source, "service": column}).dropna()
            for source, column in sources.items()
        ]
    )
    groups = said.groupby(["code", "source", "service"], observed=True)
    counted = groups.size().rename("times").reset_index()
    counted = counted.sort_values(
        ["code", "source", "times", "service"], ascending=[True, True, False, True]
    )
    best = counted.drop_duplicates("code").set_index("code")
    pages = seen.drop_duplicates(["code", "page"]).groupby("code")["page_service"]
    sole = pages.agg("first").where((pages.nunique(dropna=False) == 1) & pages.agg("count").gt(0))
    result = pd.DataFrame(index=accounts.index)
    result["service_words"] = best["service"].reindex(accounts.index).astype("object")
    result["service_from"] = best["source"].reindex(accounts.index)
    alone = ~accounts["on_home"] & ~accounts["in_chrome"]
    result["service_address"] = sole.astype("object").where(alone)
    return result


def _with_likeness(
    accounts: pd.DataFrame, register: pd.DataFrame, vocabulary: Vocabulary
) -> pd.DataFrame:
    """Add how like the council's name the handle is, and what else the handle says."""
    pairs = accounts[["council_id", "handle"]].drop_duplicates()
    like = likeness(pairs, register, vocabulary.raw, vocabulary.pieces)
    like["service_handle"] = by_unique(like["residual"], service_of_residual(vocabulary))
    strange = vocabulary.words["stranger"]
    like["stranger"] = by_unique(like["name"], stranger_of_name(vocabulary), strange)
    own = like["name_likeness"].ge(vocabulary.threshold("own_name"))
    tiers = vocabulary.raw["tier"]
    itself = {(tier["name"], stranger) for tier in tiers for stranger in tier["strangers"]}
    kind = like["council_id"].map(tier_of(register, tiers))
    is_it = pd.MultiIndex.from_arrays([kind, like["stranger"]]).isin(itself)
    like["stranger"] = like["stranger"].mask(own & is_it, None)
    return (
        accounts.reset_index()
        .merge(like, on=["council_id", "handle"], how="left")
        .set_index("code")
    )


def _on_listing_page(seen: pd.DataFrame, accounts: pd.DataFrame, vocabulary: Vocabulary) -> Flags:
    """Which accounts stand in the text of a page that is, by its contents, the council's list."""
    own = accounts["name_likeness"] >= vocabulary.threshold("own_name")
    text = seen[~seen["chrome"] & ~seen["declared"] & seen["direct"] & ~seen["credit"]]
    placed = text[["page", "code"]].drop_duplicates()
    pages = placed.assign(own=own.reindex(placed["code"]).to_numpy()).groupby("page")["own"]
    many = pages.agg("size") >= vocabulary.threshold("listing")
    lists = many.index[many & pages.agg("any")]
    on_list: Flags = accounts.index.isin(placed.loc[placed["page"].isin(lists), "code"])
    return on_list


def _agreed(accounts: pd.DataFrame) -> Flags:
    """Whether handle, words and address name one service, two of them at least.

    A readable handle must share something with the council's name: pages on fostering link the
    fostering charities, too.
    """
    handle, words, address = (
        accounts[f"service_{source}"] for source in ("handle", "words", "address")
    )
    same = handle.eq(words) | handle.eq(address) | words.eq(address)
    agreed: Flags = (same & accounts["name_likeness"].ne(0)).to_numpy(dtype=bool)
    return agreed


def _named(
    seen: pd.DataFrame, accounts: pd.DataFrame, register: pd.DataFrame, vocabulary: Vocabulary
) -> pd.Series:
    """Whether a label of the account names the council: its place, and council or service words.

    'Moor Council on X', 'Moor Libraries' and 'Moor on Facebook' do; 'Moor Rovers' does not.
    """
    places = {
        council: (plain_text(name), " ".join(place_words(name, vocabulary.raw["names"])))
        for council, name in zip(register["council_id"], register["name"], strict=True)
    }
    pairs = seen[["code", "council_id", "label", "label_service"]].dropna(subset=["label"])
    pairs = pairs.drop_duplicates()
    names = [places.get(council, ()) for council in pairs["council_id"].astype("str")]
    labels = by_unique(pairs["label"], plain_text)
    rest = pd.Series(
        [_without(text, forms) for forms, text in zip(names, labels, strict=True)],
        index=pairs.index,
        dtype="str",
    )
    plain = by_unique(rest, _is_plain(vocabulary)).eq(True)
    hit = rest.notna() & (pairs["label_service"].notna() | plain)
    return pd.Series(accounts.index.isin(pairs.loc[hit, "code"]), index=accounts.index)


def _without(text: str, names: Sequence[str]) -> str | None:
    """What stands beside the first of the names that a text has; None where it has none."""
    padded = f" {text} "
    return next((padded.replace(f" {n} ", " ", 1) for n in names if f" {n} " in padded), None)


def _is_plain(vocabulary: Vocabulary) -> Callable[[str], bool]:
    """Whether a text has only words that a council's own link may have beside its name."""
    raw = vocabulary.raw
    networks = {word for name in vocabulary.networks for word in plain_text(name).split()}
    known = {
        *networks,
        *raw["names"]["types"],
        *raw["names"]["small"],
        *raw["handle"]["strong"],
        *raw["handle"]["plain"],
        *raw["label"]["words"],
    }
    return lambda text: known.issuperset(text.split())


def _told(
    seen: pd.DataFrame, accounts: pd.DataFrame, register: pd.DataFrame, vocabulary: Vocabulary
) -> pd.DataFrame:
    """Which council the words name in full: told_own, and told, the id of another one.

    The label counts wherever it stands; the heading above a link in the text counts for an account
    whose labels name no council.
    """
    titles = council_titles(register, vocabulary)
    title = council_title(titles)
    in_text = ~seen["chrome"] & ~seen["declared"]
    near = vocabulary.words["council"]
    titled = [
        by_unique(seen["label"], title, near),
        by_unique(seen["heading"], title, near).where(in_text),
    ]
    said = pd.concat(
        [
            seen.loc[column.notna(), ["code", "council_id"]].assign(
                source=source, title=column.dropna()
            )
            for source, column in enumerate(titled)
        ]
    )
    said = said.drop_duplicates().astype({"council_id": "str", "title": "str"})
    said = said[said["source"] == said.groupby("code")["source"].transform("min")]
    said["own"] = pd.MultiIndex.from_frame(said[["council_id", "title"]]).isin(
        pd.MultiIndex.from_frame(titles[["council_id", "title"]])
    )
    first = titles.drop_duplicates("title").set_index("title")["council_id"]
    said["told"] = said["title"].map(first)
    own = said.loc[said["own"], "code"]
    others = said[~said["code"].isin(own)].sort_values(["code", "told"]).drop_duplicates("code")
    result = pd.DataFrame({"told_own": accounts.index.isin(own)}, index=accounts.index)
    result["told"] = others.set_index("code")["told"].reindex(accounts.index).astype("object")
    return result


def council_titles(register: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """Every council's name as pages write it in full: council_id and title, current ones first.

    A council also answers to the title of one that it replaced under the same place name.
    """
    rules = vocabulary.raw["names"]
    order = register.assign(ended=register["status"].eq("abolished")).sort_values(
        ["ended", "council_id"]
    )
    rows, places = [], {}
    for council, name, others in zip(
        order["council_id"], order["name"], order["names_other"], strict=True
    ):
        places[council] = " ".join(place_words(name, rules))
        full = [name, *(other for other in others if set(plain_text(other).split()) & FULL_TITLE)]
        rows += [(council, plain_text(text)) for text in full]
    kinds = tier_of(register, vocabulary.raw["tier"]).to_dict()
    named: dict[str, set[str]] = {}
    for council, title in rows:
        named.setdefault(title, set()).add(kinds.get(council, ""))
    # 'Moor Council' is short for the town council, unless a namesake of another kind is called so.
    rows += [
        (council, title)
        for council, title in ((each, f"{place} council") for each, place in places.items())
        if named.get(title, {kinds.get(council, "")}) == {kinds.get(council, "")}
    ]
    heirs = [
        (new, title)
        for new, old in successions(register)
        for council, title in rows
        if council == old and places.get(new) == places.get(old)
    ]
    return pd.DataFrame(rows + heirs, columns=["council_id", "title"]).drop_duplicates()


def successions(register: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs (council_id of the successor, council_id of the council that it replaced)."""
    pairs = register[["council_id", "replaced_by"]].explode("replaced_by").dropna()
    return list(zip(pairs["replaced_by"], pairs["council_id"], strict=True))


def council_title(titles: pd.DataFrame) -> Callable[[str], str | None]:
    """The first council's title that a text has, the longest of those that begin there."""
    # By first word: a pattern of twenty thousand titles takes seconds to compile.
    starting: dict[str, list[str]] = {}
    for known in sorted(set(titles["title"]), key=lambda title: (-len(title), title)):
        starting.setdefault(known.partition(" ")[0], []).append(known)

    def title(text: str) -> str | None:
        rest = plain_text(text)
        while rest:
            word, _, after = rest.partition(" ")
            for known in starting.get(word, ()):
                if rest == known or rest.startswith(f"{known} "):
                    return known
            rest = after
        return None

    return title


def _other_councils(accounts: pd.DataFrame, register: pd.DataFrame) -> pd.Series:
    """How many other councils' sites carry the account; the partner on one website is no other."""
    group = accounts.groupby(["platform", "account_key"])["council_id"]
    shared = accounts["council_id"].isin(partners(register).index).astype(int)
    return (group.transform("nunique") - 1 - shared).clip(lower=0)


def _siblings(accounts: pd.DataFrame) -> pd.Series:
    """On how many other networks the council's own places link the same name."""
    placed = accounts["in_chrome"] | accounts["declared"] | accounts["on_social_page"]
    named = accounts[placed & accounts["name"].ne("")]
    networks = named.groupby(["council_id", "name"])["platform"].transform("nunique") - 1
    return networks.reindex(accounts.index).fillna(0).astype(int)


# --- Notices ---------------------------------------------------------------------------------


def notices_in(vocabulary: Vocabulary) -> Callable[[str], tuple[tuple[str, str, str], ...]]:
    """What a text says of accounts left: tuples (rule, about, platform or '')."""

    def found(text: str) -> tuple[tuple[str, str, str], ...]:
        if vocabulary.unless.search(text):
            return ()
        hits = []
        for notice in vocabulary.notices:
            match = notice.pattern.search(text)
            if match:
                name = next((group for group in match.groups() if group), "").casefold()
                hits.append((notice.rule, notice.about, vocabulary.networks.get(name, "")))
        return tuple(hits)

    return found


def _notices(seen: pd.DataFrame, accounts: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """The sentence that says an account is left, and the rule: notice, notice_rule.

    A sentence that names a network speaks of that network's accounts on its page; where the page
    links none, of the accounts in the council's own template.
    """
    read = notices_in(vocabulary)
    told = []
    for column in ("sentence", "label", "heading"):
        hits = by_unique(seen[column], read, vocabulary.words["notice"])
        some = hits.notna()
        rows = seen.loc[some, ["code", "council_id", "platform", "page", "page_service"]]
        told.append(rows.assign(hit=hits[some], notice=seen.loc[some, column].astype("str")))
    table = pd.concat(told).explode("hit").dropna(subset=["hit"])
    table = table.astype({"council_id": "str", "platform": "str"})
    if table.empty:
        return pd.DataFrame(
            {"notice": None, "notice_rule": None}, index=accounts.index, dtype="object"
        )
    table[["notice_rule", "about", "network"]] = table["hit"].to_list()
    own = table[
        (table["about"].eq("itself"))
        | (table["about"].eq("named") & table["network"].eq(table["platform"]))
        | (table["about"].eq("elsewhere") & table["network"].ne(table["platform"]))
    ]
    # A sentence with a link to the network that it names speaks of that link.
    linked = pd.MultiIndex.from_frame(own[["page", "platform", "notice"]])
    named = table[table["about"].eq("named") & table["network"].ne(table["platform"])]
    named = named[~pd.MultiIndex.from_frame(named[["page", "network", "notice"]]).isin(linked)]
    everywhere = pd.concat(
        [own[["code", "notice", "notice_rule"]], _spoken_of(named, seen, accounts)]
    ).sort_values(["code", "notice_rule", "notice"])
    return everywhere.drop_duplicates("code").set_index("code").reindex(accounts.index)


def _spoken_of(named: pd.DataFrame, seen: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """The accounts that a sentence beside another network's link speaks of."""
    said = named[["council_id", "page", "network", "notice", "notice_rule", "page_service"]]
    pages = seen[seen["page"].isin(said["page"]) & ~seen["chrome"]]
    on_page = pages[["council_id", "page", "platform", "code"]].drop_duplicates()
    on_page = on_page.astype({"council_id": "str", "platform": "str"})
    near = said.merge(
        on_page,
        left_on=["council_id", "page", "network"],
        right_on=["council_id", "page", "platform"],
        how="left",
    )
    far = near[near["code"].isna() & near["page_service"].isna()].drop(columns=["code", "platform"])
    template = accounts.loc[accounts["in_chrome"], ["council_id", "platform"]].reset_index()
    far = far.merge(
        template, left_on=["council_id", "network"], right_on=["council_id", "platform"]
    )
    found = pd.concat([near.dropna(subset=["code"]), far])
    return found[["code", "notice", "notice_rule"]].astype({"code": "int64"})
