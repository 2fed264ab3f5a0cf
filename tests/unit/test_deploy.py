"""What docs/deploy hands to a cluster runs, and asks each task for a shard of its own."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def script_of(path: Path) -> str:
    """The shell script of a job: the file itself, or the block that a pod is given."""
    text = path.read_text("utf-8")
    if path.suffix != ".yml":
        return text
    found = re.search(r"- \|\n((?: {14}.*\n)+)", text)
    assert found
    return textwrap.dedent(found[1])


def asked(name: str, folder: Path, **environment: str) -> list[str]:
    """What a task of a job asks of the program."""
    program = folder / "digital-councils"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', "utf-8")
    program.chmod(0o700)
    paths = {"PATH": f"{folder}:{os.environ['PATH']}", "CRAWL": str(folder)}
    contact = {"DIGITAL_COUNCILS_CONTACT": "https://your.example/"}
    done = subprocess.run(
        ["/bin/sh", "-euc", script_of(DEPLOY / name)],
        env=paths | contact | environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.split("\n")[:-1]


ARRAY = ("job-array.sbatch", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}, "3")
INDEXED = ("kubernetes-crawl.yml", {"JOB_COMPLETION_INDEX": "2"}, "2")


@pytest.mark.parametrize(("name", "environment", "folder"), [ARRAY, INDEXED])
def test_a_task_crawls_its_shard_and_goes_on_when_it_is_started_again(
    name: str, environment: dict[str, str], folder: str, tmp_path: Path
) -> None:
    out = tmp_path / folder
    first = ["crawl", "--shard", "3/16", "--out", str(out)]
    assert asked(name, tmp_path, **environment) == first
    out.mkdir()
    (out / "pages.jsonl").touch()
    assert asked(name, tmp_path, **environment) == [*first, "--resume"]


def test_the_pods_of_the_indexed_job_are_as_many_as_its_shards() -> None:
    text = (DEPLOY / "kubernetes-crawl.yml").read_text("utf-8")
    counts = re.findall(r"completions: (\d+)|\+ 1\)\)/(\d+)", text)
    assert {a or b for a, b in counts} == {"16"}
