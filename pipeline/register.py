"""Load and check the register of councils; say which council a host, a name or a code means.

Everything downstream joins on `council_id`, so a register with a fault is refused whole, with all
of its faults at once: a council that slipped in half right would be crawled, and published, wrong.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import tomllib
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd

from pipeline.domains import is_address, origin_of, public_suffix, registrable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

DATA = Path(__file__).parents[1] / "data"
NATIONS = {"England": "E", "Scotland": "S", "Wales": "W", "Northern Ireland": "N"}
REGIONS = (
    "East Midlands",
    "East of England",
    "London",
    "North East",
    "North West",
    "South East",
    "South West",
    "West Midlands",
    "Yorkshire and The Humber",
)
COLUMNS = (
    "council_id",
    "gss_code",
    "former_gss_codes",
    "name",
    "sort_name",
    "names_other",
    "nation",
    "council_type",
    "region",
    "county_id",
    "website",
    "other_hosts",
    "shares_website_with",
    "unverified_reason",
    "start_date",
    "end_date",
    "replaced_by",
    "status",
)
DERIVED = {
    "sort_name": "it follows from the name by data/rules/filing.toml",
    "status": "it follows from start_date, end_date and the day",
}
OPTIONAL = ("unverified_reason",)  # few registers have a use for it
STORED = tuple(column for column in COLUMNS if column not in (*DERIVED, *OPTIONAL))
REQUIRED = ("council_id", "name", "nation", "council_type")
LISTS = ("former_gss_codes", "names_other", "other_hosts", "replaced_by")
DATES = ("start_date", "end_date")
PRECEDENCE = {"current": 0, "coming": 1, "abolished": 2}
NEAREST = 5
LEAST_WORDS = 3  # of a reason
SHOWN = 80
TITLE_MARK = ", "

_ID = re.compile(r"[A-Z]{3,4}")
_GSS = re.compile(r"[ENSW]\d{8}")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_UK_DATE = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!\d)")
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*"
)


class RegisterError(ValueError):
    """The register cannot be used, or does not hold what was asked for; says what to do."""


@dataclass(frozen=True, slots=True)
class Filing:
    """The rules of data/rules/filing.toml, as read.

    Attributes:
        titles: Folded words that go last.
        exceptions: Folded name to filing name.
        endings: Folded words that a short name leaves off.
        types: Types of council that a register may hold.
        codes: Type to the beginnings of its GSS codes, where they are its own.
        parents: Type to the types that may stand above it.
        shared_hosts: Host of many bodies → segments of a path that tell whose page it is.
    """

    titles: tuple[str, ...]
    exceptions: dict[str, str]
    endings: tuple[str, ...]
    types: tuple[str, ...]
    codes: dict[str, tuple[str, ...]]
    parents: dict[str, tuple[str, ...]]
    shared_hosts: dict[str, int]


@cache
def filing_rules() -> Filing:
    """The filing rules; longer titles and endings come before those that they contain."""
    rules = tomllib.loads((DATA / "rules" / "filing.toml").read_text("utf-8"))

    def words(kind: str) -> tuple[str, ...]:
        folded = fold(pd.Series([rule["words"] for rule in rules[kind]]))
        return tuple(sorted(folded, key=len, reverse=True))

    names = fold(pd.Series([rule["name"] for rule in rules["exception"]]))
    filed = [rule["filed"] for rule in rules["exception"]]
    return Filing(
        titles=words("title"),
        exceptions=dict(zip(names, filed, strict=True)),
        endings=words("ending"),
        types=tuple(rule["name"] for rule in rules["council_type"]),
        codes={rule["name"]: tuple(rule.get("codes", ())) for rule in rules["council_type"]},
        parents={rule["name"]: tuple(rule.get("parents", ())) for rule in rules["council_type"]},
        shared_hosts={rule["name"]: rule["segments"] for rule in rules["shared_host"]},
    )


# --- Names ---------------------------------------------------------------------------------


def fold(text: pd.Series) -> pd.Series:
    """Write text so that spellings which mean the same compare equal.

    Case, accents, apostrophes, punctuation and runs of spaces do not count; '&' is 'and'.
    """
    plain = text.astype("str").str.normalize("NFKD").str.casefold()
    return (
        plain.str.replace(r"[\u0300-\u036f'’‘ʼ`]", "", regex=True)
        .str.replace("&", " and ", regex=False)
        .str.replace(r"[\W_]+", " ", regex=True)
        .str.strip()
    )


def sort_name(name: pd.Series) -> pd.Series:
    """The name under which a reader looks for each council in an A–Z.

    Returns the folded name with a title at its head moved to the end, after a comma:
    'bradford metropolitan district council, city of'. Titles, and the councils that are filed
    otherwise, stand in `data/rules/filing.toml` (source: the order of GOV.UK's own list).
    """
    rules = filing_rules()
    folded = fold(name)
    titles = "|".join(map(re.escape, rules.titles))
    filed = folded.str.replace(rf"^({titles}) (.+)$", rf"\2{TITLE_MARK}\1", regex=True)
    return folded.map(rules.exceptions).fillna(filed)


def letter(filed: pd.Series) -> pd.Series:
    """The letter A to Z under which a filing name stands; '#' where it begins with none."""
    first = filed.str[:1].str.upper()
    return first.where(first.str.fullmatch("[A-Z]"), "#")


def short_name(name: pd.Series) -> pd.Series:
    """The place name alone, folded: without title and without the kind of council."""
    endings = "|".join(map(re.escape, filing_rules().endings))
    place = sort_name(name).str.split(TITLE_MARK, regex=False).str[0]
    return place.str.replace(rf"(?<=.) ({endings})$", "", regex=True)


# --- Reading and checking ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file; `number` is the row that a spreadsheet shows."""

    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell, stripped; empty where the column is missing."""
        return self.cells.get(column, "")

    def many(self, column: str) -> list[str]:
        """The values of a cell that holds several."""
        return split(self.get(column))


Fault = tuple[int, str]


def load_register(path: Path | None = None, today: date | None = None) -> pd.DataFrame:
    """Read and check a register of councils.

    Args:
        path: A CSV file; the project's own register when left out.
        today: The day for which `status` is computed; this day when left out.

    Returns:
        One row per council, sorted by `council_id`: texts (missing where empty), lists for the
        columns that hold several values, `datetime64[s]` for dates. `sort_name` and `status`
        are computed, never stored.

    Raises:
        RegisterError: The file cannot be read, or has faults: all of them, one per line.
    """
    path = path or DATA / "register" / "councils.csv"
    day = today or date.today()
    text, faults = _decode(path)
    rows, more = _parse(text)
    faults += more
    faults += _row_faults(rows)
    faults += _table_faults(rows, day)
    if faults:
        names = {row.number: row.get("name") or row.get("council_id") for row in rows}
        raise RegisterError("\n".join(_line(path, fault, names) for fault in sorted(set(faults))))
    return on_day(_frame(rows), day)


def on_day(register: pd.DataFrame, day: date) -> pd.DataFrame:
    """The register with `status` as it stands on `day`.

    A council is coming before its `start_date`, abolished after its `end_date`, else current;
    the first and the last day are its own. A missing date sets no limit.
    """
    when = pd.Timestamp(day)
    status = pd.Series("current", index=register.index, dtype="str")
    status = status.mask(register["start_date"] > when, "coming")
    status = status.mask(register["end_date"] < when, "abolished")
    return register.assign(status=status)


def split(cell: str) -> list[str]:
    """The values of a cell that holds several, separated by '|'."""
    return [value.strip() for value in cell.split("|") if value.strip()]


def _line(path: Path, fault: Fault, names: dict[int, str]) -> str:
    number, problem = fault
    name = names.get(number)
    row = f", row {number}" if number else ""
    council = f" ({_show(name)})" if name else ""
    return f"{_relative(path)}{row}{council}: {problem}"


def _relative(path: Path) -> Path:
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def _show(value: str) -> str:
    shown = "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _decode(path: Path) -> tuple[str, list[Fault]]:
    """The text of the file, and a fault for each line that is not UTF-8."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RegisterError(
            f"{_relative(path)}: cannot be read: {reason}; name a CSV file"
        ) from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RegisterError(f"{_relative(path)}: is UTF-16; save it as CSV UTF-8")
    if not raw.strip(b"\xef\xbb\xbf \t\r\n,"):
        raise RegisterError(
            f"{_relative(path)}: is empty; the first row must be {','.join(STORED)}"
        )
    faults = [
        (number, f"is not UTF-8 ({_misread(line)}); save the file as CSV UTF-8")
        for number, line in enumerate(raw.splitlines(), start=1)
        if not _is_utf8(line)
    ]
    return raw.decode("utf-8-sig", errors="replace"), faults


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _misread(line: bytes) -> str:
    """The words around the bytes that are not UTF-8, as Windows would read them."""
    words = [word for word in re.split(rb"[,\s]+", line) if not _is_utf8(word)]
    return " ".join(f"'{_show(word.decode('cp1252', errors='replace'))}'" for word in words)


