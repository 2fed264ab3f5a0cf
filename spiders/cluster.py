"""Mine many WARC files on Dask: worker processes of this machine, or a cluster's scheduler.

Workers only read and pack; this process alone writes, part by part, so that the crawl folder needs
no file system that a cluster shares. A worker that dies costs the file it was reading, which
another one reads again; a run that is killed goes on with the parts that are not there yet.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rich.console import Console
from rich.progress import Progress

from spiders import journal, parts
from spiders.archive import ArchiveError, Tally
from spiders.run import RunError, RunReport, mined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

logger = logging.getLogger(__name__)

RETRIES = 2  # of a file that a network failed to bring
AHEAD = 3  # files that wait for each thread of the workers: enough that none is ever idle
LOOKS = 32  # addresses that are asked for their size at once
WAIT = 60  # seconds for the first worker to join
_HINT = "run pip install 'digital-councils[cluster]'"


class ClusterError(ValueError):
    """Mining cannot go on at all; the message says why and what to do. Parts that stand stay."""


def mine_parts(
    places: Sequence[str],
    out: Path,
    register: pd.DataFrame,
    *,
    workers: int = 1,
    scheduler: str | None = None,
) -> RunReport:
    """Mine WARC files, given as paths or addresses, into the parts of a crawl folder.

    The same files give the same bytes, whatever their order, the number of workers, and after any
    end in between. A file that cannot be read is a problem of the report; the others are kept.

    Args:
        places: Paths, or addresses that fsspec reads, such as https:// and s3://.
        out: The crawl folder; parts that stand in it are not made again.
        register: The councils whose pages are looked for.
        workers: Processes of this machine, where no scheduler is given.
        scheduler: Address of a Dask scheduler, such as tcp://127.0.0.1:8786.

    Raises:
        RunError: The folder holds a crawl, or parts of other files.
        ClusterError: Dask is not installed, or its scheduler or workers cannot be used.
    """
    if (out / journal.PAGES).exists():
        raise RunError(f"{out} holds a crawl already; give another folder")
    out.mkdir(parents=True, exist_ok=True)
    parts.tidy(out)
    sources, problems = _look_at(places)
    missing = {parts.stem(place) for place in places} - {parts.stem(s.place) for s in sources}
    _put_aside(out, sources, missing)
    job = parts.Job.of(register)
    todo = [source for source in sources if not _stands(out, source, job)]
    if todo:
        with _client(workers, scheduler) as client:
            problems += _make(client, job, todo, out, len(sources))
    return _report(out, problems)


def _look_at(places: Sequence[str]) -> tuple[list[parts.Source], list[str]]:
    """What identifies each file, in the order of their names, and which cannot be looked at."""
    twice = [place for place, count in Counter(places).items() if count > 1]
    if twice:
        raise RunError(f"{', '.join(sorted(twice))}: given twice; name each file once")
    sources, problems = [], []
    with ThreadPoolExecutor(LOOKS) as pool:
        for found in pool.map(_look, sorted(places, key=lambda place: (parts.stem(place), place))):
            if isinstance(found, str):
                problems.append(found)
            else:
                sources.append(found)
    # The same file in two places is one file.
    return list({source.part: source for source in sources}.values()), problems


def _look(place: str) -> parts.Source | str:
    try:
        return parts.look_at(place)
    except parts.UnreadableError as error:
        return str(error)


def _put_aside(out: Path, sources: Iterable[parts.Source], missing: set[str]) -> None:
    """Remove the parts of files that have changed; refuse a folder with those of other files."""
    wanted = {source.part for source in sources}
    stems = {parts.stem(source.place) for source in sources}
    for part in parts.standing(out):
        stem = part.rpartition("-")[0]
        if part in wanted or stem in missing:
            continue
        if stem not in stems:
            raise RunError(
                f"{out} holds a part of {stem}, which is not among the files; "
                "give that file too, or another folder"
            )
        logger.warning("%s has changed: its part is made again", stem)
        parts.remove(out, part)


def _stands(out: Path, source: parts.Source, job: parts.Job) -> bool:
    about = parts.about(out, source.part)
    return about is not None and about.rules == job.rules


# --- Dask --------------------------------------------------------------------------------------


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    """A client of the scheduler, or of worker processes that live as long as it does."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError(f"mining by several workers needs Dask; {_HINT}") from error
    if scheduler is None:
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=WAIT)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{scheduler}: no Dask scheduler answers there; give its address, as tcp://HOST:8786"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError as error:
            raise ClusterError(
                f"{scheduler}: no worker has joined; start one with dask worker {scheduler}"
            ) from error
        yield client


