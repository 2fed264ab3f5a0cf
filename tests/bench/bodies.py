"""Ten thousand fictional bodies: a register of any size, their websites, and what is true of them.

Town councils bear the name of the district above them, fire authorities that of a county, several
bodies stand on one host: what a register of every public body holds and one of principal councils
does not. Everything follows from the number of a body, so that a register of 400 is the beginning
of one of 10,000.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import string
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from hub.build import build as build_hub
from pipeline import platforms
from pipeline.build import build
from pipeline.overrides import overrides_frame
from pipeline.platforms import identify
from pipeline.register import STORED, load_register
from spiders.run import crawl
from tests.bench.memory import peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.measure import Row

SIZES = (400, 2_000, 10_000)
MODULE = "tests.bench.bodies"
ROOT = Path(__file__).parents[2]
HEADS = (
    *("Abble", "Bimble", "Crumple", "Dabble", "Eggle", "Fumble", "Gobble", "Higgle", "Ingle"),
    *("Jumble", "Kibble", "Lumber", "Mumble", "Nibble", "Oodle", "Pebble", "Quibble", "Rumple"),
    *("Snuffle", "Tumble", "Umber", "Vimble", "Wobble", "Yapple", "Zibble", "Addle", "Bobble"),
    *("Cobble", "Doodle", "Fiddle", "Giggle", "Huddle", "Jiggle", "Kettle", "Loople", "Muddle"),
    *("Noodle", "Paddle", "Riddle", "Saddle"),
)
TAILS = (
    *("ton", "ford", "ham", "wick", "worth", "stead", "combe", "mere", "bridge", "field", "hurst"),
    *("ley", "den", "bury", "thorpe", "minster", "marsh", "well", "brook", "cote", "dale", "gate"),
    *("haven", "moor", "port"),
)
ENDS = ("", "Magna", "Parva", "Regis", "Abbas", "St Mary", "Episcopi", "Major", "Minor", "Ducis")
PLACES = len(HEADS) * len(TAILS) * len(ENDS)
STRIDE = 7_919  # shares no factor with PLACES, so that neighbours are not alike and none repeats
AREA = 50  # bodies of a district: itself, its town council, its parishes
REGION = AREA * 10  # bodies between a county with its fire authority and the next
PRINCIPAL, LOCAL, WIDE = "principal", "local", "wide"
REGIONS = ("North East", "North West", "East Midlands", "South East", "South West")
SERVICES = (("libraries", "Libraries"), ("museums", "Museums"))
FILLER = (
    "<p>Minutes, agendas and notices of this fictional body are kept here for anyone who cares to"
    " read them. The footpath by the mill is open again, and the clerk thanks those who cleared it."
    " Nothing on this page is true of any real place.</p>"
)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a body, as its own pages link it: corporate, or of the named service."""

    platform: str
    url: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """One row of the register and what its website shows.

    `kind` is the ending of its name. `home` is its website, `parent` the number of the body above
    it, which is its own where there is none. `shares` is the number of a body on the same website.
    """

    number: int
    place: str
    kind: str
    council_type: str
    tier: str
    nation: str
    gss: str
    home: str
    parent: int
    shares: int | None = None

    @property
    def id(self) -> str:
        """Four letters that no council of ours has: they begin with Q."""
        letters, rest = "", self.number
        for _ in range(3):
            rest, at = divmod(rest, 26)
            letters = string.ascii_uppercase[at] + letters
        return f"Q{letters}"

    @property
    def name(self) -> str:
        """The official name."""
        return f"{self.place} {self.kind}"

    @property
    def slug(self) -> str:
        """The place in an address."""
        return self.place.lower().replace(" ", "")

    @property
    def accounts(self) -> list[Account]:
        """Its accounts; about a third of the parishes have none."""
        return list(_accounts(self))


def place(number: int) -> str:
    """A name that no real place has, another one for each number below PLACES."""
    at, end = divmod(number * STRIDE % PLACES, len(ENDS))
    head, tail = divmod(at, len(TAILS))
    return f"{HEADS[head]}{TAILS[tail]} {ENDS[end]}".strip()


def bodies(count: int) -> list[Body]:
    """The first `count` bodies; at most PLACES."""
    return [_body(number) for number in range(count)]


