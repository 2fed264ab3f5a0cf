"""Registers of more than principal councils: parishes below districts, fire beside counties.

The bodies are those of the benchmark, of which it is known whose every account is.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from hub.build import build as build_hub
from pipeline.build import build
from pipeline.likeness import likeness, place_words, tier_of
from pipeline.overrides import overrides_frame
from pipeline.register import (
    DATA,
    STORED,
    Hosts,
    RegisterError,
    find_council,
    load_register,
    short_name,
    sort_name,
)
from pipeline.signals import council_title, council_titles, load_vocabulary
from tests.bench.bodies import bodies, crawled, published, truth, write_register
from tests.unit.test_hub import broken_links, page, pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bodies import Body

COUNT = 500
# A district with its parishes in England, in Wales and in Scotland.
LISTED = [body for body in bodies(COUNT) if body.number < 50 or body.number >= 400]
FILING = tomllib.loads((DATA / "rules" / "filing.toml").read_text("utf-8"))
RAW = load_vocabulary().raw


# --- The register ----------------------------------------------------------------------------


def register(folder: Path, *rows: dict[str, str]) -> pd.DataFrame:
    """A register of rows that differ from a parish council of its own host."""
    plain = {"nation": "England", "council_type": "parish council"}
    cells = [
        dict.fromkeys(STORED, "")
        | plain
        | {"website": f"http://{r['council_id']}.example/".lower()}
        | r
        for r in rows
    ]
    file = folder / "councils.csv"
    pd.DataFrame(cells, columns=list(STORED)).to_csv(file, index=False)
    return load_register(file, date(2026, 11, 1))


MOOR = {
    "council_id": "MDC",
    "name": "Moor District Council",
    "council_type": "non-metropolitan district",
}
MOOR_TOWN = {"council_id": "MTC", "name": "Moor Town Council", "county_id": "MDC"}


@pytest.mark.parametrize(
    ("kind", "nation", "code"),
    [
        ("parish council", "England", "E04990001"),
        ("community council", "Wales", "W04990001"),
        ("community council", "Scotland", ""),
        ("fire authority", "England", "E31990001"),
        ("fire authority", "Wales", "W25990001"),
        ("combined authority", "England", "E47990001"),
        ("national park authority", "England", "E26990001"),
        ("national park authority", "Wales", "W18990001"),
        ("national park authority", "Scotland", "S21990001"),
    ],
)
def test_each_kind_of_body_has_codes_of_its_own(
    tmp_path: Path, kind: str, nation: str, code: str
) -> None:
    row = {"council_id": "XYZ", "name": "X", "nation": nation, "council_type": kind}
    assert len(register(tmp_path, row | {"gss_code": code})) == 1


def test_the_code_of_the_district_is_refused_for_its_parish(tmp_path: Path) -> None:
    with pytest.raises(
        RegisterError, match="not that of a parish council; write one that begins with E04"
    ):
        register(tmp_path, MOOR, MOOR_TOWN | {"gss_code": "E07990001"})


def test_a_parish_stands_below_a_district(tmp_path: Path) -> None:
    assert register(tmp_path, MOOR, MOOR_TOWN)["county_id"].tolist()[1] == "MDC"


def test_a_district_does_not_stand_below_a_parish(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match="county_id 'MTC' is not a county council"):
        register(tmp_path, MOOR | {"county_id": "MTC"}, MOOR_TOWN | {"county_id": ""})


def test_a_name_that_two_kinds_of_bodies_bear_is_asked_back(tmp_path: Path) -> None:
    table = register(tmp_path, MOOR, MOOR_TOWN)
    with pytest.raises(
        RegisterError, match=r"fits several councils: Moor District Council \(MDC\)"
    ):
        find_council(table, "Moor")
    assert find_council(table, "moor town council") == "MTC"


@pytest.mark.parametrize("rule", FILING["shared_host"], ids=lambda rule: str(rule["name"]))
def test_shared_host_tells_its_bodies_apart_by_their_paths(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    hosts = Hosts(register(tmp_path, MOOR_TOWN | {"county_id": "", "website": rule["example"]}))
    root = f"https://{rule['name']}/"
    assert hosts.councils_at(f"{root}{rule['site']}/news") == ("MTC",)
    assert hosts.councils_at(f"{root}community/another") == ()
    assert hosts.councils_at(root) == ()


def test_websites_on_one_host_own_what_stands_below_their_paths(tmp_path: Path) -> None:
    table = register(
        tmp_path,
        MOOR | {"website": "http://www.moor.example/"},
        MOOR_TOWN | {"website": "http://villages.moor.example/community/moor/home"},
        {"council_id": "FPC", "name": "Fen Parish Council"}
        | {"website": "http://villages.moor.example/community/fen/home"},
        {
            "council_id": "HPC",
            "name": "Holt Parish Council",
            "website": "http://holt.moor.example/",
        },
    )
    hosts = Hosts(table)
    below = "http://villages.moor.example/"
    assert hosts.councils_at(f"{below}community/moor/contact") == ("MTC",)
    assert hosts.councils_at(f"{below}community/fen/home") == ("FPC",)
    assert hosts.councils_at(f"{below}community/moorland/") == ()
    assert hosts.councils_at("http://holt.moor.example/news") == ("HPC",)
    assert hosts.councils_at("http://www.moor.example/parishes") == ("MDC",)
    assert hosts.councils_at("http://[broken") == ()


def test_website_at_the_root_keeps_what_no_path_on_its_host_takes(tmp_path: Path) -> None:
    hosts = Hosts(
        register(
            tmp_path,
            MOOR | {"website": "http://www.moor.example/"},
            MOOR_TOWN | {"website": "http://www.moor.example/town/"},
        )
    )
    assert hosts.councils_at("http://www.moor.example/town/clerk") == ("MTC",)
    assert hosts.councils_at("http://www.moor.example/townsend") == ("MDC",)


@pytest.mark.parametrize(
    ("name", "filed", "short"),
    [
        ("Cyngor Cymuned Llansampl", "llansampl, cyngor cymuned", "llansampl"),
        ("Moorshire Fire and Rescue Authority", "moorshire fire and rescue authority", "moorshire"),
        ("Moor Parish and Town Council", "moor parish and town council", "moor"),
        ("Moor Combined Authority", "moor combined authority", "moor"),
        ("Moor Hills National Park Authority", "moor hills national park authority", "moor hills"),
    ],
)
def test_every_kind_of_body_is_filed_and_found_by_its_place(
    name: str, filed: str, short: str
) -> None:
    assert sort_name(pd.Series([name])).tolist() == [filed]
    assert short_name(pd.Series([name])).tolist() == [short]


# --- Whose account -----------------------------------------------------------------------------


@pytest.mark.parametrize("tier", RAW["tier"], ids=lambda tier: str(tier["name"]))
def test_every_type_of_council_is_of_one_kind_and_its_words_are_its_own(
    tier: dict[str, Any],
) -> None:
    others = [other for other in RAW["tier"] if other is not tier]
    for key in ("types", "handle"):
        assert not {v for other in others for v in other[key]} & set(tier[key])
    assert set(tier["types"]) <= {kind["name"] for kind in FILING["council_type"]}


def test_no_type_of_council_is_without_a_kind() -> None:
    assert {kind for tier in RAW["tier"] for kind in tier["types"]} == {
        kind["name"] for kind in FILING["council_type"]
    }


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Hyde Moor Park Parish Council", "hyde moor park"),
        ("Cyngor Tref Moor", "moor"),
        ("Moorshire and Fen Fire and Rescue Service", "moorshire and fen"),
        ("Moor Town", "moor town"),
    ],
)
def test_only_the_kind_is_taken_off_a_name(name: str, place: str) -> None:
    assert " ".join(place_words(name, RAW["names"])) == place


NAMESAKES = (
    MOOR,
    MOOR_TOWN,
    {
        "council_id": "MFA",
        "name": "Moor Fire and Rescue Authority",
        "council_type": "fire authority",
    },
    {"council_id": "MNP", "name": "Moor National Park Authority"}
    | {"council_type": "national park authority"},
    {"council_id": "MCA", "name": "Moor Combined Authority", "council_type": "combined authority"},
)


OWNERS = {row.get("council_type", "parish council"): row["council_id"] for row in NAMESAKES}


@pytest.mark.parametrize(
    ("handle", "owner"),
    [
        (example.replace("Moorshire", "Moor"), OWNERS[kind])
        for tier in RAW["tier"]
        for kind in set(tier["types"]) & set(OWNERS)
        for example in tier["examples"]
    ],
)
def test_handle_that_names_the_kind_is_that_bodys_alone(
    tmp_path: Path, handle: str, owner: str
) -> None:
    table = register(tmp_path, *NAMESAKES)
    pairs = pd.DataFrame({"council_id": table["council_id"], "handle": handle})
    like = likeness(pairs, table, RAW, load_vocabulary().pieces).set_index("council_id")
    own = like["name_likeness"] >= RAW["threshold"]["own_name"]["value"]
    assert like.index[own].tolist() == [owner]
    others = like[like.index != owner]
    assert others["foreign"].eq(owner).all()


def test_handle_that_names_no_kind_is_like_every_namesake(tmp_path: Path) -> None:
    table = register(tmp_path, MOOR, MOOR_TOWN)
    pairs = pd.DataFrame({"council_id": table["council_id"], "handle": "MoorCouncil"})
    like = likeness(pairs, table, RAW, load_vocabulary().pieces)
    assert like["name_likeness"].tolist() == [1.0, 1.0]


def test_words_for_kinds_count_only_where_there_are_several(tmp_path: Path) -> None:
    alone = register(tmp_path, MOOR)
    pairs = pd.DataFrame({"council_id": ["MDC"], "handle": ["MoorPC"]})
    like = likeness(pairs, alone, RAW, load_vocabulary().pieces)
    assert like["residual"].tolist() == ["moorpc"]
    assert tier_of(alone, RAW["tier"]).tolist() == ["principal"]


def test_short_title_is_the_namesakes_whose_whole_name_it_is(tmp_path: Path) -> None:
    plain = MOOR | {"name": "Moor Council", "council_type": "unitary authority"}
    titles = council_titles(register(tmp_path, plain, MOOR_TOWN), load_vocabulary())
    assert titles.loc[titles["title"].eq("moor council"), "council_id"].tolist() == ["MDC"]
    assert council_title(titles)("See Moor Town Council, not Moor Council") == "moor town council"
    assert council_title(titles)("the moors council") is None


# --- From crawl to hub -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the register, crawl, release and hub of 150 bodies."""
    folder = tmp_path_factory.mktemp("bodies")
    whole = load_register(write_register(folder, LISTED))
    crawled(folder, COUNT)
    nothing = overrides_frame([])
    assert build([folder / "crawl"], folder / "release", None, whole, nothing).published
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.build.ONE_PAGE", 100)
        patch.setattr("hub.az.ROWS", 5)
        patch.setattr("hub.az.NAMES", 100)
        build_hub(folder / "release", folder / "site")
    return folder


