"""Run a crawl, a replay or the mining of archives from a program: rows in, a crawl folder out.

The folder holds pages.jsonl and run.json; the report that comes back says whether they are whole.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings

from pipeline.register import Hosts
from spiders import journal, memory
from spiders.archive import Tally, mine
from spiders.council_site import CouncilSite, sites_of
from spiders.guard import stamp
from spiders.journal import Journal
from spiders.monitor import RUN, Monitor, write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

LOG = "crawl.log"


class RunError(ValueError):
    """A crawl cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended: `finished` only if it is whole; `problems` say why it is not."""

    crawl_id: str
    kind: str
    folder: Path
    finished: bool
    problems: tuple[str, ...] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0 when the run is whole, else 1."""
        return 0 if self.finished else 1


def crawl(
    rows: pd.DataFrame,
    out: Path,
    *,
    register: pd.DataFrame | None = None,
    max_pages: int | None = None,
    capture: Path | None = None,
    replay: Path | None = None,
    proxy: str | None = None,
    resume: bool = False,
    known: Path | None = None,
    crawl_id: str | None = None,
    now: Callable[[], float] = time.time,
    settings: Mapping[str, Any] | None = None,
) -> RunReport:
    """Visit the websites of the register rows and write a crawl folder.

    `register` is the whole register where `rows` are a part of it, so that the other councils'
    hosts are known. `known` is a file of what earlier crawls learned (memory.py): a page in it is
    asked for only if it changed, or not at all. `settings` override those of spiders/settings.py.
    On a terminal a progress bar is shown, and the log goes to crawl.log in the folder.

    Raises:
        RunError: `out` holds a crawl already and `resume` is not set, or there is none to resume.
        RecallError: `known` cannot be read.
    """
    if known and (capture or replay):
        raise RunError("a capture holds every page whole: leave out what earlier crawls learned")
    if capture and replay:
        raise RunError("a replay is not captured again: give --capture or --replay")
    chosen = _settings(settings, max_pages, capture, replay, proxy, now)
    pages = out / journal.PAGES
    lines, torn = _earlier(pages, resume)
    crawl_id = crawl_id or stamp(now()).translate(str.maketrans("", "", "-:"))
    out.mkdir(parents=True, exist_ok=True)
    hosts = Hosts(rows if register is None else register)
    sites = sites_of(rows, hosts, chosen)
    recalled = memory.read(known) if known else {}
    for site in sites:
        site.memory = recalled.get(site.councils[0], site.memory)
    head = _head(crawl_id, "replay" if replay else "crawl", now, len(rows), chosen)
    if resume:
        head |= _resumed(out, lines, torn)
    write_run(out, head | {"finished": False})
    if sys.stderr.isatty():
        chosen.set("LOG_FILE", str(out / LOG), priority="cmdline")
    process = AsyncCrawlerProcess(chosen)
    logging.getLogger("scrapy").setLevel(logging.WARNING)  # the process has just set it lower
    crawler = process.create_crawler(CouncilSite)
    with Journal(pages, map(journal.key_of, lines)) as written:
        process.crawl(crawler, sites=sites, hosts=hosts, journal=written, earlier=lines)
        process.start()
    return _ended(out, head, crawler, process.bootstrap_failed)


def _settings(
    overrides: Mapping[str, Any] | None,
    max_pages: int | None,
    capture: Path | None,
    replay: Path | None,
    proxy: str | None,
    now: Callable[[], float],
) -> Settings:
    """The crawl policy with what this run changes in it."""
    chosen = Settings()
    chosen.setmodule("spiders.settings", priority="project")
    changes: dict[str, Any] = dict(overrides or {}) | {"CLOCK": now}
    if max_pages is not None:
        changes["COUNCIL_PAGES"] = max_pages
    if proxy:
        changes["FORWARD_PROXY"] = proxy
    if capture or replay:
        changes |= {
            "HTTPCACHE_ENABLED": True,
            "HTTPCACHE_IGNORE_MISSING": replay is not None,
            "WARC_CAPTURE": str(capture) if capture else None,
            "WARC_REPLAY": str(replay) if replay else None,
        }
    chosen.update(changes, priority="cmdline")
    return chosen


def _earlier(pages: Path, resume: bool) -> tuple[list[journal.Line], int]:
    """The lines of the crawl to resume, and the bytes cut from a torn last one."""
    if not resume:
        if pages.exists():
            raise RunError(f"{pages.parent} holds a crawl already; give --resume or another folder")
        return [], 0
    if not pages.exists():
        raise RunError(f"{pages.parent} holds no crawl to resume; leave out --resume")
    torn = journal.repair(pages)
    return list(journal.read(pages)), torn