def _parse(text: str) -> tuple[list[Row], list[Fault]]:
    """The rows of the file, and what is wrong with its header and its shape."""
    records: list[list[str]] = []
    try:
        records.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        problem = f"is not CSV ({error}); close each quotation mark, and double those within a cell"
        return [], [(len(records) + 1, problem)]
    top = next((at for at, record in enumerate(records) if any(record)), 0)
    header = [cell.strip() for cell in records[top]]
    faults = [(0, problem) for problem in _header_faults(header)]
    rows = []
    for number, record in enumerate(records[top + 1 :], start=top + 2):
        if not any(cell.strip() for cell in record):
            continue
        rows.append(Row(number, dict(zip(header, map(str.strip, record), strict=False))))
        if len(record) != len(header):
            problem = f"has {len(record)} cells where the header has {len(header)}"
            faults.append((number, f"{problem}; quote cells that contain a comma"))
    if not rows:
        faults.append((0, "has a header but no councils; add a row for each"))
    return rows, faults


def _header_faults(header: list[str]) -> Iterator[str]:
    if len(header) == 1 and re.search("[;\t]", header[0]):
        yield "separates its cells by ';' or tab; save it with commas (CSV UTF-8)"
        return
    for column in STORED:
        if column not in header:
            yield f"column '{column}' is missing; write the header {','.join(STORED)}"
    for column, count in Counter(header).items():
        if count > 1:
            yield f"column '{_show(column)}' is there {count} times; keep one"
        if column in DERIVED:
            yield f"column '{column}' is not stored: {DERIVED[column]}; remove it"
        elif column not in (*STORED, *OPTIONAL):
            near = difflib.get_close_matches(column.lower(), (*STORED, *OPTIONAL), 1)
            hint = f"write '{near[0]}'" if near else "remove it"
            yield f"column '{_show(column)}' is unknown; {hint}"


