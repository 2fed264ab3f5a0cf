"""The register: what loads, what is refused and in which words, and who a host or a name means."""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from pipeline import schema
from pipeline.domains import registrable, site_of
from pipeline.register import (
    COLUMNS,
    DATA,
    NATIONS,
    STORED,
    Hosts,
    RegisterError,
    find_council,
    letter,
    load_register,
    on_day,
    short_name,
    sort_name,
)
from tests.unit.samples import council_of

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 1)
RULES = tomllib.loads((DATA / "rules" / "filing.toml").read_text("utf-8"))
DOMAINS = tomllib.loads((DATA / "rules" / "domains.toml").read_text("utf-8"))
ALDER = {
    "council_id": "ALD",
    "gss_code": "E06990001",
    "name": "Alder Council",
    "nation": "England",
    "council_type": "unitary authority",
    "website": "https://www.alder.example/",
}
BIRCH = ALDER | {
    "council_id": "BIR",
    "gss_code": "E06990002",
    "name": "City of Birch Council",
    "website": "https://www.birch.example/",
}


def write(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = STORED) -> Path:
    file = path / "councils.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file


def load(path: Path, *rows: dict[str, str], today: date = TODAY) -> pd.DataFrame:
    return load_register(write(path, *rows), today)


def faults(file: Path) -> list[str]:
    with pytest.raises(RegisterError) as caught:
        load_register(file, TODAY)
    return str(caught.value).replace(f"{file}, ", "").replace(f"{file}: ", "").split("\n")


# --- What loads ----------------------------------------------------------------------------


def test_columns_are_those_of_the_schema() -> None:
    assert schema.TABLES["councils"].names == list(COLUMNS)


def test_nations_are_those_of_the_schema() -> None:
    assert tuple(NATIONS) == schema.NATIONS


def test_loaded_register_fits_the_arrow_schema(tmp_path: Path) -> None:
    register = load(tmp_path, ALDER | {"end_date": "2030-03-31"}, BIRCH)
    table = pa.Table.from_pandas(register, schema=schema.COUNCILS.arrow(), preserve_index=False)
    table.validate(full=True)
    assert table["end_date"].to_pylist() == [date(2030, 3, 31), None]


def test_rows_are_sorted_by_council_id(tmp_path: Path) -> None:
    assert load(tmp_path, BIRCH, ALDER)["council_id"].tolist() == ["ALD", "BIR"]


def test_several_values_are_split_at_the_bar(tmp_path: Path) -> None:
    register = load(tmp_path, ALDER | {"names_other": "Alder Town| Y Wernen "}, BIRCH)
    assert register["names_other"].tolist() == [["Alder Town", "Y Wernen"], []]


def test_empty_cells_are_missing(tmp_path: Path) -> None:
    register = load(tmp_path, ALDER)
    assert register[["county_id", "region", "start_date", "end_date"]].isna().all(axis=None)


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_register(file, TODAY)["council_id"].tolist() == ["ALD"]


def test_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_register(file, TODAY)["website"].tolist() == ["https://www.alder.example/"]


def test_blank_lines_and_space_around_cells_do_not_count(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER | {"name": " Alder Council "})
    file.write_text(file.read_text("utf-8") + "\n,,,\n\n", encoding="utf-8")
    assert load_register(file, TODAY)["name"].tolist() == ["Alder Council"]


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (date(2027, 3, 31), ["current", "coming"]),
        (date(2027, 4, 1), ["abolished", "current"]),
    ],
)
def test_successor_takes_over_on_its_first_day(
    tmp_path: Path, day: date, status: list[str]
) -> None:
    ending = ALDER | {"end_date": "2027-03-31", "replaced_by": "BIR"}
    register = load(tmp_path, ending, BIRCH | {"start_date": "2027-04-01"})
    assert on_day(register, day)["status"].tolist() == status


def test_on_day_leaves_the_register_as_it_was(tmp_path: Path) -> None:
    register = load(tmp_path, ALDER | {"end_date": "2027-03-31"})
    on_day(register, date(2030, 1, 1))
    assert register["status"].tolist() == ["current"]


