"""The signals, and every example that the rule files give."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.likeness import affixes_of, bare, cores, likeness, plain_text, words_in
from pipeline.signals import (
    collect,
    contains,
    council_titles,
    load_vocabulary,
    notices_in,
    service_of_residual,
    service_of_text,
    services_in,
    stranger_of_name,
    with_partners,
    words_of_address,
)
from tests.unit.attribution_world import fetches, register, rows

RULES = Path(__file__).parents[2] / "data" / "rules"
VOCABULARY = load_vocabulary()
X = "https://x.com/"


def table(name: str, kind: str) -> list[dict[str, Any]]:
    """The entries of one kind in a rule file."""
    return tomllib.loads((RULES / name).read_text("utf-8"))[kind]  # type: ignore[no-any-return]  # TOML


def like(council: str, handle: str) -> pd.Series:
    """How one handle compares with one council of the invented world."""
    pairs = pd.DataFrame({"council_id": [council], "handle": [handle]})
    return likeness(pairs, register(), VOCABULARY.raw, VOCABULARY.pieces).iloc[0]


@pytest.mark.parametrize("entry", table("services.toml", "service"), ids=lambda e: e["id"])
def test_each_service_is_known_by_its_example(entry: dict[str, Any]) -> None:
    assert service_of_text(VOCABULARY)(entry["example"]) == entry["id"]


@pytest.mark.parametrize("entry", table("services.toml", "service"), ids=lambda e: e["id"])
def test_each_service_is_known_by_its_handle(entry: dict[str, Any]) -> None:
    name = bare(entry["example_handle"])
    kinds = affixes_of(VOCABULARY.raw["handle"], VOCABULARY.pieces)
    rests = [
        rest
        for core, _, rest in cores(name, kinds)
        if core in ("moor", "fen", "wolshire", "fencity")
    ]
    assert entry["id"] in {service_of_residual(VOCABULARY)(rest) for rest in rests}


@pytest.mark.parametrize(
    ("entry", "handle"),
    [(s["id"], h) for s in table("strangers.toml", "stranger") for h in s["examples"]],
)
def test_each_stranger_is_known_by_its_examples(entry: str, handle: str) -> None:
    assert stranger_of_name(VOCABULARY)(bare(handle)) == entry


@pytest.mark.parametrize(
    "handle",
    [h for s in table("strangers.toml", "stranger") for h in s.get("counter_examples", [])],
)
def test_no_stranger_is_seen_in_a_counter_example(handle: str) -> None:
    assert stranger_of_name(VOCABULARY)(bare(handle)) is None


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [(n, text) for n in table("notices.toml", "notice") for text in n["examples"]],
    ids=str,
)
def test_each_notice_is_read_in_its_examples(entry: dict[str, Any], sentence: str) -> None:
    found = notices_in(VOCABULARY)(sentence)
    assert (entry["rule"], entry["about"]) in {(rule, about) for rule, about, _ in found}


@pytest.mark.parametrize(
    "sentence", [text for u in table("notices.toml", "unless") for text in u["examples"]]
)
def test_what_is_no_notice_is_not_read_as_one(sentence: str) -> None:
    assert notices_in(VOCABULARY)(sentence) == ()


@pytest.mark.parametrize(
    "sentence", [text for n in table("notices.toml", "notice") for text in n["examples"]]
)
def test_the_columnwise_search_lets_every_notice_through(sentence: str) -> None:
    assert contains(pd.Series([sentence]), VOCABULARY.words["notice"]).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (name, text)
        for name, entry in VOCABULARY.raw["words"].items()
        for text in entry.get("examples", [])
    ],
)
def test_words_are_found_in_their_examples(name: str, text: str) -> None:
    assert contains(pd.Series([text]), VOCABULARY.words[name]).all()


def test_an_invitation_to_the_town_hall_is_no_tourism() -> None:
    assert service_of_text(VOCABULARY)("Visit us") is None


def test_services_read_columnwise_are_those_read_one_by_one() -> None:
    examples = [entry["example"] for entry in table("services.toml", "service")]
    beside = [
        "",
        "Visit us at the library",
        "Visit Moor",
        "é{}",
        "{} – news",
        "{}s",
        "no{}",
        "{0} {0}",
    ]
    texts = [form.format(example) for form in ["{}", *beside] for example in examples]
    service = service_of_text(VOCABULARY)
    read = services_in(pa.array(texts), VOCABULARY)
    assert [None if pd.isna(name) else name for name in read] == [*map(service, texts)]


def test_texts_are_read_in_parts_as_they_are_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array(["Libraries", "é", "Visit the library", "", "Highways news", "Jobs", "x"])
    addresses = pa.array([f"https://libraries.moor.example/jobs/{n}" for n in range(7)])

    def answers() -> list[Any]:
        return [
            services_in(texts, VOCABULARY).codes.tolist(),
            contains(texts, "libr").tolist(),
            words_of_address(addresses).to_pylist(),
        ]

    whole = answers()
    monkeypatch.setattr("pipeline.signals.TEXTS_AT_ONCE", 3)
    assert answers() == whole


@pytest.mark.parametrize("kind", ["str", "category"])
def test_what_stands_on_a_shared_website_is_given_to_each_council_once(kind: str) -> None:
    seen = pd.DataFrame(
        {
            "council_id": ["FEN", "TAR", "FEN", "BRK", "BRK"],
            "label": ["both read it", "both read it", "one read it", "twice", "twice"],
        },
        dtype="str",
    ).astype({"council_id": kind})
    given = with_partners(seen, register()).astype("str").to_numpy().tolist()
    assert sorted(map(tuple, given)) == [
        ("BRK", "twice"),
        ("BRK", "twice"),
        ("FEN", "both read it"),
        ("FEN", "one read it"),
        ("TAR", "both read it"),
        ("TAR", "one read it"),
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://libraries.moor.example/join-us/a.html?b=c", "libraries join us a html b c"),
        ("https://www.moor.example", "www "),
        ("moor.example/jobs", " "),
        ("https://www.moor.example/x://y\nz", "www x: y\nz"),
    ],
)
def test_the_words_of_an_address_are_its_first_label_and_its_path(url: str, words: str) -> None:
    assert words_of_address(pa.array([url])).to_pylist() == [words]


@pytest.mark.parametrize("name", sorted(VOCABULARY.words))
def test_patterns_searched_columnwise_have_no_groups(name: str) -> None:
    assert re.compile(VOCABULARY.words[name]).groups == 0


@pytest.mark.parametrize(
    ("council", "handle", "least"),
    [
        ("BRK", "WolshireCC", 1.0),
        ("BRK", "WolshireCC_News", 0.95),
        ("BRK", "company/wolshire-county-council", 1.0),
        ("BRK", "Wolshire-County-Council-126261804063269", 1.0),
        ("BRK", "WolsCouncil", 0.7),
        ("BRK", "Wolsh", 0.5),
        ("NWO", "NWoldsCouncil", 0.95),
        ("NWO", "nwcouncil", 0.7),
        ("CWM", "CGlasCouncil", 0.9),
        ("BRK", "WolshireTrotters", 0.5),
        ("BRK", "TeamWolshireTrotters", 0.5),
        ("CWM", "CyngorGlynLas", 1.0),
        ("CWM", "cwmglascbc", 1.0),
        ("FEN", "FenwickAndTarnside", 0.9),
    ],
)
def test_a_handle_made_of_the_councils_name_is_like_it(
    council: str, handle: str, least: float
) -> None:
    assert like(council, handle)["name_likeness"] >= least


@pytest.mark.parametrize(
    ("council", "handle"), [("BRK", "tidytrails"), ("BRK", "MoorlandDC"), ("NWO", "southwolds")]
)
def test_a_handle_without_the_name_is_unlike_it(council: str, handle: str) -> None:
    assert like(council, handle)["name_likeness"] < 0.3


@pytest.mark.parametrize(
    "handle", ["channel/UCaaaaaaaaaaaaaaaaaaaaaa", "126261804063269", "photos/56273443@N04"]
)
def test_a_number_says_neither_yes_nor_no(handle: str) -> None:
    assert pd.isna(like("BRK", handle)["name_likeness"])


def test_words_set_apart_by_capitals_and_marks_are_told_apart() -> None:
    assert words_in("MoorSOSTeam_2.Blog") == ["moor", "sos", "team", "2", "blog"]


def test_a_name_with_an_unknown_word_beside_it_is_less_like() -> None:
    assert like("BRK", "WolshireTrotters")["name_likeness"] < VOCABULARY.threshold("own_name")


def test_a_council_answers_to_the_title_of_one_before_it_in_the_same_place() -> None:
    councils = register().assign(
        name=lambda t: t["name"].replace("Ryeby District Council", "North Wolds District Council")
    )
    titles = council_titles(councils, VOCABULARY)
    owners = titles.loc[titles["title"] == "north wolds district council", "council_id"]
    assert set(owners) == {"NWO", "RYE"}


def test_another_councils_name_is_recognised_as_foreign() -> None:
    assert like("NWO", "MoorlandDC")["foreign"] == "MLD"


def test_a_countys_library_in_a_district_town_is_not_foreign() -> None:
    assert pd.isna(like("BRK", "MoorlandLibrary")["foreign"])


def test_welsh_place_names_tell_the_language() -> None:
    assert like("CWM", "GlynLas")["form_language"] == "cy"


def test_text_is_folded_to_plain_letters() -> None:
    assert plain_text("Môn & St. Wight’s") == "mon and st wights"


def test_pages_are_counted_once_each() -> None:
    page = "https://www.wolshire.example/"
    seen = rows(
        *({"href": f"{X}WolshireCC", "region": r, "page_url": page} for r in ("header", "footer"))
    )
    assert collect(seen, fetches(seen), register(), VOCABULARY)["pages_seen"].tolist() == [1]


def test_the_share_counts_pages_that_carry_nothing() -> None:
    seen = rows({"href": f"{X}WolshireCC"})
    read = pd.concat([fetches(seen), fetches(seen).assign(url="https://www.wolshire.example/bins")])
    assert collect(seen, read, register(), VOCABULARY)["pages_share"].tolist() == [0.5]


def test_evidence_is_the_template_link_rather_than_the_text() -> None:
    seen = rows(
        {"href": f"{X}WolshireCC", "region": "main", "label": "in the text"},
        {"href": f"{X}WolshireCC", "region": "footer", "label": "in the footer"},
    )
    found = collect(seen, fetches(seen), register(), VOCABULARY)
    assert found["evidence_text"].tolist() == ["in the footer"]


def test_the_same_name_on_other_networks_is_counted() -> None:
    seen = rows({"href": f"{X}brackenlife"}, {"href": "https://www.facebook.com/brackenlife"})
    assert collect(seen, fetches(seen), register(), VOCABULARY)["siblings"].tolist() == [1, 1]


def test_the_partner_on_one_website_is_no_other_council() -> None:
    seen = rows({"href": f"{X}FenwickDC", "council_id": "FEN"})
    assert collect(seen, fetches(seen), register(), VOCABULARY)["other_councils"].tolist() == [0, 0]
