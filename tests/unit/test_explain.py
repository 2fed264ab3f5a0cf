"""What a council officer is told of their row."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.attribute import attribute
from pipeline.explain import explain, rule_words
from pipeline.register import RegisterError
from pipeline.schema import ACCOUNTS, SIGNALS
from tests.unit.attribution_world import fetches, pages, register

REJECTIONS = pd.DataFrame(
    {
        "council_id": ["BRK", "BRK"],
        "href": ["https://x.com/intent/tweet?text=a", "https://x.com/GOVUK"],
        "platform": ["twitter", "twitter"],
        "reason": ["share", "stranger: govuk"],
        "pages_seen": [3, 1],
        "evidence_url": ["https://www.wolshire.example/"] * 2,
    }
)
COVERAGE = pd.DataFrame(
    {
        "council_id": ["BRK", "BRK"],
        "platform": ["tiktok", "vimeo"],
        "state": ["none_found", "blocked"],
    }
)


def tables(*names: str) -> dict[str, pd.DataFrame]:
    """The tables of a release, as far as explaining needs them."""
    seen = pages("BRK", *names)
    signals = attribute(seen, fetches(seen), register())
    return {
        "councils": register(),
        "accounts": signals[signals["scope"].notna()].reindex(columns=ACCOUNTS.names),
        "signals": signals[SIGNALS.names],
        "rejections": REJECTIONS,
        "coverage": COVERAGE,
    }


@pytest.fixture(scope="module", name="text")
def told() -> str:
    """What is told of Wolshire."""
    return explain("Wolshire", tables("police_feed.html", "forty_services.html"))


@pytest.mark.parametrize(
    "part",
    [
        "Wolshire County Council (BRK)",
        "twitter: WolshireCC (primary)",
        "The site's header or footer links it and its name is the council's own (rule P2.1",
        "Seen: in the footer of https://www.wolshire.example/",
        "Its services: ",
        "facebook: bracken.libraries (libraries)",
        "Found and left out: 2",
        "WolshirePolice – It belongs to a third party known by name (rule P5.1",
        "police in data/rules/strangers.toml",
        "https://x.com/intent/tweet?text=a – share",
        "Looked for in vain: tiktok",
        "The site did not let us look: vimeo",
        "data/rules/overrides.csv",
    ],
)
def test_the_officer_is_told(text: str, part: str) -> None:
    assert part in text


def test_a_stranger_is_told_of_once(text: str) -> None:
    assert "x.com/GOVUK" not in text


def test_the_words_that_park_an_account_are_quoted() -> None:
    assert "“We no longer post on X at @WolshireCC." in explain("BRK", tables("parked.html"))


def test_a_council_without_accounts_is_told_so() -> None:
    assert "No account in the directory." in explain(
        "Moorland District Council", tables("parked.html")
    )


def test_a_council_with_services_only_is_told_that_it_has_no_voice_of_its_own() -> None:
    assert "own accounts: none found" in explain("BRK", tables("services_only.html"))


def test_another_council_is_called_by_its_name() -> None:
    assert "another council's (rule P5.5 of docs/policy.md): Moorland District Council;" in explain(
        "BRK", tables("copied_template.html")
    )


def test_an_unknown_council_is_refused() -> None:
    with pytest.raises(RegisterError):
        explain("Atlantis", tables("parked.html"))


def test_a_persons_decision_is_told_with_author_and_day() -> None:
    words = rule_words("P8.1 confirm by A. Keeper on 2026-01-05")
    assert words.endswith("confirm by A. Keeper on 2026-01-05")
