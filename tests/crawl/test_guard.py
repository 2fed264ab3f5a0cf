"""What strangers send and where they point: each ends in a name, and harms nobody else."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver

from spiders.guard import AddressPolicy
from tests.crawl.web import (
    Handler,
    Reply,
    act,
    encoded,
    outcome,
    page,
    raw,
    redirect,
    register,
    visit,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.web import Web

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"
GOOD = "www.tealmoor.example"


class FakeResolver(AbstractResolver):
    """Knows what each fictional name resolves to; nothing is asked of anybody."""

    answers: dict[str, tuple[str, int]] = {}  # noqa: RUF012  set by each test

    async def resolve(self, host: str, port: int = 0, _family: Any = 0) -> list[Any]:
        if host not in self.answers:
            raise OSError(f"{host} is unknown")
        address, at = self.answers[host]
        kind = 10 if ":" in address else 2
        entry = {"hostname": host, "host": address, "port": at or port, "family": kind}
        return [entry | {"proto": 0, "flags": 4}]

    async def close(self) -> None:
        """Nothing to release."""


def _direct(web: Web, **answers: str) -> dict[str, Any]:
    """Options of a crawl without proxy, where `HOST` is the loopback web."""
    names = {name.replace("_", "."): (address, 0) for name, address in answers.items()}
    FakeResolver.answers = names | {HOST: ("127.0.0.1", web.port)}
    return {
        "proxy": None,
        "ADDRESS_RESOLVER": "tests.crawl.test_guard.FakeResolver",
        "ALLOW_ADDRESSES": [f"127.0.0.1:{web.port}"],
    }


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.8",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_no_address_that_is_not_public_is_connected_to(address: str) -> None:
    assert not AddressPolicy.parse([]).allows(address, 80)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4009::1", "64:ff9b::808:808"])
def test_public_addresses_are_connected_to(address: str) -> None:
    assert AddressPolicy.parse([]).allows(address, 443)


def test_an_allowed_endpoint_opens_no_other_port() -> None:
    policy = AddressPolicy.parse(["127.0.0.1:8080"])
    assert policy.allows("127.0.0.1", 8080)
    assert not policy.allows("127.0.0.1", 22)


def test_a_council_whose_name_resolves_to_a_private_address_is_not_asked(
    web: Web, tmp_path: Path
) -> None:
    options = _direct(web, www_tealmoor_example="10.0.0.8")
    web.put(HOST, "/", page("Home"))
    _, lines = visit(web, tmp_path / "c", register(HOST, GOOD), **options)
    assert outcome(lines, f"http://{GOOD}/") == "address"
    assert outcome(lines, HOME) == "ok"


def test_a_name_that_does_not_resolve_is_a_dns_failure(web: Web, tmp_path: Path) -> None:
    options = _direct(web)
    _, lines = visit(web, tmp_path / "c", register(GOOD), **options)
    assert outcome(lines, f"http://{GOOD}/") == "dns"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://inside.avonbrook.example/",
    ],
)
@pytest.mark.parametrize("way", ["redirect", "refresh"])
def test_a_home_page_that_points_inside_is_refused(
    web: Web, tmp_path: Path, target: str, way: str
) -> None:
    refresh = f'<meta http-equiv="refresh" content="0; url={target}"><a href=/news>News</a>'
    web.put(HOST, "/", redirect(target) if way == "redirect" else Reply(refresh.encode()))
    options = _direct(web, inside_avonbrook_example="10.0.0.8")
    _, lines = visit(web, tmp_path / "c", register(HOST), **options)
    assert outcome(lines, HOME) == "address"


def test_a_robots_txt_that_points_inside_is_not_followed(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/robots.txt", redirect("http://169.254.169.254/robots.txt"))
    _, lines = visit(web, tmp_path / "c", register(HOST), **_direct(web))
    assert outcome(lines, HOME) == "address"


def test_a_link_to_a_file_is_not_read(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"file:///etc/contact": "Contact"}))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert not [line for line in lines if line["url"].startswith("file")]


def test_a_redirect_to_a_file_is_not_followed(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("file:///etc/passwd"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert outcome(lines, HOME) == "http_error"


def test_an_unverified_certificate_is_refused(web: Web, tmp_path: Path) -> None:
    councils = register(HOST)
    councils["website"] = f"https://{HOST}/"
    options = _direct(web)  # the loopback web speaks plain HTTP where TLS is expected
    _, lines = visit(web, tmp_path / "c", councils, **options)
    assert outcome(lines, f"https://{HOST}/") == "tls"


BOMB = gzip.compress(b"<p>" * 7_000_000)
LONG = page("Home", {f"/{i}": str(i) for i in range(99)}).body
FAULTS = {
    "drop": (act(Handler.drop), "refused"),
    "hang": (act(Handler.hang), "timeout"),
    "drip": (act(Handler.drip), "timeout"),
    "cut": (act(Handler.cut), "truncated"),
    "endless_headers": (act(Handler.endless_headers), "refused"),
    "endless_body": (act(Handler.endless_body), "too_large"),
    "bomb": (encoded(BOMB, "gzip"), "too_large"),
    "nested_bombs": (encoded(BOMB, "gzip, gzip, gzip"), "too_large"),
    "cut_gzip": (encoded(gzip.compress(LONG)[:-20], "gzip"), "truncated"),
    "not_gzip": (encoded(LONG, "gzip"), "ok"),
    "broken_brotli": (encoded(b"\xff" * 4, "br"), "truncated"),
    "declared_large": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "too_large"),
    "no_http": (raw(b"SSH-2.0-x\r\n"), "refused"),
    "bad_length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "refused"),
    "empty": (Reply(b""), "not_html"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_a_name_and_leaves_the_others_alone(
    web: Web, tmp_path: Path, fault: str
) -> None:
    reply, expected = FAULTS[fault]
    web.put(HOST, "/", reply)
    web.put(GOOD, "/", page("Home", {"/contact": "Contact"}))
    web.put(GOOD, "/contact", page("Contact"))
    report, lines = visit(web, tmp_path / "c", register(HOST, GOOD), RETRY_TIMES=0)
    assert outcome(lines, HOME) == expected
    assert outcome(lines, f"http://{GOOD}/contact") == "ok"
    assert report.finished
