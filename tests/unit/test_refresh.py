"""A refresh publishes a whole release or leaves the old one, says why, and can be gone on with."""

from __future__ import annotations

import json
import os
import shutil
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import refresh as refreshing
from pipeline.checks import ChecksError
from pipeline.health import HealthError
from pipeline.lock import LockError, locked
from pipeline.refresh import Crawled, Inputs, Outcome, Steps, refresh, rollback
from pipeline.release import ReleaseError, current, damage, kept
from tests.unit.releases import NO_OVERRIDES, councils, pages
from tests.unit.samples import START, WEEK, write_crawl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

NOTHING = dict.fromkeys(("WEX", "MIL", "OAK"), ())
MORE = ("https://twitter.com/WexdaleCouncil", "https://www.instagram.com/wexdale")


class StepError(Exception):
    """A fault of ours that no module names."""


@dataclass
class Bench:
    """A store that is refreshed by hand: what the sites show, and what is to go wrong."""

    store: Path
    week: int = 0
    links: dict[str, Any] = field(default_factory=dict)
    in_crawl: Callable[[Path], None] = lambda _: None
    in_hub: Callable[[], None] = lambda: None
    stopped: str = ""
    finished: bool = True
    inputs: Inputs = field(default_factory=lambda: Inputs(councils(), NO_OVERRIDES))
    said: list[str] = field(default_factory=list)
    crawls: list[tuple[bool, Path | None]] = field(default_factory=list)

    def run(self, *, resume: bool = False, **changes: Any) -> Outcome:
        for name, value in changes.items():
            setattr(self, name, value)
        self.said.clear()
        now = (START + self.week * WEEK).timestamp()
        return refresh(
            self.store,
            self.steps,
            self.inputs,
            clock=lambda: now,
            say=self.said.append,
            resume=resume,
        )

    @property
    def steps(self) -> Steps:
        return Steps(self.crawl, self.hub)

    def crawl(
        self, _register: pd.DataFrame, folder: Path, known: Path | None, resume: bool
    ) -> Crawled:
        self.crawls.append((resume, known))
        shutil.rmtree(folder, ignore_errors=True)
        name = f"week-{self.week}"
        write_crawl(folder, pages(self.week, **self.links), name, finished=self.finished)
        (folder / "memory.jsonl").write_text(name, "utf-8")
        self.in_crawl(folder)
        return Crawled(self.stopped, "3 ok")

    def hub(self, release: Path, site: Path) -> None:
        self.in_hub()
        site.mkdir()
        shutil.copyfile(release / "report.md", site / "index.html")

    @property
    def record(self) -> dict[str, Any]:
        return _json(self.store / "refresh" / "run.json")

    @property
    def health(self) -> dict[str, Any]:
        return _json(self.store / "health.json")

    def release(self) -> dict[str, bytes]:
        """What readers find."""
        folder = self.store / "current"
        assert damage(folder) == []
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def stop_by_hand(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def break_down(*_: object) -> None:
    raise StepError("a fault of ours")


def fill_the_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one release in it."""
    bench = Bench(tmp_path_factory.mktemp("store"))
    assert bench.run().state == "published"
    return bench.store


@pytest.fixture
def bench(published: Path, tmp_path: Path) -> Bench:
    """A store of one release, a week later."""
    store = tmp_path / "store"
    shutil.copytree(published, store, symlinks=True)
    return Bench(store, week=1)


# --- Published -------------------------------------------------------------------------------


def test_a_refresh_tells_one_line_per_stage_and_ends_in_words(bench: Bench) -> None:
    outcome = bench.run(links={"WEX": MORE})
    assert [line.split()[0] for line in bench.said] == [
        "crawl",
        "build",
        "check",
        "publish",
        "hub",
    ]
    assert outcome.exit_status == 0
    assert outcome.message.startswith("Release 1.1.0 is published:")
    assert "1 added" in outcome.message


def test_a_refresh_leaves_its_record_report_and_health(bench: Bench) -> None:
    bench.run()
    assert bench.record["state"] == "published"
    assert [stage["stage"] for stage in bench.record["stages"]] == [
        "crawl",
        "build",
        "check",
        "publish",
        "hub",
    ]
    assert (bench.store / "refresh" / "report.md").read_text("utf-8").startswith("# Release 1.0.1")
    assert bench.health["state"] == "published"
    assert (bench.health["version"], bench.health["published_at"]) == (
        "1.0.1",
        "2026-01-12T09:00:00Z",
    )


def test_readers_find_the_release_and_its_site(bench: Bench) -> None:
    bench.run()
    site = (bench.store / "site" / "index.html").read_bytes()
    assert bench.release()["report.md"] == site


def test_the_next_crawl_is_given_what_this_one_learned(bench: Bench) -> None:
    bench.run()
    (_, known), *_ = bench.crawls
    assert known is not None
    assert known.read_text("utf-8") == "week-0"


def test_the_first_crawl_knows_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "new")
    assert bench.run().exit_status == 0
    assert bench.crawls == [(False, None)]


def test_what_was_learned_for_dropped_releases_is_forgotten(bench: Bench) -> None:
    bench.inputs = replace(bench.inputs, keep=2)
    for week in (1, 2, 3):
        bench.run(week=week)
    assert sorted(path.stem for path in (bench.store / "memory").iterdir()) == ["week-2", "week-3"]


# --- Refused ---------------------------------------------------------------------------------


def test_a_refused_release_is_kept_aside_and_the_old_one_untouched(bench: Bench) -> None:
    before = bench.release()
    outcome = bench.run(links=NOTHING)
    assert (outcome.state, outcome.exit_status) == ("refused", 1)
    assert bench.release() == before
    aside = bench.store / "refresh" / "release.refused"
    assert "Refused" in (aside / "report.md").read_text("utf-8")
    assert bench.health["state"] == "refused"
    assert bench.health["published_at"] == "2026-01-05T09:00:00Z"


def test_a_refused_refresh_is_built_again_once_a_person_allows_its_gates(bench: Bench) -> None:
    refused = bench.run(finished=False)
    assert "crawl_whole" in refused.message
    allow = {"crawl_whole": "one page of three is broken; seen by hand"}
    bench.inputs = replace(bench.inputs, allow=allow)
    assert bench.run(resume=True).state == "published"
    assert len(bench.crawls) == 1


def test_a_schedule_does_not_go_on_with_what_was_refused(bench: Bench) -> None:
    bench.run(links=NOTHING)
    assert bench.run(resume=True, links={}, week=2).state == "published"
    assert [resumed for resumed, _ in bench.crawls] == [False, False]


# --- Interrupted -----------------------------------------------------------------------------


def test_a_crawl_that_was_stopped_is_gone_on_with(bench: Bench) -> None:
    before = bench.release()
    stopped = bench.run(stopped="stopped before its end; crawl again with --resume")
    assert (stopped.exit_status, bench.release()) == (1, before)
    assert bench.run(resume=True, stopped="").state == "published"
    assert [resumed for resumed, _ in bench.crawls] == [False, True]
    assert "interrupted while crawling" in bench.said[0]


def test_without_resume_an_interrupted_refresh_starts_again_and_says_so(bench: Bench) -> None:
    bench.run(stopped="stopped")
    bench.run(stopped="")
    assert [resumed for resumed, _ in bench.crawls] == [False, False]
    assert "--resume would have gone on" in bench.said[0]


@pytest.mark.parametrize("where", ["build", "publish", "_put_site"])
def test_a_refresh_stopped_after_its_crawl_resumes_to_the_same_release(
    bench: Bench, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = Bench(tmp_path / "undisturbed", week=1)
    shutil.copytree(bench.store, undisturbed.store, symlinks=True)
    undisturbed.run(links={"WEX": MORE})
    with monkeypatch.context() as patch:
        patch.setattr(refreshing, where, stop_by_hand)
        assert bench.run(links={"WEX": MORE}).state == "stopped"
    assert bench.run(resume=True).state == "published"
    assert bench.release() == undisturbed.release()
    assert len(bench.crawls) == 1
    assert kept(bench.store) == kept(undisturbed.store)


def test_a_release_placed_but_never_published_is_made_again_under_its_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.release._point", stop_by_hand)
        bench.run(links={"WEX": MORE})
    assert kept(bench.store) == ["1.0.0", "1.1.0"]
    assert current(bench.store) == "1.0.0"
    bench.run(resume=True)
    assert current(bench.store) == "1.1.0"


def test_only_the_hub_is_made_again_when_only_the_hub_was_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(in_hub=stop_by_hand)
    assert current(bench.store) == "1.0.1"
    assert bench.run(resume=True, in_hub=lambda: None).state == "published"
    assert (bench.store / "site").readlink().name == "1.0.1"
    assert kept(bench.store) == ["1.0.0", "1.0.1"]


def test_a_rollback_in_between_makes_an_interrupted_refresh_start_again(bench: Bench) -> None:
    bench.run()
    bench.run(week=2, stopped="stopped")
    rollback(bench.store, bench.steps, START.timestamp)
    assert bench.run(week=3, resume=True, stopped="").state == "published"
    assert "starting again" in bench.said[0]
    assert bench.crawls[-1][0] is False


def test_a_crawl_that_cannot_be_gone_on_with_starts_again(bench: Bench) -> None:
    bench.run(stopped="stopped")

    def refuse_to_resume(_: Path) -> None:
        if bench.crawls[-1][0]:
            raise LockError("line 7: not a whole record")

    assert bench.run(resume=True, stopped="", in_crawl=refuse_to_resume).state == "published"
    assert any("line 7" in line for line in bench.said)


# --- Failed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["pipeline.build.write_tables", "pipeline.refresh.publish", "pipeline.release._point"]
)
def test_a_full_disk_leaves_the_release_and_is_named(
    bench: Bench, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.release()
    with monkeypatch.context() as patch:
        patch.setattr(where, fill_the_disk)
        outcome = bench.run(links={"WEX": MORE})
    assert (outcome.state, outcome.exit_status) == ("failed", 2)
    assert "No space left on device" in outcome.message
    assert bench.release() == before
    assert bench.run(resume=True).state == "published"
    assert len(bench.crawls) == 1


def test_a_disk_that_cannot_take_the_record_does_not_hide_the_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(_: Path) -> None:
        monkeypatch.setattr(refreshing, "write_whole", fill_the_disk)
        raise OSError(28, "No space left on device", "pages.jsonl")

    assert "pages.jsonl" in bench.run(in_crawl=fill_up).message
    assert "could not be recorded" in bench.said[-1]


def test_a_fault_of_ours_is_recorded_and_raised(bench: Bench) -> None:
    with pytest.raises(StepError):
        bench.run(in_crawl=break_down)
    assert bench.record["state"] == "failed"
    assert "a fault of ours" in bench.health["message"]
    assert bench.run(resume=True, in_crawl=lambda _: None).state == "published"


def test_a_crawl_torn_after_it_ended_does_not_reach_readers(bench: Bench) -> None:
    def tear(folder: Path) -> None:
        pages_file = folder / "pages.jsonl"
        pages_file.write_bytes(pages_file.read_bytes()[:-50])

    before = bench.release()
    outcome = bench.run(in_crawl=tear)
    assert (outcome.exit_status, bench.release()) == (2, before)
    assert "pages.jsonl" in outcome.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        Bench(tmp_path / "store").run()


def test_a_store_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way", "utf-8")
    with pytest.raises(FileExistsError):
        Bench(tmp_path / "store").run()


def test_a_torn_record_of_the_last_refresh_is_as_none(bench: Bench) -> None:
    (bench.store / "refresh" / "run.json").write_text('{"state": "runn', "utf-8")
    (bench.store / "health.json").write_text("", "utf-8")
    assert bench.run(resume=True).state == "published"


def test_a_damaged_release_gives_way_to_the_newest_whole_one(bench: Bench) -> None:
    bench.run()
    ledger = bench.store / "current" / "history.parquet"
    ledger.write_bytes(ledger.read_bytes()[:-9])
    assert bench.run(week=2).state == "published"
    assert "release 1.0.1 is damaged: history.parquet" in bench.said[0]
    assert _json(bench.store / "current" / "run.json")["last_version"] == "1.0.0"


def test_a_store_without_a_whole_release_is_refused_rather_than_begun_anew(bench: Bench) -> None:
    (bench.store / "current" / "accounts.parquet").unlink()
    outcome = bench.run()
    assert outcome.exit_status == 2
    assert "put one back from a copy" in outcome.message
    assert bench.crawls == []


def test_gates_and_webhooks_are_looked_at_before_the_crawl(bench: Bench) -> None:
    with pytest.raises(ChecksError, match="no gate is called 'everything'"):
        bench.run(inputs=replace(bench.inputs, allow={"everything": "because"}))
    with pytest.raises(HealthError, match="write https"):
        bench.run(inputs=Inputs(councils(), NO_OVERRIDES, webhook="file:///etc/passwd"))
    assert bench.crawls == []


# --- The lock --------------------------------------------------------------------------------


def test_a_second_refresh_says_who_holds_the_lock_since_when(bench: Bench) -> None:
    with (
        locked(bench.store, "2026-01-12T03:00:00Z"),
        pytest.raises(LockError, match=f"process {os.getpid()} on .* since 2026-01-12T03:00:00Z"),
    ):
        bench.run()


def test_a_lock_left_by_a_dead_process_is_taken_over_and_named(bench: Bench) -> None:
    note = {"pid": 999_999, "host": "elsewhere", "since": "2026-01-05T03:00:00Z"}
    (bench.store / "refresh.lock.json").write_text(json.dumps(note), "utf-8")
    assert bench.run().state == "published"
    assert "process 999999 on elsewhere since 2026-01-05T03:00:00Z" in bench.said[0]
    assert not (bench.store / "refresh.lock.json").exists()


# --- Rollback --------------------------------------------------------------------------------


def test_rollback_publishes_the_release_and_the_site_before(bench: Bench) -> None:
    first = bench.release()
    bench.run(links={"WEX": MORE})
    assert rollback(bench.store, bench.steps, START.timestamp) == "1.0.0"
    assert bench.release() == first
    assert (bench.store / "site" / "index.html").read_bytes() == first["report.md"]
    assert bench.health["message"] == "rolled back to release 1.0.0"


def test_rollback_passes_over_a_damaged_release(bench: Bench) -> None:
    for week in (1, 2):
        bench.run(week=week)
    (bench.store / "releases" / "1.0.1" / "directory.csv").unlink()
    assert rollback(bench.store, bench.steps, START.timestamp) == "1.0.0"


def test_rollback_of_the_only_release_is_refused(bench: Bench) -> None:
    with pytest.raises(ReleaseError, match="there is none before"):
        rollback(bench.store, bench.steps, START.timestamp)


def test_after_a_rollback_a_number_is_not_used_twice(bench: Bench) -> None:
    bench.run(links={"WEX": MORE})
    rollback(bench.store, bench.steps, START.timestamp)
    bench.run(week=2)
    assert current(bench.store) == "1.2.0"


# --- The webhook -----------------------------------------------------------------------------


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_webhook_is_told_of_a_refusal_and_not_of_a_success(
    bench: Bench, hook: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url, told = hook
    bench.inputs = replace(bench.inputs, webhook=url)
    bench.run()
    bench.run(week=2, links=NOTHING)
    assert [(row["state"], row["version"]) for row in told] == [("refused", "1.0.1")]
    assert "rows_present" in told[0]["text"]


def test_a_webhook_that_is_down_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.health.urlopen", fill_the_disk)
    bench.inputs = replace(bench.inputs, webhook="https://hooks.example/x")
    assert bench.run(links=NOTHING).exit_status == 1
    assert "hooks.example could not be told" in bench.said[-1]