def _row_faults(rows: Iterable[Row]) -> Iterator[Fault]:
    """What is wrong with a cell by itself, or with two cells of one row."""
    for row in rows:
        for column, value in row.cells.items():
            if bad := sorted({c for c in value if _invisible(c)}):
                codes = " ".join(f"U+{ord(c):04X}" for c in bad)
                yield _cell(
                    row, column, value, f"holds characters that do not show ({codes})", "it without"
                )
                continue
            check = _CHECKS.get(column)
            for each in split(value) if column in LISTS else [value]:
                if check and each and (problem := check(each)):
                    yield _cell(row, column, each, *problem)
            if column in REQUIRED and not value:
                yield row.number, f"{column} is empty; write one"
        yield from _agreement_faults(row)


def _cell(row: Row, column: str, value: str, problem: str, fix: str) -> Fault:
    return row.number, f"{column} '{_show(value)}' {problem}; write {fix}"


def _invisible(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} or (kind == "Zs" and character != " ")


Problem = tuple[str, str] | None


def _check_id(value: str) -> Problem:
    if _ID.fullmatch(value):
        return None
    fix = re.sub("[^A-Z]", "", value.upper())
    return "is not three or four capital letters", fix if _ID.fullmatch(
        fix
    ) else "an id such as LDS"


