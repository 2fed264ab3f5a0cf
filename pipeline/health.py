"""Tell monitoring how the last refresh went: a health file that is always whole, and a webhook.

A schedule that fails in silence is found out by its readers. The file says when a release was last
published, so that a monitor can also notice a refresh that never ran.
"""

from __future__ import annotations

import json
import os
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WAIT_SECONDS = 15


class HealthError(ValueError):
    """A webhook cannot be called as given; says what to write instead."""


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON beside the file's old self and move it into place, so that it is always whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_whole(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is none, or it was torn."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def vet(url: str) -> None:
    """Make sure that a webhook can be called: HealthError when it is no http(s) address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HealthError(f"webhook {url!r} is no address; write https://…")


def call(url: str, content: Mapping[str, Any]) -> str:
    """POST JSON to a webhook; what went wrong, in words, or ''.

    A webhook that is down must not change how a refresh ends, so nothing is raised.
    """
    vet(url)
    body = json.dumps(content, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    request = Request(url, body, headers, method="POST")  # noqa: S310  vet() lets only http(s) pass
    try:
        with urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310  as above
            answer.read(1)
    except (URLError, OSError, HTTPException) as error:
        return f"the webhook at {urlsplit(url).hostname} could not be told ({error})"
    return ""
