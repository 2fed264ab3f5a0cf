"""The files for programs: the JSON interface, each council's CSV, and the entries of the feed.

Their shape is described in content/data/api.md; both change together.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from hub.release import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.councils import Council
    from hub.release import Release, Row

# What a spreadsheet takes for a formula at the start of a cell, after apostrophes of its own.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")


def files(
    release: Release,
    councils: list[Council],
    networks: list[Row],
    address: Callable[[str], str],
) -> Iterator[tuple[str, str]]:
    """Every file of the interface: path from the site's root, and text."""
    head = {"version": release.version, "licence": licence(release)}
    about = {
        "as_of": plain(release.as_of),
        "councils": len(councils),
        "accounts": len(release.accounts),
    }
    yield "api/version.json", _json(head | about)
    yield "api/networks.json", _json(head | {"networks": networks})
    yield "api/councils.json", _json(head | {"councils": [_brief(c, address) for c in councils]})
    yield "api/accounts.json", _json(head | {"accounts": _lookup(councils)})
    for council in councils:
        whole = {"council": _whole(council, address)}
        yield f"api/council/{council.id}.json", _json(head | whole)
        yield f"council/{council.id}/accounts.csv", accounts_csv(council.accounts)


def licence(release: Release) -> str | None:
    """Name of the licence that the data package gives first."""
    licences: list[dict[str, str]] = release.package.get("licenses") or [{}]
    return licences[0].get("name") or licences[0].get("title")


def accounts_csv(rows: list[Row]) -> str:
    """Accounts as RFC 4180; a cell that a spreadsheet would run as a formula begins with '."""
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _cell(value: object) -> object:
    text = plain(value)
    if isinstance(text, str) and FORMULA.match(text):
        return "'" + text
    return text


def _brief(council: Council, address: Callable[[str], str]) -> Row:
    row = council.row
    names = (
        "council_id",
        "gss_code",
        "name",
        "names_other",
        "nation",
        "council_type",
        "region",
        "website",
        "checked_on",
        "check_outcome",
    )
    return {name: plain(row[name]) for name in names} | {
        "page": address(f"/council/{council.id}/"),
        "file": address(f"/api/council/{council.id}.json"),
    }


def _whole(council: Council, address: Callable[[str], str]) -> Row:
    return _brief(council, address) | {
        "accounts": [_plain_row(row) for row in council.accounts],
        "not_found": [_plain_row(row) for row in council.coverage],
        "changes": [_plain_row(row) for row in council.changes],
        "left": [_plain_row(row) for row in council.history],
    }


def _plain_row(row: Row) -> Row:
    return {key: plain(value) for key, value in row.items() if key != "council_id"}


def _lookup(councils: list[Council]) -> list[list[Any]]:
    """What checking a link needs: platform, address, handle, council, status, scope."""
    return [
        [row["platform"], row["url"], row["handle"], council.id, row["status"], row["scope"]]
        for council in councils
        for row in council.accounts
    ]


def search(councils: list[Council]) -> str:
    """What finds and filters councils in an A–Z of many pages: see content/data/api.md.

    Each text that several councils share stands once, in a list, and each council has its place
    there. A handle that the name already spells is left out.
    """
    shared: dict[str, dict[str, int]] = {name: {} for name in ("nations", "regions", "types")}
    shared |= {"above": {"": 0}, "networks": {}}

    def place(name: str, value: str | None) -> int:
        return shared[name].setdefault(value or "", len(shared[name]))

    rows = [
        [
            council.id,
            council.row["name"],
            _words(council),
            place("nations", council.row["nation"]),
            place("regions", council.row["region"]),
            place("types", council.row["council_type"]),
            place("above", council.county),
            council.fresh,
            sorted({place("networks", link.platform) for link in council.links}),
        ]
        for council in councils
    ]
    return _json({name: list(values) for name, values in shared.items()} | {"councils": rows})


def _words(council: Council) -> str:
    """Other names and handles, as far as the name does not spell them."""
    spelt = council.row["name"].casefold().replace(" ", "")
    handles = {row["handle"] for row in council.accounts}
    telling = [h for h in sorted(handles) if h.casefold().lstrip("@") not in spelt]
    return " ".join([*(council.row["names_other"] or []), *telling])


def feed_entries(release: Release, title: Callable[[Row], str]) -> list[Row]:
    """Atom entries, newest release first; an entry's id never changes once it is published."""
    rows = sorted(
        release.changelog,
        key=lambda r: (r["released"], r["account_id"], r["change"]),
        reverse=True,
    )
    return [
        {
            "id": ":".join(
                ("urn:digital-councils", row["release"], row["account_id"], row["change"])
                + ((row["field"],) if row["field"] else ())
            ),
            "title": title(row),
            "council_id": row["council_id"],
            "updated": plain(row["released"]),
            "reason": row["reason"],
        }
        for row in rows
    ]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain) + "\n"