def _check_gss(value: str) -> Problem:
    if _GSS.fullmatch(value):
        return None
    return "is not a GSS code", "E, N, S or W and eight digits, such as E08000035"


def _check_choice(choices: Sequence[str]) -> Callable[[str], Problem]:
    def check(value: str) -> Problem:
        if value in choices:
            return None
        folded = {choice.casefold(): choice for choice in choices}
        near = difflib.get_close_matches(value.casefold(), folded, 1, 0.5)
        return "is unknown", folded[near[0]] if near else " or ".join(choices)

    return check


def _check_type(value: str) -> Problem:
    return _check_choice(filing_rules().types)(value)


def _check_date(value: str) -> Problem:
    if _ISO_DATE.fullmatch(value):
        try:
            date.fromisoformat(value)
        except ValueError:
            return "is no day of the calendar", "year-month-day, such as 2015-04-01"
        return None
    if match := _UK_DATE.fullmatch(value):
        day, month, year = match.groups()
        return "is not year-month-day", f"{year}-{int(month):02}-{int(day):02}"
    return "is not year-month-day", "a date such as 2015-04-01"


def _check_website(value: str) -> Problem:
    if re.search(r"[\s\\]", value):
        return "has a space or backslash in it", re.sub(r"[\s\\]+", "", value)
    if not _SCHEME.match(value):
        bare = re.sub("^(?:https?)?[:/]+", "", value)
        return "has no scheme", f"https://{bare}" if "/" in bare else f"https://{bare}/"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a web address", "one such as https://www.example.gov.uk/"
    if parts.scheme.lower() not in {"http", "https"}:
        return "is not http or https", "one such as https://www.example.gov.uk/"
    if parts.username is not None or parts.password is not None:
        return (
            "carries a user name",
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
        )
    return _check_hostname(host, "https://{}/")


def _check_other_host(value: str) -> Problem:
    if _SCHEME.match(value) or "/" in value:
        bare = urlsplit(value if "//" in value else f"//{value}").hostname
        return "is more than a host", bare or "a host such as example.gov.uk"
    return _check_hostname(value, "{}")


def _check_hostname(host: str, form: str) -> Problem:
    if is_address(host):
        return "is an address, not a name", form.format("www.example.gov.uk")
    if _HOST.fullmatch(host):
        if host.removeprefix("www.") != public_suffix(host):
            return None
        return "is not one council's own domain", form.format("www.example.gov.uk")
    lower = host.lower().strip(".")
    if _HOST.fullmatch(lower):
        return "is not in lower case without a dot at the end", form.format(lower)
    return "has no valid host", form.format("www.example.gov.uk")


def _check_reason(value: str) -> Problem:
    if len(value.split()) >= LEAST_WORDS:
        return None
    return "is no reason", "who found what wrong, when, and until when it may stay so"


_CHECKS: dict[str, Callable[[str], Problem]] = {
    "council_id": _check_id,
    "gss_code": _check_gss,
    "former_gss_codes": _check_gss,
    "nation": _check_choice(tuple(NATIONS)),
    "council_type": _check_type,
    "county_id": _check_id,
    "website": _check_website,
    "other_hosts": _check_other_host,
    "shares_website_with": _check_id,
    "start_date": _check_date,
    "end_date": _check_date,
    "replaced_by": _check_id,
    "unverified_reason": _check_reason,
}


