"""The sample: fictional, whole, and served as sites.toml says."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import lxml.html
import pytest

from pipeline.register import load_register, short_name
from spiders.sample import SampleError, load_sites, sample_register, sample_sites, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITES = load_sites(sample_sites())
# Hosts that a reader of HTML can walk through; Merrin's links are written by a script.
WALKED = [
    name
    for name, site in SITES.items()
    if site.pages and site.host.status == 200 and name != "www.merrin.example"
]
PAGES, DEPTH = 25, 3
LIMIT = 1_000_000
NUMBERED = {
    "facebook": r"9{13}\d\d",
    "flickr": r"999999\d\d@N00",
    "google_business": r"cid:9{17}\d\d",
}


def truth() -> list[dict[str, str]]:
    with (sample_sites().parent / "expected.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TRUTH = truth()
ACCOUNTS = [row for row in TRUTH if row["account"]]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    with serve(sample_sites()) as url:
        yield url


def fetch(proxy: str, url: str, method: str = "GET", **asked: str) -> Reply:
    with closing(HTTPConnection(urlsplit(proxy).netloc, timeout=10)) as connection:
        headers = {name.replace("_", "-"): value for name, value in asked.items()}
        connection.request(method, url, headers=headers)
        response: HTTPResponse = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())


def home(host: str, path: str = "/") -> str:
    return f"http://{host}{path}"


# --- Fictional -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", SITES)
def test_host_is_under_a_reserved_domain(host: str) -> None:
    assert host.endswith(".example")


def test_no_sample_council_has_a_real_councils_name_id_or_code() -> None:
    sample, real = load_register(sample_register()), load_register()
    assert set(short_name(sample["name"])).isdisjoint(short_name(real["name"]))
    assert set(sample["council_id"]).isdisjoint(real["council_id"])
    assert set(sample["gss_code"]).isdisjoint(real["gss_code"])


@pytest.mark.parametrize("row", ACCOUNTS, ids=lambda row: row["account"])
def test_account_is_plainly_fictional(row: dict[str, str]) -> None:
    number = NUMBERED.get(row["platform"], "$^")
    assert "sample" in row["account"].lower() or re.fullmatch(number, row["account"])


def test_x_handles_are_ones_that_x_would_accept() -> None:
    handles = [row["account"] for row in ACCOUNTS if row["platform"] == "twitter"]
    assert [h for h in handles if not re.fullmatch(r"\w{1,15}", h, re.ASCII)] == []


def test_youtube_channel_ids_have_their_24_characters() -> None:
    ids = [row["account"] for row in ACCOUNTS if row["account"].startswith("channel/UC")]
    assert ids
    assert {len(each.removeprefix("channel/")) for each in ids} == {24}


# --- Whole ---------------------------------------------------------------------------------


def test_each_folder_of_pages_is_a_host_in_sites_toml() -> None:
    assert {folder.name for folder in sample_sites().iterdir() if folder.is_dir()} <= set(SITES)


@pytest.mark.parametrize("host", SITES)
def test_host_has_pages_unless_it_is_down_or_moved(host: str) -> None:
    site = SITES[host]
    assert bool(site.pages) != bool(site.host.down or site.host.moved_to)


def test_each_website_in_the_register_is_served() -> None:
    register = load_register(sample_register())
    websites = register["website"].dropna().map(lambda url: urlsplit(url).hostname)
    assert set(websites) <= set(SITES)


def test_each_current_council_has_its_truth() -> None:
    register = load_register(sample_register())
    current = register.loc[register["status"] == "current", "council_id"]
    assert {row["council_id"] for row in TRUTH} == set(current)


def test_one_account_is_primary_per_council_network_and_language() -> None:
    counts = Counter(
        (row["council_id"], row["platform"], row["language"])
        for row in ACCOUNTS
        if row["primary"] == "yes"
    )
    assert [key for key, count in counts.items() if count > 1] == []


def test_only_corporate_accounts_are_primary_and_only_services_name_one() -> None:
    assert {row["role"] for row in ACCOUNTS if row["primary"] == "yes"} == {"corporate"}
    assert {row["role"] for row in ACCOUNTS if row["service"]} == {"service"}
    assert all(row["service"] for row in ACCOUNTS if row["role"] == "service")


def evidence(row: dict[str, str]) -> str:
    """The part of an account that any writing of it on a page must hold."""
    account = row["account"].lower().removeprefix("cid:")
    return account.split("@")[0] if row["platform"] == "mastodon" else account.rpartition("/")[2]


@pytest.mark.parametrize(
    "row", ACCOUNTS, ids=lambda row: f"{row['council_id']}-{row['platform']}-{row['account']}"
)
def test_account_stands_where_the_truth_says(proxy: str, row: dict[str, str]) -> None:
    reply = fetch(proxy, row["seen_on"])
    shown = reply.body.decode("utf-8", "replace") + reply.headers.get("Location", "")
    assert evidence(row) in unquote(shown).lower()


def test_each_handle_on_a_page_is_in_the_truth() -> None:
    """A handle that is shown in full and that nobody listed would be a hole in the truth."""
    listed = {evidence(row) for row in ACCOUNTS}
    allowed = {"puddlecombesampleold", "yournamesample"}
    handle = re.compile(
        r"(?:facebook|twitter|x|instagram|tiktok)\.com/(?:#!/)?@?([\w.]*sample[\w.]*)",
        re.IGNORECASE,
    )
    shown = {
        match.lower()
        for site in SITES.values()
        if site.host.name != "www.quarrowfield.example"
        for file in site.pages.values()
        for match in handle.findall(unquote(file.read_bytes().decode("utf-8", "replace")))
    }
    assert shown - listed - allowed == set()


def links(reply: Reply, url: str) -> list[str]:
    found = [
        urljoin(url, href).partition("#")[0]
        for href in lxml.html.fromstring(reply.body).xpath("//a/@href")
    ]
    host = urlsplit(url).hostname
    return [
        link
        for link in found
        if urlsplit(link).hostname == host and ".com" not in link and "month=" not in link
    ]


@pytest.mark.parametrize("host", WALKED)
def test_pages_are_within_reach_of_a_polite_crawl(proxy: str, host: str) -> None:
    level, seen = {home(host)}, {home(host)}
    for _ in range(DEPTH):
        replies = {url: fetch(proxy, url) for url in sorted(level)}
        level = {link for url, reply in replies.items() if reply.body for link in links(reply, url)}
        level -= seen
        seen |= level
    reached = {urlsplit(url).path.rstrip("/") for url in seen}
    pages = {
        path
        for path, file in SITES[host].pages.items()
        if file.suffix == ".html" and not path.endswith((".html", "/404", "/calendar"))
    }
    assert pages <= reached
    assert len(pages) <= PAGES


@pytest.mark.parametrize("host", WALKED)
def test_internal_links_lead_somewhere(proxy: str, host: str) -> None:
    targets = {
        link
        for path, file in SITES[host].pages.items()
        if file.suffix == ".html"
        for link in links(Reply(200, {}, file.read_bytes()), home(host, path or "/"))
    }
    assert [url for url in sorted(targets) if fetch(proxy, url).status >= 400] == []


def test_sample_is_small_enough_to_ship() -> None:
    files = [file for file in sample_sites().parent.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < LIMIT


# --- Served --------------------------------------------------------------------------------


def test_page_is_served_with_its_type_and_charset(proxy: str) -> None:
    reply = fetch(proxy, home("www.brackenmoor.example", "/parking"))
    assert reply.headers["Content-Type"] == "text/html; charset=iso-8859-1"
    assert "£4.50" in reply.body.decode("iso-8859-1")


def test_down_site_closes_the_connection_without_an_answer(proxy: str) -> None:
    with pytest.raises(RemoteDisconnected):
        fetch(proxy, home("www.thornmarsh.example"))


def test_robots_txt_forbids_all(proxy: str) -> None:
    robots = RobotFileParser()
    reply = fetch(proxy, home("www.quarrowfield.example", "/robots.txt"))
    robots.parse(reply.body.decode().splitlines())
    assert not robots.can_fetch("DigitalCouncils", home("www.quarrowfield.example"))


def test_moved_site_redirects_each_path_to_the_new_host(proxy: str) -> None:
    reply = fetch(proxy, home("www.elmscar.example", "/article/1003/News"))
    assert reply.status == 301
    assert reply.headers["Location"] == home("www.elmscarcouncil.example", "/article/1003/News")


def test_vanity_path_names_its_target_and_no_more(proxy: str) -> None:
    reply = fetch(proxy, home("www.fernhythe.example", "/facebook"))
    assert (reply.status, reply.body) == (302, b"")
    assert reply.headers["Location"] == "https://www.facebook.com/FernhytheSampleDC"


@pytest.mark.parametrize(
    "validator", [("ETag", "If_None_Match"), ("Last-Modified", "If_Modified_Since")]
)
def test_unchanged_page_is_answered_by_304(proxy: str, validator: tuple[str, str]) -> None:
    sent, asked = validator
    url = home("www.avonbrook.example", "/news")
    first = fetch(proxy, url)
    again = fetch(proxy, url, **{asked: first.headers[sent]})
    assert (first.status, again.status, again.body) == (200, 304, b"")


def test_changed_page_is_sent_although_its_date_is_old(proxy: str) -> None:
    url = home("www.avonbrook.example", "/news")
    date = fetch(proxy, url).headers["Last-Modified"]
    reply = fetch(proxy, url, If_None_Match='W/"other"', If_Modified_Since=date)
    assert reply.status == 200


def test_dynamic_site_sends_no_validators(proxy: str) -> None:
    reply = fetch(proxy, home("www.puddlecombe.example"))
    assert {"ETag", "Last-Modified"}.isdisjoint(reply.headers)


def test_missing_page_answers_404_with_the_sites_own_page(proxy: str) -> None:
    reply = fetch(proxy, home("www.avonbrook.example", "/no-such-page"))
    assert reply.status == 404
    assert b"A to Z of services" in reply.body


def test_soft_404_answers_200(proxy: str) -> None:
    reply = fetch(proxy, home("www.castlebrindle.example", "/no-such-page"))
    assert reply.status == 200
    assert b"cannot find the page" in reply.body


def test_body_is_compressed_for_those_who_accept_it(proxy: str) -> None:
    url = home("www.avonbrook.example")
    plain, packed = fetch(proxy, url), fetch(proxy, url, Accept_Encoding="gzip, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


def test_firewall_answers_403_in_place_of_every_page(proxy: str) -> None:
    reply = fetch(proxy, home("www.ravenstoke.example", "/contact-us"))
    assert reply.status == 403
    assert b"firewall" in reply.body


@pytest.mark.parametrize(
    ("month", "after"), [("2026-05", "2026-06"), ("2026-12", "2027-01"), ("2999-01", "2999-02")]
)
def test_calendar_has_no_end(proxy: str, month: str, after: str) -> None:
    reply = fetch(proxy, home("www.dunmallow.example", f"/events/calendar?month={month}"))
    assert f'rel="next" href="/events/calendar?month={after}"'.encode() in reply.body


def test_calendar_has_no_thirteenth_month(proxy: str) -> None:
    reply = fetch(proxy, home("www.dunmallow.example", "/events/calendar?month=2026-13"))
    assert reply.status == 404


@pytest.mark.parametrize(
    "url", ["http://www.facebook.com/Sample", "https://www.avonbrook.example/"]
)
def test_other_hosts_and_https_answer_502(proxy: str, url: str) -> None:
    assert fetch(proxy, url).status == 502


def test_tunnel_to_a_network_is_refused(proxy: str) -> None:
    assert fetch(proxy, "www.facebook.com:443", method="CONNECT").status == 502


def test_head_has_no_body(proxy: str) -> None:
    reply = fetch(proxy, home("www.avonbrook.example"), method="HEAD")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[host]]\nname = "a.example"\nnote = "x"\ngzipped = true\n', "'gzipped' is unknown"),
        ('[[host]]\nname = "a.example"\n', "has no 'note'"),
        ("[[host]\n", "cannot be read"),
    ],
)
def test_unusable_sites_are_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "sites.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SampleError, match=f"sites.toml.*{named}"):
        load_sites(tmp_path)
