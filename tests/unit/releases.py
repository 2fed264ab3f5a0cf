"""A small release of fictional councils, made by the build itself from crawls that tests write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.build import BuildReport, build
from pipeline.overrides import overrides_frame
from tests.unit.samples import START, WEEK, council, link, page, register, write_crawl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

WEX, MIL, OAK = (
    "https://www.wexdalecouncil.example/",
    "https://www.millwickdistrictcouncil.example/",
    "https://www.cityofoakharrowcouncil.example/",
)
NO_OVERRIDES = overrides_frame([])
LINKS = {
    "WEX": ("https://twitter.com/WexdaleCouncil", "https://www.facebook.com/WexdaleCouncil"),
    "MIL": ("https://twitter.com/MillwickDC", "https://www.youtube.com/@MillwickCouncil"),
    "OAK": ("https://www.facebook.com/OakharrowCouncil", "https://example.org/hwb?a=1"),
}
HOMES = {"WEX": WEX, "MIL": MIL, "OAK": OAK}


def councils(day: pd.Timestamp = START) -> pd.DataFrame:
    """Three councils."""
    return register(
        council("WEX", "Wexdale Council"),
        council("MIL", "Millwick District Council", nation="Wales", names_other=["Melin", "MDC"]),
        council("OAK", "City of Oakharrow Council", names_other=['Oak "Harrow"']),
        day=day,
    )


def pages(week: float = 0, **links: Sequence[str] | dict[str, Any]) -> list[dict[str, Any]]:
    """A home page for each council with its links; what stands for one council replaces its own.

    A sequence gives other links, a mapping other fields of the page.
    """
    when = (START + week * WEEK).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = []
    for council_id, home in HOMES.items():
        told = links.get(council_id, LINKS[council_id])
        fields = told if isinstance(told, dict) else {}
        hrefs = () if isinstance(told, dict) else told
        labelled = [link(href, label="Follow us") for href in hrefs]
        lines.append(page(council_id, home, *labelled, fetched_at=when) | fields)
    return lines


def made(
    folder: Path,
    lines: list[dict[str, Any]],
    previous: Path | None = None,
    name: str = "release",
    **more: Any,
) -> BuildReport:
    """Build a release at `folder/name` from one crawl."""
    crawl = write_crawl(folder / f"crawl-{name}", lines, f"crawl-{name}")
    registered = more.pop("register", councils())
    overrides = more.pop("overrides", NO_OVERRIDES)
    return build([crawl], folder / name, previous, registered, overrides, **more)
