"""The insight pages: figures counted from a release, each as a chart and as the table behind it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.charts import Bar, bars
from hub.councils import GONE, Council

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

    from hub.release import Release

Seen = tuple[Council, set[str]]
"""A council whose site could be read, and the networks that it uses."""

COMPARED = 6
FRESHNESS = {
    "7": "within 7 days",
    "30": "8 to 30 days before",
    "90": "31 to 90 days before",
    "old": "longer before",
    "never": "not reached",
}
STATES = {
    "found": "found",
    "none_found": "looked in vain",
    "blocked": "kept out",
    "not_checked": "not looked",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its caption."""

    caption: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """One insight page: its charts, and the table from which they are drawn."""

    slug: str
    title: str
    summary: str
    charts: list[Chart]
    head: list[str]
    rows: list[list[str]]


def figures(release: Release, councils: list[Council], label: Callable[[str], str]) -> list[Figure]:
    """Every figure, in the order of the pages. `label` gives a network's name from its id.

    A share is of the councils whose site could be read: one that kept us out counts neither as
    having an account nor as having none, and one of which only a page was read would count only
    when it has one. A network that is not looked for everywhere has no share at all.
    """
    covered = {row["platform"] for row in release.coverage}
    seen = [
        (council, {row["platform"] for row in council.accounts if row["status"] != GONE} & covered)
        for council in councils
        if council.read
    ]
    counted = Counter(network for _, using in seen for network in using)
    order = {network: place for place, network in enumerate(release.networks)}
    ranked = sorted(covered, key=lambda network: (-counted[network], order[network]))
    return [
        _networks(seen, ranked, label),
        *[
            _groups(slug, title, column, seen, ranked[:COMPARED], label)
            for slug, title, column in (
                ("nations", "Adoption by nation", "nation"),
                ("types", "Adoption by type of council", "council_type"),
                ("regions", "Adoption by region", "region"),
            )
        ],
        _freshness(councils),
        _coverage(release, ranked, label),
        _changes(release),
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "–"


def _part(part: int, whole: int) -> str:
    return f"{_percent(part, whole)} ({part} of {whole})"


def _cell(part: int, whole: int) -> str:
    return f"{part} ({_percent(part, whole)})"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _count(seen: list[Seen], network: str) -> tuple[int, int]:
    """Councils with an account on the network, of how many."""
    return sum(network in using for _, using in seen), len(seen)


def _networks(seen: list[Seen], ranked: list[str], label: Callable[[str], str]) -> Figure:
    counts = {network: _count(seen, network) for network in ranked}
    data = [
        Bar(
            label(n),
            _share(*counts[n]),
            _part(*counts[n]),
        )
        for n in ranked
    ]
    top = f"{data[0].name} leads with {data[0].text}." if seen else "None could be read yet."
    summary = f"Councils whose website links to an account, of those we could read. {top}"
    return Figure(
        "networks",
        "Adoption by network",
        summary,
        [
            Chart(
                "Councils with an account, by network",
                bars("networks", "By network", summary, data),
            )
        ],
        ["Network", "With an account", "Read", "Share"],
        [[label(n), *map(str, counts[n]), _percent(*counts[n])] for n in ranked],
    )


def _groups(
    slug: str,
    title: str,
    column: str,
    seen: list[Seen],
    networks: list[str],
    label: Callable[[str], str],
) -> Figure:
    members: dict[str, list[Seen]] = defaultdict(list)
    for entry in seen:
        members[entry[0].row[column] or "not given"].append(entry)
    groups = sorted(members)
    counts = {(g, n): _count(members[g], n) for g in groups for n in networks}
    charts = []
    for network in networks if groups else []:
        data = [Bar(g, _share(*counts[g, network]), _part(*counts[g, network])) for g in groups]
        sentence = "; ".join(f"{bar.name} {bar.text}" for bar in data)
        charts.append(
            Chart(label(network), bars(f"{slug}-{network}", label(network), sentence, data))
        )
    return Figure(
        slug,
        title,
        f"The {len(networks)} most used networks, as shares of the councils that we could read.",
        charts,
        [title.removeprefix("Adoption by ").capitalize(), "Read", *map(label, networks)],
        [[g, str(len(members[g])), *(_cell(*counts[g, n]) for n in networks)] for g in groups],
    )


def _freshness(councils: list[Council]) -> Figure:
    counted = Counter(council.fresh for council in councils)
    whole = len(councils)
    data = [
        Bar(words, _share(counted[key], whole), f"{_percent(counted[key], whole)} ({counted[key]})")
        for key, words in FRESHNESS.items()
    ]
    summary = "When a page of each council was last read, counted back from the date of the data."
    return Figure(
        "freshness",
        "Freshness of the directory",
        summary,
        [Chart("Councils by their last look", bars("freshness", "Freshness", summary, data))],
        ["Last read", "Councils", "Share"],
        [[w, str(counted[k]), _percent(counted[k], whole)] for k, w in FRESHNESS.items()],
    )


def _coverage(release: Release, networks: list[str], label: Callable[[str], str]) -> Figure:
    counted = Counter((row["platform"], row["state"]) for row in release.coverage)
    whole = {n: sum(counted[n, state] for state in STATES) for n in networks}
    looked = {n: counted[n, "found"] + counted[n, "none_found"] for n in networks}
    data = [
        Bar(label(n), _share(looked[n], whole[n]), _percent(looked[n], whole[n])) for n in networks
    ]
    summary = "Share of councils whose site could be read for each network, with or without a find."
    return Figure(
        "coverage",
        "Coverage of the directory",
        summary,
        [Chart("Councils looked at, by network", bars("coverage", "Coverage", summary, data))],
        ["Network", *(words.capitalize() for words in STATES.values())],
        [[label(n), *(str(counted[n, state]) for state in STATES)] for n in networks],
    )


def _changes(release: Release) -> Figure:
    counted = Counter((row["release"], row["change"]) for row in release.changelog)
    releases = [row["version"] for row in reversed(release.versions)]
    kinds = sorted({kind for _, kind in counted})
    whole = {name: sum(counted[name, kind] for kind in kinds) for name in releases}
    most = max(whole.values(), default=0)
    data = [Bar(name, _share(whole[name], most), str(whole[name])) for name in releases]
    summary = "Changes to the list of accounts, by the release that made them."
    if len(releases) < 2:
        data, summary = [], "This is the first release: there is none before it to differ from."
    return Figure(
        "changes",
        "Changes over releases",
        summary,
        [Chart("Changes by release", bars("changes", "Changes", summary, data))] if data else [],
        ["Release", *(kind.capitalize() for kind in kinds), "All"],
        [[n, *(str(counted[n, kind]) for kind in kinds), str(whole[n])] for n in releases],
    )
