"""What the pages of the directory show: one view per council, from the rows of a release."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from hub.release import Release, Row

GONE = "retired"
LOOKED = ("found", "none_found")
FRESH_DAYS = (7, 30, 90)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the A–Z: the network, the address, and the account's status with its date.

    `told_by` sets it apart from another link to the same network: a language, or its handle.
    """

    platform: str
    url: str
    status: str
    day: datetime
    told_by: str


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Networks on which no account is listed, for one reason and since one look."""

    state: str
    day: date | None
    networks: list[str]


@dataclass(slots=True)
class Council:
    """One current council with everything that its page shows.

    `read` says that its site could be read for every network: an account that was not found on
    any other site is not known to be missing. `ledger` tells since when and why an account
    has its status.
    """

    row: Row
    county: str
    fresh: str
    links: list[Link]
    ledger: dict[str, Row]
    read: bool
    corporate: list[Row] = field(default_factory=list)
    services: dict[str, list[Row]] = field(default_factory=dict)
    gone: list[Row] = field(default_factory=list)
    coverage: list[Row] = field(default_factory=list)
    unlisted: list[Unlisted] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The council's stable id, which is its address on the site."""
        return str(self.row["council_id"])

    @property
    def accounts(self) -> list[Row]:
        """All of its accounts, in the order of the page."""
        grouped = [row for rows in self.services.values() for row in rows]
        return [*self.corporate, *grouped, *self.gone]

    @property
    def words(self) -> str:
        """What a search finds it by, beside what the row shows: other names and handles."""
        handles = {row["handle"] for row in self.accounts}
        return " ".join([*(self.row["names_other"] or []), self.county, *sorted(handles)]).strip()


def view(release: Release) -> list[Council]:
    """Every current council in the order of the directory, with its rows of each table."""
    order = {name: place for place, name in enumerate(release.networks)}
    accounts = _grouped(release.accounts)
    ledger = _ledger(release)
    coverage = _grouped(release.coverage)
    changes = _grouped(release.changelog)
    history = _grouped(release.history)
    county = _counties(release)

    def rank(row: Row) -> tuple[bool, int, bool, str]:
        other = row["language"] not in (None, "en")
        return (not row["is_primary"], order[row["platform"]], other, row["handle"].casefold())

    councils = []
    for row in release.directory:
        key = row["council_id"]
        own = sorted(accounts[key], key=rank)
        missed = sorted(
            (r for r in coverage[key] if r["state"] != "found"),
            key=lambda r: order.get(r["platform"], len(order)),
        )
        council = Council(
            row=row,
            county=county.get(key, ""),
            fresh=_fresh(row["checked_on"], release.as_of),
            links=_links(own, ledger),
            ledger=ledger,
            read=bool(coverage[key]) and all(r["state"] in LOOKED for r in coverage[key]),
            corporate=[r for r in own if r["scope"] == "corporate" and r["status"] != GONE],
            services=_services(r for r in own if r["scope"] == "service" and r["status"] != GONE),
            gone=[r for r in own if r["status"] == GONE],
            coverage=missed,
            unlisted=_unlisted(missed, {r["platform"] for r in own}),
            changes=changes[key],
            history=[r for r in history[key] if r["status"] == "removed"],
        )
        councils.append(council)
    return councils


def _unlisted(missed: list[Row], listed: set[str]) -> list[Unlisted]:
    """The networks without an account, those of one look together."""
    groups: dict[tuple[str, date | None], list[str]] = defaultdict(list)
    for row in missed:
        looked = row["last_checked"] if row["state"] != "not_checked" else None
        if row["platform"] not in listed:
            groups[row["state"], looked and looked.date()].append(row["platform"])
    return [Unlisted(state, day, networks) for (state, day), networks in groups.items()]


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["council_id"]].append(row)
    return groups


def _ledger(release: Release) -> dict[str, Row]:
    """`since` and `reason` of the status that each account has now."""
    given = {
        (row["account_id"], row["status"]): row
        for row in sorted(release.history, key=lambda row: row["since"])
    }
    return {
        row["account_id"]: given.get(
            (row["account_id"], row["status"]), {"since": row["last_checked"], "reason": ""}
        )
        for row in release.accounts
    }


def _links(accounts: list[Row], ledger: dict[str, Row]) -> list[Link]:
    """The account to show for each network: the primary ones, twins in two languages included."""
    shown = [row for row in accounts if row["is_primary"] and row["status"] != GONE]
    times = Counter(row["platform"] for row in shown)
    return [
        Link(
            row["platform"],
            row["url"],
            row["status"],
            (ledger[row["account_id"]]["since"] if row["status"] == "parked" else row["last_seen"]),
            row["language"] or (row["handle"] if times[row["platform"]] > 1 else ""),
        )
        for row in shown
    ]


def _services(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["service"] or ""].append(row)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (not name, name))}


def _counties(release: Release) -> dict[str, str]:
    """Name of the county above each district."""
    names = {row["council_id"]: row["name"] for row in release.councils}
    return {
        row["council_id"]: names.get(row["county_id"], "")
        for row in release.councils
        if row["county_id"]
    }


def _fresh(checked: date | None, as_of: datetime) -> str:
    """How fresh the last look is: days from FRESH_DAYS, 'old', or 'never'."""
    if checked is None:
        return "never"
    age = (as_of.date() - checked).days
    return next((str(days) for days in FRESH_DAYS if age <= days), "old")


@dataclass(frozen=True, slots=True)
class Moved:
    """An address that leads elsewhere: an old code, or a council that ended or is to come."""

    id: str
    name: str
    status: str
    day: date | None
    targets: tuple[str, ...]


def moved(release: Release) -> list[Moved]:
    """Every other address of a council: GSS codes now and before, ended and coming councils."""
    current = {row["council_id"] for row in release.directory}
    pages = {
        code: Moved(code, row["name"], "code", None, (row["council_id"],))
        for row in release.directory
        for code in [row["gss_code"]]
        if code
    }
    rows = {row["council_id"]: row for row in release.councils}
    for row in release.councils:
        key = row["council_id"]
        if key not in current:
            day = row["start_date"] if row["status"] == "coming" else row["end_date"]
            pages[key] = Moved(key, row["name"], row["status"], day, _heirs(key, rows, current))
        for code in [row["gss_code"], *(row["former_gss_codes"] or [])]:
            if code and code not in pages:
                pages[code] = Moved(code, row["name"], "code", None, (key,))
    return [pages[key] for key in sorted(pages)]


def _heirs(key: str, rows: dict[str, Row], current: set[str]) -> tuple[str, ...]:
    """The current councils that took over, through successors that have ended themselves."""
    seen: set[str] = set()
    queue, heirs = list(rows[key]["replaced_by"] or []), []
    while queue:
        heir = queue.pop(0)
        if heir in seen:
            continue
        seen.add(heir)
        if heir in current:
            heirs.append(heir)
        elif heir in rows:
            queue.extend(rows[heir]["replaced_by"] or [])
    return tuple(heirs)
