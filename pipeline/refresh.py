"""Crawl, build, check, publish, hub: one refresh, which a schedule can leave alone.

Whatever ends it, at any instant, readers keep a whole release: everything is made beside what is
published, and the step that readers see is the turn of one link. What is left to do is derived from
what was recorded, so that `resume` needs nobody's memory of where it stopped.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import checks, health
from pipeline.build import build
from pipeline.changes import summary
from pipeline.faults import is_ours
from pipeline.health import read_whole, write_whole
from pipeline.lock import locked
from pipeline.register import on_day
from pipeline.release import (
    CURRENT,
    REPORT,
    RUN,
    STORE,
    TIME_FORM,
    current,
    kept,
    mend,
    publish,
    read_table,
    remove,
    turn_link,
)
from pipeline.release import rollback as turn_back

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from pipeline.build import BuildReport

WORK, CRAWL, RELEASE = "refresh", "crawl", "release"
PAGES, MEMORY = "pages.jsonl", "memory.jsonl"
MEMORIES, SITES, SITE = "memory", "sites", "site"
HEALTH = "health.json"
EXIT = {"published": 0, "refused": 1, "stopped": 1, "failed": 2}
READ = ("ok", "not_modified")


@dataclass(frozen=True, slots=True)
class Crawled:
    """How a crawl ended.

    Attributes:
        stopped: Why it stopped before its end; '' when it came to it.
        told: Its counts, in words.
    """

    stopped: str
    told: str


@dataclass(frozen=True, slots=True)
class Steps:
    """The two rooms that the pipeline may not enter, lent by the roof.

    Attributes:
        crawl: Given the register of the day, a crawl folder, what earlier crawls learned of the
            pages (a file, or None), and whether to go on with the crawl that stands in the
            folder. It may leave what it learned as memory.jsonl in the folder.
        hub: Given a release folder and the folder of the site to write.
    """

    crawl: Callable[[pd.DataFrame, Path, Path | None, bool], Crawled]
    hub: Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a refresh is made from, and how it is to be published.

    Attributes:
        register: All councils; their status is computed for the day of the refresh.
        overrides: What people decided, as load_overrides returns it.
        allow: Gate → reason, for gates that a person lets pass this once.
        keep: How many releases stay in the store.
        webhook: An address to tell when nothing could be published; '' for none.
    """

    register: pd.DataFrame
    overrides: pd.DataFrame
    allow: Mapping[str, str] = field(default_factory=dict)
    keep: int = 12
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a refresh ended: published, refused, stopped or failed; and what to know, in words."""

    state: str
    message: str
    version: str | None

    @property
    def exit_status(self) -> int:
        """0 published, 1 refused by a check or stopped half-way, 2 bad input."""
        return EXIT[self.state]


def refresh(
    store: Path,
    steps: Steps,
    inputs: Inputs,
    *,
    clock: Callable[[], float],
    say: Callable[[str], None],
    resume: bool = False,
) -> Outcome:
    """Bring the published directory up to date, or leave it as it is and say why.

    Args:
        store: Folder of the releases, `current` among them, and of the work in progress.
        steps: How to crawl, and how to make the hub.
        inputs: What to make it from.
        clock: Gives the time in seconds since 1970.
        say: Told one line per stage.
        resume: Go on where the last refresh was interrupted, if it was; one that was refused is
            gone on with only when a gate is allowed that refused it.

    Raises:
        LockError: Another refresh is running here.
        ChecksError, HealthError: A gate or the webhook is not as it should be.
    """
    checks.vet(inputs.allow)
    if inputs.webhook:
        health.vet(inputs.webhook)
    with locked(store, _stamp(clock())) as left_by:
        if left_by:
            say(f"The lock was left behind by {left_by}, which is gone: taken over.")
        return _Run(store, steps, inputs, clock, say).go(resume=resume)


def rollback(store: Path, steps: Steps, clock: Callable[[], float]) -> str:
    """Publish the release before the current one again, with its site; returns its version.

    Raises:
        LockError: A refresh is running here.
        ReleaseError: There is no whole release before the current one.
    """
    with locked(store, _stamp(clock())):
        version = turn_back(store)
        _put_site(store, steps, version)
        known = read_whole(store / HEALTH)
        told = {"version": version, "message": f"rolled back to release {version}"}
        write_whole(store / HEALTH, known | told | {"at": _stamp(clock())})
        return version


@dataclass(slots=True)
class _Run:
    """One refresh under its lock; `record` is what refresh/run.json says of it."""

    store: Path
    steps: Steps
    inputs: Inputs
    clock: Callable[[], float]
    say: Callable[[str], None]
    record: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0

    @property
    def work(self) -> Path:
        return self.store / WORK

    def go(self, *, resume: bool) -> Outcome:
        """The stages in their order, from the first that is left to do."""
        try:
            stage = self._first_stage(resume=resume)
            if stage == "hub":
                return self._hub(self.record["version"])
            stopped = "" if stage == "build" else self._crawl(resume=stage == "resume")
            if stopped:
                return self._end("stopped", stopped)
            report = self._build()
            if not report.published:
                return self._end("refused", self._why(report))
            return self._hub(self._publish(report))
        except KeyboardInterrupt:
            return self._end("stopped", "stopped by hand; `refresh --resume` goes on from here")
        except Exception as error:
            # A disk has space again some day; what else fails would only fail again.
            self.record["resumable"] = isinstance(error, OSError)
            outcome = self._end("failed", str(error) or repr(error))
            if not _speaks_for_itself(error):
                raise
            return outcome

    # Where to begin ------------------------------------------------------------------------

    def _first_stage(self, *, resume: bool) -> str:
        """What is left to do: 'crawl' from its start, 'resume' it, 'build' or 'hub'."""
        self.began = self.clock()
        self.work.mkdir(parents=True, exist_ok=True)
        earlier = read_whole(self.work / RUN)
        base = current(self.store)
        if earlier.get("stage") == "publish" and earlier.get("version") not in (None, base):
            remove(self.store / STORE / earlier["version"])  # placed, and never pointed to
        for fault in mend(self.store):
            self.say(f"{fault}: readers are given the newest whole release")
        base = current(self.store)
        stage, why = self._left_of(earlier, base, resume=resume)
        if why:
            self.say(why)
        if stage == "crawl":
            shutil.rmtree(self.work / CRAWL, ignore_errors=True)
            earlier = {}
        started = earlier.get("started_at", _stamp(self.began))
        self.record = {
            "started_at": started,
            "resumed_at": _stamp(self.began) if stage != "crawl" else None,
            "base": base,
            "stage": "crawl" if stage == "resume" else stage,
            "version": earlier.get("version"),
            "resumable": None,
            "stages": earlier.get("stages", []),
        }
        self._note("running", "")
        return stage

    def _left_of(
        self, earlier: Mapping[str, Any], base: str | None, *, resume: bool
    ) -> tuple[str, str]:
        """What is left of an earlier refresh, and what to tell of it."""
        state, stage = earlier.get("state"), earlier.get("stage")
        of = f"The refresh of {earlier.get('started_at')}"
        failed = state == "failed" and earlier.get("resumable")
        interrupted = failed or state in ("running", "stopped")
        if not resume:
            again = f"{of} was interrupted: starting again; --resume would have gone on with it."
            return "crawl", again if interrupted else ""
        if state == "refused" and self.inputs.allow and earlier.get("base") == base:
            return "build", f"{of} was refused: building again from its crawl, with what you allow."
        if not interrupted:
            return "crawl", "Nothing was interrupted: starting a new refresh."
        if stage in ("publish", "hub") and earlier.get("version") == base:
            return "hub", f"{of} had published {base}: only its hub is left."
        if earlier.get("base") != base:
            return "crawl", f"{of} was made after another release than {base}: starting again."
        if stage == "crawl" and (self.work / CRAWL / PAGES).exists():
            return "resume", f"{of} was interrupted while crawling: going on with its crawl."
        if stage in ("build", "check", "publish"):
            return "build", f"{of} was interrupted at {stage}: building again from its crawl."
        return "crawl", f"{of} had not recorded a page yet: starting again."

    # The stages ----------------------------------------------------------------------------

    def _crawl(self, *, resume: bool) -> str:
        """Crawl; why it stopped before its end, or ''."""
        self._begin("crawl")
        folder = self.work / CRAWL
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        register = on_day(self.inputs.register, today)
        try:
            crawled = self.steps.crawl(register, folder, self._memory(), resume)
        except ValueError as error:
            if not resume or not _speaks_for_itself(error):
                raise
            self.say(f"The crawl cannot be gone on with, and starts again: {error}")
            shutil.rmtree(folder)
            crawled = self.steps.crawl(register, folder, self._memory(), False)
        self._done(crawled.told)
        return crawled.stopped

    def _memory(self) -> Path | None:
        """What the crawls up to the base release learned; only what fits its observations."""
        base = self.record["base"]
        if base is None:
            return None
        paths = [
            self.store / MEMORIES / f"{crawl['crawl_id']}.jsonl"
            for crawl in read_whole(self.store / STORE / base / RUN).get("crawls", [])
        ]
        return paths[0] if len(paths) == 1 and paths[0].exists() else None

    def _build(self) -> BuildReport:
        """Build and check, beside what is published."""
        self._begin("build")
        base = self.record["base"]
        report = build(
            [self.work / CRAWL],
            self.work / RELEASE,
            self.store / STORE / base if base else None,
            self.inputs.register,
            self.inputs.overrides,
            allow=self.inputs.allow,
            taken=kept(self.store),
            on_check=self._built,
        )
        shutil.copyfile(report.folder / REPORT, self.work / REPORT)
        refused = [finding.gate for finding in report.findings if finding.refuses]
        others = len(report.findings) - len(refused)
        passed = f"no gate refuses it; warnings: {others}" if others else "every gate passed"
        self._done(f"refused by {', '.join(refused)}" if refused else passed)
        return report

    def _built(self) -> None:
        self._done("made from " + ", ".join(_crawl_ids(self.work / CRAWL)))
        self._begin("check")

    def _why(self, report: BuildReport) -> str:
        told = "; ".join(f"{f.gate}: {f.message}" for f in report.findings if f.refuses)
        stands = self.record["base"]
        return (
            f"refused, not published: {told}. "
            + (f"Release {stands} stands untouched. " if stands else "Nothing is published yet. ")
            + f"Read {report.folder / REPORT}; if it is as it should be, run "
            '`refresh --resume --allow GATE "REASON"`'
        )

    def _publish(self, report: BuildReport) -> str:
        """Turn the link that readers follow."""
        self._begin("publish", version=report.version)
        memory = self.work / CRAWL / MEMORY
        if memory.exists():
            (self.store / MEMORIES).mkdir(exist_ok=True)
            (crawl_id,) = _crawl_ids(self.work / CRAWL)
            memory.replace(self.store / MEMORIES / f"{crawl_id}.jsonl")
        publish(report.folder, self.store, report.version, self.inputs.keep)
        self._forget()
        since = f" since {report.last_version}" if report.last_version else ""
        told = summary(report.changes) if report.last_version else "the first release"
        self._done(f"release {report.version}: {told}{since}")
        return report.version

    def _forget(self) -> None:
        """Remove what was learned for releases that are kept no more."""
        runs = (read_whole(self.store / STORE / name / RUN) for name in kept(self.store))
        needed = {f"{crawl['crawl_id']}.jsonl" for run in runs for crawl in run.get("crawls", [])}
        for path in (self.store / MEMORIES).glob("*.jsonl"):
            if path.name not in needed:
                path.unlink()

    def _hub(self, version: str) -> Outcome:
        """Make the site of the published release, and turn its link."""
        self._begin("hub", version=version)
        _put_site(self.store, self.steps, version)
        self._done(f"{self.store / SITE}")
        return self._end("published", self._closing(version))

    def _closing(self, version: str) -> str:
        """What a maintainer should know of a release, in words."""
        folder = self.store / CURRENT
        directory = read_table(folder / "directory.parquet").to_pandas()
        unread = int((~directory["check_outcome"].isin(READ)).sum())
        accounts = read_table(folder / "accounts.parquet").num_rows
        changed = read_table(folder / "changes.parquet").to_pandas()
        holders = int((directory["accounts"] > 0).sum())
        told = f"Release {version} is published: {accounts:,} accounts of {holders:,} "
        told += f"of {len(directory):,} councils; {summary(changed)}."
        if unread:
            told += f" {unread:,} councils could not be read; {folder / REPORT} says what to do."
        return told

    # What is told --------------------------------------------------------------------------

    def _begin(self, stage: str, **more: Any) -> None:
        self.began = self.clock()
        self.record |= {"stage": stage} | more
        self._note("running", "")

    def _done(self, told: str) -> None:
        seconds = round(self.clock() - self.began, 1)
        stage = self.record["stage"]
        self.record["stages"] = [
            *self.record["stages"],
            {"stage": stage, "seconds": seconds, "told": told},
        ]
        self.say(f"{stage:<8}{_duration(seconds):>8}  {told}")

    def _end(self, state: str, message: str) -> Outcome:
        """Record how it ended; a disk that cannot take the record does not hide the reason."""
        version = current(self.store)
        outcome = Outcome(state, message, version)
        try:
            self._note(state, message)
        except OSError as error:
            self.say(f"how this ended could not be recorded: {error}")
        if state != "published" and self.inputs.webhook:
            told = {"state": state, "text": f"Digital Councils: {message}", "version": version}
            if fault := health.call(self.inputs.webhook, told):
                self.say(fault)
        return outcome

    def _note(self, state: str, message: str) -> None:
        now = _stamp(self.clock())
        told = {"state": state, "message": message}
        write_whole(self.work / RUN, self.record | told | {"at": now})
        known = read_whole(self.store / HEALTH)
        if state == "published":
            known["published_at"] = now
        keys = ("published_at",)
        standing = {key: known.get(key) for key in keys} | {"version": current(self.store)}
        write_whole(self.store / HEALTH, told | standing | {"at": now})


def _put_site(store: Path, steps: Steps, version: str) -> None:
    """Make a site beside the one that readers see, and turn its link; the one before stays."""
    sites = store / SITES
    sites.mkdir(exist_ok=True)
    before = (store / SITE).readlink().name if (store / SITE).is_symlink() else None
    if before == version:
        return  # the link turns when a site is whole
    for left in sites.iterdir():
        if left.name != before:
            remove(left)
    steps.hub(store / STORE / version, sites / version)
    turn_link(store / SITE, Path(SITES) / version)


def _crawl_ids(folder: Path) -> list[str]:
    return [str(read_whole(folder / RUN).get("crawl_id"))]


def _speaks_for_itself(error: Exception) -> bool:
    """Whether an error names its cause to a maintainer, so that a trace would only hide it."""
    return isinstance(error, OSError) or is_ours(error)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime(TIME_FORM)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m {int(rest):02}s" if minutes else f"{rest:.1f}s"