def _agreement_faults(row: Row) -> Iterator[Fault]:
    """Cells of one row that contradict each other."""
    nation, region, gss = row.get("nation"), row.get("region"), row.get("gss_code")
    regions = REGIONS if nation == "England" else (nation,)
    if nation in NATIONS and region and region not in regions:
        yield _cell(row, "region", region, f"is no region of {nation}", " or ".join(regions))
    if nation in NATIONS and _GSS.fullmatch(gss) and gss[0] != NATIONS[nation]:
        yield _cell(
            row, "gss_code", gss, f"is not of {nation}", f"one that begins with {NATIONS[nation]}"
        )
    kind = row.get("council_type")
    # The code of the district around a parish would join the district's figures to the parish.
    codes = [code for code in filing_rules().codes.get(kind, ()) if code[0] == gss[:1]]
    if codes and _GSS.fullmatch(gss) and not gss.startswith(tuple(codes)):
        fix = f"one that begins with {' or '.join(codes)}, or leave it empty"
        yield _cell(row, "gss_code", gss, f"is not that of a {kind}", fix)
    start, end = row.get("start_date"), row.get("end_date")
    if start and end and not _check_date(start) and not _check_date(end) and end < start:
        yield _cell(
            row, "end_date", end, f"is before start_date {start}", "the last day of the council"
        )
    if row.get("replaced_by") and not end:
        yield row.number, "end_date is empty though replaced_by is not; write the last day"


def _table_faults(rows: Sequence[Row], today: date) -> Iterator[Fault]:
    """What is wrong between rows: identity, and references to other councils."""
    ids = {row.get("council_id"): row for row in rows}
    standing = [row for row in rows if not row.get("end_date") or row.get("end_date") >= str(today)]
    yield from _duplicates(rows, "council_id", "an id of its own")
    yield from _duplicates(standing, "gss_code", "the code of this council's own area")
    for row in rows:
        yield from _reference_faults(row, ids)
    yield from _website_faults(standing)


def _duplicates(rows: Iterable[Row], column: str, fix: str) -> Iterator[Fault]:
    first: dict[str, Row] = {}
    for row in rows:
        value = row.get(column)
        if value and (seen := first.setdefault(value, row)) is not row:
            yield _cell(row, column, value, f"is already in row {seen.number}", fix)


def _reference_faults(row: Row, ids: dict[str, Row]) -> Iterator[Fault]:
    own = row.get("council_id")
    for column in ("county_id", "shares_website_with", "replaced_by"):
        for other in row.many(column):
            if other == own:
                yield _cell(row, column, other, "is the council itself", "another council's id")
            elif _ID.fullmatch(other) and other not in ids:
                near = difflib.get_close_matches(other, ids, 1)
                fix = (
                    f"{near[0]} if that is meant, or add the council"
                    if near
                    else "an id that is there"
                )
                yield _cell(row, column, other, "is no council in this register", fix)
    above = ids.get(row.get("county_id"))
    parents = filing_rules().parents.get(row.get("council_type")) or ("county council",)
    if above and above is not row and above.get("council_type") not in parents:
        kinds = " or ".join(parents)
        yield _cell(
            row, "county_id", row.get("county_id"), f"is not a {kinds}", f"the id of a {kinds}"
        )


def _website_faults(rows: Sequence[Row]) -> Iterator[Fault]:
    """Councils on one website must name each other; no other two may list one address."""
    ids = {row.get("council_id"): row for row in rows}
    owners: dict[str, Row] = {}
    for row in rows:
        shared = row.get("shares_website_with")
        if (partner := ids.get(shared)) and partner is not row:
            yield from _partner_faults(row, partner)
        for column in ("website", "other_hosts"):
            for value in row.many(column):
                first = owners.setdefault(value, row)
                if first is not row and shared != first.get("council_id"):
                    problem = f"is also in row {first.number}"
                    yield _cell(row, column, value, problem, "its own, or fill shares_website_with")


