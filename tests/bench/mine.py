"""Mining archives: one worker, two, and one process without Dask, on the same generated WARC files.

Nothing is downloaded. One record in twenty is of a council: in a public archive it is one in many
thousands, and what counts there is how fast records are passed over.
"""

from __future__ import annotations

import gzip
import logging
import os
import random
import tempfile
import time
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spiders.cluster import mine_parts
from spiders.run import mine_to
from tests.bench.memory import peak
from tests.bench.pages import FILLER
from tests.crawl.web import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.bench.measure import Row

FILES, PAGES = 32, 850  # of 77 KB: two gigabytes, as handing out and ending cost the same for less
SHARE = 20  # one in so many records is of a council
ROUNDS = 4  # of the workers, for a shared machine has slow minutes; one process alone has one
HOSTS = tuple(f"www.{letter}moor.example" for letter in "abcdefghijkl")
COUNCILS = register(*HOSTS)
KILL_AFTER = 3  # parts


def write_archive(path: Path, seed: int, pages: int = PAGES) -> int:
    """Write a WARC file of fictional pages; returns the bytes of its records."""
    chance = random.Random(seed)  # noqa: S311  pages, not secrets
    size = 0
    with path.open("wb") as file:
        for number in range(pages):
            ours = number % SHARE == 0
            host = chance.choice(HOSTS) if ours else f"shop{chance.randrange(99)}.example"
            record = _record(f"https://{host}/{seed}/{number}", _page(chance, number))
            size += len(record)
            file.write(gzip.compress(record, 1, mtime=0))
    return size


def _page(chance: random.Random, number: int) -> bytes:
    words = " ".join(f"{chance.getrandbits(40):x}" for _ in range(1_500))
    name = f"Sample{number % 40}"
    return b"".join(
        (
            b'<!doctype html><html lang="en"><title>Page</title><body><header><nav>',
            *(b'<a href="/services/%d">Service %d</a>' % (n, n) for n in range(60)),
            b"</nav></header><main><h1>A page</h1>",
            FILLER * 50,
            f"<p>{words}</p>".encode(),
            b"</main><footer><h2>Follow us</h2>",
            f'<a href="https://x.com/{name}">X</a>'.encode(),
            f'<a href="https://www.facebook.com/{name}">Facebook</a></footer>'.encode(),
        )
    )


def _record(url: str, body: bytes) -> bytes:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2026-01-05T03:00:00Z\r\nContent-Length: {len(answer)}\r\n\r\n"
    )
    return head.encode() + answer + b"\r\n\r\n"


def speeds() -> list[Row]:
    """Seconds of each way, the workers' in turn, and the peak memory of a worker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{number}.warc.gz" for number in range(FILES)]
        size = sum(write_archive(path, seed) for seed, path in enumerate(paths))
        with _workers(1) as one, _workers(2) as two:
            jobs: dict[str, Callable[[Path], object]] = {
                "one worker": lambda out: _mine(paths, out, one.scheduler_address),
                "two workers": lambda out: _mine(paths, out, two.scheduler_address),
            }
            alone = {"no Dask": lambda out: mine_to(paths, out, COUNCILS)}
            best = _best(jobs, folder, ROUNDS) | _best(alone, folder, 1)
            # On a machine that others use, too, this tells what the clock does not.
            busiest = {
                "one worker": _busiest(one) / ROUNDS,
                "two workers": _busiest(two) / ROUNDS,
            }
            peaks = {"one worker": _peak(one), "two workers": _peak(two)}
            _killed(paths, folder / "killed", two.scheduler_address)
        made = [_contents(folder / out) for out in ("one worker 0", "two workers 0", "killed")]
    return [
        {
            "mining two gigabytes": way,
            "seconds": best[way],
            "MB a second": round(size / best[way] / 1e6),
            "of one worker": best["one worker"] / best[way],
            "CPU s, busiest worker": busiest.get(way, "-"),
            "peak MB a worker": peaks.get(way, "-"),
            "bytes": "the same, also when killed" if made[0] == made[1] == made[2] else "DIFFER",
        }
        for way in best
    ]


@contextmanager
def _workers(count: int) -> Iterator[Any]:
    """Worker processes on loopback, started before the clock is."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


def _mine(paths: list[Path], out: Path, scheduler: str) -> object:
    return mine_parts([str(path) for path in paths], out, COUNCILS, scheduler=scheduler)


def _best(
    jobs: Mapping[str, Callable[[Path], object]], folder: Path, rounds: int
) -> dict[str, float]:
    """The shortest run of each job, in seconds; they take turns, each into a folder of its own."""
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job(folder / f"{name} {turn}")
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _busiest(cluster: Any) -> float:
    """Seconds of processor that the busiest worker has used since it started."""
    return max(_seconds_of(nanny.pid) for nanny in cluster.workers.values())


def _seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(cluster: Any) -> int:
    """The most memory that one of the workers ever had, in MB."""
    return max(peak(nanny.pid) for nanny in cluster.workers.values()) >> 20


def _killed(paths: list[Path], out: Path, scheduler: str) -> None:
    """Mine in a process that is killed in the middle, and go on."""
    process = get_context("spawn").Process(target=_mine, args=(paths, out, scheduler))
    process.start()
    while len(list(out.glob("fetches-*"))) < KILL_AFTER and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join()
    _mine(paths, out, scheduler)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
