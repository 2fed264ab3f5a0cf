"""What a crawl records: one Fetch per request, one Observation per candidate link on its page.

A page's fetch and its observations are one record, written in one line: a crawl that dies leaves
pages whole or absent, never a page whose links are half there.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Observation:
    """One candidate link, as written, with the place where it stood (see schema.OBSERVATIONS)."""

    mechanism: str
    region: str
    href: str
    hint: str | None = None
    label: str | None = None
    heading: str | None = None
    sentence: str | None = None
    language: str | None = None


@dataclass(slots=True)
class Fetch:
    """One request and its outcome (see schema.FETCHES), with what its page carried.

    `fetched_at` is ISO 8601 in UTC with a trailing Z, in whole seconds. `etag` and `last_modified`
    are the page's validators, which the next crawl sends back. `rendered` says that a browser's
    scripts had filled the page: size, digest and observations are those of what they made of it.
    """

    council_id: str
    url: str
    purpose: str
    depth: int
    outcome: str
    fetched_at: str
    final_url: str | None = None
    status: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    is_home: bool = False
    rendered: bool = False
    observations: list[Observation] = field(default_factory=list)
