"""A crawl among sites that misbehave: each is named, memory is bounded, the others are whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pipeline.build import build
from pipeline.overrides import overrides_frame
from spiders import journal
from tests.crawl.alone import councils_of
from tests.crawl.certificates import Authority, serving
from tests.crawl.faults import CONTACT, FAULTS, GOOD, Fault
from tests.crawl.web import Line, Web, outcome, page, timeless

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
ROOT = Path(__file__).parents[2]
MOST_MEMORY = 300  # MB, of the whole process
SEEDS = range(1, 1 + int(os.environ.get("FAULT_SEEDS", "1")))
IN_ORDER = Fault("ok", {"/": GOOD, "/contact": CONTACT})
NEIGHBOURS = {f"www.neighbour{number}.example": IN_ORDER for number in range(12)}
LIGHT = [name for name, fault in FAULTS.items() if not fault.heavy]
SETTINGS = {
    "DOWNLOAD_TIMEOUT": 4.0,
    "DNS_TIMEOUT": 1.0,
    "DNS_CACHE_SECONDS": 0,
    "RETRY_TIMES": 1,
    "CRAWL_DELAY_LIMIT": 0.1,
}


@dataclass(frozen=True)
class Crawled:
    """What a crawl of its own came to."""

    web: Web
    folder: Path
    lines: list[Line]
    problems: list[str]
    peak: int

    def of(self, host: str) -> list[Line]:
        """The lines of one site, by the council that it belongs to."""
        url = f"://{host}/"
        councils = {n["council_id"] for n in self.lines if n["is_home"] and url in n["url"]}
        return [line for line in self.lines if line["council_id"] in councils]


def _host(name: str) -> str:
    return f"www.{name.replace('_', '-')}.example"


def _with_account(name: str) -> Fault:
    """A site in order with an account of its own."""
    account = f"https://www.facebook.com/{name}Council"
    return Fault("ok", {"/": page("Home", {account: "Facebook", "/contact": "Contact us"})})


def _home(host: str, fault: Fault) -> str:
    return f"{'https' if fault.tls else 'http'}://{host}/"


def _crawl(folder: Path, sites: Mapping[str, Fault], **settings: Any) -> Crawled:
    """Crawl sites, each with its fault, in a process of its own."""
    folder.mkdir()
    with Web() as web, ExitStack() as servers:
        authority = Authority(folder)
        by_tls = defaultdict(list)
        for host, fault in sites.items():
            by_tls[fault.tls].append(host)
            for path, reply in fault.pages.items():
                web.put(host, path, reply)
        ports = {
            tls: servers.enter_context(serving(web, tls, hosts, authority))
            for tls, hosts in by_tls.items()
            if tls
        }
        ports[""] = web.port
        plan = {
            "out": str(folder / "crawl"),
            "sites": {
                host: (
                    _home(host, fault),
                    [
                        f"127.0.0.1:{ports[fault.tls]}" if answer == "web" else answer
                        for answer in fault.address
                    ],
                )
                for host, fault in sites.items()
            },
            "allow": ["127.0.0.1:1", *(f"127.0.0.1:{port}" for port in ports.values())],
            "settings": SETTINGS | settings,
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.crawl.alone"],
            input=json.dumps(plan),
            capture_output=True,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(authority.path)},
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    lines = list(journal.read(folder / "crawl" / journal.PAGES))
    return Crawled(web, folder / "crawl", lines, told["problems"], told["peak"])


@pytest.fixture(scope="module")
def among(tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    """One crawl of every light fault at once, and of twelve sites that are in order."""
    faulty = {_host(name): FAULTS[name] for name in LIGHT}
    return _crawl(tmp_path_factory.mktemp("faults") / "among", faulty | NEIGHBOURS)


@pytest.fixture(scope="module")
def among_heavy(tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    """One crawl of every heavy fault at once, and of the same twelve sites."""
    faulty = {_host(name): fault for name, fault in FAULTS.items() if fault.heavy}
    return _crawl(tmp_path_factory.mktemp("faults") / "heavy", faulty | NEIGHBOURS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    """A crawl of the sites in order alone."""
    return _crawl(tmp_path_factory.mktemp("faults") / "undisturbed", NEIGHBOURS)


@pytest.fixture(params=FAULTS)
def faulty(request: pytest.FixtureRequest) -> tuple[str, Fault, Crawled]:
    """Each fault: its host, what it does, and the crawl that met it."""
    fault = FAULTS[request.param]
    crawled = request.getfixturevalue("among_heavy" if fault.heavy else "among")
    return _host(request.param), fault, crawled


@pytest.fixture(params=["among", "among_heavy"])
def crawled(request: pytest.FixtureRequest) -> Crawled:
    """Each of the two crawls among faulty sites."""
    found: Crawled = request.getfixturevalue(request.param)
    return found


def test_a_fault_is_recorded_under_its_name(faulty: tuple[str, Fault, Crawled]) -> None:
    host, fault, crawled = faulty
    lines, base = crawled.of(host), _home(host, fault).removesuffix("/")
    found = {path: outcome(lines, f"{base}{path}") for path in ("/", *fault.found)}
    assert found == {"/": fault.outcome} | dict(fault.found)


def test_a_fault_draws_no_more_requests_than_a_visit(faulty: tuple[str, Fault, Crawled]) -> None:
    host, fault, crawled = faulty
    asked = [request for request in crawled.web.asked if request.host == host]
    assert len(asked) <= fault.most_requests


def test_the_other_councils_are_complete_and_unchanged(
    crawled: Crawled, undisturbed: Crawled
) -> None:
    for host in NEIGHBOURS:
        here, there = (
            timeless([line | {"council_id": host} for line in crawl.of(host)])
            for crawl in (crawled, undisturbed)
        )
        assert len(here) == 4  # robots.txt, home, contact, sitemap
        assert here == there


def test_a_crawl_among_faults_ends_whole(crawled: Crawled) -> None:
    assert crawled.problems == []


def test_all_faults_at_once_stay_within_the_memory_of_a_crawl(crawled: Crawled) -> None:
    assert crawled.peak <= MOST_MEMORY


def test_no_site_is_sent_a_cookie_a_password_or_where_we_were(crawled: Crawled) -> None:
    told = {name.lower() for request in crawled.web.asked for name in request.headers}
    assert told.isdisjoint({"cookie", "referer", "authorization"})


@pytest.mark.parametrize("seed", SEEDS)
def test_four_hundred_sites_with_a_fifth_faulty_are_published(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311  not a secret
    sites = {f"www.s{number:03d}.example": _with_account(f"S{number:03d}") for number in range(400)}
    for host in chance.sample(sorted(sites), 80):
        sites[host] = FAULTS[chance.choice(LIGHT)]
    crawled = _crawl(tmp_path / "crawled", sites)
    councils = councils_of({host: _home(host, fault) for host, fault in sites.items()})
    report = build([crawled.folder], tmp_path / "release", None, councils, overrides_frame([]))
    directory = pd.read_parquet(tmp_path / "release" / "directory.parquet")
    told = dict(zip(directory["council_id"], directory["check_outcome"], strict=True))
    expected = dict(
        zip(councils["council_id"], [fault.outcome for fault in sites.values()], strict=True)
    )
    assert (crawled.problems, report.published) == ([], True)
    assert told == expected
    assert crawled.peak <= MOST_MEMORY
