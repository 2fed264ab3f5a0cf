"""The committed register says of the real councils what the README beside it claims."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from pipeline.domains import registrable
from pipeline.register import (
    DATA,
    REGIONS,
    Hosts,
    filing_rules,
    find_council,
    fold,
    letter,
    load_register,
    on_day,
)
from tests.unit.samples import council_of

if TYPE_CHECKING:
    from collections.abc import Hashable

FILE = DATA / "register" / "councils.csv"
SHARED = Path(__file__).parents[2].parent / "shared"
TODAY = date(2026, 11, 1)
needs_pages = pytest.mark.skipif(
    not (SHARED / "real" / "index.csv").exists(),
    reason="the captured pages of ../shared are not part of the project",
)
needs_facts = pytest.mark.skipif(
    not (SHARED / "register" / "councils.csv").exists(),
    reason="the collected facts of ../shared are not part of the project",
)


@pytest.fixture(scope="module")
def register() -> pd.DataFrame:
    return load_register(today=TODAY)


@pytest.fixture(scope="module")
def current(register: pd.DataFrame) -> pd.DataFrame:
    return register[register["status"] == "current"]


@pytest.fixture(scope="module")
def hosts(register: pd.DataFrame) -> Hosts:
    return Hosts(register)


def row(register: pd.DataFrame, council: str) -> dict[Hashable, Any]:
    return register.set_index("council_id").to_dict("index")[council]


def test_file_has_unix_line_ends_and_no_byte_order_mark() -> None:
    raw = FILE.read_bytes()
    assert b"\r" not in raw
    assert raw.startswith(b"council_id,")
    assert raw.endswith(b"\n")


def test_rows_stand_in_order_of_council_id() -> None:
    ids = [line.split(",")[0] for line in FILE.read_text("utf-8").splitlines()[1:]]
    assert ids == sorted(ids)


def test_councils_by_status(register: pd.DataFrame) -> None:
    counts = register["status"].value_counts().to_dict()
    assert counts == {"current": 382, "abolished": 73, "coming": 2}


def test_current_councils_by_nation(current: pd.DataFrame) -> None:
    counts = current["nation"].value_counts().to_dict()
    assert counts == {"England": 317, "Scotland": 32, "Wales": 22, "Northern Ireland": 11}


def test_current_councils_by_type(current: pd.DataFrame) -> None:
    assert current["council_type"].value_counts().to_dict() == {
        "non-metropolitan district": 164,
        "unitary authority": 63,
        "metropolitan district": 36,
        "London borough": 32,
        "Scottish council area": 32,
        "Welsh principal area": 22,
        "county council": 21,
        "Northern Ireland district": 11,
        "City of London": 1,
    }


def test_region_is_one_of_nine_in_england_and_the_nation_elsewhere(register: pd.DataFrame) -> None:
    english = register["nation"] == "England"
    assert register.loc[english, "region"].isin(REGIONS).all()
    assert (register.loc[~english, "region"] == register.loc[~english, "nation"]).all()


def test_every_current_council_has_a_code_and_a_secure_website(current: pd.DataFrame) -> None:
    assert current["gss_code"].notna().all()
    assert current["website"].str.startswith("https://").all()


def test_exactly_the_districts_have_a_county(register: pd.DataFrame) -> None:
    districts = register["council_type"] == "non-metropolitan district"
    assert (register["county_id"].notna() == districts).all()


def test_three_pairs_share_a_website(register: pd.DataFrame) -> None:
    shared = register.dropna(subset="shares_website_with")
    pairs = set(zip(shared["council_id"], shared["shares_website_with"], strict=True))
    one_way = {("ADU", "WOT"), ("BRO", "SNO"), ("EAS", "LEE")}
    assert pairs == one_way | {(second, first) for first, second in one_way}


def test_successors_begin_on_the_day_after(register: pd.DataFrame) -> None:
    ended = register.dropna(subset="end_date").explode("replaced_by")
    starts = ended["replaced_by"].map(register.set_index("council_id")["start_date"])
    assert (starts == ended["end_date"] + timedelta(days=1)).all()


def test_every_abolished_council_has_a_successor(register: pd.DataFrame) -> None:
    ended = register[register["status"] == "abolished"]
    assert ended["replaced_by"].str.len().gt(0).all()


def test_surrey_becomes_two_councils_in_april_2027(register: pd.DataFrame) -> None:
    last, first = (on_day(register, day) for day in (date(2027, 3, 31), date(2027, 4, 1)))
    gone = (last["status"] == "current") & (first["status"] == "abolished")
    new = (last["status"] == "coming") & (first["status"] == "current")
    assert gone.sum() == 12
    assert register.loc[new, "council_id"].tolist() == ["ESY", "WSY"]
    assert row(register, "SRY")["replaced_by"] == ["ESY", "WSY"]


@pytest.mark.parametrize(
    ("council", "code", "former"),
    [
        ("BNS", "E08000038", ["E08000016"]),
        ("SHF", "E08000039", ["E08000019"]),
        ("GLG", "S12000049", ["S12000043", "S12000046"]),
    ],
)
def test_code_is_the_present_one_and_former_ones_are_kept(
    register: pd.DataFrame, council: str, code: str, former: list[str]
) -> None:
    found = row(register, council)
    assert (found["gss_code"], found["former_gss_codes"]) == (code, former)


@pytest.mark.parametrize(
    ("council", "under"),
    [
        ("BRD", "B"),
        ("AGY", "A"),
        ("ELS", "W"),
        ("KIN", "K"),
        ("SAL", "S"),
        ("IOW", "I"),
        ("IOS", "I"),
        ("LND", "C"),
        ("WNM", "W"),
        ("CMD", "C"),
        ("HLD", "H"),
        ("SWA", "S"),
        ("KHL", "H"),
        ("DUR", "D"),
    ],
)
def test_council_is_filed_where_a_reader_looks(
    register: pd.DataFrame, council: str, under: str
) -> None:
    assert row(register.assign(letter=letter(register["sort_name"])), council)["letter"] == under


def test_filing_names_of_current_councils_differ(current: pd.DataFrame) -> None:
    assert current["sort_name"].is_unique


def test_every_filing_exception_names_a_council(register: pd.DataFrame) -> None:
    assert set(filing_rules().exceptions.values()) <= set(register["sort_name"])


@pytest.mark.parametrize(
    ("text", "council"),
    [
        ("Western Isles", "ELS"),
        ("Na h-Eileanan an Iar", "ELS"),
        ("Ynys Mon", "AGY"),
        ("Anglesey", "AGY"),
        ("Cyngor Caerdydd", "CRF"),
        ("Sir Benfro", "PEM"),
        ("BCP Council", "BPC"),
        ("Kingston upon Hull", "KHL"),
        ("kings lynn and west norfolk", "KIN"),
        ("Comhairle na Gaidhealtachd", "HLD"),
        ("Derry and Strabane", "DRS"),
        ("City of London", "LND"),
        ("Durham", "DUR"),
        ("Dorset", "DST"),
        ("Dorset County Council", "DOR"),
    ],
)
def test_council_is_found_by_a_name_that_people_use(
    register: pd.DataFrame, text: str, council: str
) -> None:
    assert find_council(register, text) == council


def test_no_two_current_councils_have_one_name(current: pd.DataFrame) -> None:
    names = pd.concat([current["name"], current["names_other"].explode().dropna()])
    assert fold(names).is_unique


def test_no_other_name_repeats_the_official_one(register: pd.DataFrame) -> None:
    others = register.explode("names_other").dropna(subset="names_other")
    assert (others["names_other"] != others["name"]).all()


def test_welsh_councils_have_their_welsh_names(register: pd.DataFrame) -> None:
    welsh = register.loc[register["nation"] == "Wales", "names_other"]
    official = welsh.explode().str.contains("Cyngor|Dinas a Sir").groupby(level=0).any()
    assert official.all()


def test_listed_hosts_are_domains_that_councils_hold(register: pd.DataFrame) -> None:
    listed = register["other_hosts"].explode().dropna()
    assert (listed == listed.map(registrable)).all()


def test_every_website_leads_back_to_its_council(current: pd.DataFrame, hosts: Hosts) -> None:
    found = [hosts.councils_of(urlsplit(site).hostname or "") for site in current["website"]]
    own = zip(current["council_id"], found, strict=True)
    assert all(council in councils for council, councils in own)


@pytest.mark.parametrize(
    ("host", "council"),
    [
        ("petitions.barrowbc.gov.uk", "BAR"),
        ("fixmystreet.buckscc.gov.uk", "BUC"),
        ("www.northyorks.gov.uk", "NYE"),
        ("www.anglesey.gov.uk", "AGY"),
        ("www.anglesey.gov.wales", "AGY"),
        ("www.gov.wales", None),
        ("www.llyw.cymru", None),
        ("www.pkc.gov.uk", "PKN"),
        ("www.lewes.gov.uk", "LEE"),
        ("www.eastbourne.gov.uk", "EAS"),
        ("www.gov.uk", None),
        ("blog.wmca.org.uk", None),
    ],
)
def test_host_belongs_to(hosts: Hosts, host: str, council: str | None) -> None:
    assert council_of(hosts, host) == council


@needs_pages
def test_captured_pages_belong_to_the_councils_that_they_name(
    register: pd.DataFrame, hosts: Hosts
) -> None:
    codes = register[["council_id", "gss_code", "former_gss_codes"]]
    known = pd.concat([codes["gss_code"], codes["former_gss_codes"]]).explode().dropna()
    by_code = dict(zip(known, codes["council_id"].reindex(known.index), strict=True))
    with (SHARED / "real" / "index.csv").open(encoding="utf-8", newline="") as stream:
        pages = list(csv.DictReader(stream))
    found = {page["url"]: council_of(hosts, urlsplit(page["url"]).hostname or "") for page in pages}
    assert found == {page["url"]: by_code.get(page["gss_code"]) for page in pages}


@needs_facts
def test_codes_of_current_councils_are_those_of_the_sources(current: pd.DataFrame) -> None:
    with (SHARED / "register" / "councils.csv").open(encoding="utf-8", newline="") as stream:
        facts = {fact["council_id"]: fact["gss_code"] for fact in csv.DictReader(stream)}
    assert dict(zip(current["council_id"], current["gss_code"], strict=True)) == facts
