"""robots.txt by RFC 9309: our own table, the public vectors, and any bytes at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spiders import robots

VECTORS = Path(__file__).parents[2].parent / "shared" / "robots" / "vectors.jsonl"
SITE = "https://www.avonbrook.example"
US = "DigitalCouncils"


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/", True),
        ("User-agent: *\nDisallow:", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("user-AGENT: *\ndisALLOW: /", "/x", False),
        ("User-agent: digitalcouncils\nDisallow: /a", "/a", False),
        ("User-agent: DigitalCouncils/2.0\nDisallow: /a", "/a", False),
        ("User-agent: Digital\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /\nUser-agent: DigitalCouncils\nAllow: /", "/a", True),
        ("User-agent: Other\nUser-agent: DigitalCouncils\nDisallow: /a", "/a", False),
        ("User-agent: DigitalCouncils\nDisallow: /a\nUser-agent: *\nDisallow: /b", "/b", True),
        ("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/a", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.php", "/x/y.php?z", False),
        ("User-agent: *\nDisallow: /*.php$", "/x/y.php?z", True),
        ("User-agent: *\nDisallow: /*.php$", "/x/y.php", False),
        ("User-agent: *\nDisallow: /a*b*c$", "/aXbXcXc", False),
        ("User-agent: *\nDisallow: /a*a$", "/a", True),
        ("User-agent: *\nDisallow: /$", "/", False),
        ("User-agent: *\nDisallow: /$", "/x", True),
        ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9", False),
        ("User-agent: *\nDisallow: /caf%c3%a9", "/caf%C3%A9", False),
        ("User-agent: *\nDisallow: /%61bc", "/abc", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        ("Disallow: /\nUser-agent: *\nAllow: /", "/x", True),
        ("User-agent: * # all\nDisallow: / # everything", "/x", False),
        ("User-agent: *\rDisallow: /", "/x", False),
        ("User-agent *\nDisallow /", "/x", False),
        ("User-agent: *\nCrawl-delay: 5\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow: /A", "/a", True),
        ("User-agent: *\nDisallow: /?s=", "/?s=x", False),
        ("<html><body>Not found</body></html>", "/x", True),
    ],
)
def test_a_file_says_whether_a_path_may_be_asked(text: str, path: str, allowed: bool) -> None:
    assert robots.parse(text.encode()).allowed(US, SITE + path) is allowed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_encoding_is_read(encoding: str) -> None:
    body = "User-agent: *\nDisallow: /\n".encode(encoding)
    assert not robots.parse(body).allowed(US, f"{SITE}/x")


@pytest.mark.parametrize(
    ("value", "delay"), [("5", 5.0), ("0.5", 0.5), ("soon", None), ("-1", None), ("inf", None)]
)
def test_crawl_delay_is_read(value: str, delay: float | None) -> None:
    assert robots.parse(f"User-agent: *\nCrawl-delay: {value}".encode()).delay(US) == delay


def test_the_delay_of_another_crawler_is_not_ours() -> None:
    text = b"User-agent: Other\nCrawl-delay: 60\n\nUser-agent: *\nDisallow: /x"
    assert robots.parse(text).delay(US) is None


@given(st.binary(max_size=300), st.text(max_size=60))
def test_any_bytes_and_any_url_have_an_answer(body: bytes, url: str) -> None:
    assert robots.parse(body).allowed(US, url) in {True, False}


def test_the_public_vectors_are_answered_right() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not there: the project is built without it")
    wrong = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        rules = robots.parse(bytes.fromhex(case["robots_txt_hex"]))
        if case["standard"] and rules.allowed(case["agent"], case["url"]) != case["allowed"]:
            wrong.append(case["origin"])
    assert wrong == []
