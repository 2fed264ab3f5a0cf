"""The A–Z: one row per current council in filing order, with its primary accounts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from pipeline.coverage import looks
from pipeline.directory import directory
from pipeline.release import spec, to_arrow
from tests.unit.samples import NETWORKS, START, WEEK, council, fetch, frame, register
from tests.unit.test_coverage import ACCOUNT, HOME


def laid_out(
    *accounts: dict[str, Any],
    fetches: list[dict[str, Any]] | None = None,
    councils: pd.DataFrame | None = None,
    last: pd.DataFrame | None = None,
) -> pd.DataFrame:
    table = directory(
        frame("accounts", [ACCOUNT | {"account_id": str(i)} | a for i, a in enumerate(accounts)]),
        looks(frame("fetches", [fetch("WEX", HOME)] if fetches is None else fetches)),
        register() if councils is None else councils,
        NETWORKS,
        frame("directory", []) if last is None else last,
    )
    described = spec("directory", NETWORKS)
    assert described.faults(to_arrow(table, described)) == []
    return table.set_index("council_id", drop=False)


def test_councils_stand_in_filing_order_under_their_letter() -> None:
    table = laid_out()
    assert table["name"].tolist() == [
        "Millwick District Council",
        "City of Oakharrow Council",
        "Wexdale Council",
    ]
    assert table["letter"].tolist() == ["M", "O", "W"]


def test_only_current_councils_are_listed() -> None:
    councils = register(
        council("WEX", "Wexdale Council"),
        council("OLD", "Old Council", end_date="2020-03-31"),
        council("NEW", "New Council", start_date="2027-04-01"),
    )
    assert laid_out(councils=councils)["council_id"].tolist() == ["WEX"]


def test_a_cell_shows_the_primary_account() -> None:
    service = {"is_primary": False, "scope": "service", "url": "https://x.com/WexdaleLibraries"}
    row = laid_out({}, service).loc["WEX"]
    assert (row["twitter_url"], row["accounts"]) == ("https://x.com/WexdaleCouncil", 2)


def test_a_council_without_primary_has_an_empty_cell() -> None:
    row = laid_out({"is_primary": False}).loc["WEX"]
    assert pd.isna(row["twitter_url"])


def test_of_twins_the_english_one_is_shown() -> None:
    welsh = {"language": "cy", "url": "https://x.com/CyngorWexdale"}
    row = laid_out(welsh, {"language": "en"}).loc["WEX"]
    assert row["twitter_url"] == "https://x.com/WexdaleCouncil"


def test_a_welsh_account_alone_is_shown() -> None:
    welsh = {"language": "cy", "url": "https://x.com/CyngorWexdale"}
    assert laid_out(welsh).loc["WEX", "twitter_url"] == "https://x.com/CyngorWexdale"


def google(*platforms: str) -> Any:
    rows = [{"platform": p, "url": f"https://{p}.example/w"} for p in platforms]
    return laid_out(*rows).loc["WEX", "google_url"]


def test_the_best_google_presence_is_the_youtube_channel() -> None:
    best = google("google_plus", "google_business", "youtube")
    assert best == "https://youtube.example/w"


def test_without_a_channel_it_is_the_business_profile() -> None:
    assert google("google_plus", "google_business") == "https://google_business.example/w"


def test_a_closed_google_plus_page_is_the_last_resort() -> None:
    assert google("google_plus") == "https://google_plus.example/w"


def test_google_url_stands_before_the_first_google_network() -> None:
    names = spec("directory", ("twitter", "facebook", "youtube", "instagram")).names
    links = [name for name in names if name.endswith("_url")]
    assert links == ["twitter_url", "facebook_url", "google_url", "youtube_url", "instagram_url"]


def test_the_day_and_outcome_of_the_last_look_are_told() -> None:
    row = laid_out().loc["WEX"]
    assert (row["checked_on"].date(), row["check_outcome"]) == (date(2026, 1, 5), "ok")


def test_a_failed_look_keeps_the_day_of_the_last_good_one() -> None:
    last = laid_out().reset_index(drop=True)
    down = fetch("WEX", HOME, outcome="dns", fetched_at=START + WEEK)
    row = laid_out(fetches=[down], last=last).loc["WEX"]
    assert (row["checked_on"].date(), row["check_outcome"]) == (date(2026, 1, 5), "dns")


def test_a_council_never_looked_at_has_no_day() -> None:
    row = laid_out().loc["MIL"]
    assert pd.isna(row["checked_on"])
    assert pd.isna(row["check_outcome"])
