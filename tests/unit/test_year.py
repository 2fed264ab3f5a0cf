"""A year of weekly refreshes of fictional councils, with everything that goes wrong in a year.

The clock is passed in and the crawls are written by hand, so that 52 refreshes run in seconds. What
is asserted is what a reader sees: every release whole, nothing good lost, and change lists that
tell what happened and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline.checks import check
from pipeline.overrides import overrides_frame
from pipeline.refresh import Crawled, Inputs, Outcome, Steps, refresh
from pipeline.release import damage, read_release
from tests.unit.samples import START, WEEK, council, link, page, register, write_crawl

if TYPE_CHECKING:
    from pathlib import Path

WEEKS = 52
STORIED = (
    ALDERFORD,
    BIRCHLEY,
    COPSHAM,
    DUNMERE,
    ELMBRIDGE,
    FERNHOLT,
    GARSTOW,
    HARTWICK,
    INGLEMOOR,
) = (
    "Alderford",
    "Birchley",
    "Copsham",
    "Dunmere",
    "Elmbridge",
    "Fernholt",
    "Garstow",
    "Hartwick",
    "Inglemoor",
)
PLACES = (*STORIED, "Kelbrook", "Lindale", "Marshby", "Netherton", "Oakhurst", "Penfold", "Quenby")
# Fernholt and Garstow end on 31 March 2026 and are merged into this council; each has one account.
MERGED = "Westvale"
PARTS = {FERNHOLT: "twitter", GARSTOW: "facebook"}
PARTED = "We no longer post on X. Follow us on Facebook."


def council_id(place: str) -> str:
    return place[:4].upper()


def home(place: str) -> str:
    return f"https://www.{place.lower()}.example/"


def councils() -> pd.DataFrame:
    """Sixteen councils; two of them end on 31 March, a new one begins on the day after."""
    rows = [
        council(
            council_id(place),
            f"{place} District Council",
            website=home(place),
            end_date="2026-03-31" if place in (FERNHOLT, GARSTOW) else None,
            replaced_by=[council_id(MERGED)] if place in (FERNHOLT, GARSTOW) else [],
        )
        for place in PLACES
    ]
    new = council(
        council_id(MERGED), f"{MERGED} Council", website=home(MERGED), start_date="2026-04-01"
    )
    return register(*rows, new)


@dataclass
class World:
    """The councils' sites as they stand in a week, and the refreshes that look at them."""

    store: Path
    councils: pd.DataFrame = field(default_factory=councils)
    week: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def now(self) -> pd.Timestamp:
        return START + self.week * WEEK

    def refresh(self) -> Outcome:
        return refresh(
            self.store,
            Steps(self.crawl, self.make_site),
            Inputs(self.councils, overrides_frame([]), keep=4),
            clock=self.now.timestamp,
            say=self.said.append,
            resume=True,
        )

    def crawl(
        self, register: pd.DataFrame, folder: Path, _known: Path | None, _resume: bool
    ) -> Crawled:
        current = register.loc[register["status"].eq("current"), "council_id"]
        everyone = {council_id(place): place for place in (*PLACES, MERGED)}
        lines = [line for one in current for line in self.lines(everyone[one])]
        write_crawl(folder, lines, f"week-{self.week:02}")
        return Crawled("", f"{len(lines)} pages")

    def make_site(self, _release: Path, site: Path) -> None:
        site.mkdir()

    def lines(self, place: str) -> list[dict[str, Any]]:
        """What a crawl of this week records of one council."""
        when = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        failed = self.failure(place)
        if failed:
            nothing = {"outcome": failed, "status": None, "bytes": None}
            return [page(council_id(place), home(place), fetched_at=when) | nothing]
        lines = [page(council_id(place), home(place), *self.links(place), fetched_at=when)]
        if place == DUNMERE and self.week >= 14:
            pointed = {"is_home": False, "purpose": "short_link", "status": 302, "bytes": None}
            pointed["final_url"] = "https://www.facebook.com/DunmereDistrict"
            old = page(council_id(place), "https://fb.me/DunmereCouncil", fetched_at=when)
            lines.append(old | pointed)
        return lines

    def failure(self, place: str) -> str | None:
        """How a site fails in this week, if it does."""
        if place == ALDERFORD and self.week == 5:
            return "timeout"
        if place == BIRCHLEY and 8 <= self.week < 26:
            return "refused"
        if place == COPSHAM and 10 <= self.week < 14:
            return "blocked"
        return "dns" if self.week == 29 else None

    def links(self, place: str) -> list[dict[str, Any]]:
        """What a home page links in this week."""
        facebook = f"https://www.facebook.com/{place}Council"
        if place == DUNMERE and self.week >= 14:
            facebook = "https://www.facebook.com/DunmereDistrict"
        links = [
            link(f"https://twitter.com/{place}DC", label=f"{place} on X"),
            link(facebook, label=f"{place} on Facebook"),
            link(f"https://www.youtube.com/@{place}Council", label=f"{place} on YouTube"),
        ]
        if place == ELMBRIDGE and self.week >= 17:
            links[0]["sentence"] = PARTED
        if place == HARTWICK and (self.week == 35 or self.week >= 40):
            del links[0]
        if place in PARTS:
            links = [one for one in links if PARTS[place] in one["href"]]
        if place == INGLEMOOR and self.week >= 44:
            links.append(link("https://bsky.app/profile/inglemoor.example", label="Bluesky"))
        return [] if self.week == 21 else links


