"""Run a crawl, a replay or the mining of archives from a program: rows in, a crawl folder out.

The folder holds pages.jsonl and run.json; the report that comes back says whether they are whole.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.settings import Settings

from pipeline.register import Hosts
from spiders import gate, journal, memory, warc
from spiders import render as browser
from spiders.archive import Tally, homes_of, mine
from spiders.council_site import sites_of
from spiders.engines import Record, record_of, visit
from spiders.guard import stamp
from spiders.journal import Journal
from spiders.monitor import RUN, councils_in, report_of, write_run

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
    render: bool = False,
    known: Path | None = None,
    shard: str | None = None,
    crawl_id: str | None = None,
    now: Callable[[], float] = time.time,
    settings: Mapping[str, Any] | None = None,
) -> RunReport:
    """Visit the websites of the register rows and write a crawl folder.

    `register` is the whole register where `rows` are a part of it, so that the other councils'
    hosts are known. `known` is a file of what earlier crawls learned (memory.py): a page in it is
    asked for only if it changed, or not at all. `render` fills pages that are empty without scripts
    in a browser (render.py). `shard` is recorded: which part of a register the rows are.
    `settings` override those of spiders/settings.py.
    On a terminal a progress bar is shown, and the log goes to crawl.log in the folder.

    Raises:
        RunError: `out` holds a crawl already and `resume` is not set, or there is none to resume.
        RecallError: `known` cannot be read.
        SettingsError, TurnedAwayError: What the gate is given cannot be used.
        WarcError: `capture` cannot be written.
        RenderError: `render` is set, and there is no browser that works.
    """
    _vet_files(known, capture, replay)
    chosen = _settings(settings, max_pages, capture, replay, proxy, now)
    if render:
        chosen.set("RENDER", True, priority="cmdline")
    gate.vet(chosen)
    if chosen.getbool("RENDER") and not replay:
        browser.vet(chosen)
    pages = out / journal.PAGES
    before, torn = _earlier(pages, resume)
    resting = _resting(out, chosen, now)
    if capture:
        warc.gather(capture)  # what a killed run left; and what cannot be written is said now
    crawl_id = crawl_id or stamp(now()).translate(str.maketrans("", "", "-:"))
    out.mkdir(parents=True, exist_ok=True)
    hosts = Hosts(rows if register is None else register)
    sites = sites_of(rows, hosts, chosen)
    recalled = memory.read(known) if known else {}
    for site in sites:
        site.memory = recalled.pop(site.councils[0], site.memory)
        site.not_today = gate.site_of(site) in resting
    head = _head(crawl_id, "replay" if replay else "crawl", now, len(rows), chosen)
    if shard:
        head["inputs"]["shard"] = shard
    if resume:
        head |= _resumed(out, len(before.keys), torn)
    write_run(out, head | {"finished": False})
    if sys.stderr.isatty():
        chosen.set("LOG_FILE", str(out / LOG), priority="cmdline")
    told = visit(chosen, sites, hosts, before)
    report: dict[str, Any] = {"finished_at": stamp(now()), "finished": False}
    if told is None:
        report["problems"] = ["the crawl did not start; see the log"]
    else:
        grown = pages.stat().st_size - before.end
        report |= report_of(told, councils_in(sites), grown, chosen["CRAWL_HOURS"])
    return _ended(out, head, report)


def _vet_files(known: Path | None, capture: Path | None, replay: Path | None) -> None:
    if known and (capture or replay):
        raise RunError("a capture holds every page whole: leave out what earlier crawls learned")
    if capture and replay:
        raise RunError("a replay is not captured again: give --capture or --replay")


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


def vet(overrides: Mapping[str, Any] | None = None) -> None:
    """Try whether the settings can be used: said before a refresh begins, it costs no crawl.

    Raises:
        SettingsError: They cannot; the message names the setting, and says what to write.
    """
    gate.vet(_settings(overrides, None, None, None, None, time.time))


def can_render(overrides: Mapping[str, Any] | None = None) -> None:
    """Try whether pages can be rendered here.

    Raises:
        RenderError: They cannot; the message says what to do.
    """
    browser.vet(_settings(overrides, None, None, None, None, time.time))


def _resting(out: Path, settings: Settings, now: Callable[[], float]) -> frozenset[str]:
    """The sites that turned us away today; the crawls whose folders stand side by side share them.

    A replay asks nobody, so it neither reads nor writes the list.
    """
    if settings["WARC_REPLAY"]:
        return frozenset()
    path = out.resolve().parent / gate.TURNED_AWAY
    settings.set("TURNED_AWAY_FILE", path, priority="cmdline")
    return gate.resting(path, now())


def _earlier(pages: Path, resume: bool) -> tuple[Record, int]:
    """What stands in the crawl to resume, and the bytes cut from a torn last one."""
    if not resume:
        if pages.exists():
            raise RunError(f"{pages.parent} holds a crawl already; give --resume or another folder")
        return Record(pages), 0
    if not pages.exists():
        raise RunError(f"{pages.parent} holds no crawl to resume; leave out --resume")
    torn = journal.repair(pages)
    return record_of(pages), torn


def _head(
    crawl_id: str, kind: str, now: Callable[[], float], councils: int, settings: Settings
) -> dict[str, Any]:
    names = ("PAGES", "DEPTH", "BYTES", "SECONDS", "REQUESTS")
    inputs: dict[str, Any] = {"councils": councils, "user_agent": settings["USER_AGENT"]}
    inputs |= {f"council_{name.lower()}": settings.getint(f"COUNCIL_{name}") for name in names}
    inputs |= {"download_delay": settings.getfloat("DOWNLOAD_DELAY")}
    inputs |= {"crawl_hours": settings["CRAWL_HOURS"] or None}
    if settings.getbool("RENDER"):
        inputs["render"] = True
    for name in ("WARC_CAPTURE", "WARC_REPLAY"):
        if settings[name]:
            inputs[name.lower()] = Path(settings[name]).name
    return {"crawl_id": crawl_id, "kind": kind, "started_at": stamp(now()), "inputs": inputs}


def _resumed(out: Path, lines: int, torn: int) -> dict[str, Any]:
    """What run.json keeps of the run that is resumed: its name, its start, what it recorded."""
    kept: dict[str, Any] = {"resumed": {"lines": lines, "torn_bytes": torn}}
    if (out / RUN).exists():
        earlier = journal.read_object(out / RUN)
        kept |= {key: earlier[key] for key in ("crawl_id", "started_at") if key in earlier}
    return kept


def _ended(out: Path, head: dict[str, Any], report: dict[str, Any]) -> RunReport:
    """Write the final run.json, with the outcomes of the whole journal, and report."""
    if head.get("resumed"):
        lines = journal.read(out / journal.PAGES)
        report["outcomes"] = dict(sorted(Counter(line["outcome"] for line in lines).items()))
    write_run(out, head | report)
    return RunReport(
        crawl_id=head["crawl_id"],
        kind=head["kind"],
        folder=out,
        finished=report["finished"],
        problems=tuple(report["problems"]),
        outcomes=report.get("outcomes", {}),
        report=head | report,
    )


def mine_to(
    paths: Sequence[Path], out: Path, register: pd.DataFrame, crawl_id: str | None = None
) -> RunReport:
    """Mine WARC files into a crawl folder; the same files, in any order, give the same bytes.

    Raises:
        RunError: `out` holds a crawl already.
        ArchiveError: A file is missing or is no WARC file.
    """
    pages = out / journal.PAGES
    _earlier(pages, resume=False)
    out.mkdir(parents=True, exist_ok=True)
    paths = sorted(paths, key=lambda path: (path.name, path))
    tally = Tally()
    with Journal(pages) as written:
        for fetch in mine(paths, Hosts(register), homes_of(register), tally):
            written.append([journal.entry(fetch)])
        whole = pages.stat().st_size == written.bytes
    digests = [_digest(path) for path in paths]
    problems = () if whole else (f"{pages}: shorter than what was written to it",)
    return mined(out, crawl_id, [path.name for path in paths], digests, tally, problems)


def mined(
    out: Path,
    crawl_id: str | None,
    names: Sequence[str],
    digests: Sequence[str],
    tally: Tally,
    problems: Sequence[str] = (),
) -> RunReport:
    """Write the run.json of what was mined from files of these names and digests, and report.

    Their digests name the crawl, so the same files give the same bytes.
    """
    tally.shorten()
    told = tally.told()
    pages, observations = told.pop("records"), told.pop("observations")
    content = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
    report: dict[str, Any] = {
        "crawl_id": crawl_id or f"mine-{content[:16]}",
        "kind": "mine",
        "started_at": told.pop("first"),
        "finished_at": told.pop("last"),
        "finished": not problems,
        "problems": list(problems),
        "inputs": {"files": list(names)},
        "counts": {
            "recorded": sum(tally.outcomes.values()),
            "repeated": tally.passed_over["repeated"],
            "pages": pages,
            "observations": observations,
        },
        **told,
    }
    write_run(out, report)
    return RunReport(
        report["crawl_id"],
        "mine",
        out,
        report["finished"],
        tuple(problems),
        told["outcomes"],
        report,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
