"""A crawl in a process of its own, measured: `python -m tests.crawl.alone < PLAN`.

The plan is JSON: `out`, a folder; `sites`, of each host its home page and what its name resolves
to, in turn; `names`, what others resolve to; `allow`, the loopback servers; `settings`. Standard
output gets the verdict and the peak of memory, in MB of resident pages.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp.abc import AbstractResolver

from spiders.run import crawl
from tests.crawl.web import QUICK, register

if TYPE_CHECKING:
    import pandas as pd


class PlannedResolver(AbstractResolver):
    """Answers as the plan says; nothing is asked of anybody."""

    answers: ClassVar[dict[str, list[str]]] = {}

    async def resolve(self, host: str, port: int = 0, _family: Any = 0) -> list[Any]:
        queue = self.answers.get(host, [""])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if answer == "slow":
            await asyncio.sleep(60)
        if answer == "none":
            return []
        if not answer:
            raise OSError(f"{host} is unknown")
        address, colon, at = answer.rpartition(":") if answer.count(":") == 1 else (answer, "", "")
        entry = {"hostname": host, "host": address, "port": int(at) if colon else port}
        return [entry | {"family": 10 if ":" in address else 2, "proto": 0, "flags": 4}]

    async def close(self) -> None:
        """Nothing to release."""


def peak(*, renders: bool) -> int:
    """Most memory that this process, or one that it forked, ever held, in MB.

    The processes of a browser have a bound of their own.
    """
    # Of this one not getrusage: it counts the process that started it, up to the start.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    forked = 0 if renders else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(int(kilobytes), forked) // 1000


def councils_of(websites: dict[str, str]) -> pd.DataFrame:
    """A register of fictional councils, one for each host, with its home page."""
    councils = register(*websites)
    councils["council_id"] = [f"S{number:03d}" for number in range(len(websites))]
    councils["council_type"] = "unitary authority"
    councils["website"] = list(websites.values())
    return councils


def main(plan: dict[str, Any]) -> None:
    sites = plan["sites"]
    PlannedResolver.answers = {host: answers for host, (_, answers) in sites.items()}
    PlannedResolver.answers |= plan.get("names", {})
    councils = councils_of({host: url for host, (url, _) in sites.items()})
    settings = {
        "ADDRESS_RESOLVER": "tests.crawl.alone.PlannedResolver",
        "ALLOW_ADDRESSES": plan["allow"],
    }
    settings |= plan["settings"]
    report = crawl(councils, Path(plan["out"]), settings=QUICK | settings)
    most = peak(renders=bool(settings.get("RENDER")))
    print(json.dumps({"problems": report.problems, "peak": most}))


if __name__ == "__main__":
    # Under its own name too: the settings name the class by its module.
    from tests.crawl.alone import main as start

    start(json.load(sys.stdin))
