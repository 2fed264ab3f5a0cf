"""Every way to misbehave that the crawler must survive, by name, with the outcome it must get.

A fault can be put on any host of the loopback web, so that one crawl meets all of them at once, or
four hundred sites of which a fifth are faulty at random.
"""

from __future__ import annotations

import gzip
import socket
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrapy.utils._compression import (  # type: ignore[attr-defined]  # the codecs it chose
    brotli,
    zstd,
)

from tests.crawl.web import HTML, Handler, Reply, act, encoded, page, redirect, robots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GOOD = page("Home", {"/contact": "Contact us", "https://www.facebook.com/Sample": "Facebook"})
CONTACT = page("Contact us", {"https://twitter.com/Sample": "Twitter"})


@dataclass(frozen=True)
class Fault:
    """What a site does, and the outcome under which its home page must be recorded.

    `pages` are the answers of its paths, and `found` the outcomes of some beside the home page.
    `tls` names the server of tests/crawl/certificates.py that answers, empty for plain HTTP.
    `address` is what its name resolves to: 'web' for the loopback web, '' for an unknown name;
    each in turn, the last one for ever. Heavy ones take megabytes or seconds.
    """

    outcome: str
    pages: Mapping[str, Reply] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)
    tls: str = ""
    address: tuple[str, ...] = ("web",)
    heavy: bool = False
    most_requests: int = 30


def home(outcome: str, reply: Reply, **pages: Reply) -> Fault:
    """A fault of the home page, with other pages by their names."""
    return Fault(outcome, {"/": reply} | {f"/{name}": answer for name, answer in pages.items()})


def heavy(outcome: str, reply: Reply) -> Fault:
    return Fault(outcome, {"/": reply}, heavy=True)


def of_robots(outcome: str, reply: Reply) -> Fault:
    """A fault of robots.txt, before a site that is in order."""
    return Fault(outcome, {"/robots.txt": reply, "/": GOOD, "/contact": CONTACT})


def send(*parts: bytes, every: float = 0.0, forever: bytes = b"") -> Reply:
    """Bytes as they are, with a pause after each part; then `forever`, again and again."""

    def answer(handler: Handler) -> None:
        closing = handler.server.web.closing
        with suppress(OSError):
            for part in parts:
                handler.wfile.write(part)
                closing.wait(every)
            while forever and not closing.is_set():
                handler.wfile.write(forever)
                if every:
                    closing.wait(every)
        handler.drop()

    return act(answer)


def made(body: Callable[[], bytes], kind: str = HTML) -> Reply:
    """A large body that is made when it is asked for, and forgotten again."""
    return act(lambda handler: handler.reply(Reply(body(), 200, (("Content-Type", kind),))))


def generated(body: Callable[[str], bytes | Reply], kind: str = HTML) -> Reply:
    """An answer that depends on the path."""

    def answer(handler: Handler) -> None:
        given = body(handler.path)
        one = given if isinstance(given, Reply) else Reply(given, 200, (("Content-Type", kind),))
        handler.reply(one)

    return act(answer)