def _partner_faults(row: Row, partner: Row) -> Iterator[Fault]:
    own, website, shared = map(row.get, ("council_id", "website", "shares_website_with"))
    if partner.get("shares_website_with") != own:
        problem = f"does not name {own} in turn (row {partner.number})"
        yield _cell(row, "shares_website_with", shared, problem, f"{own} there")
    if partner.get("website") != website:
        problem = f"is not that of {shared} (row {partner.number}), which shares it"
        yield _cell(row, "website", website, problem, partner.get("website") or "the same")


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The checked rows with typed columns, in the order of the schema."""
    cells = pd.DataFrame([row.cells for row in rows], columns=[*STORED, *OPTIONAL], dtype="str")
    cells = cells.sort_values("council_id", ignore_index=True)
    lists = {column: cells[column].map(split).astype("object") for column in LISTS}
    dates = {
        column: pd.to_datetime(cells[column].replace("", None)).astype("datetime64[s]")
        for column in DATES
    }
    texts = cells.mask(cells == "")
    return texts.assign(
        **lists, **dates, sort_name=sort_name(cells["name"]), status="current"
    ).reindex(columns=list(COLUMNS))


# --- Hosts ---------------------------------------------------------------------------------


class Hosts:
    """Which council a host belongs to, by the register's websites and other hosts.

    A host belongs to the council that lists it or a domain above it; else to the only council
    whose listed hosts stand under the same registrable domain. A council that is current wins
    over one that is coming or abolished, so that a domain which a successor took over is the
    successor's, and one that nobody took over stays with the council that ended.

    Where the websites of several councils stand on one host, below different paths, a page belongs
    to the council below whose path it stands, and to nobody outside of these paths.
    """

    def __init__(self, register: pd.DataFrame) -> None:
        """Index a register as `load_register` returns it."""
        claims: dict[str, dict[str, int]] = defaultdict(dict)
        columns = ("council_id", "website", "other_hosts", "status")
        for council, website, others, status in zip(*(register[c] for c in columns), strict=True):
            home = urlsplit(website).hostname if isinstance(website, str) else None
            for host in filter(None, (home, *others)):
                claims[host.removeprefix("www.")][council] = PRECEDENCE[status]
        self._owners = {host: _foremost(councils) for host, councils in claims.items()}
        self._owners |= self._implied()
        self._tenants = _tenants(register)
        self._domains: dict[str, set[str]] = defaultdict(set)
        for host, owners in self._owners.items():
            for council in owners:
                self._domains[council].add(registrable(host))

    def _implied(self) -> dict[str, tuple[str, ...]]:
        """Registrable domains that are listed by none, and stand above the hosts of one owner."""
        above: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for host, owners in self._owners.items():
            above[registrable(host)].add(owners)
        return {
            domain: next(iter(owners))
            for domain, owners in above.items()
            if len(owners) == 1 and domain not in self._owners
        }

    def domains_of(self, councils: Iterable[str]) -> frozenset[str]:
        """The registrable domains under which all hosts of these councils stand."""
        return frozenset().union(*(self._domains.get(council, ()) for council in councils))

    def councils_of(self, host: str) -> tuple[str, ...]:
        """The councils that a host belongs to, sorted: two where they share a website, or none."""
        name = host.lower().partition(":")[0].rstrip(".")
        while name:
            if owners := self._owners.get(name):
                return owners
            name = name.partition(".")[2]
        return ()

    def councils_at(self, url: str) -> tuple[str, ...]:
        """The councils that a page belongs to: those of its host, or of its path on a shared one.

        None for what is no address at all.
        """
        host = _host_at(origin_of(url))
        if host is None:
            return ()
        paths = self._tenants.get(host.removeprefix("www."))
        if paths is None:
            return self.councils_of(host)
        path = _segments(urlsplit(url).path)
        ends = range(len(path), -1, -1)
        return next((paths[path[:end]] for end in ends if path[:end] in paths), ())


@lru_cache(maxsize=65_536)
def _host_at(origin: str) -> str | None:
    """The host of a URL; None for what is no address at all."""
    try:
        return (urlsplit(origin).hostname or "").rstrip(".")
    except ValueError:
        return None


def _segments(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/") if segment)


Steps = tuple[str, ...]
Owners = dict[Steps, tuple[str, ...]]


def _tenants(register: pd.DataFrame) -> dict[str, Owners]:
    """For each host that several websites share: beginning of a path → the councils of it.

    The beginning is the shortest that no other website of the host has: a council's pages seldom
    all stand below its home page: /community/moor/home and /community/moor/contact.
    """
    sites: dict[str, Owners] = defaultdict(dict)
    current = register[register["status"].eq("current") & register["website"].notna()]
    for council, website in zip(current["council_id"], current["website"], strict=True):
        parts = urlsplit(website)
        path = _segments(parts.path)
        owners = sites[(parts.hostname or "").removeprefix("www.")]
        owners[path] = (*owners.get(path, ()), council)
    known = filing_rules().shared_hosts
    return {
        host: {path[:size]: owners[path] for path, size in _telling(owners, known.get(host, 0))}
        for host, owners in sites.items()
        if len(owners) > 1 or host in known
    }


def _telling(paths: Iterable[Steps], least: int) -> Iterator[tuple[Steps, int]]:
    """Each path with how many of its segments set it apart: `least` or more, if it has them."""
    ordered = sorted(paths)
    alike = [0, *(_alike(*pair) for pair in pairwise(ordered)), 0]  # nobody is nearer than these
    for path, before, after in zip(ordered, alike, alike[1:], strict=False):
        yield path, min(len(path), max(least, before + 1, after + 1))


def _alike(one: Steps, other: Steps) -> int:
    """How many segments two paths begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _foremost(claims: dict[str, int]) -> tuple[str, ...]:
    """The councils of the best standing among those that claim a host, sorted."""
    best = min(claims.values())
    return tuple(sorted(council for council, standing in claims.items() if standing == best))


