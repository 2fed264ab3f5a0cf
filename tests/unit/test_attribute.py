"""Whose account it is, on pages and rows written after the patterns seen in the wild."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.attribute import COLUMNS, attribute
from tests.unit.attribution_world import DAY, fetches, pages, register, rows

X = "https://x.com/"
FACEBOOK = "https://www.facebook.com/"


def decide(identified: pd.DataFrame) -> pd.DataFrame:
    """Attribution in the invented world."""
    return attribute(identified, fetches(identified), register())


def account(
    table: pd.DataFrame, handle: str, council: str = "BRK", platform: str = "twitter"
) -> pd.Series:
    """The one row of an account."""
    hit = table[
        (table["council_id"] == council)
        & (table["platform"] == platform)
        & (table["handle"].str.casefold().str.strip("@") == handle.casefold())
    ]
    assert len(hit) == 1, f"{handle}: {table[['council_id', 'platform', 'handle']].to_string()}"
    row = hit.iloc[0].astype("object")
    return row.where(row.notna(), None)


def test_a_page_of_service_accounts_gives_no_primary() -> None:
    table = decide(pages("BRK", "services_only.html"))
    assert not table["is_primary"].any()
    assert set(table["service"]) == {"libraries", "highways"}


def test_of_two_corporate_candidates_one_is_primary() -> None:
    table = decide(pages("BRK", "two_candidates.html"))
    both = table[table["platform"] == "twitter"]
    assert both["scope"].tolist() == ["corporate", "corporate"]
    assert both.loc[both["is_primary"], "handle"].tolist() == ["WolshireCC"]


@pytest.mark.parametrize(
    ("handle", "rule"), [("PixelAndSons", "P5.7"), ("GOSSinteractive", "P5.1")]
)
def test_a_supplier_credited_in_the_footer_is_not_the_council(handle: str, rule: str) -> None:
    row = account(decide(pages("BRK", "supplier_credit.html")), handle)
    assert (row["scope"], row["decided_by"]) == (None, rule)


@pytest.mark.parametrize("handle", ["WolshirePolice", "WolshireFire"])
def test_a_police_or_fire_feed_on_the_home_page_is_not_the_council(handle: str) -> None:
    row = account(decide(pages("BRK", "police_feed.html")), handle)
    assert (row["scope"], row["decided_by"]) == (None, "P5.1")


def test_a_fire_service_on_the_councils_own_list_is_its_emergency_service() -> None:
    listed = {
        "href": f"{X}WolshireFire",
        "region": "main",
        "heading": "Our social media accounts",
    }
    row = account(decide(rows(listed)), "WolshireFire")
    assert (row["service"], row["decided_by"]) == ("emergency", "P3.7")


@pytest.mark.parametrize(
    ("handle", "platform", "rule"),
    [("MoorlandDC", "twitter", "P5.5"), ("tidytrails", "instagram", "P5.9")],
)
def test_a_neighbours_campaign_is_not_the_council(handle: str, platform: str, rule: str) -> None:
    row = account(decide(pages("BRK", "neighbour_campaign.html")), handle, platform=platform)
    assert (row["scope"], row["decided_by"]) == (None, rule)


def test_an_account_left_in_a_copied_template_is_not_the_council() -> None:
    row = account(decide(pages("BRK", "copied_template.html")), "MoorlandDC")
    assert (row["scope"], row["decided_by"], row["foreign"]) == (None, "P5.5", "MLD")


def test_welsh_and_english_twins_are_both_primary() -> None:
    table = decide(pages("CWM", "twins_en.html", "twins_cy.html"))
    twins = table[table["platform"] == "twitter"].set_index("handle")
    assert twins["is_primary"].all()
    assert twins["language"].to_dict() == {"CwmGlasCBC": "en", "CyngorCwmGlas": "cy"}


def test_one_account_for_two_languages_has_no_language() -> None:
    row = account(
        decide(pages("CWM", "twins_en.html", "twins_cy.html")), "cwmglas", "CWM", "facebook"
    )
    assert row["is_primary"]
    assert row["language"] is None


def test_a_joint_account_on_a_shared_website_is_both_councils_primary() -> None:
    table = decide(pages("FEN", "shared_website.html"))
    joint = table[table["platform"] == "facebook"].set_index("council_id")
    assert joint["is_primary"].to_dict() == {"FEN": True, "TAR": True}
    assert set(joint["decided_by"]) == {"P4.1"}


@pytest.mark.parametrize(
    ("handle", "whose", "others"), [("FenwickDC", "FEN", "TAR"), ("TarnsideDC", "TAR", "FEN")]
)
def test_an_account_named_for_one_council_of_a_shared_website_is_its_alone(
    handle: str, whose: str, others: str
) -> None:
    table = decide(pages("FEN", "shared_website.html"))
    assert account(table, handle, whose)["is_primary"]
    assert account(table, handle, others)["decided_by"] == "P4.2"


def test_a_predecessors_account_is_retired_and_never_primary() -> None:
    table = decide(pages("NWO", "merged.html"))
    for platform in ("twitter", "facebook"):
        row = account(table, "RyebyDC", "NWO", platform)
        assert (row["decided_by"], row["status"], row["is_primary"]) == ("P4.3", "retired", False)
    assert account(table, "NorthWoldsC", "NWO")["is_primary"]


def test_a_sentence_that_says_goodbye_parks_the_account() -> None:
    row = account(decide(pages("BRK", "parked.html", path="/social-media")), "WolshireCC")
    assert row["status"] == "parked"
    assert "no longer post on X" in row["notice"]


def test_the_network_that_readers_are_sent_to_is_not_parked() -> None:
    table = decide(pages("BRK", "parked.html", path="/social-media"))
    assert table.loc[table["platform"] == "bluesky", "status"].tolist() == ["current"]


def test_hours_of_attendance_are_no_notice() -> None:
    table = decide(pages("BRK", "parked.html", path="/social-media"))
    assert account(table, "WolshireCC", platform="facebook")["status"] == "current"


def test_a_welsh_sentence_parks_the_account() -> None:
    row = account(
        decide(pages("CWM", "parked_cy.html", path="/cyfryngau-cymdeithasol")),
        "CyngorCwmGlas",
        "CWM",
    )
    assert row["status"] == "parked"


def test_a_sentence_beside_another_networks_link_parks_the_template_account() -> None:
    table = decide(
        rows(
            {"href": f"{X}WolshireCC"},
            {
                "href": "https://bsky.app/profile/wolshire.example",
                "page_url": "https://www.wolshire.example/news/leaving",
                "is_home": False,
                "region": "main",
                "sentence": "We have left X: follow us here.",
            },
        )
    )
    assert account(table, "WolshireCC")["status"] == "parked"


def test_forty_service_accounts_keep_their_services() -> None:
    table = decide(pages("BRK", "forty_services.html", path="/social-media"))
    assert table["scope"].value_counts().to_dict() == {"service": 40, "corporate": 2}
    assert table.loc[table["scope"] == "service", "service"].nunique() == 20


def test_the_councils_own_entry_among_forty_is_primary() -> None:
    table = decide(pages("BRK", "forty_services.html", path="/social-media"))
    assert table.loc[table["is_primary"], "handle"].tolist() == ["WolshireCC", "WolshireCC"]


def in_text(href: str, path: str, **words: str) -> dict[str, object]:
    """A link in the text of a page below the home page."""
    url = f"https://www.wolshire.example/{path}"
    return {"href": href, "page_url": url, "is_home": False, "region": "main"} | words


OWN = {"href": f"{X}WolshireCC"}
PAGE = f"{FACEBOOK}profile.php?id=100012345678901"


def test_a_club_that_bears_the_place_name_is_not_the_council() -> None:
    club = in_text(f"{X}WolshireRovers", "events", label="Wolshire Rovers on X")
    row = account(decide(rows(OWN, club)), "WolshireRovers")
    assert row["scope"] is None


def test_a_page_that_others_run_is_not_the_councils_whatever_its_label() -> None:
    page = in_text(
        PAGE, "social-media", label="Wolshire on Facebook", sentence="These pages are run by others"
    )
    assert account(decide(rows(OWN, page)), "100012345678901", platform="facebook")[
        "decided_by"
    ] == ("P5.7")


def test_friends_of_a_place_are_strangers() -> None:
    group = in_text(f"{FACEBOOK}groups/friendsofwolshire", "social-media", heading="Follow us")
    assert decide(rows(group))["decided_by"].tolist() == ["P5.1"]


def test_where_the_press_office_posts_is_the_councils() -> None:
    second = in_text(f"{X}WolshNews", "newsroom", sentence="The press office posts at @WolshNews.")
    row = account(decide(rows(OWN, second)), "WolshNews")
    assert (row["scope"], row["decided_by"], row["is_primary"]) == ("corporate", "P2.5", False)


def test_what_a_player_plays_does_not_make_its_channel_a_services() -> None:
    player = in_text(
        "https://www.youtube.com/embed/live_stream?channel=UCaaaaaaaaaaaaaaaaaaaaaa",
        "council-and-democracy",
        mechanism="iframe",
        label="Live council meeting",
    )
    assert decide(rows(OWN, player)).set_index("platform").at["youtube", "scope"] == "corporate"


def test_a_label_with_the_councils_title_outweighs_the_heading() -> None:
    page = in_text(PAGE, "libraries", label="Wolshire County Council", heading="Libraries")
    row = account(decide(rows(page)), "100012345678901", platform="facebook")
    assert (row["scope"], row["is_primary"]) == ("corporate", True)


def test_a_numbered_page_is_a_services_when_label_and_address_agree() -> None:
    page = in_text(PAGE, "museum", label="Find the museum on Facebook")
    row = account(decide(rows(OWN, page)), "100012345678901", platform="facebook")
    assert (row["service"], row["agreed"]) == ("museums", True)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ({"label": "Ryeby District Council on Facebook"}, "P4.3"),
        ({"label": "Facebook", "heading": "Ryeby District Council"}, "P4.3"),
        ({"label": "Moorland District Council on Facebook"}, "P5.5"),
    ],
)
def test_a_title_in_label_or_heading_tells_another_councils_account(
    words: dict[str, str], rule: str
) -> None:
    page = in_text(PAGE, "about", **words) | {"council_id": "NWO"}
    row = account(decide(rows(page)), "100012345678901", "NWO", "facebook")
    assert row["decided_by"] == rule


def test_a_heading_with_a_neighbours_title_does_not_take_the_councils_own_account() -> None:
    joint = in_text(f"{X}WolshireCC", "news", heading="With Moorland District Council")
    assert account(decide(rows(joint)), "WolshireCC")["scope"] == "corporate"


def test_a_service_named_for_the_other_council_of_a_shared_website_is_not_this_ones() -> None:
    theatre = in_text(f"{FACEBOOK}TarnsideTheatreLive", "theatre", label="Tarnside Theatre")
    table = decide(rows(theatre | {"council_id": "FEN"}))
    assert table.set_index("council_id")["decided_by"].to_dict() == {"FEN": "P4.2", "TAR": "P3.1"}


def test_a_sentence_about_one_linked_account_parks_no_other() -> None:
    said = "Ryeby Arts is no longer updated on Facebook."
    table = decide(
        rows(
            in_text(f"{FACEBOOK}wolshirearts", "arts", sentence=said),
            in_text(f"{X}wolshirearts", "arts", sentence=said),
            in_text(f"{FACEBOOK}wolshiretheatre", "arts"),
        )
    )
    assert account(table, "wolshiretheatre", platform="facebook")["status"] == "current"


def test_the_channel_of_newer_pages_wins() -> None:
    old, new = "UCaaaaaaaaaaaaaaaaaaaaaa", "UCbbbbbbbbbbbbbbbbbbbbbb"
    table = decide(
        rows(
            {
                "href": f"https://www.youtube.com/channel/{old}",
                "fetched_at": DAY - pd.Timedelta(days=2500),
            },
            {"href": f"https://www.youtube.com/channel/{new}"},
        )
    )
    assert table.loc[table["is_primary"], "handle"].tolist() == [f"channel/{new}"]


def test_an_account_seen_only_through_posts_is_never_theirs() -> None:
    row = account(decide(rows({"href": f"{X}WolshireCC/status/1234567890123456789"})), "WolshireCC")
    assert (row["scope"], row["decided_by"]) == (None, "P5.8")


def test_a_link_from_many_councils_is_nobodys_own() -> None:
    sites = [
        {"href": f"{X}greenweek", "council_id": council, "page_url": f"https://{council}.example/"}
        for council in ("BRK", "MLD", "AAA", "BBB")
    ]
    assert set(decide(rows(*sites))["decided_by"]) == {"P5.6"}


def test_a_council_keeps_its_own_account_though_others_link_it() -> None:
    sites = [
        {
            "href": f"{X}WolshireCC",
            "council_id": council,
            "page_url": f"https://{council}.example/",
        }
        for council in ("BRK", "MLD", "AAA", "BBB", "CCC")
    ]
    table = decide(rows(*sites))
    assert table.loc[table["scope"].notna(), "council_id"].tolist() == ["BRK"]


@pytest.mark.parametrize(
    ("href", "rule"),
    [
        (f"{X}CllrJoBloggs", "P5.2"),
        (f"{X}WolshireLabour", "P5.3"),
        ("https://www.linkedin.com/in/the-chief", "P5.4"),
        (f"{X}MayorOfWolshire", "P3.6"),
        (f"{X}VisitWolshire", "P3.5"),
        (f"{FACEBOOK}groups/wolshirefostering", "P3.8"),
        (f"{FACEBOOK}profile.php?id=100012345678901", "P2.2"),
    ],
)
def test_each_kind_of_account_falls_under_its_rule(href: str, rule: str) -> None:
    assert decide(rows({"href": href}))["decided_by"].tolist() == [rule]


def test_a_declared_account_of_the_page_is_the_councils() -> None:
    row = {"href": f"{X}TheBrackenWay", "region": "head", "mechanism": "json_ld"}
    assert decide(rows(row))["decided_by"].tolist() == ["P2.3"]


def test_an_account_of_one_services_pages_is_that_services() -> None:
    row = {
        "href": f"{FACEBOOK}bookworms",
        "page_url": "https://www.wolshire.example/libraries/clubs",
        "is_home": False,
        "region": "main",
        "label": "Follow us",
    }
    found = decide(rows(row)).iloc[0]
    assert (found["service"], found["decided_by"]) == ("libraries", "P3.4")


def test_a_closed_network_is_retired() -> None:
    row = {"href": "https://plus.google.com/+WolshireCouncil"}
    assert decide(rows(row))["status"].tolist() == ["retired"]


def test_no_observation_gives_an_empty_table_with_all_columns() -> None:
    empty = rows({"href": f"{X}WolshireCC"}).iloc[:0]
    table = attribute(empty, fetches(empty), register())
    assert table.columns.tolist() == list(COLUMNS)
    assert table.empty


MIXED = pd.concat(
    [
        pages("BRK", "two_candidates.html", "police_feed.html", "parked.html"),
        pages("FEN", "shared_website.html"),
        pages("CWM", "twins_en.html", "twins_cy.html"),
    ],
    ignore_index=True,
)


@pytest.fixture(scope="module", name="expected")
def in_order() -> pd.DataFrame:
    """What the mixed rows give in the order in which the pages carry them."""
    return decide(MIXED)


@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(len(MIXED))))
def test_the_order_of_observations_changes_nothing(
    order: list[int], expected: pd.DataFrame
) -> None:
    shuffled = MIXED.iloc[order].reset_index(drop=True)
    table = attribute(shuffled, fetches(MIXED).iloc[::-1], register().iloc[::-1])
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize("handle", ["WolshireCC", "wolshirecc"])
def test_confidence_is_a_chance(handle: str) -> None:
    table = decide(rows({"href": f"{X}{handle}"}))
    assert table["confidence"].between(0.5, 0.97).all()
