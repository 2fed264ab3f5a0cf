"""How like a council's name a handle is: place words, short forms, initials, council words.

Without it a link in the footer is only a link: '@GlosCC' could be anybody, '@MoorlandDC' in the
footer of another council would be that council's, and two accounts of one network could not be
told apart. Names are compared as sets of forms, so that a million pairs are one join.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd

from pipeline.domains import registrable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

OPAQUE = re.compile(
    r"UC[\w-]{22}|(?:id:|cid:|place:)?\d[\d:x]*|0x[\da-f:x]+|\d+@N\d\d|did:.+|0029[0-9A-Za-z]{16,}",
    re.ASCII,
)
SILENT = re.compile(r"[\u0300-\u036f'’‘`.]")
OTHER = re.compile(r"[^0-9a-z]+")
LONG_NUMBER = re.compile(r"[-_]?\d{6,}$")
KIND_SEGMENTS = frozenset(
    [
        "pages",
        "groups",
        "channel",
        "user",
        "c",
        "company",
        "school",
        "showcase",
        "in",
        "photos",
        "people",
        "p",
        "profile.php",
        "id",
        "agency-detail",
        "profile",
        "add",
    ]
)
WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\D)(?=\d)|[._]+")
SHORTEST_INSIDE = 5
SHORTEST_BESIDE = 3
DEEPEST = 5

# How much of a form's strength is left, by what stands beside the form in the handle.
BARE, PLAIN, STRONG, SERVICE, INSIDE = "bare", "plain", "strong", "service", "inside"
# A word that names a kind of body, and is council words only in the name of such a body.
TIER = "tier"
FACTOR = {BARE: 0.92, PLAIN: 0.95, STRONG: 1.0, SERVICE: 0.85, INSIDE: 0.45}
KIND_ORDER = (BARE, PLAIN, STRONG, TIER, SERVICE)
# What is left of a fit when the handle says that it is a namesake of another kind.
NAMESAKE = 0.4
STRONG_BONUS = 0.2
# A word set apart that nobody knows: 'MoorBlaBla' may be Moor's, or a band's.
BESIDE = 0.6

FULL, SHORT, PART, TYPE_WORDS = 1.0, 0.95, 0.8, 0.55
STUMP, INITIALS_3, INITIALS_2 = 0.55, 0.8, 0.5
FORM_COLUMNS = ["council_id", "form", "strength", "place", "language"]


@dataclass(frozen=True, slots=True)
class Affixes:
    """Pieces of handles that are no place: council words, dressing, services; and their lengths."""

    kinds: Mapping[str, str]
    lengths: tuple[int, ...]


def affixes_of(
    handle_rules: Mapping[str, Any], services: Iterable[str], tiers: Iterable[str] = ()
) -> Affixes:
    """The affixes of data/rules/attribution.toml and the services' pieces; council words win.

    `tiers` are words for kinds of bodies, which are nothing else.
    """
    kinds = dict.fromkeys(tiers, TIER) | dict.fromkeys(handle_rules["plain"], PLAIN)
    kinds |= dict.fromkeys(services, SERVICE)
    kinds |= dict.fromkeys(handle_rules["strong"], STRONG)
    return Affixes(kinds, tuple(sorted({len(piece) for piece in kinds})))


def plain_text(text: str) -> str:
    """Fold to ASCII letters, digits and spaces: 'Môn & Wight' is 'mon and wight'."""
    flat = text.replace("&", " and ").casefold()
    if not flat.isascii():
        flat = unicodedata.normalize("NFKD", flat)
    return OTHER.sub(" ", SILENT.sub("", flat)).strip()


def bare(handle: str, host_suffixes: tuple[str, ...] = ()) -> str:
    """The part of a handle that says a name, letters and digits only; empty for an opaque id.

    'company/moor-district-council' gives 'moordistrictcouncil', 'channel/UC…' gives ''.
    """
    return plain_text(_name_in(handle, host_suffixes)).replace(" ", "")


def words_in(handle: str, host_suffixes: tuple[str, ...] = ()) -> list[str]:
    """The words of that part, as capitals, digits and marks set them apart."""
    return plain_text(WORD_ENDS.sub(" ", _name_in(handle, host_suffixes))).split()


def _name_in(handle: str, host_suffixes: tuple[str, ...]) -> str:
    text = handle.strip().lstrip("@")
    if "@" in text and not OPAQUE.fullmatch(text):
        text = text.split("@")[0]
    segments = [s for s in text.split("/") if s and s.casefold() not in KIND_SEGMENTS]
    named = [s for s in segments if not OPAQUE.fullmatch(s)]
    if not named or any(s.startswith("UC") and OPAQUE.fullmatch(s) for s in segments):
        return ""
    name = LONG_NUMBER.sub("", named[-1])
    return _without_domain(name, host_suffixes) if "." in name else name


def _without_domain(name: str, host_suffixes: tuple[str, ...]) -> str:
    """A handle that is a domain, as on Bluesky, without the parts that everybody's has."""
    name = name.removeprefix("www.").removesuffix(".bsky.social")
    for suffix in host_suffixes:
        name = name.removesuffix(f".{suffix}")
    return name