def _make(
    client: Any, job: parts.Job, todo: Sequence[parts.Source], out: Path, total: int
) -> list[str]:
    """Have every part made and keep each as it comes; returns what could not be, in words."""
    problems = []
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("files", total=total, completed=total - len(todo))
        for source, made in _made(client, job, todo):
            if isinstance(made, parts.Part):
                parts.keep(out, source, made)
            else:
                problems.append(made)
                logger.warning("%s", made)
            progress.advance(bar)
    return problems


def _made(
    client: Any, job: parts.Job, todo: Sequence[parts.Source]
) -> Iterator[tuple[parts.Source, parts.Part | str]]:
    """Each file with its part, or with why it has none, as they come.

    Only a few files are handed out ahead: a scheduler need not hold eighty thousand tasks, nor
    their parts.
    """
    from distributed import as_completed

    token = uuid4().hex
    # A task, and not scattered data: it is made again should every worker that holds it die.
    shared = client.submit(_given, job, key=f"job-{token}")
    waiting = iter(todo)
    at_work: dict[tuple[str, str], parts.Source] = {}
    done = as_completed()

    def hand_out() -> None:
        threads = sum(client.nthreads().values())
        for source in islice(waiting, max(1, AHEAD * threads - len(at_work))):
            # One group of tasks: the scheduler then gives each worker its next one when it is idle.
            key = (f"mine-{token}", source.part)
            at_work[key] = source
            done.add(client.submit(parts.make, source, shared, key=key, retries=RETRIES))

    hand_out()
    for future in done:
        source = at_work.pop(future.key)
        yield source, _result(future, source)
        future.release()
        hand_out()


def _given(job: parts.Job) -> parts.Job:
    return job


def _result(future: Any, source: parts.Source) -> parts.Part | str:
    """The part, or why there is none.

    Raises:
        ClusterError: It is no fault of the file: no other one would fare better.
    """
    from distributed.scheduler import KilledWorker

    try:
        made: parts.Part = future.result()
    except (ArchiveError, parts.UnreadableError) as error:
        return str(error)
    except KilledWorker:
        return f"{source.name}: every worker that read it died; mine it alone to see why"
    except parts.OtherVersionError as error:
        raise ClusterError(f"a worker {error}; install the same one everywhere") from error
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"the workers have no {error.name}; install digital-councils where they run"
        ) from error
    except (CancelledError, OSError) as error:
        raise ClusterError("the scheduler is gone; the same command goes on from here") from error
    except Exception as error:  # a defect of ours: the other files are kept
        logger.warning("%s", source.name, exc_info=error)
        return f"{source.name}: not mined, by a fault of this program: {error!r}"
    return made


def _report(out: Path, problems: Sequence[str]) -> RunReport:
    """Add up what the parts of a folder tell of themselves, and write its run.json."""
    tally, names, digests = Tally(), [], []
    for part in parts.standing(out):
        about = parts.about(out, part)
        if about is None:
            raise RunError(f"{out}: the part {part} is damaged; remove it, and mine again")
        tally.add(about.tally)
        names.append(about.name)
        digests.append(about.sha256)
    return mined(out, None, names, digests, tally, sorted(problems))
