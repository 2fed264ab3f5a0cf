"""A release folder: typed, described, safe to open, whole or absent."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import frictionless
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import release
from pipeline.release import (
    BOTH,
    NAMES,
    ReleaseError,
    as_text,
    csv_bytes,
    kept,
    place,
    publish,
    read_csv,
    read_release,
    rollback,
    spec,
    to_arrow,
    unguarded,
    workshop,
    write_tables,
)
from tests.unit.releases import made, pages
from tests.unit.samples import START, frame

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "=HYPERLINK(1)",
    "+44",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "'=1",
    "''@x",
    'say "hi", she\r\nsaid',
    "<script>alert(1)</script>",
    "\u202edlrow",
    "a|b",
    "＝1",
    " plain ",
    "NA",
    "'quoted'",
    "",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, built once for the tests that only read it."""
    return made(tmp_path_factory.mktemp("release"), pages()).folder


def text_table(values: list[str]) -> pa.Table:
    return pa.table({"name": pa.array(values, pa.string()), "n": pa.array(range(len(values)))})


# --- The folder --------------------------------------------------------------------------------


def test_a_release_has_every_table_in_its_formats(folder: Path) -> None:
    words = {"changes.md", "changes.atom", "report.md", "run.json", "datapackage.json"}
    tables = {f"{name}.parquet" for name in NAMES} | {f"{name}.csv" for name in BOTH}
    assert {path.name for path in folder.iterdir()} == tables | words


@pytest.mark.parametrize("name", NAMES)
def test_parquet_has_the_types_and_descriptions_of_the_schema(folder: Path, name: str) -> None:
    found = pq.read_schema(folder / f"{name}.parquet")
    for field in spec(name).arrow():
        told = found.field(field.name)
        assert told.metadata[b"description"] == field.metadata[b"description"]
        assert told.nullable == field.nullable
        stored = pa.timestamp("ms", tz="UTC") if pa.types.is_timestamp(field.type) else field.type
        assert told.type == stored


@pytest.mark.parametrize("name", NAMES)
def test_parquet_is_compressed_with_zstd_and_sorted_by_its_key(folder: Path, name: str) -> None:
    file = pq.ParquetFile(folder / f"{name}.parquet")
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    used = {g.column(c).compression for g in groups for c in range(g.num_columns)}
    assert used <= {"ZSTD"}
    rows = file.read()
    assert release.in_order(rows, spec(name)).equals(rows)


@pytest.mark.parametrize("name", BOTH)
def test_csv_says_what_parquet_says(folder: Path, name: str) -> None:
    rows = read_release(folder).tables[name]
    assert read_csv(folder / f"{name}.csv").equals(as_text(rows).replace_schema_metadata(None))


def test_frictionless_accepts_the_data_package(folder: Path) -> None:
    outcome = frictionless.validate(str(folder / "datapackage.json"))
    assert outcome.valid, outcome.flatten(["name", "type", "message"])