# --- Looking a council up ------------------------------------------------------------------


def find_council(register: pd.DataFrame, text: str) -> str:
    """The council that a person means by an id, a GSS code or a name.

    Tried in turn: id, present or former GSS code, any name in full, any name without its title
    and kind of council. Spelling counts as in `fold`. In each, a current council goes before a
    coming one, and that before an abolished one.

    Raises:
        RegisterError: Nothing fits, or several councils fit equally well; names the nearest.
    """
    keys = _keys(register)
    wanted = pd.Series([text])
    for rank, key in enumerate((*fold(wanted), *fold(wanted), *short_name(wanted))):
        found = keys[(keys["rank"] == rank) & (keys["key"] == key)]
        found = found[found["standing"] == found["standing"].min()].drop_duplicates("council_id")
        if len(found) == 1:
            return str(found["council_id"].iloc[0])
        if len(found) > 1:
            raise RegisterError(f"'{_show(text)}' fits several councils: {_list(found)}")
    near = _nearest(keys, short_name(wanted).iloc[0])
    hint = f"the nearest are {_list(near)}" if len(near) else "give a name, an id or a GSS code"
    raise RegisterError(f"no council is called '{_show(text)}'; {hint}")


def _keys(register: pd.DataFrame) -> pd.DataFrame:
    """One row per folded key of a council: rank 0 id or code, 1 full name, 2 short name."""
    base = register[["council_id", "name"]].assign(standing=register["status"].map(PRECEDENCE))
    codes = ["council_id", "gss_code", "former_gss_codes"]
    named = pd.concat(_keyed(base, register[column], 1) for column in ("name", "names_other"))
    ranks = [
        *(_keyed(base, register[column], 0) for column in codes),
        named.assign(key=fold(named["key"])),
        named.assign(key=short_name(named["key"]), rank=2),
    ]
    keys = pd.concat(ranks, ignore_index=True)
    return keys.assign(key=keys["key"].where(keys["rank"] > 0, keys["key"].str.casefold()))


def _keyed(base: pd.DataFrame, column: pd.Series, rank: int) -> pd.DataFrame:
    return base.assign(key=column, rank=rank).explode("key").dropna(subset="key")


def _nearest(keys: pd.DataFrame, short: str) -> pd.DataFrame:
    """The councils whose short names hold the words asked for, or else look most like them."""
    names = keys[keys["rank"] == 2].sort_values(["standing", "key"])
    words = names["key"].str.contains(rf"\b{re.escape(short)}\b", regex=True) & bool(short)
    alike = difflib.get_close_matches(short, names["key"].unique().tolist(), NEAREST)
    near = names[words] if words.any() else names[names["key"].isin(alike)]
    return near.drop_duplicates("council_id").head(NEAREST)


def _list(found: pd.DataFrame) -> str:
    return ", ".join(found["name"] + " (" + found["council_id"] + ")")