def reset(handler: Handler) -> None:
    """End the connection with a reset instead of a farewell."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.drop()


START = b"HTTP/1.1 200 OK\r\n"
TEXT = START + b"Content-Type: text/html\r\n"
CHUNKED = TEXT + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSING = TEXT + b"Connection: close\r\n\r\n"

CONNECTIONS = {
    "black_hole": home("timeout", act(Handler.hang)),
    "closed_at_once": home("refused", act(Handler.drop)),
    "reset": home("refused", act(reset)),
    "closed_port": Fault("refused", address=("127.0.0.1:1",)),
    "slow_status": home("timeout", send(b"HTTP/1.", b"1", b" ", b"2", b"0", b"0", every=1)),
    "slow_headers": home("timeout", send(START, every=0.2, forever=b"X-More: 1\r\n")),
    "slow_body": home("timeout", act(Handler.drip)),
    "slow_chunks": home("timeout", send(CHUNKED, every=0.2, forever=b"1\r\n<\r\n")),
    "endless_interim": home("timeout", send(every=0.05, forever=b"HTTP/1.1 100 Continue\r\n\r\n")),
}
NAMES = {
    "unknown_name": Fault("dns", address=("",)),
    "slow_name": Fault("dns", address=("slow",)),
    "no_address": Fault("dns", address=("none",)),
    "private_address": Fault("address", address=("10.0.0.8",)),
    "metadata_address": Fault("address", address=("169.254.169.254",)),
    "loopback_port": Fault("address", address=("127.0.0.1:22",)),
    "mapped_loopback": Fault("address", address=("::ffff:127.0.0.1",)),
    "turns_private": Fault(
        "ok",
        {"/robots.txt": send(CLOSING), "/": send(CLOSING + GOOD.body), "/contact": CONTACT},
        found={"/contact": "address"},
        address=("web", "web", "10.0.0.8"),
    ),
}
HEADERS = {
    "endless_headers": home("refused", act(Handler.endless_headers)),
    "long_header": home("too_large", send(START, forever=b"X-Long: " + b"a" * 70_000)),
    "many_headers": home("refused", send(START + b"A: b\r\n" * 500 + b"\r\n")),
    "many_cookies": home(
        "ok",
        Reply(GOOD.body, 200, (("Content-Type", HTML), *[("Set-Cookie", f"a={'b' * 999}")] * 50)),
        contact=CONTACT,
    ),
    "growing_cookies": home(
        "redirects",
        generated(
            lambda path: Reply(b"", 302, (("Location", path), ("Set-Cookie", f"{path}={'b' * 99}")))
        ),
    ),
    "length_of_words": home("refused", send(TEXT + b"Content-Length: many\r\n\r\n" + GOOD.body)),
    "length_below_zero": home("refused", send(TEXT + b"Content-Length: -5\r\n\r\n" + GOOD.body)),
    "two_lengths": home(
        "refused", send(TEXT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + GOOD.body)
    ),
    "length_and_chunks": home(
        "refused",
        send(TEXT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<p>ab\r\n0\r\n"),
    ),
    "declared_large": home("too_large", send(TEXT + b"Content-Length: 99999999\r\n\r\n")),
    "no_http": home("refused", send(b"SSH-2.0-OpenSSH_9\r\n")),
    "no_status_line": home("refused", send(GOOD.body)),
    "status_of_words": home("refused", send(b"HTTP/1.1 fine OK\r\n\r\n")),
    "nul_in_header": home("refused", send(START + b"X: a\0b\r\n\r\n" + GOOD.body)),
}
BODIES = {
    "truncated": home("truncated", act(Handler.cut)),
    "endless_body": home("too_large", act(Handler.endless_body)),
    "endless_chunks": home(
        "too_large", send(CHUNKED, forever=b"ffff\r\n" + b"<" * 0xFFFF + b"\r\n")
    ),
    "endless_line": home("too_large", send(CLOSING, forever=b"a" * 65_536)),
    "cut_chunk": home("truncated", send(CHUNKED + b"ff\r\n<p>Half")),
    "no_last_chunk": home("truncated", send(CHUNKED + b"5\r\n<p>ab\r\n")),
    "chunk_size_of_words": home(
        "timeout", send(CHUNKED + b"5\r\n<p>ab\r\n", b"many\r\n", every=0.3)
    ),
    "more_than_declared": home(
        "refused", send(TEXT + b"Content-Length: 12\r\n\r\n<p>Greetings, and more")
    ),
    "empty": home("not_html", Reply(b"")),
    "blank": home("not_html", Reply(b" \r\n")),
}
ZEROS = bytes(20_000_000)
MEMBER = gzip.compress(bytes(10_000_000))
LONG = b"<title>Long</title>" + b"".join(b"%x" % i**7 for i in range(4_000))
DEFLATED = zlib.compressobj(wbits=-15)
ENCODINGS = {
    "gzip_bomb": home("too_large", encoded(gzip.compress(ZEROS), "gzip")),
    "gzip_bomb_of_members": home("too_large", encoded(MEMBER * 400, "gzip")),
    "deflate_bomb": home("too_large", encoded(zlib.compress(ZEROS), "deflate")),
    "brotli_bomb": home("too_large", encoded(brotli.compress(ZEROS, quality=1), "br")),
    "zstd_bomb": home("too_large", encoded(zstd.compress(ZEROS), "zstd")),
    "nested_bomb": home("too_large", encoded(gzip.compress(MEMBER * 400), "gzip, gzip")),
    "nested_too_deep": home("too_large", encoded(b"", "gzip, gzip, gzip")),
    "cut_gzip": home("truncated", encoded(gzip.compress(LONG)[:-900], "gzip")),
    "cut_deflate": home("truncated", encoded(zlib.compress(LONG)[:-900], "deflate")),
    "cut_brotli": home("truncated", encoded(brotli.compress(LONG)[:-900], "br")),
    "cut_zstd": home("truncated", encoded(zstd.compress(LONG)[:-900], "zstd")),
    "broken_gzip": home("truncated", encoded(gzip.compress(LONG)[:200] + b"?" * 99, "gzip")),
    "gzip_with_padding": home("ok", encoded(gzip.compress(GOOD.body) + bytes(99), "gzip")),
    "gzip_in_members": home("ok", encoded(gzip.compress(b"<p>") + gzip.compress(LONG), "gzip")),
    "raw_deflate": home(
        "ok", encoded(DEFLATED.compress(GOOD.body) + DEFLATED.flush(), "deflate"), contact=CONTACT
    ),
    "gzip_that_is_none": home("ok", encoded(GOOD.body, "gzip"), contact=CONTACT),
    "brotli_that_is_none": home("ok", encoded(GOOD.body, "br"), contact=CONTACT),
    "unknown_encoding": home("ok", encoded(GOOD.body, "rot13"), contact=CONTACT),
}


def typed(body: bytes, kind: str) -> Reply:
    return Reply(body, 200, (("Content-Type", kind),))


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"<a href=/contact>" * 9
CONTENTS = {
    "charset_lie": home("ok", typed("<p>Café, Cyngor Sir Gâr".encode("cp1252"), "text/html")),
    "unknown_charset": home("ok", typed(GOOD.body, "text/html; charset=x-none"), contact=CONTACT),
    "charset_that_is_none": home("ok", typed(GOOD.body, "text/html; charset=rot13")),
    "utf16_undeclared": home("ok", typed(GOOD.body.decode().encode("utf-16-le"), "text/html")),
    "nul_bytes": home("ok", typed(GOOD.body.replace(b"<h1>", b"\0<h1>\0"), HTML), contact=CONTACT),
    "image_as_html": home("not_html", typed(PNG, HTML)),
    "pdf_as_html": home("not_html", typed(b"%PDF-1.7\n<a href=/contact>\n%%EOF", HTML)),
    "pdf": home("not_html", typed(b"%PDF-1.7\n", "application/pdf")),
    "video_without_end": home(
        "not_html", send(START + b"Content-Type: video/mp4\r\n\r\n", forever=b"a" * 9999)
    ),
    "script_alone": home(
        "needs_browser", typed(b"<div id=root></div><script src=/app.js></script>", HTML)
    ),
    "soft_404": home("not_found", page("Page not found")),
    "gone": home("not_found", Reply(b"", 410)),
    "parked": home("parked", page("avonbrook.example is for sale", extra="sedoparking.com")),
    "server_default": home("parked", page("Welcome to nginx!")),
    "challenge": home(
        "blocked", Reply(b"<title>Just a moment...</title>", 403, (("cf-mitigated", "challenge"),))
    ),
    "firewall": home("blocked", typed(b"<iframe src='/_Incapsula_Resource?x'></iframe>", HTML)),
    "queue": home("blocked", page("Waiting room", extra="static.queue-it.net")),
    "cookie_wall": home("blocked", page("Cookies required")),
    "forbidden": home("blocked", Reply(b"", 403)),
    "asked_to_wait_long": home("blocked", Reply(b"", 429, (("Retry-After", "86400"),))),
    "server_error": home("http_error", Reply(b"<p>Error", 500)),
    "large_errors": home("http_error", Reply(b"<p>" * 900_000, 502)),
    "status_nobody_knows": home("http_error", Reply(b"<p>Odd", 799)),
}


def anchors(count: int) -> bytes:
    return b"".join(b'<a href="/news/%d">News %d</a>\n' % (i, i) for i in range(count))


def nested(_path: str) -> bytes:
    return b"<div><a href=/contact>" * 60_000


SIZES = {
    "links_200000": heavy("truncated", made(lambda: anchors(200_000))),
    "links_a_million": heavy("too_large", made(lambda: anchors(1_000_000))),
    "one_long_line": heavy("truncated", made(lambda: b"<p>" + b"a" * 9_000_000)),
    "deep_nesting": heavy("ok", generated(nested)),
    "crowded_tag": heavy(
        "ok", made(lambda: b"<p %s>Text" % b" ".join(b"a%d=1" % i for i in range(150_000)))
    ),
    "open_comment": heavy("ok", made(lambda: b"<p>Text<!--" + b"-" * 1_400_000)),
    "open_script": heavy("ok", made(lambda: b"<p>Text<script>" + b"{'x':" * 250_000)),
    "long_attribute": heavy("ok", made(lambda: b"<a href='/" + b"news/" * 250_000 + b"'>News</a>")),
    "links_to_networks": heavy(
        "truncated",
        made(lambda: b"".join(b"<a href=//x.com/n%d>x</a>" % i for i in range(50_000))),
    ),
}
REDIRECTS = {
    "redirect_to_itself": home("redirects", redirect("/")),
    "redirect_loop": home("redirects", redirect("/home"), home=redirect("/")),
    "redirect_chain": Fault(
        "redirects", {"/": redirect("/1")} | {f"/{i}": redirect(f"/{i + 1}") for i in range(1, 12)}
    ),
    "redirect_that_grows": Fault(
        "redirects",
        {"*": generated(lambda path: redirect(f"{path}?a" if path == "/" else f"{path}a"))},
    ),
    "redirect_to_loopback": home("address", redirect("http://127.0.0.1:2/")),
    "redirect_to_metadata": home("address", redirect("http://169.254.169.254/latest/")),
    "redirect_to_localhost": home("address", redirect("http://localhost/")),
    "redirect_to_decimal": home("address", redirect("http://2130706433/")),
    "redirect_to_file": home("http_error", redirect("file:///etc/passwd")),
    "redirect_to_ftp": home("http_error", redirect("ftp://ftp.elsewhere.example/")),
    "redirect_to_script": home("http_error", redirect("javascript:alert(1)")),
    "redirect_to_nonsense": home("http_error", redirect("http://[")),
    "redirect_nowhere": home("http_error", Reply(b"", 302)),
    "redirect_with_password": home("off_site", redirect("http://user:pass@elsewhere.example/")),
    "redirect_to_network": home("off_site", redirect("https://www.facebook.com/Sample")),
    "redirect_to_odd_port": home("address", redirect("http://127.0.0.1:22/")),
    "refresh_loop": home(
        "ok",
        typed(b'<meta http-equiv="refresh" content="0;url=/home">', HTML),
        home=typed(b'<meta http-equiv="refresh" content="0;url=/">', HTML),
    ),
    "refresh_inside": home(
        "address", typed(b'<meta http-equiv="refresh" content="0;url=http://[::1]/">', HTML)
    ),
    "location_too_long": home("too_large", redirect("/" + "a" * 70_000)),
}
SITEMAP = "application/xml"


def of_sitemap(body: bytes, outcome: str) -> Fault:
    pages = {"/": GOOD, "/contact": CONTACT, "/sitemap.xml": typed(body, SITEMAP)}
    return Fault("ok", pages, found={"/sitemap.xml": outcome, "/contact": "ok"})


def more_sitemaps(path: str) -> bytes:
    """A sitemap of sitemaps, each of which is another."""
    locs = "".join(f"<sitemap><loc>{path}/{i}/sitemap.xml</loc></sitemap>" for i in range(9))
    return f"<sitemapindex>{locs}</sitemapindex>".encode()


LAUGHS = "".join(
    f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "news"}">' for i in range(12)
).encode()
TRAPS = {
    "no_to_every_page": Fault(
        "ok",
        {"/": page("Home", {f"/news/{i}": "News" for i in range(9)}), "*": Reply(b"", 403)},
        found={"/news/0": "blocked", "/news/8": "not_today"},
        most_requests=8,
    ),
    "busy_for_every_page": Fault(
        "ok",
        {
            "/robots.txt": robots(""),
            "/": page("Home", {f"/news/{i}": "News" for i in range(9)}),
            "*": Reply(b"", 429),
        },
        found={"/news/0": "blocked", "/news/8": "not_today"},
        most_requests=10,
    ),
    "calendar": Fault(
        "ok",
        {"*": generated(lambda p: b'<a href="/events?month=%d">Events</a>' % (len(p) + 2030))},
    ),
    "session_in_path": Fault(
        "ok",
        {"*": generated(lambda p: anchors(1) + b'<a href="/news/%x">News</a>' % hash(p))},
    ),
    "path_that_repeats": Fault(
        "ok", {"*": generated(lambda p: b'<a href="%s/news/">News</a>' % p.rstrip("/").encode())}
    ),
    "query_that_grows": Fault(
        "ok", {"*": generated(lambda p: f'<a href="/news?{p[-900:]}a">News</a>'.encode())}
    ),
    "hosts_without_end": Fault(
        "ok", {"*": page("Home", {f"http://n{i}.sub.example/": "News" for i in range(99)})}
    ),
    "file_links": home("ok", page("Home", {"file:///etc/contact": "Contact"})),
    "inside_links": home("ok", page("Home", {"http://127.0.0.1:22/contact": "Contact"})),
    "sitemaps_without_end": Fault("ok", {"/": GOOD, "*": generated(more_sitemaps, SITEMAP)}),
    "xml_bomb": of_sitemap(
        b"<!DOCTYPE x [%s]><urlset><url><loc>/&l11;</loc></url></urlset>" % LAUGHS, "ok"
    ),
    "xml_that_reads_files": of_sitemap(
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>&f;</loc></url>',
        "ok",
    ),
    "sitemap_bomb": of_sitemap(gzip.compress(ZEROS), "not_html"),
    "sitemap_of_nothing": of_sitemap(b"<a/>" * 900_000, "ok"),
}
ROBOTS = {
    "robots_error": of_robots("robots", Reply(b"", 503, (("Retry-After", "999"),))),
    "robots_refused": of_robots("ok", Reply(b"", 403)),
    "robots_busy": of_robots("robots", Reply(b"", 429, (("Retry-After", "999"),))),
    "robots_closed": of_robots("refused", act(Handler.drop)),
    "robots_black_hole": of_robots("timeout", act(Handler.hang)),
    "robots_slow": of_robots("timeout", act(Handler.drip)),
    "robots_endless": of_robots("robots", act(Handler.endless_body)),
    "robots_bomb": of_robots("robots", encoded(gzip.compress(ZEROS), "gzip")),
    "robots_cut": of_robots("ok", act(Handler.cut)),
    "robots_binary": of_robots("ok", typed(PNG, "image/png")),
    "robots_page": of_robots("ok", page("Home")),
    "robots_utf16": of_robots("robots", Reply("User-agent: *\nDisallow: /\n".encode("utf-16"))),
    "robots_no": of_robots("robots", robots("User-agent: *\nDisallow: /\n")),
    "robots_no_to_us": of_robots("robots", robots("User-agent: digitalcouncils\nDisallow: /\n")),
    "robots_loop": of_robots("ok", redirect("/robots.txt")),
    "robots_inside": of_robots("address", redirect("http://169.254.169.254/robots.txt")),
    "robots_waits_for_ever": Fault(
        "ok",
        {"/robots.txt": robots("User-agent: *\nCrawl-delay: 1e300\n"), "/": GOOD},
        found={"/contact": "budget"},
        most_requests=2,
    ),
}
TLS = {
    name: Fault(outcome, {"/": GOOD, "/contact": CONTACT}, tls=name)
    for name, outcome in {
        "tls_in_order": "ok",
        "tls_expired": "tls",
        "tls_not_yet_valid": "tls",
        "tls_self_signed": "tls",
        "tls_unknown_authority": "tls",
        "tls_wrong_host": "tls",
        "tls_old_protocol": "tls",
        "tls_legacy_cipher": "tls",
        "tls_not_spoken": "tls",
        "tls_black_hole": "timeout",
        "tls_closed_at_once": "refused",
    }.items()
}
FAULTS: dict[str, Fault] = {
    name: fault
    for group in (
        *(CONNECTIONS, NAMES, HEADERS, BODIES, ENCODINGS, CONTENTS),
        *(SIZES, REDIRECTS, TRAPS, ROBOTS, TLS),
    )
    for name, fault in group.items()
}
