"""Pages that are empty without scripts: filled in a browser that has no network of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.ingest import read_crawl
from spiders.render import Drawn, RenderError, vet
from tests.crawl.rendered import (
    APP,
    ATTEMPTS,
    CHROMIUM,
    FACEBOOK,
    FILL,
    JSON,
    LOCAL,
    Listener,
    attempt,
    draw,
    draw_unguarded,
    filled,
    links,
    settings,
    shell,
)
from tests.crawl.web import Handler, Reply, Web, act, page, redirect, register, robots, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spiders.run import RunReport
    from tests.crawl.web import Line

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"


def rendered(web: Web, out: Path, **options: Any) -> tuple[RunReport, list[Line]]:
    return visit(web, out, register(HOST), **(LOCAL | {"render": True} | options))


def home(lines: list[Line]) -> Line:
    (line,) = [line for line in lines if line["purpose"] == "home"]
    return line


def hrefs(line: Line) -> list[str]:
    return [observation["href"] for observation in line["observations"]]


@pytest.fixture
def site(web: Web) -> Web:
    """A council whose pages a script fills."""
    web.put(HOST, "/", filled())
    web.put(HOST, "/news", filled())
    web.put(HOST, "/app.js", APP)
    web.put(HOST, "/api/links", links(("/news", "News"), (FACEBOOK, "Facebook")))
    return web


# Without a browser --------------------------------------------------------------------------


def test_no_playwright_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RenderError, match=r"pip install '\.\[render\]'"):
        vet(settings())


def test_no_chromium_is_told_with_what_to_install() -> None:
    with pytest.raises(RenderError, match="apt-get install chromium"):
        vet(settings(RENDER_CHROMIUM="no-such-chromium"))


def test_a_browser_that_does_not_start_is_told() -> None:
    with pytest.raises(RenderError, match="false does not start"):
        vet(settings(RENDER_CHROMIUM="false"))


def test_root_is_sent_away_as_pages_would_not_be_shut_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(RenderError, match="as an ordinary user"):
        vet(settings(RENDER_CHROMIUM="false", RENDER_SANDBOX=True))


def test_a_crawl_that_cannot_render_does_not_begin(web: Web, tmp_path: Path) -> None:
    with pytest.raises(RenderError):
        rendered(web, tmp_path / "c", RENDER_CHROMIUM="no-such-chromium")
    assert (web.asked, list(tmp_path.iterdir())) == ([], [])


def test_a_crawl_needs_neither_the_extra_nor_a_browser(site: Web, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['playwright'] = None; from tests.crawl.once import main; "
        f"sys.exit(main({str(tmp_path / 'c')!r}, {site.proxy!r}, {HOST!r}))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    fetches = read_crawl(tmp_path / "c").fetches.to_pandas()
    found = fetches.loc[fetches["purpose"].eq("home"), ["outcome", "rendered"]]
    assert found.to_numpy().tolist() == [["needs_browser", False]]


# What a page gives --------------------------------------------------------------------------


@CHROMIUM
def test_a_page_that_a_script_fills_gives_its_accounts(site: Web, tmp_path: Path) -> None:
    report, lines = rendered(site, tmp_path / "c")
    found = {line["url"]: line for line in lines if line["outcome"] == "ok"}
    assert report.finished
    assert set(found) == {HOME, f"{HOME}news"}
    assert all(line["rendered"] and FACEBOOK in hrefs(line) for line in found.values())


@CHROMIUM
def test_evidence_says_that_it_was_rendered(site: Web, tmp_path: Path) -> None:
    site.put(HOST, "/news", page("News", {FACEBOOK: "Facebook"}))
    rendered(site, tmp_path / "c")
    fetches = read_crawl(tmp_path / "c").fetches.to_pandas().set_index("url")
    assert fetches.loc[[HOME, f"{HOME}news"], "rendered"].tolist() == [True, False]


@CHROMIUM
def test_only_the_page_that_needs_it_is_opened_and_nothing_is_asked_twice(
    site: Web, tmp_path: Path
) -> None:
    rendered(site, tmp_path / "c")
    asked = [path for path in site.paths(HOST) if path != "/sitemap.xml"]
    assert sorted(asked) == ["/", "/api/links", "/api/links", "/app.js", "/news"]


@CHROMIUM
def test_a_replay_gives_what_was_captured_and_opens_no_browser(site: Web, tmp_path: Path) -> None:
    capture = tmp_path / "c.warc.gz"
    _, lines = rendered(site, tmp_path / "live", capture=capture)
    site.asked.clear()
    _, again = rendered(site, tmp_path / "again", replay=capture, RENDER_CHROMIUM="no-such-program")
    assert again == lines
    assert site.asked == []


@CHROMIUM
def test_a_replay_without_rendering_reads_the_pages_as_they_were_sent(
    site: Web, tmp_path: Path
) -> None:
    capture = tmp_path / "c.warc.gz"
    rendered(site, tmp_path / "live", capture=capture)
    _, lines = rendered(site, tmp_path / "again", replay=capture, render=False)
    assert (home(lines)["outcome"], home(lines)["rendered"]) == ("needs_browser", False)


@CHROMIUM
def test_a_page_that_stays_empty_is_named_as_before(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", shell("fetch('/api/links')"))
    report, lines = rendered(web, tmp_path / "c")
    assert report.finished
    assert (home(lines)["outcome"], home(lines)["rendered"]) == ("needs_browser", True)


@CHROMIUM
def test_links_in_open_shadow_roots_are_found(web: Web, tmp_path: Path) -> None:
    web.put(
        HOST, "/", shell(f"{FILL}; root.attachShadow({{mode: 'open'}}).append(...root.children)")
    )
    _, lines = rendered(web, tmp_path / "c")
    assert hrefs(home(lines)) == [FACEBOOK]


@CHROMIUM
def test_validators_of_a_shell_say_nothing_of_what_fills_it(site: Web, tmp_path: Path) -> None:
    reply = filled()
    site.put(HOST, "/", Reply(reply.body, 200, (*reply.headers, ("ETag", '"shell"'))))
    _, lines = rendered(site, tmp_path / "c")
    assert (home(lines)["outcome"], home(lines)["etag"]) == ("ok", None)


# Manners ------------------------------------------------------------------------------------


@CHROMIUM
def test_what_robots_txt_forbids_is_not_asked_for_a_page(site: Web, tmp_path: Path) -> None:
    site.put(HOST, "/robots.txt", robots("User-agent: *\nDisallow: /api/"))
    _, lines = rendered(site, tmp_path / "c")
    assert "/app.js" in site.paths(HOST)
    assert "/api/links" not in site.paths(HOST)
    assert home(lines)["outcome"] == "needs_browser"


@CHROMIUM
def test_requests_of_a_page_keep_the_delay_of_its_site(site: Web, tmp_path: Path) -> None:
    rendered(site, tmp_path / "c", DOWNLOAD_DELAY=0.3)
    times = site.times(HOST)
    assert min(later - at for at, later in pairwise(times)) >= 0.3


@CHROMIUM
def test_page_and_requests_carry_the_same_agent_and_no_cookie(web: Web, tmp_path: Path) -> None:
    asks = "fetch('/api/' + encodeURIComponent(navigator.userAgent))"
    web.put(HOST, "/", shell(f"document.cookie = 'mine=1'; {asks}.then(() => {asks})"))
    web.put(HOST, "*", Reply(b"{}", 200, (*JSON, ("Set-Cookie", "theirs=1"))))
    rendered(web, tmp_path / "c")
    assert any("DigitalCouncils" in path for path in web.paths(HOST))
    assert {asked.agent.partition("/")[0] for asked in web.asked} == {"DigitalCouncils"}
    assert not any("cookie" in map(str.lower, asked.headers) for asked in web.asked)


@CHROMIUM
@pytest.mark.parametrize(
    "script",
    [
        "new Image().src = '/unasked'",
        "document.head.innerHTML = '<link rel=stylesheet href=/unasked>'",
        "fetch('/unasked', {method: 'POST', body: 'x'})",
        "document.body.innerHTML = '<iframe src=/unasked></iframe>'",
        "setTimeout(() => location.href = '/unasked', 50)",
        "fetch('http://other.elsewhere.example/unasked', {mode: 'no-cors'})",
    ],
)
def test_a_page_is_given_nothing_but_scripts_and_data_of_its_site(
    web: Web, tmp_path: Path, script: str
) -> None:
    web.put(HOST, "/", shell(script))
    rendered(web, tmp_path / "c")
    assert not any(asked.path == "/unasked" for asked in web.asked)


@CHROMIUM
def test_redirects_are_followed_within_the_site_alone(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", shell("fetch('/here'); fetch('/away')"))
    web.put(HOST, "/here", redirect("/there"))
    web.put(HOST, "/away", redirect("http://other.elsewhere.example/"))
    rendered(web, tmp_path / "c")
    assert "/there" in web.paths(HOST)
    assert web.paths("other.elsewhere.example") == []


@CHROMIUM
def test_a_site_that_says_no_is_asked_nothing_more_for_a_page(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", shell("for (const i of '12345') fetch('/api/' + i)"))
    web.put(HOST, "/robots.txt", robots(""))
    web.put(HOST, "*", Reply(b"later", 429))
    _, lines = rendered(web, tmp_path / "c")
    assert sum(path.startswith("/api/") for path in web.paths(HOST)) == 1
    assert home(lines)["rendered"]


@CHROMIUM
def test_a_site_that_wants_long_pauses_is_asked_for_its_home_page_alone(
    site: Web, tmp_path: Path
) -> None:
    site.put(HOST, "/robots.txt", robots("User-agent: *\nCrawl-delay: 60"))
    _, lines = rendered(site, tmp_path / "c", CRAWL_DELAY_LIMIT=0.5)
    assert site.paths(HOST) == ["/"]
    assert (home(lines)["outcome"], home(lines)["rendered"]) == ("needs_browser", False)


@CHROMIUM
def test_a_page_whose_browser_was_stopped_is_asked_for_again(site: Web, tmp_path: Path) -> None:
    site.put(HOST, "/api/links", act(Handler.hang))
    code = (
        "import sys; from tests.crawl.web import *; from tests.crawl.rendered import LOCAL;"
        "from pathlib import Path; sys.exit(crawl(register(sys.argv[1]), Path(sys.argv[2]),"
        "proxy=sys.argv[3], resume='resume' in sys.argv, render=True,"
        "settings=QUICK | LOCAL | {'DOWNLOAD_TIMEOUT': 15}).exit_status)"
    )
    command = [sys.executable, "-c", code, HOST, str(tmp_path / "c"), site.proxy]
    with subprocess.Popen(command, start_new_session=True) as running:
        while "/api/links" not in site.paths(HOST) and running.poll() is None:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGTERM)  # as systemd does: the browser's driver too
        assert running.wait(60) == 1
    raw = (tmp_path / "c" / "pages.jsonl").read_text("utf-8")
    assert '"purpose":"home"' not in raw
    site.put(HOST, "/api/links", links((FACEBOOK, "Facebook")))
    subprocess.run([*command, "resume"], check=True)
    fetches = read_crawl(tmp_path / "c").fetches.to_pandas()
    assert fetches.loc[fetches["purpose"].eq("home"), "outcome"].tolist() == ["ok"]


# Limits -------------------------------------------------------------------------------------


@CHROMIUM
def test_requests_of_a_page_are_limited_and_it_is_named_truncated(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", shell(f"for (const i of '12345') fetch('/api/' + i); {FILL}"))
    _, lines = rendered(web, tmp_path / "c", RENDER_REQUESTS=2)
    assert sum(path.startswith("/api/") for path in web.paths(HOST)) == 2
    assert (home(lines)["outcome"], hrefs(home(lines))) == ("truncated", [FACEBOOK])


@CHROMIUM
def test_bytes_of_a_page_are_limited(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", shell("for (const i of '12345') fetch('/api/' + i)"))
    web.put(HOST, "*", Reply(b"x" * 60_000, 200, JSON))
    rendered(web, tmp_path / "c", RENDER_BYTES=100_000)
    assert sum(path.startswith("/api/") for path in web.paths(HOST)) == 2


@CHROMIUM
def test_a_page_that_never_comes_to_rest_is_read_as_far_as_it_is(web: Web, tmp_path: Path) -> None:
    more = "setInterval(() => root.append(document.createElement('p')), 20)"
    web.put(HOST, "/", shell(f"{FILL}; {more}"))
    began = time.monotonic()
    _, lines = rendered(web, tmp_path / "c", RENDER_SECONDS=2.0)
    assert time.monotonic() - began < 60
    assert (home(lines)["outcome"], hrefs(home(lines))) == ("truncated", [FACEBOOK])


@CHROMIUM
def test_pages_that_hang_or_swell_end_and_harm_no_other_council(web: Web, tmp_path: Path) -> None:
    scripts = {
        "www.loopmoor.example": "for (;;);",
        "www.heapford.example": "const all = []; for (;;) all.push({x: [1, 2]})",
        "www.bufferton.example": (
            "const all = []; setInterval(() => {"
            "for (let i = 0; i < 20; i++) all.push(new Uint8Array(5e7).fill(1))}, 10)"
        ),
        "www.postwick.example": "fetch('/', {method: 'POST', body: 'x'.repeat(1e8)})",
        "www.stormley.example": "for (let i = 0; i < 20000; i++) fetch('/' + i)",
    }
    for host, script in scripts.items():
        web.put(host, "/", shell(script))
    web.put(HOST, "/", filled())
    web.put(HOST, "/app.js", APP)
    web.put(HOST, "/api/links", links((FACEBOOK, "Facebook")))
    chosen = {"RENDER": True, "RENDER_SECONDS": 8.0, "FORWARD_PROXY": web.proxy}
    told, lines = alone([*scripts, HOST], tmp_path / "c", {}, chosen)
    outcomes = {line["council_id"]: line["outcome"] for line in lines if line["purpose"] == "home"}
    assert told["problems"] == []
    assert list(outcomes.values()).count("needs_browser") == len(scripts)
    assert list(outcomes.values()).count("ok") == 1
    assert told["peak"] < 300


def alone(
    hosts: list[str],
    out: Path,
    answers: dict[str, list[str]],
    chosen: dict[str, Any],
    names: dict[str, list[str]] | None = None,
) -> tuple[dict[str, Any], list[Line]]:
    """A crawl in a process of its own, whose resolver answers as the plan says."""
    plan = {
        "out": str(out),
        "sites": {host: [f"http://{host}/", answers.get(host, [""])] for host in hosts},
        "names": names or {},
        "allow": chosen.pop("allow", []),
        "settings": LOCAL | chosen,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.crawl.alone"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    raw = (out / "pages.jsonl").read_text("utf-8").splitlines()
    return told, [json.loads(line) for line in raw]


# Where a page may not go --------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as started:
        yield started


@pytest.fixture(scope="module")
def attempted() -> dict[str, tuple[Drawn | str, int]]:
    """Of each attempt what came of its page, and how often it got through to its listener."""
    with ExitStack() as stack:
        listeners = {name: stack.enter_context(Listener()) for name in ATTEMPTS}
        drawn = draw({name: attempt(name, each) for name, each in listeners.items()})
        return {name: (drawn[name], each.came()) for name, each in listeners.items()}


@CHROMIUM
@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_page_reaches_another_place(
    attempted: dict[str, tuple[Drawn | str, int]], name: str
) -> None:
    drawn, came = attempted[name]
    assert isinstance(drawn, Drawn), drawn
    assert b"SyntaxError" not in drawn.markup
    assert came == 0


@CHROMIUM
def test_the_listener_hears_a_browser_that_nobody_guards(listener: Listener) -> None:
    names = ("fetch", "web_socket", "image", "iframe", "worker", "popup")
    heard = draw_unguarded({name: attempt(name, listener) for name in names}, listener)
    assert [name for name in names if not heard[name]] == []


@CHROMIUM
def test_a_page_cannot_change_what_is_read_of_it() -> None:
    lies = (
        "Element.prototype.getHTML = () => 'lie'; String.prototype.slice = () => 'lie';"
        "Object.defineProperty(Element.prototype, 'outerHTML', {get() {return 'lie'}});"
        "root.append('truth')"
    )
    drawn = draw({"lies": lies})["lies"]
    assert isinstance(drawn, Drawn)
    assert b">truth</div>" in drawn.markup


@CHROMIUM
def test_a_name_of_the_site_may_not_lead_to_a_private_address(
    web: Web, listener: Listener, tmp_path: Path
) -> None:
    asks = "fetch('http://{}.avonbrook.example/data', {{mode: 'no-cors'}})"
    web.put(HOST, "/", shell(f"{asks.format('api')}; {asks.format('intranet')}"))
    server = f"127.0.0.1:{web.port}"
    _, lines = alone(
        [HOST],
        tmp_path / "c",
        {HOST: [server]},
        {"RENDER": True, "allow": [server]},
        {
            "api.avonbrook.example": [server],
            "intranet.avonbrook.example": [f"127.0.0.1:{listener.tcp}"],
        },
    )
    assert home(lines)["rendered"]
    assert web.paths("api.avonbrook.example") == ["/data"]
    assert listener.came() == 0


@CHROMIUM
def test_a_name_that_changes_its_answer_is_checked_again(
    web: Web, listener: Listener, tmp_path: Path
) -> None:
    asks = "fetch('http://api.avonbrook.example/data', {mode: 'no-cors'})"
    web.put(HOST, "/", shell(f"{asks}.finally(() => {asks})"))
    web.put("api.avonbrook.example", "*", Reply(b"{}", 200, (*JSON, ("Connection", "close"))))
    server = f"127.0.0.1:{web.port}"
    turns = [server, server, f"127.0.0.1:{listener.tcp}"]  # robots.txt, the first, the second
    alone(
        [HOST],
        tmp_path / "c",
        {HOST: [server]},
        {"RENDER": True, "allow": [server], "DNS_CACHE_SECONDS": 0},
        {"api.avonbrook.example": turns},
    )
    assert web.paths("api.avonbrook.example") == ["/data"]
    assert listener.came() == 0
