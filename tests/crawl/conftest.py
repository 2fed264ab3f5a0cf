"""The loopback web that each test of a crawl starts and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crawl.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A fictional web; no proxy of this machine's own is used."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Web() as started:
        yield started