def test_every_account_is_its_own_bodys_and_no_namesakes(made: Path) -> None:
    assert published(made / "release") == truth(LISTED)


def test_bodies_below_one_host_are_each_visited_on_their_own_path(made: Path) -> None:
    fetches = pd.read_parquet(made / "release" / "fetches.parquet")
    pages = fetches[fetches["purpose"].isin(["home", "follow"]) & fetches["outcome"].eq("ok")]
    tenants = [body for body in LISTED if body.home.count("/") > 3]
    assert tenants
    for body in tenants:
        own = pages.loc[pages["council_id"].eq(body.id), "url"]
        assert set(own) == {body.home, f"{body.home}contact", f"{body.home}news"}


def test_every_body_stands_on_one_page_of_its_letter(made: Path) -> None:
    names = [
        str(name)
        for path, tree in pages(made / "site")
        if path.startswith("/connect/")
        for name in tree.xpath("//div[@id='list']//a[@class='name']/text()")
    ]
    assert sorted(names) == sorted(body.name for body in LISTED)


def test_long_letter_has_pages_that_name_each_other(made: Path) -> None:
    first = page(made / "site", "connect/a")
    parts = [str(to) for to in first.xpath("(//nav[@class='parts'])[1]//a/@href")]
    assert len(parts) > 1
    assert parts[:2] == ["/connect/a/", "/connect/a/2/"]
    assert page(made / "site", "connect/a/2").xpath(
        "string((//nav[@class='parts'])[1]//a[@aria-current='page']/@href)"
    ) == "/connect/a/2/"  # fmt: skip


