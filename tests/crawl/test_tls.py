"""No certificate passes that does not verify, unless the register says so, for whom and why."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.crawl.certificates import Authority, serving
from tests.crawl.test_guard import FakeResolver
from tests.crawl.web import outcome, page, redirect, register, visit

if TYPE_CHECKING:
    from pathlib import Path

    from spiders.run import RunReport
    from tests.crawl.web import Line, Web

HOST = "www.avonbrook.example"
MOVED = "www.newbrook.example"
HOME = f"https://{HOST}/"
REASON = "Expired on 1 June; the council's IT desk renews it in July"


def crawl(
    web: Web,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    servers: dict[str, str],
    reason: str | None,
) -> tuple[RunReport, list[Line]]:
    """A crawl of one council over TLS; `servers` are the kinds of servers by host."""
    authority = Authority(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    councils = register(HOST)
    councils["website"] = HOME
    councils["unverified_reason"] = reason
    with ExitStack() as stack:
        ports = {
            host: stack.enter_context(serving(web, kind, [host], authority))
            for host, kind in servers.items()
        }
        FakeResolver.answers = {host: ("127.0.0.1", port) for host, port in ports.items()}
        return visit(
            web,
            folder / "c",
            councils,
            proxy=None,
            ADDRESS_RESOLVER="tests.crawl.test_guard.FakeResolver",
            ALLOW_ADDRESSES=[f"127.0.0.1:{port}" for port in ports.values()],
            RETRY_TIMES=0,
        )


@pytest.mark.parametrize("kind", ["tls_expired", "tls_self_signed", "tls_wrong_host"])
@pytest.mark.parametrize("reason", [REASON, None])
def test_a_broken_certificate_passes_only_with_a_reason_in_the_register(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reason: str | None
) -> None:
    web.put(HOST, "/", page("Home", {"/contact": "Contact"}))
    web.put(HOST, "/contact", page("Contact"))
    report, lines = crawl(web, tmp_path, monkeypatch, {HOST: kind}, reason)
    assert outcome(lines, HOME) == ("ok" if reason else "tls")
    assert report.report["unverified"] == (["AVON"] if reason else [])
    assert report.finished


def test_a_certificate_in_order_is_verified_in_spite_of_a_reason(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.put(HOST, "/", page("Home"))
    report, lines = crawl(web, tmp_path, monkeypatch, {HOST: "tls_in_order"}, REASON)
    assert outcome(lines, HOME) == "ok"
    assert report.report["unverified"] == []


@pytest.mark.parametrize("kind", ["tls_old_protocol", "tls_legacy_cipher"])
def test_a_reason_opens_no_door_to_old_protocols_and_ciphers(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    web.put(HOST, "/", page("Home"))
    _, lines = crawl(web, tmp_path, monkeypatch, {HOST: kind}, REASON)
    assert outcome(lines, HOME) == "tls"


def test_a_reason_holds_for_the_councils_own_hosts_alone(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.put(HOST, "/", redirect(f"https://{MOVED}/"))
    web.put(MOVED, "/", page("Home"))
    servers = {HOST: "tls_expired", MOVED: "tls_self_signed"}
    report, lines = crawl(web, tmp_path, monkeypatch, servers, REASON)
    assert outcome(lines, HOME) == "tls"
    assert web.paths(HOST) == ["/"]
    assert web.paths(MOVED) == []
    assert report.finished