def test_frictionless_refuses_a_release_that_was_edited(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    raw = (copy / "accounts.csv").read_bytes()
    (copy / "accounts.csv").write_bytes(raw.replace(b",true,", b",perhaps,", 1))
    assert not frictionless.validate(str(copy / "datapackage.json")).valid


def test_every_column_is_described_in_the_data_package(folder: Path) -> None:
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    for resource in package["resources"]:
        fields = resource.get("columns") or resource["schema"]["fields"]
        name = resource["path"].partition(".")[0]
        assert [field["name"] for field in fields] == spec(name).names
        assert all(field["description"] for field in fields)


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = made(tmp_path, pages()).folder
    for path in sorted(folder.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_file_that_is_ready_is_written_as_it_is(folder: Path, tmp_path: Path) -> None:
    tables, ready = read_release(folder).tables, {"observations.parquet": b"made before"}
    write_tables(tmp_path, tables, "1.0.0", "2026-01-05T09:00:00Z", ready)
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    told = {
        r["path"]: r for r in json.loads((tmp_path / "datapackage.json").read_bytes())["resources"]
    }
    assert made["observations.parquet"] == b"made before"
    assert told["observations.parquet"]["bytes"] == len(b"made before")
    assert made["fetches.parquet"] == (folder / "fetches.parquet").read_bytes()


def test_the_order_of_pages_and_councils_changes_no_table(folder: Path, tmp_path: Path) -> None:
    again = made(tmp_path, pages()[::-1]).folder
    for name in NAMES:
        file = f"{name}.parquet"
        assert (again / file).read_bytes() == (folder / file).read_bytes(), name


# --- CSV ---------------------------------------------------------------------------------------


def test_csv_is_utf8_with_crlf_and_quotes_where_needed() -> None:
    raw = csv_bytes(text_table(['Cyngor "Sir" Gâr', "a,b", "plain"]))
    assert raw == 'name,n\r\n"Cyngor ""Sir"" Gâr",0\r\n"a,b",1\r\nplain,2\r\n'.encode()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_begins_as_a_formula(cell: str) -> None:
    text = csv_bytes(text_table([cell])).decode()
    (row,) = list(csv.reader(text.splitlines(keepends=True)))[1:]
    assert row[0] == f"'{cell}"


def test_ordinary_apostrophes_stay() -> None:
    assert b"\r\n's-Hertogenbosch,0" in csv_bytes(text_table(["'s-Hertogenbosch"]))


def test_hostile_cells_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv_bytes(text_table(HOSTILE)))
    assert read_csv(tmp_path / "t.csv")["name"].to_pylist() == HOSTILE


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"))))
def test_guarding_can_always_be_undone(cells: list[str]) -> None:
    column = pa.chunked_array([pa.array(cells, pa.string())])
    guarded = release._guard(column)
    assert unguarded(guarded).to_pylist() == cells
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in guarded.to_pylist())


def test_lists_flags_times_and_missing_cells_have_one_form(folder: Path) -> None:
    with (folder / "councils.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["council_id"]: row for row in csv.DictReader(file)}
    assert rows["MIL"]["names_other"] == "Melin|MDC"
    assert rows["MIL"]["gss_code"] == ""
    with (folder / "accounts.csv").open(encoding="utf-8", newline="") as file:
        account = next(csv.DictReader(file))
    assert account["is_primary"] in ("true", "false")
    assert account["first_seen"] == "2026-01-05T09:00:00Z"


def test_pandas_reads_the_directory_as_it_is(folder: Path) -> None:
    table = pd.read_csv(folder / "directory.csv")
    assert table["name"].tolist() == [
        "Millwick District Council",
        "City of Oakharrow Council",
        "Wexdale Council",
    ]


# --- What does not fit -----------------------------------------------------------------------


def test_a_frame_without_a_column_is_refused() -> None:
    with pytest.raises(ReleaseError, match="coverage: column last_checked is missing"):
        to_arrow(frame("coverage", []).drop(columns="last_checked"), spec("coverage"))


def test_a_frame_of_another_type_is_refused() -> None:
    row = {"council_id": "WEX", "platform": "twitter", "state": "found", "last_checked": "soon"}
    with pytest.raises(ReleaseError, match="coverage"):
        to_arrow(pd.DataFrame([row]), spec("coverage"))


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"datapackage\.json: cannot be read"):
        read_release(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_table_is_refused_by_name(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ReleaseError, match=rf"{name}\.parquet: is damaged"):
        read_release(copy)


def test_a_missing_table_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "history.parquet").unlink()
    with pytest.raises(ReleaseError, match=r"history\.parquet: is missing"):
        read_release(copy)


# --- Putting it in place -----------------------------------------------------------------------


