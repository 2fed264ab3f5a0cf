"""`make bench`: what we do beside what the peers do, on the same input in the same run.

`python -m tests.bench crawl` measures one part alone, and leaves the other figures as they were.
Prints tables and writes `build/bench.json`. Speeds are ratios within the run; the labelled cases
and pages lie in `../shared`, and without them only the speeds are measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tests.bench import bodies, crawl, mine, pages, pipeline, urls
from tests.bench.measure import two_cores
from tests.bench.tables import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.measure import Row

OUT = Path(__file__).parents[2] / "build" / "bench.json"
PARTS: dict[str, dict[str, Callable[[], list[Row]]]] = {
    "urls": {"URL to account": urls.scores, "URLs a second": urls.speeds},
    "pages": {"Page to accounts": pages.scores, "Pages a second": pages.speeds},
    "crawl": {
        "Two cores of this machine, crawling": two_cores,
        "Crawl without a pause": crawl.unthrottled,
        "Crawl at one request a second and site": crawl.politeness,
        "Crawl by number of sites": crawl.sizes,
    },
    "mine": {"Two cores of this machine, mining": two_cores, "Mining archives": mine.speeds},
    "pipeline": {
        "Links to accounts": pipeline.normalising,
        "Observations to a release": pipeline.releases,
    },
    "bodies": {"Every public body, by their number": bodies.sizes},
}


def main(names: list[str]) -> None:
    """Run the named parts, or all; print the table of each section, write all figures as JSON."""
    if unknown := sorted(set(names) - PARTS.keys()):
        raise SystemExit(f"There is no part {unknown[0]!r}; write some of: {', '.join(PARTS)}")
    figures = json.loads(OUT.read_bytes()) if names and OUT.exists() else {}
    for name in names or PARTS:
        for title, measure in PARTS[name].items():
            figures[title] = measure()
            show(title, figures[title])
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    Console().print(f"Written to {OUT.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main(sys.argv[1:])