def _body(number: int) -> Body:
    area, within = divmod(number, AREA)
    nation = {8: "Wales", 9: "Scotland"}.get(area % 10, "England")
    top = area * AREA
    named, slug = place(top), place(top).lower().replace(" ", "")
    if within == 0:
        kind, sort, code = {
            "England": ("District Council", "non-metropolitan district", "E07"),
            "Wales": ("County Council", "Welsh principal area", "W06"),
            "Scotland": ("Council", "Scottish council area", "S12"),
        }[nation]
        home = f"http://www.{slug}.example/"
        parent = number // REGION * REGION + 2 if nation == "England" else number
        return Body(number, named, kind, sort, PRINCIPAL, nation, _gss(code, number), home, parent)
    if number % REGION in _WIDE:
        return _wide(number, *_WIDE[number % REGION])
    return _local(number, within, top, nation, named, slug)


# Of each REGION, by the number within it: place, kind, type, tier, code.
_WIDE = {
    2: ("{}shire", "County Council", "county council", PRINCIPAL, "E10"),
    3: ("{}shire", "Fire and Rescue Authority", "fire authority", WIDE, "E31"),
    4: ("{}shire", "Combined Authority", "combined authority", WIDE, "E47"),
    5: ("{} Moors", "National Park Authority", "national park authority", WIDE, "E26"),
}