def council_forms(
    names: Iterable[str], hosts: Iterable[str], names_rules: Mapping[str, Any]
) -> dict[str, tuple[float, bool, str]]:
    """Every written form of one council's name.

    Returns form → (strength 0–1, whether it is the whole place name, language or '' for English).
    """
    found: dict[str, tuple[float, bool, str]] = {}

    def keep(form: str, strength: float, place: bool, language: str) -> None:
        known = found.get(form)
        if len(form) > 1 and (known is None or known[:2] < (strength, place)):
            found[form] = (strength, place, language)

    for name in names:
        language = language_of_name(name)
        for form, strength, place in name_forms(name, names_rules):
            keep(form, strength, place, language)
    for host in hosts:
        label = host_label(host, names_rules["host_suffixes"])
        keep(label, FULL, len(label) >= SHORTEST_INSIDE, "")
        for word in names_rules["types"]:
            if label.endswith(word) and len(label) - len(word) > 2:
                keep(label.removesuffix(word), SHORT, False, "")
    return found


def language_of_name(name: str) -> str:
    """'cy' for an official Welsh name, 'gd' for a Gaelic one, '' otherwise."""
    first = plain_text(name).split(" ")[0]
    return {"cyngor": "cy", "comhairle": "gd"}.get(first, "")


def host_label(host: str, suffixes: Iterable[str]) -> str:
    """The label of a host that says whose it is: 'www.n-somerset.gov.uk' gives 'nsomerset'."""
    labels = host.casefold().strip(".").split(".")
    for suffix in sorted(suffixes, key=len, reverse=True):
        parts = suffix.split(".")
        if labels[-len(parts) :] == parts and len(labels) > len(parts):
            return re.sub(r"[^0-9a-z]", "", labels[-len(parts) - 1])
    return re.sub(r"[^0-9a-z]", "", labels[0])


def place_words(name: str, rules: Mapping[str, Any]) -> list[str]:
    """The words of a council's name that are its place: 'London Borough of Moor' gives 'moor'."""
    text = plain_text(name)
    for title in sorted(rules["leading"], key=len, reverse=True):
        if text.startswith(f"{title} "):
            text = text.removeprefix(f"{title} ")
            break
    for kind in sorted(rules["trailing"], key=len, reverse=True):
        if text.endswith(f" {kind}"):
            text = text.removesuffix(f" {kind}")
            break
    words = [w for w in text.split() if w not in rules["types"]] or text.split()
    while len(words) > 1 and words[0] in rules["small"]:
        words = words[1:]
    return words


