"""Mining on Dask: the same bytes whoever works, and whoever dies; each file that fails by name."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli import main
from pipeline.ingest import read_crawl
from spiders.run import RunError, mine_to
from tests.crawl.mine_once import HOSTS
from tests.crawl.web import page, register

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

from click.testing import CliRunner
from distributed import LocalCluster

from spiders import cluster, parts
from spiders.cluster import ClusterError, mine_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
COUNCILS = register(*HOSTS)
DAY = "2020-01-02"


def record(url: str, date: str, body: bytes) -> bytes:
    """One response record, as a gzip member of its own."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\n"
        f"Content-Length: {len(answer)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + answer + b"\r\n\r\n", mtime=0)


def archive(path: Path, pages: int, of: Sequence[str] = (*HOSTS, "shop.example")) -> Path:
    """A WARC file of fictional pages, as many of each host."""
    with path.open("wb") as file:
        for number in range(pages):
            url = f"http://{of[number % len(of)]}/{path.name}/{number}"
            links = {f"https://twitter.com/Sample{number % 5}": "X", "/more": "More \N{BLACK STAR}"}
            body = page(f"Page {number}", links, "<p>Words of a page.</p>" * 40).body
            file.write(record(url, f"{DAY}T03:{number // 60 % 60:02}:{number % 60:02}Z", body))
    return path


def archives(folder: Path, count: int, pages: int) -> list[str]:
    return [str(archive(folder / f"{number}.warc.gz", pages)) for number in range(count)]


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def told(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_bytes())


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """Two worker processes of this machine, behind a scheduler on loopback."""
    started = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    with started:
        yield started


@pytest.fixture
def address(local: Any) -> str:
    return str(local.scheduler_address)


def test_order_and_number_of_workers_change_no_byte(address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 5, 30)
    mine_parts(places, tmp_path / "two", COUNCILS, scheduler=address)
    mine_parts(places[::-1], tmp_path / "one", COUNCILS, workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "two")) == 5 * 2 + 1


def test_parts_hold_what_one_process_finds(address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 3, 30)
    whole = Path(places[1]).read_bytes()
    Path(places[1]).write_bytes(whole[:-90])
    mine_parts(places, tmp_path / "parts", COUNCILS, scheduler=address)
    mine_to([Path(place) for place in places], tmp_path / "lines", COUNCILS)
    parts, lines = read_crawl(tmp_path / "parts"), read_crawl(tmp_path / "lines")
    assert parts.fetches.equals(lines.fetches)
    assert parts.observations.equals(lines.observations)
    assert told(tmp_path / "parts") == told(tmp_path / "lines")
    assert told(tmp_path / "parts")["broken"][0].startswith("1.warc.gz: breaks off")


def test_what_cannot_be_read_is_named_and_the_others_are_kept(address: str, tmp_path: Path) -> None:
    (good,) = archives(tmp_path, 1, 6)
    (tmp_path / "page.html").write_bytes(b"<html>no archive</html>" * 9)
    bad = [str(tmp_path / name) for name in ("page.html", "none.warc.gz")]
    report = mine_parts([good, *bad], tmp_path / "c", COUNCILS, scheduler=address)
    assert report.exit_status == 1
    assert [problem.partition(": ")[::2] for problem in report.problems] == [
        ("none.warc.gz", "cannot be read (No such file or directory)"),
        ("page.html", "holds no WARC record; give a WARC file"),
    ]
    assert told(tmp_path / "c")["counts"]["recorded"] == 4
    assert read_crawl(tmp_path / "c").fetches.num_rows == 4


def test_a_part_that_stands_is_not_made_again(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = archives(tmp_path, 3, 6)
    mine_parts(places[:2], tmp_path / "c", COUNCILS, scheduler=address)
    made: list[str] = []
    keep = parts.keep

    def note(out: Path, source: parts.Source, part: parts.Part) -> None:
        made.append(source.name)
        keep(out, source, part)

    monkeypatch.setattr(parts, "keep", note)
    mine_parts(places, tmp_path / "c", COUNCILS, scheduler=address)
    assert made == ["2.warc.gz"]
    archive(Path(places[0]), 9)
    mine_parts(places, tmp_path / "c", COUNCILS, scheduler=address)
    assert made == ["2.warc.gz", "0.warc.gz"]
    assert len(contents(tmp_path / "c")) == 3 * 2 + 1
    mine_parts(places, tmp_path / "c", COUNCILS.head(1), scheduler=address)
    assert len(made) == 2 + 3


def test_parts_of_other_files_are_not_taken_for_ours(address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 2, 6)
    mine_parts(places, tmp_path / "c", COUNCILS, scheduler=address)
    with pytest.raises(RunError, match=r"holds a part of 0\.warc\.gz"):
        mine_parts(places[1:], tmp_path / "c", COUNCILS, scheduler=address)


def test_a_worker_that_dies_costs_nothing(local: Any, address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 6, 200)
    mine_parts(places, tmp_path / "undisturbed", COUNCILS, scheduler=address)
    victims = [worker.pid for worker in local.workers.values()]
    killer = threading.Thread(target=_kill_when_begun, args=(tmp_path / "c", victims[0]))
    killer.start()
    report = mine_parts(places, tmp_path / "c", COUNCILS, scheduler=address)
    killer.join()
    assert report.finished
    assert contents(tmp_path / "c") == contents(tmp_path / "undisturbed")


def _kill_when_begun(out: Path, victim: int) -> None:
    while not list(out.glob("fetches-*")):
        time.sleep(0.005)
    os.kill(victim, signal.SIGKILL)


def test_a_killed_run_goes_on_to_the_same_bytes(address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 6, 120)
    mine_parts(places, tmp_path / "undisturbed", COUNCILS, scheduler=address)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.crawl.mine_once", str(out), *places]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while not list(out.glob("fetches-*")) and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert 0 < len(list(out.glob("fetches-*"))) < len(places)
    (out / ".part-fetches-torn.parquet").write_bytes(b"PAR1 torn")
    mine_parts(places, out, COUNCILS, scheduler=address)
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_a_missing_scheduler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WAIT", 0.5)
    places = archives(tmp_path, 1, 3)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        mine_parts(places, tmp_path / "c", COUNCILS, scheduler="tcp://127.0.0.1:9")


def test_a_worker_with_other_rules_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "own_version", lambda: "0+other")
    with pytest.raises(ClusterError, match="install the same one everywhere"):
        mine_parts(archives(tmp_path, 1, 3), tmp_path / "c", COUNCILS, scheduler=address)