# --- What is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("council_id", "al-d", "is not three or four capital letters; write ALD"),
        ("council_id", "", "council_id is empty"),
        ("name", "", "name is empty"),
        ("name", "Ald\x00er", "holds characters that do not show (U+0000)"),
        ("name", "Ald\u200ber", "holds characters that do not show (U+200B)"),
        ("name", "Alder\u00a0Council", "holds characters that do not show (U+00A0)"),
        ("gss_code", "E0699001", "is not a GSS code"),
        ("gss_code", "S06990001", "is not of England; write one that begins with E"),
        ("former_gss_codes", "E06990003|X1", "former_gss_codes 'X1' is not a GSS code"),
        ("nation", "Englnd", "nation 'Englnd' is unknown; write England"),
        ("council_type", "unitary", "is unknown; write unitary authority"),
        ("region", "Kent", "is no region of England; write East Midlands or"),
        ("county_id", "ZZZ", "county_id 'ZZZ' is no council in this register"),
        ("county_id", "BIR", "county_id 'BIR' is not a county council"),
        ("website", "www.alder.example", "has no scheme; write https://www.alder.example/"),
        ("website", "//alder.example/a", "has no scheme; write https://alder.example/a"),
        ("website", "https//alder.example", "has no scheme; write https://alder.example/"),
        (
            "website",
            "https://al der.example/",
            "has a space or backslash in it; write https://alder",
        ),
        ("website", "ftp://alder.example/", "is not http or https"),
        ("website", "javascript:alert(1)", "is not http or https"),
        ("website", "https://me:pw@alder.example/a", "user name; write https://alder.example/a"),
        ("website", "https://192.0.2.1/", "is an address, not a name"),
        ("website", "https://[2001:db8::1]/", "is an address, not a name"),
        ("website", "https://[::1/", "is not a web address"),
        ("website", "https://", "has no valid host"),
        ("website", "https://alder/", "has no valid host"),
        ("website", "https://www.gov.uk/", "is not one council's own domain"),
        (
            "other_hosts",
            "https://old.alder.example/a",
            "is more than a host; write old.alder.example",
        ),
        ("other_hosts", "OLD.alder.example", "write old.alder.example"),
        ("other_hosts", "gov.uk", "is not one council's own domain"),
        ("other_hosts", "192.0.2.1", "is an address, not a name"),
        ("shares_website_with", "BIR", "does not name ALD in turn (row 3); write ALD there"),
        ("shares_website_with", "BIR", "is not that of BIR (row 3), which shares it"),
        ("start_date", "1/4/2015", "is not year-month-day; write 2015-04-01"),
        ("start_date", "April 2015", "is not year-month-day"),
        ("start_date", "2015-04-31", "is no day of the calendar"),
        ("replaced_by", "BIR", "end_date is empty though replaced_by is not"),
        ("replaced_by", "ALD", "replaced_by 'ALD' is the council itself"),
        ("replaced_by", "BIR|ZZZ", "replaced_by 'ZZZ' is no council in this register"),
    ],
)
def test_bad_cell_is_refused_with_what_to_write(
    tmp_path: Path, column: str, value: str, told: str
) -> None:
    found = faults(write(tmp_path, ALDER | {column: value}, BIRCH))
    assert any(told in fault for fault in found), found


def test_fault_names_file_row_council_column_and_value(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER, BIRCH | {"website": "birch.example"})
    with pytest.raises(RegisterError) as caught:
        load_register(file, TODAY)
    assert str(caught.value) == (
        f"{file}, row 3 (City of Birch Council): website 'birch.example' has no scheme; "
        "write https://birch.example/"
    )


def test_all_faults_are_told_at_once_in_the_order_of_the_rows(tmp_path: Path) -> None:
    bad = BIRCH | {"website": "birch.example", "start_date": "x", "nation": "Mercia"}
    found = faults(write(tmp_path, ALDER | {"gss_code": "1"}, bad))
    assert [fault.split(" (")[0] for fault in found] == ["row 2", "row 3", "row 3", "row 3"]


def test_end_before_start_is_refused(tmp_path: Path) -> None:
    dates = {"start_date": "2020-04-01", "end_date": "2019-03-31"}
    (fault,) = faults(write(tmp_path, ALDER | dates))
    assert "end_date '2019-03-31' is before start_date 2020-04-01" in fault


def test_duplicate_id_names_the_first_row(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, ALDER, BIRCH | {"council_id": "ALD"}))
    assert fault.startswith("row 3 (City of Birch Council): council_id 'ALD' is already in row 2")


