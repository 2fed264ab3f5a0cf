"""Observations to accounts, columnwise: nothing lost, nothing mixed up, short links followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline import platforms
from pipeline.identify import ANSWER, identify_table

if TYPE_CHECKING:
    import pytest

PAGE = "https://www.exampleton.gov.example/contact/"


def table(*links: tuple[str | None, str | None], page: str = PAGE) -> pd.DataFrame:
    frame = pd.DataFrame(links, columns=["href", "hint"], dtype="str")
    return frame.assign(page_url=page)


def answers(frame: pd.DataFrame, resolved: dict[str, str] | None = None) -> list[str]:
    """Per row the account as platform:key, or the reason."""
    out = identify_table(frame, resolved or {})
    return (out["platform"] + ":" + out["account_key"]).fillna(out["reason"]).tolist()


def test_each_row_gets_its_own_answer() -> None:
    frame = table(("https://x.com/A", None), ("/contact", None), ("https://x.com/A", None))
    assert answers(frame) == ["twitter:a", "relative", "twitter:a"]


def test_same_text_with_another_hint_is_another_link() -> None:
    frame = table(("@exdc", "twitter"), ("@exdc", "instagram"), ("@exdc", None))
    assert answers(frame) == ["twitter:exdc", "instagram:exdc", "relative"]


def test_missing_link_is_empty() -> None:
    assert answers(table((None, None))) == ["empty"]


def test_account_and_rejection_fill_their_own_columns() -> None:
    out = identify_table(table(("https://m.me/exdcnews", None), ("https://x.com/tos", None)), {})
    assert out[ANSWER].iloc[0].tolist()[:6] == [
        "facebook",
        "exdcnews",
        "exdcnews",
        "page",
        "https://www.facebook.com/exdcnews",
        "message",
    ]
    assert out["platform"].tolist() == ["facebook", "twitter"]
    assert out["reason"].tolist()[1] == "policy"
    rejected = out[["account_key", "handle", "kind", "url", "via"]].iloc[[1]]
    assert rejected.isna().to_numpy().all()
    assert out["reason"].isna().tolist() == [True, False]


def test_rows_columns_and_index_stay() -> None:
    frame = table(("https://x.com/a", None), ("about", None)).set_index(pd.Index([7, 3]))
    out = identify_table(frame, {})
    assert out.index.tolist() == [7, 3]
    assert out.columns.tolist() == ["href", "hint", "page_url", *ANSWER]
    pd.testing.assert_frame_equal(out[frame.columns], frame)


def test_empty_table_gets_its_columns() -> None:
    out = identify_table(table(("a", None)).iloc[:0], {"https://bit.ly/a": "https://x.com/a"})
    assert out.columns.tolist() == ["href", "hint", "page_url", *ANSWER]
    assert out.empty


def test_short_link_becomes_what_it_led_to() -> None:
    resolved = {"https://bit.ly/abc": "https://www.facebook.com/exampletoncouncil"}
    assert answers(table(("https://bit.ly/abc", None)), resolved) == ["facebook:exampletoncouncil"]


def test_short_link_without_scheme_is_looked_up_as_it_was_asked() -> None:
    resolved = {"https://bit.ly/abc": "https://x.com/ExampleDC"}
    assert answers(table((" bit.ly/abc#top", None)), resolved) == ["twitter:exampledc"]


def test_own_path_becomes_what_it_led_to() -> None:
    resolved = {"https://www.exampleton.gov.example/twitter": "https://x.com/ExampleDC"}
    frame = table(("/twitter", None), ("../twitter", None), ("/other", None))
    assert answers(frame, resolved) == ["twitter:exampledc", "twitter:exampledc", "relative"]


def test_own_path_of_another_site_stays_as_it_is() -> None:
    resolved = {"https://www.exampleton.gov.example/twitter": "https://x.com/ExampleDC"}
    frame = table(("/twitter", None), page="https://www.samplebury.gov.example/")
    assert answers(frame, resolved) == ["relative"]


def test_short_link_to_no_account_says_why() -> None:
    resolved = {"https://bit.ly/abc": "https://www.youtube.com/watch?v=1"}
    assert answers(table(("https://bit.ly/abc", None)), resolved) == ["post"]


def test_resolved_address_changes_no_account() -> None:
    resolved = {"https://x.com/ExampleDC": "https://x.com/Other"}
    assert answers(table(("https://x.com/ExampleDC", None)), resolved) == ["twitter:exampledc"]


def test_resolved_may_be_a_series() -> None:
    resolved = pd.Series({"https://bit.ly/abc": "https://x.com/ExampleDC"})
    out = identify_table(table(("https://bit.ly/abc", None)), resolved)
    assert out["handle"].tolist() == ["ExampleDC"]


def test_each_distinct_link_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(url: str, hint: str | None = None) -> object:
        asked.append(url)
        return real(url, hint)

    real = platforms.identify
    monkeypatch.setattr("pipeline.identify.identify", noted)
    frame = pd.concat([table(("https://x.com/a", None), ("https://x.com/b", None))] * 50)
    identify_table(frame.reset_index(drop=True), {})
    assert sorted(asked) == ["https://x.com/a", "https://x.com/b"]