def tier_of(register: pd.DataFrame, tiers: Iterable[Mapping[str, Any]]) -> pd.Series:
    """council_id → the kind of body that it is, by data/rules/attribution.toml."""
    names = {kind: tier["name"] for tier in tiers for kind in tier["types"]}
    kinds = register.set_index("council_id")["council_type"]
    return kinds.map(names).astype("str")


def tier_words(register: pd.DataFrame, tiers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Word of a handle → the kind of body that it names; none in a register of one kind."""
    present = set(tier_of(register, tiers).dropna())
    if len(present) < 2:
        return {}
    return {
        word: tier["name"] for tier in tiers if tier["name"] in present for word in tier["handle"]
    }


def name_forms(name: str, rules: Mapping[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """Forms of one name: (form, strength, whole place name)."""
    text, words = plain_text(name), place_words(name, rules)
    significant = [w for w in words if w not in rules["small"]] or words
    yield "".join(words), FULL, True
    yield "".join(significant), FULL, True
    yield text.replace(" ", ""), FULL, True
    yield from _short_forms(significant, rules)
    yield from _part_forms(significant, rules)
    yield from _initials(text.split(), words, rules)
    titles = [w for w in text.split() if w in rules["types"] and len(w) > 3]
    if len(titles) > 1:
        yield "".join(titles), TYPE_WORDS, False


def _short_forms(words: list[str], rules: Mapping[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """Words in their usual short form ('glos'), and compass words cut to a letter ('nsomerset')."""
    last = words[-1]
    for short in rules["short"].get(last, []):
        yield "".join([*words[:-1], short]), SHORT, False
        yield "".join([*(w[0] for w in words[:-1]), short]), SHORT, False
    for short in rules["short"].get(words[0], []):
        yield "".join([short, *words[1:]]), SHORT, False
    if len(words) > 1:
        yield "".join([*(w[0] for w in words[:-1]), last]), PART, False
    if len(words) > 1 and any(w in rules["compass"] for w in words):
        yield "".join(w[0] if w in rules["compass"] else w for w in words), SHORT, False


def _part_forms(words: list[str], rules: Mapping[str, Any]) -> Iterator[tuple[str, float, bool]]:
    """Some of the words ('windsormaidenhead' of three), and stumps ('shrop', 'eastren')."""
    head, last = words[:-1], words[-1]
    for pair in combinations(words, 2):
        if not any(w in rules["compass"] for w in pair) or len(words) == 2:
            yield "".join(pair), SHORT, False
        elif len(words) > 2:
            yield "".join(pair), PART, False
    for word in words:
        if len(words) > 1 and len(word) > 3 and word not in rules["compass"]:
            yield word, PART if word == words[0] else STUMP, False
    compass_only = all(w in rules["compass"] for w in head)
    for size in range(3, len(last)):
        if compass_only:
            stump = STUMP if size > 3 or head else STUMP - 0.15
            yield "".join(head) + last[:size], stump, False
            if head:
                yield "".join(w[0] for w in head) + last[:size], stump - 0.15, False
    if last.endswith("shire") and len(last) > 8:
        yield "".join(head) + last.removesuffix("shire"), STUMP, False


def _initials(
    full: list[str], words: list[str], rules: Mapping[str, Any]
) -> Iterator[tuple[str, float, bool]]:
    """First letters, of the place alone and of the whole name, small words in and out."""
    small = rules["small"]
    for source in (
        words,
        full,
        [w for w in words if w not in small],
        [w for w in full if w not in small],
    ):
        letters = "".join(w[0] for w in source)
        if len(letters) > 1:
            yield letters, INITIALS_3 if len(letters) > 2 else INITIALS_2, False


def forms(register: pd.DataFrame, names_rules: Mapping[str, Any]) -> pd.DataFrame:
    """All forms of all councils: council_id, form, strength 0–1, place (whole name), language.

    The two councils of a shared website also answer to their two places together.
    """
    rows: list[tuple[str, str, float, bool, str]] = []
    hosts = _hosts(register)
    shared = dict(zip(register["council_id"], register["shares_website_with"], strict=True))
    names = {
        i: [name, *_texts(others)]
        for i, name, others in zip(
            register["council_id"], register["name"], register["names_other"], strict=True
        )
    }
    for council, own in names.items():
        partner = shared.get(council)
        site = [] if isinstance(partner, str) and partner in names else hosts[council]
        for form, facts in council_forms(own, site, names_rules).items():
            rows.append((council, form, *facts))
        if isinstance(partner, str) and partner in names:
            rows.extend(
                (council, form, FULL, True, "")
                for form in _pair_forms(own[0], names[partner][0], names_rules)
            )
    table = pd.DataFrame(rows, columns=FORM_COLUMNS)
    table = table.sort_values(["council_id", "form", "strength"], ascending=[True, True, False])
    return table.drop_duplicates(["council_id", "form"]).reset_index(drop=True)


def _hosts(register: pd.DataFrame) -> dict[str, list[str]]:
    """Hosts of each council, of its website and the other ones, that may say its name.

    A host of several websites says nobody's. A host below another council's domain stands for its
    first label alone: 'moor.parishes.fen.example' is not called Fen.
    """
    sites = [urlsplit(s).hostname or "" if isinstance(s, str) else "" for s in register["website"]]
    websites = Counter(sites)
    domains = Counter(map(registrable, websites))
    found = {}
    for council, site, others in zip(
        register["council_id"], sites, register["other_hosts"], strict=True
    ):
        own = [] if websites[site] > 1 else [site]
        plain = site.removeprefix("www.")
        if site and domains[registrable(site)] > 1 and plain != registrable(site):
            own = [plain.partition(".")[0]] if own else []
        found[council] = [*filter(None, own), *_texts(others)]
    return found


def _pair_forms(one: str, other: str, rules: Mapping[str, Any]) -> Iterator[str]:
    """'adurworthing', 'adurandworthing', and the other way round."""
    a, b = (next(name_forms(name, rules))[0] for name in (one, other))
    for first, second in ((a, b), (b, a)):
        yield first + second
        yield f"{first}and{second}"


def _texts(value: object) -> list[str]:
    """A list cell as a list of texts, whatever the reader made of it."""
    if isinstance(value, str):
        return [part for part in value.split("|") if part]
    return [str(item) for item in value] if hasattr(value, "__iter__") else []


def cores(name: str, affixes: Affixes) -> list[tuple[str, str, str]]:
    """What is left of a name when council and service words are taken off its ends.

    Returns (core, kind, residual) for every way to do so; the kind says what was taken off.
    'esccroads' gives among others ('escc', 'service', 'roads').
    """
    found = {name: (BARE, "")}
    edge = [name]
    for _ in range(DEEPEST):
        edge = [core for whole in edge for core in _cut(found, whole, affixes)]
    return [(core, kind, rest) for core, (kind, rest) in found.items()]


def _cut(found: dict[str, tuple[str, str]], whole: str, affixes: Affixes) -> list[str]:
    """Take one affix off either end, every way there is; records and returns the new cores."""
    new = []
    before, rest = found[whole]
    for size in affixes.lengths:
        if size > len(whole) - 2:
            break
        for core, piece in ((whole[size:], whole[:size]), (whole[:-size], whole[-size:])):
            kind = affixes.kinds.get(piece)
            if kind is not None and core not in found:
                found[core] = (max(kind, before, key=KIND_ORDER.index), f"{rest} {piece}".strip())
                new.append(core)
    return new


def likeness(
    pairs: pd.DataFrame, register: pd.DataFrame, rules: Mapping[str, Any], services: Iterable[str]
) -> pd.DataFrame:
    """Compare handles with the names of the councils whose pages carry them.

    Args:
        pairs: Columns council_id and handle, one row per distinct pair.
        register: The councils, all of them: a handle may be another council's.
        rules: `names`, `handle` of data/rules/attribution.toml.
        services: Pieces of handles that name a service.

    Returns:
        `pairs` with name_likeness (0–1, missing for an opaque id), residual (what stands beside
        the name), form_language, foreign (council_id of the council that it fits best, where that
        is another one) and foreign_likeness.
    """
    told = tier_words(register, rules["tier"])
    affixes = affixes_of(rules["handle"], services, told)
    known = forms(register, rules["names"])
    kinds = tier_of(register, rules["tier"])
    known["tier"] = known["council_id"].map(kinds)
    handles = pd.DataFrame({"handle": sorted(set(pairs["handle"]))}, dtype="str")
    suffixes = tuple(rules["names"]["host_suffixes"])
    names = [bare(handle, suffixes) for handle in handles["handle"]]
    handles["name"] = pd.Series(names, dtype="str")
    # Of two writings of one name the one whose words are set apart says more.
    split = sorted((words_in(handle, suffixes) for handle in handles["handle"]), key=len)
    worded = {"".join(words): words for words in split if words}
    pieces = _pieces(
        {name: worded.get(name, [name]) for name in sorted(set(names) - {""})},
        affixes,
        frozenset(known["form"]),
    )
    fits = _fits(pieces, known, told)
    named = pairs.merge(handles, on="handle", how="left")
    own = named.merge(fits, on=["name", "council_id"], how="left")
    own["name_likeness"] = own["fit"].fillna(0.0).where(own["name"] != "")
    own["residual"] = own["residual"].where(own["fit"].notna(), own["name"])
    others = _foreign(named, fits, register, kinds)
    result = own.merge(others, on=["council_id", "handle"], how="left")
    return result[
        ["council_id", "handle", "name", "name_likeness", "residual", "form_language", "foreign",
         "foreign_likeness"]
    ]  # fmt: skip


def _pieces(
    names: Mapping[str, list[str]], affixes: Affixes, known: frozenset[str]
) -> pd.DataFrame:
    """Per name its cores, beginnings and ends that are forms: name, form, kind, residual, beside.

    `beside` tells that a word which nobody knows was left aside, where all of it fits no council.
    """
    rows = [
        (name, *core, False) for name in names for core in cores(name, affixes) if core[0] in known
    ]
    fitting = {row[0] for row in rows}
    rows += [
        (name, core, kind, f"{residual} {word}".strip(), True)
        for name, words in names.items()
        if name not in fitting
        for word, rest in _without_one(words, affixes)
        for core, kind, residual in cores(rest, affixes)
        if core in known and len(core) >= SHORTEST_BESIDE
    ]
    rows += [
        (name, part, INSIDE, rest, False)
        for name in names
        for size in range(SHORTEST_INSIDE, len(name))
        for part, rest in ((name[:size], name[size:]), (name[-size:], name[:-size]))
        if part in known
    ]
    table = pd.DataFrame(rows, columns=["name", "form", "kind", "residual", "beside"])
    return table.astype({"name": "str", "form": "str", "kind": "str", "residual": "str"})


def _without_one(words: list[str], affixes: Affixes) -> Iterator[tuple[str, str]]:
    """Each word that is no affix, and the other words together."""
    for i, word in enumerate(words):
        if len(words) > 1 and len(word) >= SHORTEST_BESIDE and word not in affixes.kinds:
            yield word, "".join(words[:i] + words[i + 1 :])


def _fits(pieces: pd.DataFrame, known: pd.DataFrame, tiers: Mapping[str, str]) -> pd.DataFrame:
    """The best fit (0–1) of each name to each council that it fits, and what is left over.

    `tiers` are the words that name a kind of body, with that kind.
    """
    fits = pieces.merge(known, on="form")
    fits = fits[(fits["kind"] != INSIDE) | fits["place"]]
    if tiers:
        fits = _by_tier(fits, tiers)
    bonus = STRONG_BONUS * (fits["kind"] == STRONG)
    fits["fit"] = ((fits["strength"] + bonus) * fits["kind"].map(FACTOR).astype(float)).clip(
        upper=1.0
    )
    fits["fit"] = fits["fit"].mask(fits["beside"].astype(bool), BESIDE * fits["fit"])
    whole = fits["place"] & (fits["kind"] != INSIDE) & ~fits["beside"].astype(bool)
    if tiers:
        named = fits.loc[whole & fits["agrees"], "name"]
        other = fits["told"].notna() & ~fits["agrees"] & fits["name"].isin(named)
        fits["fit"] = fits["fit"].mask(other, NAMESAKE * fits["fit"])
        whole &= ~other
    fits["whole"] = fits["fit"].where(whole & (fits["kind"] != SERVICE))
    fits["whole_service"] = (fits["fit"] / FACTOR[SERVICE]).where(whole & (fits["kind"] == SERVICE))
    fits["size"] = fits["form"].str.len()
    fits = fits.sort_values(
        ["name", "council_id", "fit", "size", "residual"],
        ascending=[True, True, False, False, True],
        kind="stable",
    )
    best = fits.drop_duplicates(["name", "council_id"]).rename(
        columns={"language": "form_language"}
    )
    return best[
        ["name", "council_id", "fit", "residual", "form_language", "whole", "whole_service"]
    ]


def _by_tier(fits: pd.DataFrame, tiers: Mapping[str, str]) -> pd.DataFrame:
    """Read the words for kinds of bodies: council words for such a body, nothing for another.

    Adds `told`, the kind that the handle names, and `agrees`: the council is of that kind.
    """
    words = {rest: rest.split() for rest in fits["residual"].unique()}
    said = {rest: next((tiers[w] for w in own if w in tiers), None) for rest, own in words.items()}
    left = {rest: " ".join(w for w in own if w not in tiers) for rest, own in words.items()}
    told = fits["residual"].map(said).astype("str").mask(fits["kind"].eq(INSIDE))
    fits = fits.assign(told=told, agrees=told.eq(fits["tier"]))
    fits = fits[fits["kind"].ne(TIER) | fits["agrees"]].copy()
    fits["residual"] = fits["residual"].map(left).where(fits["agrees"], fits["residual"])
    own = fits["kind"].eq(TIER) | (fits["agrees"] & fits["residual"].eq(""))
    fits["kind"] = fits["kind"].mask(own, STRONG)
    return fits


def _foreign(
    named: pd.DataFrame, fits: pd.DataFrame, register: pd.DataFrame, tiers: pd.Series
) -> pd.DataFrame:
    """The other council that a handle names whole, if any: foreign, foreign_likeness.

    A county's service may bear the name of a town that is also a district below it.
    """
    others = fits[fits["whole"].notna() | fits["whole_service"].notna()].rename(
        columns={"council_id": "foreign"}
    )
    county = register.set_index("council_id")["county_id"]
    rivals = named[["council_id", "handle", "name"]].merge(
        others[["name", "foreign", "whole", "whole_service"]], on="name"
    )
    rivals = rivals[rivals["foreign"] != rivals["council_id"]]
    below = rivals["foreign"].map(county) == rivals["council_id"]
    # Of namesakes of two kinds, each has its own services: neither accuses the other of theirs.
    served = fits.loc[fits["whole_service"].notna(), ["name", "council_id"]]
    own = pd.MultiIndex.from_frame(rivals[["name", "council_id"]]).isin(
        pd.MultiIndex.from_frame(served)
    )
    below |= own & rivals["foreign"].map(tiers).ne(rivals["council_id"].map(tiers))
    rivals["foreign_likeness"] = rivals["whole"].where(
        rivals["whole"].notna(), rivals["whole_service"].mask(below)
    )
    rivals = rivals[rivals["foreign_likeness"].notna()].sort_values(
        ["council_id", "handle", "foreign_likeness", "foreign"], ascending=[True, True, False, True]
    )
    return rivals.drop_duplicates(["council_id", "handle"])[
        ["council_id", "handle", "foreign", "foreign_likeness"]
    ]
