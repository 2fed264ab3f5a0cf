"""A refresh that is killed at any instant: readers see a whole release, and nothing is lost.

The seed of the instants is printed; put it in DIGITAL_COUNCILS_SEED to see the same ones again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from pipeline.cli import steps
from pipeline.refresh import refresh
from pipeline.release import current, damage
from tests.crawl.refresh_once import HOSTS, MOMENT, inputs, main
from tests.crawl.web import QUICK, page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from pathlib import Path

    from tests.crawl.web import Web

KILLS = 15
STAGES = ("crawl", "build", "check", "publish", "hub")


def fill(web: Web, handle: str) -> None:
    for host in HOSTS:
        name = host.split(".")[1].title()
        links = {f"/news/{i}": "News" for i in range(5)} | {"/social-media": "Social media"}
        accounts = {f"https://twitter.com/{name}{handle}": f"{name} on X"}
        web.put(host, "/", page(name, links | accounts))
        for path in links:
            web.put(host, path, page("News", {f"{path}/more": "More news"}))
            web.put(host, f"{path}/more", page("More"))
        more = {f"https://www.facebook.com/{name}{handle}": f"{name} on Facebook"}
        web.put(host, "/social-media", page("Social media", more))


def first_release(web: Web, store: Path) -> None:
    fill(web, "Council")
    made = refresh(
        store,
        steps(now=lambda: MOMENT, proxy=web.proxy, settings=QUICK),
        inputs(),
        clock=lambda: MOMENT,
        say=lambda _: None,
    )
    assert made.state == "published"
    fill(web, "DC")


@pytest.fixture(scope="module")
def fork() -> ForkServerContext:
    """Processes that have what a refresh imports in memory when they begin."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.crawl.refresh_once"])
    return context


def start(fork: ForkServerContext, web: Web, store: Path) -> ForkServerProcess:
    process = fork.Process(target=main, args=(store, web.proxy))
    process.start()
    return process


def exit_of(process: ForkServerProcess) -> int | None:
    process.join()
    return process.exitcode


def stage(store: Path) -> tuple[str, str]:
    """Stage and state that the refresh has recorded."""
    record = json.loads((store / "refresh" / "run.json").read_text("utf-8"))
    return record["stage"], record["state"]


def lasting(process: ForkServerProcess, store: Path) -> dict[str, float]:
    """Seconds that each stage of an undisturbed refresh takes; 0 for one too short to be seen."""
    began: dict[str, float] = {}
    while process.is_alive():
        name, state = stage(store)
        if state == "running":
            began.setdefault(name, time.monotonic())
        time.sleep(0.002)
    ends = [*list(began.values())[1:], time.monotonic()]
    seen = {name: end - start for (name, start), end in zip(began.items(), ends, strict=True)}
    return dict.fromkeys(STAGES, 0.0) | seen


def kill_in(process: ForkServerProcess, store: Path, wanted: str, after: float) -> bool:
    """Kill a refresh some time after it came to a stage; False where it was over before."""
    record = store / "refresh" / "run.json"
    before = record.stat().st_mtime_ns
    while process.is_alive():
        if record.stat().st_mtime_ns != before and stage(store) == (wanted, "running"):
            time.sleep(after)
            break
        time.sleep(0.002)
    process.kill()
    return exit_of(process) == -signal.SIGKILL


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder, by its path."""
    files = (path for path in sorted(folder.resolve().rglob("*")) if path.is_file())
    return {str(path.relative_to(folder.resolve())): path.read_bytes() for path in files}


def differing(folder: Path, expected: Mapping[str, bytes]) -> list[str]:
    """The files of a folder that are not as expected."""
    found = contents(folder)
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def test_a_killed_refresh_leaves_a_whole_release_and_resumes_to_the_same_one(
    fork: ForkServerContext, web: Web, tmp_path: Path
) -> None:
    seed = int(os.environ.get("DIGITAL_COUNCILS_SEED", time.time_ns() % 1_000_000))
    print(f"DIGITAL_COUNCILS_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311  instants, not secrets
    first, undisturbed, store = (tmp_path / name for name in ("first", "undisturbed", "store"))
    first_release(web, first)
    shutil.copytree(first, undisturbed, symlinks=True)
    shutil.copytree(first, store, symlinks=True)
    process = start(fork, web, undisturbed)
    seconds = lasting(process, undisturbed)
    assert exit_of(process) == 0
    old, new = contents(first / "current"), contents(undisturbed / "current")
    killed = 0
    for _ in range(KILLS):
        wanted = chance.choice(STAGES)
        process = start(fork, web, store)
        killed += kill_in(process, store, wanted, chance.uniform(0, seconds[wanted]))
        assert damage(store / "current") == []
        assert min(differing(store / "current", each) for each in (old, new)) == [], wanted
        assert (store / "site" / "index.html").exists(), wanted
        if stage(store)[1] == "published":
            shutil.rmtree(store)
            shutil.copytree(first, store, symlinks=True)
    assert exit_of(start(fork, web, store)) == 0
    assert differing(store / "current", new) == []
    assert differing(store / "site", contents(undisturbed / "site")) == []
    assert current(store) == current(undisturbed) != current(first)
    assert killed > KILLS / 2, seconds