@dataclass
class Year:
    """What a year of refreshes left: how each ended, and what each release changed."""

    world: World
    outcomes: dict[int, Outcome]
    changes: list[tuple[int, str, str, str, str]]
    accounts: dict[int, pd.DataFrame]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    world = World(tmp_path_factory.mktemp("year"))
    outcomes, told, accounts = {}, [], {}
    for week in range(WEEKS):
        world.week = week
        if week == 31:
            ledger = world.store / "current" / "history.parquet"
            ledger.write_bytes(ledger.read_bytes()[:-100])
        outcomes[week] = world.refresh()
        release = world.store / "current"
        assert damage(release) == [], week
        if outcomes[week].state == "published":
            read = read_release(release)
            assert week % 13 or not [f for f in check(release) if f.refuses], week
            accounts[week] = read.frame("accounts")
            rows = read.frame("changes").fillna("")
            columns = ["change", "council_id", "platform", "new"]
            told += [(week, *row) for row in rows[columns].itertuples(index=False, name=None)]
    return Year(world, outcomes, sorted(told), accounts)


def test_only_the_two_bad_crawls_are_refused(year: Year) -> None:
    refused = {week for week, outcome in year.outcomes.items() if outcome.state != "published"}
    assert refused == {21, 29}
    assert {year.outcomes[week].exit_status for week in refused} == {1}


NETWORKS = ("facebook", "twitter", "youtube")


def test_the_change_lists_tell_what_happened_and_nothing_else(year: Year) -> None:
    standings = [
        (5, "ALDE", "unconfirmed"),
        (6, "ALDE", "current"),
        # Down for four months: unconfirmed at once, missing after 90 days, back with the site.
        (8, "BIRC", "unconfirmed"),
        (20, "BIRC", "missing"),
        (26, "BIRC", "current"),
        (10, "COPS", "unconfirmed"),
        (14, "COPS", "current"),
    ]
    story = [
        *((week, "status", place, on, to) for week, place, to in standings for on in NETWORKS),
        # 1 April is between weeks 12 and 13.
        *((13, "moved", "WEST", on, "WEST") for on in PARTS.values()),
        (13, "added", "WEST", "facebook", "https://www.facebook.com/WestvaleCouncil"),
        (13, "added", "WEST", "twitter", "https://x.com/WestvaleDC"),
        (13, "added", "WEST", "youtube", "https://www.youtube.com/@WestvaleCouncil"),
        # What the new council inherited and does not link: unvisited for a month, then for 90 days.
        *((17, "status", "WEST", on, "unconfirmed") for on in PARTS.values()),
        *((25, "status", "WEST", on, "missing") for on in PARTS.values()),
        (14, "renamed", "DUNM", "facebook", "DunmereDistrict"),
        (17, "status", "ELMB", "twitter", "parked"),
        (35, "status", "HART", "twitter", "missing"),
        (36, "status", "HART", "twitter", "current"),
        (40, "status", "HART", "twitter", "missing"),
        (41, "removed", "HART", "twitter", ""),
        (44, "added", "INGL", "bluesky", "https://bsky.app/profile/inglemoor.example"),
    ]
    assert year.changes == sorted(story)


def test_nothing_good_is_ever_lost(year: Year) -> None:
    """Every account that a page still shows is in every release since it was first seen."""
    held = {week: set(rows["url"]) for week, rows in year.accounts.items()}
    whole = [place for place in PLACES if place not in (DUNMERE, HARTWICK, *PARTS)]
    good = {f"https://x.com/{place}DC" for place in whole}
    good |= {f"https://www.facebook.com/{place}Council" for place in whole}
    good |= {f"https://www.youtube.com/@{place}Council" for place in whole}
    good |= {f"https://x.com/{FERNHOLT}DC", f"https://www.facebook.com/{GARSTOW}Council"}
    assert [week for week, urls in held.items() if not good <= urls] == []


def test_first_seen_survives_a_damaged_ledger(year: Year) -> None:
    assert any("damaged" in line for line in year.world.said)
    last = year.accounts[WEEKS - 1].set_index(["council_id", "platform"])["first_seen"]
    assert last["ALDE", "twitter"] == START
    assert last["DUNM", "facebook"] == START
    assert last["WEST", "twitter"].min() == START


def test_a_quiet_refresh_gives_the_same_bytes_but_for_dates(year: Year) -> None:
    dates = ["last_seen", "last_checked"]
    one, other = (year.accounts[week].drop(columns=dates) for week in (49, 50))
    pd.testing.assert_frame_equal(one, other)


def test_only_the_last_releases_are_kept(year: Year) -> None:
    assert len(list((year.world.store / "releases").iterdir())) == 4