# --- Over a network, on loopback -----------------------------------------------------------------


class Store(BaseHTTPRequestHandler):
    """Serves the files of a folder in ranges, as web servers and object stores do."""

    protocol_version = "HTTP/1.1"
    server: StoreServer

    def do_GET(self) -> None:
        path = self.server.folder / self.path.partition("?")[0].rpartition("/")[2]
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        part = data[int(first or 0) : int(last) + 1 if last else None]
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{sha256(data).hexdigest()[:8]}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")
        self.send_header("Content-Length", str(len(part)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        if path.name.startswith("cut"):
            self.close_connection = True
            part = part[: len(part) // 2]
        self.end_headers()
        if self.command == "GET":
            with suppress(OSError):
                self.wfile.write(part)

    do_HEAD = do_GET  # noqa: N815  http.server calls it so

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class StoreServer(ThreadingHTTPServer):
    daemon_threads = True
    folder: Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    server = StoreServer(("127.0.0.1", 0), Store)
    server.folder = tmp_path
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_addresses_are_read_as_files_are(address: str, store: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 2, 30)
    mine_parts(places, tmp_path / "files", COUNCILS, scheduler=address)
    there = [f"http://{store}/{Path(place).name}?signature=secret" for place in places]
    report = mine_parts(there, tmp_path / "web", COUNCILS, scheduler=address)
    assert report.finished
    assert told(tmp_path / "web") == told(tmp_path / "files")
    assert read_crawl(tmp_path / "web").fetches.equals(read_crawl(tmp_path / "files").fetches)
    assert b"secret" not in b"".join(contents(tmp_path / "web").values())


def test_a_transfer_that_breaks_off_is_no_broken_archive(
    address: str, store: str, tmp_path: Path
) -> None:
    archive(tmp_path / "cut.warc.gz", 30)
    archive(tmp_path / "good.warc.gz", 3)
    places = [f"http://{store}/{name}.warc.gz" for name in ("cut", "good", "none")]
    report = mine_parts(places, tmp_path / "c", COUNCILS, scheduler=address)
    assert [problem.partition(":")[0] for problem in report.problems] == [
        "cut.warc.gz",
        "none.warc.gz",
    ]
    assert told(tmp_path / "c")["broken"] == []
    assert told(tmp_path / "c")["inputs"]["files"] == ["good.warc.gz"]


def test_an_object_store_is_read(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fictional")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{store}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    archive(tmp_path / "a.warc.gz", 30)
    report = mine_parts(["s3://crawls/2020/a.warc.gz"], tmp_path / "c", COUNCILS, workers=1)
    assert (report.finished, told(tmp_path / "c")["counts"]["recorded"]) == (True, 20)


def test_a_list_names_what_no_command_line_could_hold(tmp_path: Path) -> None:
    places = archives(tmp_path, 3, 6)
    (tmp_path / "list").write_text("\n".join(places) + "\n", "utf-8")
    sample = str(ROOT / "data" / "sample" / "councils.csv")
    arguments = ["mine", "--list", str(tmp_path / "list"), "--register", sample]
    ran = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "c"), "--workers", "1"])
    assert ran.exit_code == 0, ran.output
    assert told(tmp_path / "c")["inputs"]["files"] == ["0.warc.gz", "1.warc.gz", "2.warc.gz"]


def test_a_capture_that_two_archives_hold_counts_once(address: str, tmp_path: Path) -> None:
    places = archives(tmp_path, 2, 30)
    mine_parts(places, tmp_path / "apart", COUNCILS, scheduler=address)
    first, second = (Path(place) for place in places)
    second.write_bytes(first.read_bytes() + second.read_bytes())
    mine_parts(places, tmp_path / "shared", COUNCILS, scheduler=address)
    apart, shared = read_crawl(tmp_path / "apart"), read_crawl(tmp_path / "shared")
    assert shared.fetches.drop_columns("crawl_id").equals(apart.fetches.drop_columns("crawl_id"))
    assert shared.observations.num_rows == apart.observations.num_rows