@pytest.mark.parametrize(
    ("path", "kind"), [("type/fire-authority", "fire authority"), ("nation/wales", "Wales")]
)
def test_bodies_of_a_choice_are_listed_without_a_script(made: Path, path: str, kind: str) -> None:
    def has(body: Body) -> bool:
        return kind in {body.council_type, body.nation}

    tree = page(made / "site", f"connect/{path}")
    names = {str(name) for name in tree.xpath("//ul[@class='names']//a/text()")}
    assert names == {body.name for body in LISTED if has(body)}


def test_entrance_links_every_choice_with_its_count(made: Path) -> None:
    tree = page(made / "site", "connect")
    (row,) = tree.xpath("//div[@class='browse']//li[contains(.,'Parish council')]")
    parishes = sum(body.council_type == "parish council" for body in LISTED)
    assert row.xpath("string(small)") == str(parishes)


def test_search_file_finds_and_filters_every_body(made: Path) -> None:
    file = json.loads((made / "site" / "api" / "search.json").read_text("utf-8"))
    rows = {row[0]: row for row in file["councils"]}
    assert set(rows) == {body.id for body in LISTED}
    listed = bodies(COUNT)
    for number in (1, 3, 401, 451):
        body = listed[number]
        _, name, _, nation, region, kind, above, age, networks = rows[body.id]
        assert (name, file["nations"][nation], file["types"][kind]) == (
            body.name,
            body.nation,
            body.council_type,
        )
        assert file["regions"][region] in {body.nation, "North East"}
        parent = listed[body.parent]
        assert file["above"][above] == ("" if parent is body else parent.name)
        assert (age, {file["networks"][at] for at in networks}) == (
            "7",
            {account.platform for account in body.accounts if not account.service},
        )


def test_handle_that_spells_the_name_is_not_in_the_search_file_twice(made: Path) -> None:
    file = json.loads((made / "site" / "api" / "search.json").read_text("utf-8"))
    words = {row[0]: row[2] for row in file["councils"]}
    district = bodies(1)[0]
    assert words[district.id].split() == [
        f"{district.place}{end}" for end in ("DC", "Libraries", "Museums")
    ] + [f"{district.slug}dc"]


def test_no_link_or_fragment_of_a_large_hub_is_broken(made: Path) -> None:
    assert broken_links(made / "site", "/") == []


def test_large_hub_speaks_of_public_bodies(made: Path) -> None:
    assert "Public bodies" in page(made / "site", "connect").xpath("string(//main)")