def test_duplicate_gss_code_of_standing_councils_is_refused(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, ALDER, BIRCH | {"gss_code": "E06990001"}))
    assert "gss_code 'E06990001' is already in row 2" in fault


def test_abolished_council_may_have_had_the_code_of_its_successor(tmp_path: Path) -> None:
    ended = ALDER | {"end_date": "2020-03-31", "replaced_by": "BIR"}
    assert len(load(tmp_path, ended, BIRCH | {"gss_code": "E06990001"})) == 2


def test_one_website_for_two_councils_must_be_declared(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, ALDER, BIRCH | {"website": ALDER["website"]}))
    assert "is also in row 2; write its own, or fill shares_website_with" in fault


def test_successor_may_keep_the_host_of_an_abolished_council(tmp_path: Path) -> None:
    ended = ALDER | {"website": "", "other_hosts": "birch.example", "end_date": "2020-03-31"}
    assert len(load(tmp_path, ended, BIRCH | {"other_hosts": "birch.example"})) == 2


def test_missing_column_is_named_beside_other_faults(tmp_path: Path) -> None:
    columns = tuple(column for column in STORED if column != "county_id")
    found = faults(write(tmp_path, ALDER | {"nation": "Mercia"}, columns=columns))
    assert "column 'county_id' is missing; write the header council_id," in found[0]
    assert "nation 'Mercia' is unknown" in found[1]


def test_unknown_column_is_told_the_nearest_name(tmp_path: Path) -> None:
    found = faults(write(tmp_path, ALDER, columns=(*STORED, "Web_site")))
    assert found == ["column 'Web_site' is unknown; write 'website'"]


def test_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER)
    text = "\n".join(f"{line},x" for line in file.read_text("utf-8").splitlines())
    file.write_text(text.replace("replaced_by,x", "replaced_by,name", 1), encoding="utf-8")
    assert "column 'name' is there 2 times; keep one" in faults(file)


@pytest.mark.parametrize("column", ["sort_name", "status"])
def test_derived_column_is_not_stored(tmp_path: Path, column: str) -> None:
    (fault,) = faults(write(tmp_path, ALDER, columns=(*STORED, column)))
    assert fault.startswith(f"column '{column}' is not stored: it follows from")


def test_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER)
    file.write_text(file.read_text("utf-8").rstrip("\n") + ",,\n", encoding="utf-8")
    (fault,) = faults(file)
    assert fault.startswith("row 2 (Alder Council): has 17 cells where the header has 15")


def test_row_number_counts_blank_lines_as_a_spreadsheet_does(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER | {"nation": "Mercia"})
    file.write_text(file.read_text("utf-8").replace("\n", "\n\n", 1), encoding="utf-8")
    (fault,) = faults(file)
    assert fault.startswith("row 3 (Alder Council): nation 'Mercia'")


def test_open_quotation_mark_is_refused_where_it_opens(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER, BIRCH | {"name": "@"}, ALDER | {"council_id": "CED"})
    file.write_text(file.read_text("utf-8").replace("@", '"Birch'), encoding="utf-8")
    (fault,) = faults(file)
    assert fault.startswith("row 3: is not CSV (")


def test_wrong_encoding_names_row_and_words_and_other_faults(tmp_path: Path) -> None:
    file = write(tmp_path, ALDER | {"website": "alder.example"}, BIRCH | {"name": "Bédwen"})
    file.write_bytes(file.read_text("utf-8").encode("cp1252"))
    found = faults(file)
    assert "has no scheme" in found[0]
    assert "is not UTF-8 ('Bédwen'); save the file as CSV UTF-8" in found[1]
    assert found[1].startswith("row 3")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty; the first row must be council_id,"),
        (b"\xef\xbb\xbf\r\n \r\n", "is empty; the first row must be council_id,"),
        (",".join(STORED).encode(), "has a header but no councils; add a row for each"),
        ("council_id,name".encode("utf-16"), "is UTF-16; save it as CSV UTF-8"),
        (b"council_id;name\nALD;Alder\n", "separates its cells by ';' or tab; save it with commas"),
    ],
)
def test_file_that_is_no_register_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "councils.csv"
    file.write_bytes(content)
    assert faults(file)[0].startswith(told)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.csv")[0].startswith("cannot be read: ")


