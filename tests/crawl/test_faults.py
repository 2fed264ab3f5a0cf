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

import pytest

from pipeline.build import build
from pipeline.overrides import load_overrides
from spiders import journal
from tests.crawl.certificates import Authority, serving
from tests.crawl.faults import CONTACT, FAULTS, GOOD, Fault
from tests.crawl.web import Line, Web, outcome, timeless

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest import TempPathFactory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
ROOT = Path(__file__).parents[2]
MOST_MEMORY = 300  # MB, of the whole process
SEEDS = range(1, 1 + int(os.environ.get("FAULT_SEEDS", "1")))
IN_ORDER = Fault("ok", {"/": GOOD, "/contact": CONTACT}, found={"/contact": "ok"})
NEIGHBOURS = {f"www.neighbour{number}.example": IN_ORDER for number in range(12)}
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
                    f"{'https' if fault.tls else 'http'}://{host}/",
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
def among(tmp_path_factory: TempPathFactory) -> Crawled:
    """One crawl of every fault at once, and of twelve sites that are in order."""
    faulty = {_host(name): fault for name, fault in FAULTS.items()}
    return _crawl(tmp_path_factory.mktemp("faults") / "among", faulty | NEIGHBOURS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: TempPathFactory) -> Crawled:
    """A crawl of the sites in order alone."""
    return _crawl(tmp_path_factory.mktemp("faults") / "undisturbed", NEIGHBOURS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_recorded_under_its_name(among: Crawled, name: str) -> None:
    scheme = "https" if FAULTS[name].tls else "http"
    found = {
        path: outcome(among.of(_host(name)), f"{scheme}://{_host(name)}{path}")
        for path in ("/", *FAULTS[name].found)
    }
    assert found == {"/": FAULTS[name].outcome} | FAULTS[name].found


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_draws_no_more_requests_than_a_visit_may_make(among: Crawled, name: str) -> None:
    asked = [request for request in among.web.asked if request.host == _host(name)]
    assert len(asked) <= FAULTS[name].most_requests


def test_the_other_councils_are_complete_and_unchanged(
    among: Crawled, undisturbed: Crawled
) -> None:
    for number, host in enumerate(NEIGHBOURS):
        here = [line | {"council_id": number} for line in among.of(host)]
        assert here
        assert timeless(here) == timeless(
            [line | {"council_id": number} for line in undisturbed.of(host)]
        )


def test_a_crawl_among_faults_ends_whole(among: Crawled) -> None:
    assert among.problems == []


def test_all_faults_together_take_no_more_memory_than_a_crawl_may(among: Crawled) -> None:
    assert among.peak <= MOST_MEMORY


def test_no_fault_is_told_a_cookie_or_where_we_were(among: Crawled) -> None:
    told = {name.lower() for request in among.web.asked for name in request.headers}
    assert told.isdisjoint({"cookie", "referer", "authorization"})