def finished(out: Path, text: str) -> Path:
    """A folder in the workshop of `out` that passes for a release."""
    folder = workshop(out)
    (folder / "datapackage.json").write_text('{"resources": []}', "utf-8")
    (folder / "report.md").write_text(text, "utf-8")
    return folder


def test_a_release_is_put_where_nothing_stood(tmp_path: Path) -> None:
    place(finished(tmp_path / "new" / "out", "one"), tmp_path / "new" / "out")
    assert (tmp_path / "new" / "out" / "report.md").read_text("utf-8") == "one"


def test_a_release_replaces_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    place(finished(out, "one"), out)
    place(finished(out, "two"), out)
    assert (out / "report.md").read_text("utf-8") == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("step", ["_sync", "_swap"])
def test_a_fault_before_the_swap_leaves_the_old_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    out = tmp_path / "out"
    place(finished(out, "one"), out)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(release, step, fail)
    with pytest.raises(ReleaseError, match=r"No space left.*still stands"):
        place(finished(out, "two"), out)
    assert (out / "report.md").read_text("utf-8") == "one"


def test_a_fault_after_the_swap_leaves_the_new_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    place(finished(out, "one"), out)

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        place(finished(out, "two"), out)
    assert (out / "report.md").read_text("utf-8") == "two"


def test_what_a_killed_build_left_is_swept_by_the_next(tmp_path: Path) -> None:
    # A process id above the kernel's highest is nobody's.
    (tmp_path / ".out.99999999.abc").mkdir()
    folder = workshop(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_folder_that_is_no_release_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear", "utf-8")
    with pytest.raises(ReleaseError, match="is no release; move it away"):
        workshop(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ReleaseError, match="cannot be written"):
        workshop(tmp_path / "file" / "out")


# --- A store of releases -----------------------------------------------------------------------


def stored(store: Path, *versions: str, keep: int = 10) -> Path:
    for version in versions:
        publish(finished(store / "releases" / version, version), store, version, keep)
    return store


def current(store: Path) -> str:
    return (store / "current" / "report.md").read_text("utf-8")


def test_publishing_points_to_the_new_release(tmp_path: Path) -> None:
    store = stored(tmp_path, "1.0.0", "1.1.0")
    assert (current(store), kept(store)) == ("1.1.0", ["1.0.0", "1.1.0"])


def test_versions_sort_by_number(tmp_path: Path) -> None:
    assert kept(stored(tmp_path, "1.9.0", "1.10.0", "2.0.0")) == ["1.9.0", "1.10.0", "2.0.0"]


def test_only_the_last_releases_are_kept(tmp_path: Path) -> None:
    assert kept(stored(tmp_path, "1.0.0", "1.1.0", "1.2.0", keep=2)) == ["1.1.0", "1.2.0"]


def test_rollback_points_to_the_release_before(tmp_path: Path) -> None:
    store = stored(tmp_path, "1.0.0", "1.1.0", "1.2.0")
    assert rollback(store) == "1.1.0"
    assert current(store) == "1.1.0"
    assert rollback(store) == "1.0.0"


def test_rollback_before_the_oldest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="oldest release kept"):
        rollback(stored(tmp_path, "1.0.0"))


def test_rollback_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no release is published"):
        rollback(tmp_path)


def test_a_version_is_published_once(tmp_path: Path) -> None:
    store = stored(tmp_path, "1.0.0")
    with pytest.raises(ReleaseError, match="published once"):
        publish(finished(tmp_path / "other", "x"), store, "1.0.0", 10)
    assert current(store) == "1.0.0"


def test_a_fault_before_the_link_turns_leaves_the_old_release_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored(tmp_path, "1.0.0")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "_point", stop)
    with pytest.raises(KeyboardInterrupt):
        stored(store, "1.1.0")
    assert current(store) == "1.0.0"


def test_the_release_of_the_sample_is_dated_by_its_crawl(folder: Path) -> None:
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    assert package["created"] == START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert package["version"] == "1.0.0"