def test_folder_is_refused_by_name(tmp_path: Path) -> None:
    assert faults(tmp_path)[0].startswith("cannot be read: ")


# --- Filing names --------------------------------------------------------------------------


def one(function: object, text: str) -> str:
    assert callable(function)
    return str(function(pd.Series([text])).iloc[0])


@pytest.mark.parametrize("rule", RULES["title"], ids=lambda rule: str(rule["words"]))
def test_title_goes_last(rule: dict[str, str]) -> None:
    assert one(sort_name, rule["example"]) == rule["filed"]


@pytest.mark.parametrize("rule", RULES["exception"], ids=lambda rule: str(rule["name"]))
def test_exception_is_filed_as_the_rule_says(rule: dict[str, str]) -> None:
    assert one(sort_name, rule["name"]) == rule["filed"]


@pytest.mark.parametrize("rule", RULES["ending"], ids=lambda rule: str(rule["words"]))
def test_short_name_leaves_the_kind_of_council_off(rule: dict[str, str]) -> None:
    assert one(short_name, rule["example"]) == rule["short"]


@pytest.mark.parametrize("kind", ["title", "exception", "ending"])
def test_every_filing_rule_has_a_reason(kind: str) -> None:
    assert all(rule["reason"] for rule in RULES[kind])


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("St. Sample's & Öre Council", "st samples and ore council"),
        ("Sample-on-Water   Council", "sample on water council"),
        ("Isle of Sample Council", "isle of sample council"),
        ("Theale Council", "theale council"),
        ("City Council", "city council"),
    ],
)
def test_filing_name_is_folded(name: str, filed: str) -> None:
    assert one(sort_name, name) == filed


def test_name_that_is_only_a_kind_of_council_stays() -> None:
    assert one(short_name, "Council") == "council"


@pytest.mark.parametrize(("filed", "first"), [("alder", "A"), ("3 rivers", "#"), ("", "#")])
def test_letter_is_a_to_z_or_a_number_sign(filed: str, first: str) -> None:
    assert one(letter, filed) == first


# --- Hosts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", DOMAINS["suffix"], ids=lambda rule: str(rule["name"]))
def test_added_suffix_separates_the_bodies_below_it(rule: dict[str, str]) -> None:
    assert rule["reason"]
    assert registrable(rule["example"]) == rule["site"]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("planning.sampleshire.gov.uk", "sampleshire.gov.uk"),
        ("WWW.Sampleshire.gov.uk.", "sampleshire.gov.uk"),
        ("gov.uk", "gov.uk"),
        ("a.b.alder.example", "alder.example"),
        ("alder-parish.github.io", "alder-parish.github.io"),
        ("192.0.2.1", "192.0.2.1"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_registrable_domain(host: str, domain: str) -> None:
    assert registrable(host) == domain


@pytest.mark.parametrize(
    ("host", "council"),
    [
        ("www.alder.example", "ALD"),
        ("alder.example", "ALD"),
        ("Planning.ALDER.example:8080", "ALD"),
        ("alder.example.", "ALD"),
        ("alder-town.example", "ALD"),
        ("news.alder-town.example", "ALD"),
        ("notalder.example", None),
        ("alder.example.birch.invalid", None),
        ("example", None),
        ("", None),
    ],
)
def test_host_belongs_to_the_council_above_it(
    tmp_path: Path, host: str, council: str | None
) -> None:
    register = load(tmp_path, ALDER | {"other_hosts": "alder-town.example"}, BIRCH)
    assert council_of(Hosts(register), host) == council


def test_sibling_of_a_listed_host_belongs_to_the_same_council(tmp_path: Path) -> None:
    register = load(tmp_path, ALDER | {"website": "https://home.alder.example/"})
    assert council_of(Hosts(register), "planning.alder.example") == "ALD"


def test_domain_that_hosts_two_councils_belongs_to_neither(tmp_path: Path) -> None:
    alder = ALDER | {"website": "https://alder.parishes.example/"}
    birch = BIRCH | {"website": "https://birch.parishes.example/"}
    hosts = Hosts(load(tmp_path, alder, birch))
    found = [council_of(hosts, f"{name}parishes.example") for name in ("alder.", "birch.", "")]
    assert found == ["ALD", "BIR", None]


def test_domains_of_councils_are_those_of_all_their_hosts(tmp_path: Path) -> None:
    alder = ALDER | {"other_hosts": "news.alder-town.example"}
    hosts = Hosts(load(tmp_path, alder, BIRCH))
    assert hosts.domains_of(["ALD"]) == {"alder.example", "alder-town.example"}
    assert hosts.domains_of(["ALD", "BIR"]) > hosts.domains_of(["BIR"]) != frozenset()
    assert hosts.domains_of(["OAK"]) == frozenset()


def test_shared_website_belongs_to_both_and_first_to_the_first_id(tmp_path: Path) -> None:
    shared = {"website": "https://www.trees.example/"}
    alder = ALDER | shared | {"shares_website_with": "BIR"}
    hosts = Hosts(load(tmp_path, BIRCH | shared | {"shares_website_with": "ALD"}, alder))
    assert hosts.councils_of("www.trees.example") == ("ALD", "BIR")
    assert council_of(hosts, "www.trees.example") == "ALD"


@pytest.mark.parametrize(("taken_over", "council"), [("old.example", "BIR"), ("", "ALD")])
def test_host_of_an_abolished_council_is_the_successors_once_taken_over(
    tmp_path: Path, taken_over: str, council: str
) -> None:
    ended = {"website": "", "other_hosts": "old.example", "end_date": "2020-03-31"}
    register = load(tmp_path, ALDER | ended, BIRCH | {"other_hosts": taken_over})
    assert council_of(Hosts(register), "www.old.example") == council


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://news.alder.example:8000/a?b", "alder.example"),
        ("mailto:clerk@alder.example", ""),
        ("https://[::1", ""),
    ],
)
def test_site_of_a_url_is_its_registrable_domain(url: str, site: str) -> None:
    assert site_of(url) == site