def _wide(number: int, form: str, kind: str, sort: str, tier: str, code: str) -> Body:
    named = form.format(place(number // REGION * REGION + 2))
    end = {"E10": "", "E31": "fire", "E47": "-ca", "E26": "-npa"}[code]
    home = f"http://www.{named.lower().replace(' ', '')}{end}.example/"
    return Body(number, named, kind, sort, tier, "England", _gss(code, number), home, number)


def _local(number: int, within: int, top: int, nation: str, area: str, slug: str) -> Body:
    """A parish, town or community council: the first of an area bears the district's own name."""
    named = area if within == 1 else place(number)
    own = named.lower().replace(" ", "")
    town = within % 12 == 1
    kind = "Town Council" if town else "Parish Council"
    sort, code = "parish council", "E04"
    if nation != "England":
        kind = "Town Council" if town and nation == "Wales" else "Community Council"
        sort, code = "community council", "W04" if nation == "Wales" else ""
    home, shares = f"http://www.{own}-{'tc' if town else 'pc'}.example/", None
    if within >= AREA - 2:
        pair = place(top + AREA - 2).lower().replace(" ", "")
        home, shares = f"http://www.{pair}-parishes.example/", top * 2 + AREA * 2 - 3 - number
    elif within % 7 == 3:
        home = f"http://{own}.parishes.{slug}.example/"
    elif within % 11 == 5:
        home = f"http://villages.{slug}.example/{own}/"
    gss = _gss(code, number) if code else ""
    return Body(number, named, kind, sort, LOCAL, nation, gss, home, top, shares)


def _gss(code: str, number: int) -> str:
    """A code that ONS has not given."""
    return f"{code}{990_00 + number:06d}"


def _accounts(body: Body) -> Iterator[Account]:
    name = body.place.replace(" ", "")
    short = {
        "District Council": "DC",
        "County Council": "CC",
        "Town Council": "TC",
        "Parish Council": "PC",
        "Fire and Rescue Authority": "Fire",
        "Combined Authority": "CA",
        "National Park Authority": "NPA",
    }.get(body.kind, "CC")
    whole = body.kind.replace(" ", "")
    turn = body.number % 9 if body.tier == LOCAL else -1
    if turn in {-1, 0, 1, 2, 5}:
        yield Account("facebook", f"https://www.facebook.com/{name}{whole}")
    if turn in {3, 4}:
        number = 100_060_000_000_000 + body.number
        yield Account("facebook", f"https://www.facebook.com/profile.php?id={number}")
    if turn in {-1, 1, 3} and len(name + short) <= 15:
        yield Account("twitter", f"https://x.com/{name}{short}")
    if turn in {-1, 2}:
        yield Account("instagram", f"https://www.instagram.com/{name.lower()}{short.lower()}")
    if body.council_type in {"non-metropolitan district", "county council"}:
        for service, label in SERVICES:
            yield Account("facebook", f"https://www.facebook.com/{name}{label}", service)


class Web:
    """The websites of a list of bodies: what a path of a host answers."""

    def __init__(self, listed: list[Body]) -> None:
        self.bodies = listed
        self._by_home = {body.home.removeprefix("http://"): body for body in reversed(listed)}

    @cached_property
    def below(self) -> dict[int, list[Body]]:
        """The local councils of each district, by its number."""
        found: dict[int, list[Body]] = {}
        for body in self.bodies:
            if body.tier == LOCAL:
                found.setdefault(body.parent, []).append(body)
        return found

    def answer(self, url: str) -> bytes | None:
        """The page at an absolute address, or None where there is none."""
        parts = urlsplit(url)
        body = self._by_home.get(f"{parts.netloc}/")
        rest = parts.path.strip("/")
        if body is None:
            first, _, rest = rest.partition("/")
            body = self._by_home.get(f"{parts.netloc}/{first}/")
        if body is None:
            return None
        main = self._mains(body).get(rest)
        return None if main is None else self._page(body, *main).encode()

    def _mains(self, body: Body) -> dict[str, tuple[str, str]]:
        """Path below the home page → title and main part."""
        pages = {
            "": (f"Welcome to {body.place}", FILLER * 4),
            "contact": ("Contact us", f"<p>Write to the clerk of {body.name}.</p>{FILLER * 2}"),
            "news": ("News", self._news(body) + FILLER * 3),
        }
        if body.tier == PRINCIPAL:
            pages["services/libraries"] = ("Libraries and museums", _services(body) + FILLER)
            pages["contact/parishes"] = ("Parish and town councils", self._parishes(body))
        return pages

    def _news(self, body: Body) -> str:
        """News that links other bodies' accounts: the one above, and a group of residents."""
        above = self.bodies[body.parent] if body.parent < len(self.bodies) else body
        if above is body:
            return "<p>No news.</p>"
        links = "".join(
            f'<p>Roadworks: see <a href="{account.url}">{above.name} on {account.platform}</a>.</p>'
            for account in above.accounts[:2]
        )
        chat = f"https://www.facebook.com/groups/{body.slug}chatter"
        return f'{links}<p>Residents chat in <a href="{chat}">{body.place} Chatter</a>.</p>'

    def _parishes(self, body: Body) -> str:
        """The district's list of the councils below it, with their websites and accounts."""
        rows = "".join(
            f'<li><a href="{local.home}">{local.name}</a>'
            + "".join(
                f' <a href="{a.url}">{local.name} on {a.platform}</a>' for a in local.accounts
            )
            for local in self.below.get(body.number, [])
        )
        return f"<p>These councils are not run by us.</p><ul>{rows}</ul>"

    def _page(self, body: Body, title: str, main: str) -> str:
        up = urlsplit(body.home).path
        menu = {"": "Home", "contact": "Contact", "news": "News"}
        if body.tier == PRINCIPAL:
            menu |= {"services/libraries": "Libraries", "contact/parishes": "Contact your parish"}
        items = "".join(f'<li><a href="{up}{path}">{text}</a>' for path, text in menu.items())
        owners = [body]
        if body.shares is not None and body.shares < len(self.bodies):
            owners.append(self.bodies[body.shares])
        icons = "".join(
            f'<li><a href="{account.url}">{owner.name} on {account.platform}</a>'
            for owner in owners
            for account in owner.accounts
            if not account.service
        )
        return (
            f'<!doctype html><html lang="en"><head><title>{title} - {body.name}</title></head>'
            f"<body><header><p>{body.name}</p><nav><ul>{items}</ul></nav></header>"
            f"<main><h1>{title}</h1>{main}</main>"
            f"<footer><h2>Follow us</h2><ul>{icons}</ul></footer></body></html>"
        )


def _services(body: Body) -> str:
    return "".join(
        f'<p><a href="{account.url}">{body.place} {account.service} on Facebook</a></p>'
        for account in body.accounts
        if account.service
    )


def register_csv(listed: list[Body]) -> str:
    """The register in the form of data/register/councils.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, STORED, lineterminator="\n")
    writer.writeheader()
    known: dict[int | None, str] = {body.number: body.id for body in listed}
    for body in listed:
        above = body.parent if body.parent != body.number else None
        region = REGIONS[body.number // REGION % len(REGIONS)]
        writer.writerow(
            {
                "council_id": body.id,
                "gss_code": body.gss,
                "name": body.name,
                "names_other": f"Cyngor Cymuned {body.place}" if body.gss[:3] == "W04" else "",
                "nation": body.nation,
                "council_type": body.council_type,
                "region": region if body.nation == "England" else body.nation,
                "county_id": known.get(above, ""),
                "website": body.home,
                "shares_website_with": known.get(body.shares, ""),
            }
        )
    return text.getvalue()


def truth(listed: list[Body]) -> set[tuple[str, str, str, str]]:
    """Every account that is a body's: council_id, platform, key, service."""
    return {
        (body.id, account.platform, key_of(account.url), account.service)
        for body in listed
        for account in body.accounts
    }


# --- Serving them --------------------------------------------------------------------------------


class _Proxy(asyncio.Protocol):
    """Answers requests in absolute form, as a forward proxy gets them; one for each connection."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
            body = self._web.answer(head.split(b" ", 2)[1].decode())
            status, body = (b"404 Not Found", b"No.") if body is None else (b"200 OK", body)
            lines = (
                b"HTTP/1.1 %s" % status,
                b"Content-Type: text/html; charset=utf-8",
                b"Content-Length: %d" % len(body),
            )
            self._transport.write(b"\r\n".join([*lines, b"", body]))


async def _serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    web = Web(bodies(count))
    server = await loop.create_server(lambda: _Proxy(web), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The one who started this closes our standard input, or dies.
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def served(count: int) -> Iterator[str]:
    """The address of a forward proxy that answers for the first `count` bodies, in a process."""
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, "serve", str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def write_register(folder: Path, listed: list[Body]) -> Path:
    """The register of some bodies in a file of the folder."""
    file = folder / "councils.csv"
    file.write_text(register_csv(listed), encoding="utf-8")
    return file


def crawled(folder: Path, count: int) -> Path:
    """The crawl of the folder's register, some of the first `count` bodies, made in a process."""
    with served(count) as proxy:
        asked = [sys.executable, "-m", MODULE, "crawl", str(folder), proxy]
        subprocess.run(asked, cwd=ROOT, check=True)
    return folder / "crawl"


def _crawl(folder: Path, proxy: str) -> int:
    """Crawl as fast as the machine can; the exit status."""
    report = crawl(
        load_register(folder / "councils.csv"),
        folder / "crawl",
        proxy=proxy,
        settings={"DOWNLOAD_DELAY": 0.01, "RETRY_BACKOFF": 0.01, "LOG_ENABLED": False},
    )
    return report.exit_status


# --- Measuring -----------------------------------------------------------------------------------


def sizes() -> list[Row]:
    """For each size: processor seconds and peak memory of build and hub, and what a page weighs.

    Each step is a process of its own. `wrong` counts accounts that are missing, or in the row of a
    body whose they are not; the crawl's seconds are those of the clock, its server beside it.
    """
    rows: list[Row] = []
    for count in SIZES:
        with TemporaryDirectory() as name:
            folder = Path(name)
            write_register(folder, bodies(count))
            began = time.monotonic()
            crawled(folder, count)
            row: Row = {"bodies": f"{count:,}", "crawl s": time.monotonic() - began}
            for step in ("build", "hub"):
                asked = [sys.executable, "-m", MODULE, step, str(folder)]
                done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
                told = json.loads(done.stdout.splitlines()[-1])
                row |= {f"{step} s": told["seconds"], f"{step} MB": told["megabytes"]}
            pages = sorted((folder / "site" / "connect").glob("**/index.html"))
            row["A-Z kB"] = max(len(gzip.compress(page.read_bytes())) for page in pages) / 1000
            found = folder / "site" / "api" / "search.json"
            row["search kB"] = (
                len(gzip.compress(found.read_bytes())) / 1000 if found.exists() else 0.0
            )
            row["wrong"] = len(published(folder / "release") ^ truth(bodies(count)))
            rows.append(row)
    return rows


def published(release: Path) -> set[tuple[str, str, str, str]]:
    """The accounts of a release, in the form of `truth`."""
    columns = ["council_id", "platform", "url", "service"]
    rows = pq.read_table(release / "accounts.parquet", columns=columns).to_pylist()
    return {
        (row["council_id"], row["platform"], key_of(row["url"]), row["service"] or "")
        for row in rows
    }


def key_of(url: str) -> str:
    """The form in which two writings of an account are one."""
    found = identify(url)
    return found.key if isinstance(found, platforms.Account) else url


def _step(name: str, folder: Path) -> None:
    """Run one step on a crawled folder and print what it took."""
    began = time.process_time()
    if name == "build":
        register = load_register(folder / "councils.csv")
        nothing = overrides_frame([])
        report = build([folder / "crawl"], folder / "release", None, register, nothing)
        if not report.published:
            raise SystemExit(f"the release is refused: {report.findings}")
    else:
        build_hub(folder / "release", folder / "site")
    print(json.dumps({"seconds": time.process_time() - began, "megabytes": peak() >> 20}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", count]:
            asyncio.run(_serve(int(count)))
        case ["crawl", folder, proxy]:
            sys.exit(_crawl(Path(folder), proxy))
        case [step, folder]:
            _step(step, Path(folder))