def _head(
    crawl_id: str, kind: str, now: Callable[[], float], councils: int, settings: Settings
) -> dict[str, Any]:
    names = ("COUNCIL_PAGES", "COUNCIL_DEPTH", "COUNCIL_BYTES", "COUNCIL_SECONDS")
    inputs: dict[str, Any] = {"councils": councils, "user_agent": settings["USER_AGENT"]}
    inputs |= {name.lower(): settings.getint(name) for name in names}
    inputs |= {"download_delay": settings.getfloat("DOWNLOAD_DELAY")}
    for name in ("WARC_CAPTURE", "WARC_REPLAY"):
        if settings[name]:
            inputs[name.lower()] = Path(settings[name]).name
    return {"crawl_id": crawl_id, "kind": kind, "started_at": stamp(now()), "inputs": inputs}


def _resumed(out: Path, lines: Sequence[journal.Line], torn: int) -> dict[str, Any]:
    """What run.json keeps of the run that is resumed: its name, its start, what it recorded."""
    kept: dict[str, Any] = {"resumed": {"lines": len(lines), "torn_bytes": torn}}
    if (out / RUN).exists():
        earlier = journal.read_object(out / RUN)
        kept |= {key: earlier[key] for key in ("crawl_id", "started_at") if key in earlier}
    return kept


def _ended(out: Path, head: dict[str, Any], crawler: Any, failed: bool) -> RunReport:
    """Write the final run.json, with the outcomes of the whole journal, and report."""
    monitor = crawler.get_extension(Monitor) if crawler.spider and not failed else None
    report = dict(monitor.report) if monitor else {}
    problems = list(report.get("problems", ["the crawl did not start; see the log"]))
    if head.get("resumed"):
        lines = journal.read(out / journal.PAGES)
        report["outcomes"] = dict(sorted(Counter(line["outcome"] for line in lines).items()))
    report |= {"finished": bool(report.get("finished")), "problems": problems}
    write_run(out, head | report)
    return RunReport(
        crawl_id=head["crawl_id"],
        kind=head["kind"],
        folder=out,
        finished=report["finished"],
        problems=tuple(problems),
        outcomes=report.get("outcomes", {}),
        report=head | report,
    )


def mine_to(
    paths: Sequence[Path], out: Path, register: pd.DataFrame, crawl_id: str | None = None
) -> RunReport:
    """Mine WARC files into a crawl folder; the same files give the same bytes.

    Raises:
        RunError: `out` holds a crawl already.
        ArchiveError: A file is missing or is no WARC file.
    """
    pages = out / journal.PAGES
    _earlier(pages, resume=False)
    out.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    outcomes: Counter[str] = Counter()
    dates: list[str] = []
    observations = 0
    with Journal(pages) as written:
        for fetch in mine(paths, Hosts(register), _home_hosts(register), tally):
            written.append([journal.as_line(fetch)])
            outcomes[fetch.outcome] += 1
            observations += len(fetch.observations)
            dates.append(fetch.fetched_at)
        whole = written.whole()
        counts = {"recorded": written.written, "repeated": written.repeated}
    crawl_id = crawl_id or f"mine-{_digest(paths)}"
    report: dict[str, Any] = {
        "crawl_id": crawl_id,
        "kind": "mine",
        "started_at": min(dates, default=None),
        "finished_at": max(dates, default=None),
        "finished": whole,
        "inputs": {"files": [path.name for path in paths]},
        "counts": counts | {"pages": tally.records, "observations": observations},
        "outcomes": dict(sorted(outcomes.items())),
        "unknown_hosts": dict(sorted(tally.unknown_hosts.items())),
        "passed_over": dict(sorted(tally.passed_over.items())),
        "broken": tally.broken,
    }
    write_run(out, report)
    problems = () if whole else (f"{pages}: shorter than what was written to it",)
    return RunReport(crawl_id, "mine", out, whole, problems, dict(outcomes), report)


def _home_hosts(register: pd.DataFrame) -> frozenset[str]:
    sites = [site for site in register["website"] if isinstance(site, str)]
    return frozenset((urlsplit(site).hostname or "").removeprefix("www.") for site in sites)


def _digest(paths: Sequence[Path]) -> str:
    """A name for the content of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