# --- Looking a council up ------------------------------------------------------------------


@pytest.fixture
def trees(tmp_path: Path) -> pd.DataFrame:
    alder = ALDER | {"former_gss_codes": "E06990009", "names_other": "Y Wernen|King's Alder"}
    ended = ALDER | {
        "council_id": "BOL",
        "gss_code": "E06990008",
        "name": "Birch District Council",
        "website": "",
        "end_date": "2020-03-31",
    }
    upper = [
        ALDER | {"council_id": key, "gss_code": "", "website": "", "name": f"{name} Sallow Council"}
        for key, name in (("NSA", "North"), ("SSA", "South"))
    ]
    twins = [
        ALDER | {"council_id": key, "gss_code": "", "website": "", "name": "Elm Parish Council"}
        for key in ("ELA", "ELB")
    ]
    return load(tmp_path, alder, BIRCH, ended, *upper, *twins)


@pytest.mark.parametrize(
    ("text", "council"),
    [
        ("ald", "ALD"),
        ("E06990001", "ALD"),
        ("e06990009", "ALD"),
        ("ALDER COUNCIL", "ALD"),
        ("Alder", "ALD"),
        ("Alder Borough Council", "ALD"),
        ("y wérnen", "ALD"),
        ("Kings Alder", "ALD"),
        ("city of birch", "BIR"),
        ("birch", "BIR"),
        ("Birch District Council", "BOL"),
    ],
)
def test_council_is_found_by(trees: pd.DataFrame, text: str, council: str) -> None:
    assert find_council(trees, text) == council


def test_unknown_name_is_told_the_nearest(trees: pd.DataFrame) -> None:
    with pytest.raises(RegisterError, match=r"no council is called 'Aldr'.*Alder Council \(ALD\)"):
        find_council(trees, "Aldr")


def test_word_of_several_names_is_told_all_of_them(trees: pd.DataFrame) -> None:
    with pytest.raises(RegisterError, match=r"North Sallow.*South Sallow"):
        find_council(trees, "Sallow")


def test_name_of_two_councils_is_not_decided(trees: pd.DataFrame) -> None:
    with pytest.raises(RegisterError, match=r"fits several councils: .*\(ELA\), .*\(ELB\)"):
        find_council(trees, "Elm")


@pytest.mark.parametrize("text", ["", " ", "??", "%"])
def test_text_without_a_name_is_told_what_to_give(trees: pd.DataFrame, text: str) -> None:
    with pytest.raises(RegisterError, match="give a name, an id or a GSS code"):
        find_council(trees, text)
