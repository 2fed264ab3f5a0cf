"""A visit to a council's site: which pages, in which order, under which name each is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spiders.run import RunError
from tests.crawl.web import Handler, Reply, act, outcome, page, redirect, register, robots, visit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.web import Web

HOST = "www.avonbrook.example"
HOME = f"http://{HOST}/"


def test_promising_pages_are_asked_first_and_others_not_at_all(web: Web, tmp_path: Path) -> None:
    links = {"/bins/when": "Bin days", "/news": "News", "/social-media": "Social media"}
    web.put(HOST, "/", page("Home", links))
    visit(web, tmp_path / "c", register(HOST))
    assert web.paths(HOST) == ["/", "/social-media", "/sitemap.xml", "/news"]


def test_a_candidate_link_becomes_an_observation(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"https://www.facebook.com/AvonbrookSample": "Facebook"}))
    report, lines = visit(web, tmp_path / "c", register(HOST))
    home = next(line for line in lines if line["purpose"] == "home")
    hrefs = [o["href"] for o in home["observations"]]
    assert report.finished
    assert (home["is_home"], hrefs) == (True, ["https://www.facebook.com/AvonbrookSample"])


def test_budget_of_pages_is_respected_and_what_is_left_is_recorded(
    web: Web, tmp_path: Path
) -> None:
    web.put(HOST, "/", page("Home", {f"/news/{i}": "News" for i in range(9)}))
    _, lines = visit(web, tmp_path / "c", register(HOST), max_pages=4)
    assert len(web.paths(HOST)) == 4
    assert sum(line["outcome"] == "budget" for line in lines) == 7  # of nine and a sitemap


def test_depth_is_limited(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"/news/a": "News"}))
    for here, there in ("ab", "bc", "cd", "de"):
        web.put(HOST, f"/news/{here}", page(here, {f"/news/{there}": "News"}))
    report, _ = visit(web, tmp_path / "c", register(HOST), COUNCIL_DEPTH=2)
    assert "/news/c" not in web.paths(HOST)
    assert report.report["refused_links"]["depth"] == 1


def test_a_calendar_is_not_followed_and_counted(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"/events?month=2031-07": "Events"}))
    report, _ = visit(web, tmp_path / "c", register(HOST))
    assert web.paths(HOST) == ["/", "/sitemap.xml"]
    assert report.report["refused_links"]["calendar"] == 1


def test_a_home_page_that_moved_is_followed_once_and_reported(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("http://www.newbrook.example/", 301))
    web.put("www.newbrook.example", "/", page("Home", {"/contact": "Contact us"}))
    web.put("www.newbrook.example", "/contact", redirect("http://www.thirdbrook.example/"))
    report, lines = visit(web, tmp_path / "c", register(HOST))
    assert web.paths("www.thirdbrook.example") == []
    assert outcome(lines, "http://www.newbrook.example/contact") == "off_site"
    assert report.report["moved"] == [
        {"council_id": "AVON", "from": HOME, "to": "http://www.newbrook.example/"}
    ]


def test_a_redirect_to_another_council_is_not_followed(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("http://www.tealmoor.example/"))
    web.put("www.tealmoor.example", "/", page("Home"))
    both = register(HOST, "www.tealmoor.example")
    _, lines = visit(web, tmp_path / "c", both.head(1), register=both)
    assert outcome(lines, HOME) == "off_site"
    assert web.paths("www.tealmoor.example") == []


def test_a_redirect_off_site_records_its_target_unasked(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"/contact": "Contact"}))
    web.put(HOST, "/contact", redirect("http://forms.elsewhere.example/x"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    line = next(line for line in lines if line["url"] == f"{HOME}contact")
    assert (line["outcome"], line["final_url"]) == ("off_site", "http://forms.elsewhere.example/x")
    assert web.paths("forms.elsewhere.example") == []


def test_a_vanity_path_is_recorded_as_a_short_link(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"/facebook": "Facebook"}))
    web.put(HOST, "/facebook", redirect("https://www.facebook.com/AvonbrookSample"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    line = next(line for line in lines if line["url"] == f"{HOME}facebook")
    assert line["purpose"] == "short_link"
    assert line["final_url"] == "https://www.facebook.com/AvonbrookSample"


def test_a_short_link_is_asked_for_its_location_alone(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"http://bit.ly/3xSample": "Facebook"}))
    web.put("bit.ly", "/3xSample", redirect("http://www.facebook.com/AvonbrookSample", 301))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    line = next(line for line in lines if line["url"] == "http://bit.ly/3xSample")
    methods = [a.method for a in web.asked if a.path == "/3xSample"]
    assert methods == ["HEAD"]
    assert (line["outcome"], line["purpose"]) == ("ok", "short_link")
    assert line["final_url"] == "http://www.facebook.com/AvonbrookSample"
    assert web.paths("www.facebook.com") == []


def test_a_meta_refresh_is_followed_as_a_redirect(web: Web, tmp_path: Path) -> None:
    refresh = '<meta http-equiv="refresh" content="0; url=/home">'
    web.put(HOST, "/", Reply(f"<html><head>{refresh}</head></html>".encode()))
    web.put(HOST, "/home", page("Home", {"https://twitter.com/AvonSample": "X"}))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    line = next(line for line in lines if line["url"] == HOME)
    assert (line["final_url"], len(line["observations"])) == (f"{HOME}home", 1)


def test_two_paths_to_one_page_are_read_once(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home", {"/contact": "Contact", "/contact-us": "Contact us"}))
    web.put(HOST, "/contact", page("Contact"))
    web.put(HOST, "/contact-us", redirect("/contact"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert outcome(lines, f"{HOME}contact-us") == "duplicate"
    assert web.paths(HOST).count("/contact") == 1


def test_a_redirect_loop_has_a_name(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("/a"))
    web.put(HOST, "/a", redirect("/"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert outcome(lines, HOME) == "redirects"


def test_more_than_five_redirects_have_a_name(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", redirect("/0"))
    for i in range(8):
        web.put(HOST, f"/{i}", redirect(f"/{i + 1}"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert outcome(lines, HOME) == "redirects"
    assert len(web.paths(HOST)) == 6


def test_a_sitemap_leads_to_pages_that_no_page_links(web: Web, tmp_path: Path) -> None:
    places = "".join(f"<url><loc>{HOME}{p}</loc></url>" for p in ("social-media", "bins"))
    body = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>'
    web.put(HOST, "/", page("Home"))
    web.put(HOST, "/sitemap.xml", Reply(body.encode(), 200, (("Content-Type", "text/xml"),)))
    web.put(HOST, "/social-media", page("Social media"))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert web.paths(HOST) == ["/", "/sitemap.xml", "/social-media"]
    assert outcome(lines, f"{HOME}sitemap.xml") == "ok"


def test_councils_on_one_website_are_visited_once_and_recorded_both(
    web: Web, tmp_path: Path
) -> None:
    both = register(HOST, "www.tealmoor.example")
    both["website"] = HOME
    web.put(HOST, "/", page("Home"))
    report, lines = visit(web, tmp_path / "c", both)
    homes = [line["council_id"] for line in lines if line["purpose"] == "home"]
    assert web.paths(HOST).count("/") == 1
    assert (sorted(homes), report.finished) == (["AVON", "TEAL"], True)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (page("Gone", status=404), "not_found"),
        (page("Page not found"), "not_found"),
        (page("Error", status=500), "http_error"),
        (page("Forbidden", status=403), "blocked"),
        (page("Just a moment...", extra="<i class=cf-chl-a></i>", status=403), "blocked"),
        (Reply(b"%PDF-1.7", 200, (("Content-Type", "application/pdf"),)), "not_html"),
        (Reply(b"\x89PNG\r\n\x1a\n\x00\x00", 200, (("Content-Type", "text/html"),)), "not_html"),
        (Reply(b'<html><body><div id="root"></div><script src=a.js></script>'), "needs_browser"),
        (page("avonbrook.example domain for sale"), "parked"),
    ],
)
def test_an_answer_that_is_no_page_has_its_own_name(
    web: Web, tmp_path: Path, reply: Reply, expected: str
) -> None:
    web.put(HOST, "/", reply)
    _, lines = visit(web, tmp_path / "c", register(HOST), RETRY_TIMES=0)
    assert outcome(lines, HOME) == expected


def test_the_user_agent_carries_a_contact_address(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home"))
    visit(web, tmp_path / "c", register(HOST))
    assert {a.agent for a in web.asked if "(+http" in a.agent} == {a.agent for a in web.asked}


def test_a_folder_that_holds_a_crawl_is_not_overwritten(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/", page("Home"))
    visit(web, tmp_path / "c", register(HOST))
    with pytest.raises(RunError, match="holds a crawl already"):
        visit(web, tmp_path / "c", register(HOST))


def test_cookies_are_not_sent_back(web: Web, tmp_path: Path) -> None:
    cookie = (("Set-Cookie", "visit=1"), ("Content-Type", "text/html"))
    body = page("Home", {"/contact": "Contact"}).body
    sent: list[str | None] = []

    def note(handler: Handler) -> None:
        sent.append(handler.headers["Cookie"])
        handler.drop()

    web.put(HOST, "/", Reply(body, 200, cookie))
    web.put(HOST, "/contact", act(note))
    visit(web, tmp_path / "c", register(HOST), RETRY_TIMES=0)
    assert sent == [None]


def test_robots_txt_is_asked_before_anything_else(web: Web, tmp_path: Path) -> None:
    web.put(HOST, "/robots.txt", robots("User-agent: *\nDisallow: /private\n"))
    web.put(HOST, "/", page("Home", {"/private/contact": "Contact"}))
    _, lines = visit(web, tmp_path / "c", register(HOST))
    assert web.asked[0].path == "/robots.txt"
    assert outcome(lines, f"{HOME}private/contact") == "robots"
    assert "/private/contact" not in web.paths(HOST)
