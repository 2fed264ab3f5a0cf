"""The hub: what it promises of every page, whatever a release holds."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree, html

from hub import content, links
from hub.build import build
from hub.release import HubError
from pipeline import schema
from tests.browser.made import HOSTILE, NETWORKS, make_release

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("made") / "release")


@pytest.fixture(scope="module")
def site(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    build(release, out)
    return out


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    build(make_release(folder / "release", 3, HOSTILE), folder / "site")
    return folder / "site"


def pages(site: Path) -> Iterator[tuple[str, html.HtmlElement]]:
    for path in sorted(site.rglob("*.html")):
        yield "/" + path.relative_to(site).as_posix(), html.fromstring(path.read_bytes())


def page(site: Path, path: str) -> html.HtmlElement:
    return html.fromstring((site / path.lstrip("/") / "index.html").read_bytes())


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def broken_links(site: Path, base: str) -> list[tuple[str, str]]:
    """Internal links, sources and form targets whose file or fragment does not exist."""
    ids: dict[str, set[str]] = {}
    links: list[tuple[str, str]] = []
    for here, tree in pages(site):
        ids[here] = set(map(str, tree.xpath("//@id")))
        links += [(here, str(ref)) for ref in tree.xpath("//@href | //@src | //@action")]
        links += [
            (here, str(ref).split("url=", 1)[1])
            for ref in tree.xpath("//meta[@http-equiv='refresh']/@content")
        ]
    broken = []
    for here, ref in links:
        if re.match(r"[a-z]+:", ref):
            continue
        address, fragment = urldefrag(urljoin(base + here.lstrip("/"), ref))
        path = "/" + unquote(address.split("?")[0]).removeprefix(base)
        path += "index.html" if path.endswith("/") else ""
        missing = not address.startswith(base) or not (site / path.lstrip("/")).is_file()
        if missing or (fragment and path in ids and fragment not in ids[path]):
            broken.append((here, ref))
    return broken


def test_same_release_gives_the_same_bytes(release: Path, site: Path, tmp_path: Path) -> None:
    build(release, tmp_path / "again")
    assert tree(tmp_path / "again") == tree(site)


def test_no_link_or_fragment_is_broken(site: Path) -> None:
    assert broken_links(site, "/") == []


def test_every_link_holds_under_another_base_path(release: Path, tmp_path: Path) -> None:
    build(release, tmp_path / "site", base="/some/where")
    assert broken_links(tmp_path / "site", "/some/where/") == []


def test_every_page_has_a_title_a_heading_and_a_language(site: Path) -> None:
    faults = [
        path
        for path, tree in pages(site)
        if not tree.findtext(".//title") or len(tree.findall(".//h1")) != 1 or not tree.get("lang")
    ]
    assert faults == []


def test_no_id_stands_twice_on_a_page(site: Path) -> None:
    faults = [
        path
        for path, tree in pages(site)
        if len(tree.xpath("//@id")) != len(set(map(str, tree.xpath("//@id"))))
    ]
    assert faults == []


def test_policy_allows_nothing_inline_and_no_page_needs_it(site: Path) -> None:
    for path, tree in pages(site):
        (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        assert "unsafe" not in policy, path
        assert (
            tree.xpath("//script[not(@src)] | //style | //@style | //@*[starts-with(name(),'on')]")
            == []
        ), path


def test_no_page_asks_another_site_for_anything(site: Path) -> None:
    asked = {
        str(ref)
        for _, tree in pages(site)
        for ref in tree.xpath("//@src | //link[@rel='stylesheet' or @rel='icon']/@href | //@action")
    }
    assert [ref for ref in sorted(asked) if "//" in ref] == []


def test_hostile_names_stand_as_text_and_make_no_element(hostile_site: Path) -> None:
    for path, tree in pages(hostile_site):
        assert tree.xpath("//img | //script[not(@src)] | //@onerror") == [], path
    assert HOSTILE in str(page(hostile_site, "council/BAD").findtext(".//h1"))


def test_hostile_names_keep_the_files_for_programs_readable(hostile_site: Path) -> None:
    whole = json.loads((hostile_site / "api/council/BAD.json").read_text())
    assert whole["council"]["name"] == "B" + HOSTILE
    etree.fromstring((hostile_site / "changes.xml").read_bytes())
    with (hostile_site / "council/BAD/accounts.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["evidence_text"] == HOSTILE


def test_cell_that_a_spreadsheet_runs_gets_one_apostrophe(site: Path) -> None:
    with (site / "council/ABA/accounts.csv").open(newline="") as file:
        handles = {row["handle"] for row in csv.DictReader(file)}
    assert "'@AberafonCouncil" in handles


def test_az_lists_every_council_and_disables_letters_without_one(site: Path) -> None:
    tree = page(site, "connect")
    names = tree.xpath("//a[@class='name']")
    letters = tree.xpath("//ul[@class='letters']/li")
    disabled = [li for li in letters if li.xpath("span[@aria-disabled='true']")]
    filed = {name.text[0] for name in names}
    assert len(names) == 40
    assert len(disabled) == len(letters) - len(filed)


def test_az_is_whole_without_script(site: Path) -> None:
    tree = page(site, "connect")
    assert tree.xpath("//div[@id='list']//*[@hidden]") == []
    assert tree.xpath("//form[@id='filters'][@hidden]")


def test_az_finds_a_council_by_its_welsh_name_and_its_handle(site: Path) -> None:
    (row,) = page(site, "connect").xpath("//li[.//a[@class='name'][contains(@href,'/ABA/')]]")
    assert {"Glan-y-môr", "@AberafonCouncil"} <= set(row.get("data-w").split())


def test_welsh_pages_are_in_welsh_and_show_the_same_councils(site: Path) -> None:
    welsh, english = page(site, "cy/connect"), page(site, "connect")
    assert welsh.get("lang") == "cy"
    assert len(welsh.xpath("//a[@class='name']")) == len(english.xpath("//a[@class='name']"))


def test_council_page_shows_evidence_and_dates_of_every_account(site: Path, release: Path) -> None:
    tree = page(site, "council/ABA")
    with (release / "accounts.csv").open(newline="", encoding="utf-8") as file:
        own = [row for row in csv.DictReader(file) if row["council_id"] == "ABA"]
    shown = tree.xpath("//li[@class='account']")
    assert len(shown) == len(own)
    for account in shown:
        assert len(account.xpath(".//time")) >= 2
        assert account.xpath(".//p[contains(@class,'meta')]/a/@href") == [
            "https://www.aba.example/"
        ]


def test_council_page_says_what_was_not_found_and_when(site: Path) -> None:
    (row,) = page(site, "council/ABA").xpath("//table//tr[td]")
    assert row.xpath("string(th)") == "Looked, found none"
    assert row.xpath("td[1]/time")
    assert "Threads" in row.xpath("string(td[2])")


def test_network_with_an_account_is_not_among_those_not_found(site: Path, release: Path) -> None:
    with (release / "accounts.csv").open(newline="", encoding="utf-8") as file:
        listed = {row["platform"] for row in csv.DictReader(file) if row["council_id"] == "ABA"}
    named = page(site, "council/ABA").xpath("string(//table//tr/td[2])").split(", ")
    assert "facebook" in listed
    assert "Facebook" not in named


def test_council_that_kept_us_out_is_not_called_empty(site: Path) -> None:
    (row,) = page(site, "connect").xpath("(//li[@data-d='never'])[1]")
    assert "Its website could not be read: its robots.txt" in row.text_content()
    assert "No account found" not in row.text_content()


def test_page_of_a_council_that_kept_us_out_says_why(site: Path) -> None:
    (href,) = page(site, "connect").xpath("(//li[@data-d='never'])[1]//a[@class='name']/@href")
    said = page(site, href).xpath("string(//main)")
    assert "Its website could not be read: its robots.txt" in said
    assert "No account found" not in said


def test_twins_are_told_apart_by_their_language(site: Path) -> None:
    links = page(site, "connect").xpath("//a[@data-p='twitter'][contains(., '(')]/text()")
    welsh = page(site, "cy/connect").xpath("//a[@data-p='twitter'][contains(., '(')]/text()")
    heads = page(site, "council/ABA").xpath("//h3[starts-with(., 'X')]/text()")
    assert (links, welsh) == (["X (English)", "X (Welsh)"], ["X (Saesneg)", "X (Cymraeg)"])
    assert heads == ["X (English): ", "X (Welsh): "]


@pytest.mark.parametrize(
    ("status", "brief", "whole"),
    [
        ("unconfirmed", "not confirmed since 17 November 2026", "Last seen on 17 November 2026"),
        ("missing", "no longer linked, last seen 17 November 2026", "It was not there when we"),
        ("parked", "parked or unattended since 1 October 2026", "Its page says: not read here"),
        ("retired", None, "has ended. Recorded so since 17 November 2026"),
    ],
)
def test_status_stands_in_words_with_its_date(
    site: Path, status: str, brief: str | None, whole: str
) -> None:
    shown = [
        tree.xpath("string(//main)")
        for path, tree in pages(site)
        if path.startswith("/council/Q") and tree.xpath(f"//*[contains(@class,'tag-{status}')]")
    ]
    assert shown
    assert all(whole in text for text in shown)
    assert brief is None or f"({brief})" in page(site, "connect").xpath("string(//main)")


def test_report_link_carries_the_row(site: Path) -> None:
    (link,) = page(site, "council/ABA").xpath("//a[starts-with(@href,'mailto:')]/@href")
    assert "https://x.com/AberafonCouncil" in unquote(link)


@pytest.mark.parametrize(
    ("address", "target"), [("E99999999", "OLD"), ("OLD", "ABA"), ("MID", "ABA")]
)
def test_old_addresses_lead_to_the_council_of_today(site: Path, address: str, target: str) -> None:
    (refresh,) = page(site, f"council/{address}").xpath("//meta[@http-equiv='refresh']/@content")
    assert refresh == f"0; url=/council/{target}/"


def test_council_that_was_split_lists_its_successors(site: Path) -> None:
    tree = page(site, "council/SPL")
    assert tree.xpath("//meta[@http-equiv='refresh']") == []
    assert tree.xpath("//main//li/a/@href") == ["/council/ABA/", "/council/INS/"]


def test_coming_council_has_a_page_with_its_first_day(site: Path) -> None:
    assert "1 April 2027" in page(site, "council/NEW").xpath("string(//main)")


def test_lookup_holds_every_account_that_can_be_checked(site: Path, release: Path) -> None:
    listed = json.loads((site / "api/accounts.json").read_text())["accounts"]
    with (release / "accounts.csv").open(newline="", encoding="utf-8") as file:
        urls = {row["url"] for row in csv.DictReader(file)}
    assert {row[1] for row in listed} == urls


def test_feed_entries_have_ids_of_their_own(site: Path) -> None:
    atom = {"a": "http://www.w3.org/2005/Atom"}
    feed = etree.fromstring((site / "changes.xml").read_bytes())
    ids = [entry.findtext("a:id", None, atom) for entry in feed.findall("a:entry", atom)]
    assert ids == ["urn:digital-councils:1.2.0:aba-twitter-aberafoncouncil:added"]


def test_charts_have_a_text_alternative_and_a_table(site: Path) -> None:
    for name in ("networks", "nations", "types", "regions", "freshness", "coverage", "changes"):
        tree = page(site, f"insight/{name}")
        for chart in tree.xpath("//svg"):
            named = chart.get("aria-labelledby").split()
            assert all(tree.xpath("//*[@id=$i]", i=key)[0].text for key in named), name
        assert tree.xpath("//table//th[@scope='row']"), name


def test_figures_are_counted_from_the_release(site: Path, release: Path) -> None:
    with (release / "accounts.csv").open(newline="", encoding="utf-8") as file:
        using = {r["council_id"] for r in csv.DictReader(file) if r["platform"] == "bluesky"}
    (row,) = page(site, "insight/networks").xpath("//tr[th[text()='Bluesky']]")
    assert row.xpath("string(td[1])") == str(len(using))


def test_network_that_is_not_looked_for_is_in_no_chart(site: Path) -> None:
    listed = json.loads((site / "api/accounts.json").read_text())["accounts"]
    assert "linktree" in {row[0] for row in listed}
    for name in ("networks", "nations", "types", "regions", "coverage"):
        assert "Linktree" not in page(site, f"insight/{name}").xpath("string(//main)"), name


def test_share_stands_with_both_of_its_numbers(site: Path) -> None:
    texts = page(site, "insight/nations").xpath("//*[local-name()='svg']//*[local-name()='text']")
    shares = [text.text for text in texts if "%" in (text.text or "")]
    assert shares
    assert all(re.fullmatch(r"\d+% \(\d+ of \d+\)", share) for share in shares)


def test_first_release_is_said_to_be_the_first(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    versions = pq.read_table(folder / "versions.parquet")
    pq.write_table(versions.slice(1), folder / "versions.parquet")
    build(folder, tmp_path / "site")
    tree = page(tmp_path / "site", "insight/changes")
    assert "This is the first release" in tree.xpath("string(//main)")
    assert tree.xpath("//*[local-name()='svg']") == []


def test_directory_of_many_councils_has_a_page_per_letter(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.build.ONE_PAGE", 30)
    site = tmp_path / "site"
    build(release, site, base="/some/where")
    listed = [
        name.text
        for path in sorted((site / "connect").glob("?/index.html"))
        for name in html.fromstring(path.read_bytes()).xpath("//a[@class='name']")
    ]
    assert len(listed) == len(set(listed)) == 40
    assert page(site, "connect").xpath("//a[@class='name']") == []
    assert len(json.loads((site / "api/search.json").read_text())["councils"]) == 40
    assert broken_links(site, "/some/where/") == []


def test_address_that_is_none_is_refused_by_name(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    shutil.copytree(release, folder)
    rows = pq.read_table(folder / "accounts.parquet").to_pylist()
    rows[0]["url"] = "javascript:alert(1)"
    schema_of = pq.read_schema(folder / "accounts.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema_of), folder / "accounts.parquet")
    with pytest.raises(HubError, match=r"url of .* is 'javascript:alert"):
        build(folder, tmp_path / "site")


def test_dictionary_describes_every_published_column(site: Path) -> None:
    shown = set(page(site, "data/dictionary").xpath("//th/code/text()"))
    assert set(schema.TABLES["accounts"].names) <= shown


def test_sizes_stay_within_the_budget(tmp_path: Path) -> None:
    build(make_release(tmp_path / "release", 382), tmp_path / "site")

    def size(*paths: str) -> int:
        files = [tmp_path / "site" / path for path in paths]
        return sum(len(gzip.compress(file.read_bytes(), 9, mtime=0)) for file in files)

    assert size("connect/index.html", "static/style.css", "static/az.js") < 60_000
    assert size("council/ABA/index.html", "static/style.css", "static/dates.js") < 25_000


def test_folder_of_somebody_else_is_left_alone(release: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(HubError, match="not a hub's"):
        build(release, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_release_without_a_table_is_refused_by_name(tmp_path: Path) -> None:
    folder = make_release(tmp_path / "release", 3)
    (folder / "coverage.parquet").unlink()
    with pytest.raises(HubError, match=r"coverage\.parquet"):
        build(folder, tmp_path / "site")


PAGES = content.read_pages()


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.path)
def test_page_has_an_owner_dates_and_web_sources(entry: content.Page) -> None:
    assert entry.owner
    assert entry.last_reviewed < entry.next_review
    assert all(source.title and source.url.startswith("http") for source in entry.sources)


def test_there_are_at_least_eight_checklists_with_boxes() -> None:
    checklists = [entry for entry in PAGES if entry.kind == "checklist"]
    assert len(checklists) >= 8
    assert all(entry.body.count("- [ ]") >= 5 for entry in checklists)


def test_there_are_at_least_ten_dated_case_studies_for_both_roles() -> None:
    cases = [entry for entry in PAGES if entry.kind == "case-study"]
    assert len(cases) >= 10
    assert {entry.audience for entry in cases} == {"councillors", "officers"}
    assert all(re.fullmatch(r"\d{4}-\d\d(-\d\d)?", entry.happened) for entry in cases)


def test_page_without_sources_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "about").mkdir()
    (tmp_path / "about" / "x.md").write_text('+++\ntitle = "X"\n+++\ntext\n')
    with pytest.raises(HubError, match=r"about.x\.md: front matter lacks .*sources"):
        content.read_pages(tmp_path)


def test_raw_html_in_a_page_stands_as_text() -> None:
    assert "<script" not in content.Markdown("/").render("a <script>alert(1)</script> b")


def test_both_languages_have_the_same_words_for_every_value() -> None:
    words = {
        code: content.read_toml(content.CONTENT / "words" / f"{code}.toml") for code in ("en", "cy")
    }
    needed = {
        *(f"outcome_{value}" for value in schema.OUTCOMES),
        *(f"status_{value}" for value in (*schema.STATUSES, "removed")),
        *(f"state_{value}" for value in schema.STATES),
        *(f"region_{value}" for value in schema.REGIONS),
    }
    assert set(words["en"]) == set(words["cy"])
    assert needed <= set(words["en"])


def test_directory_csv_keeps_the_contract_of_the_docs(release: Path) -> None:
    text = (DOCS / "importing.md").read_text(encoding="utf-8")
    promised = re.findall(
        r"^\| `([^`]+)` \| (?:text|list|address|number|date) \| (?:yes|no) \|", text, re.MULTILINE
    )
    with (release / "directory.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    fixed = [name for name in header if not name.endswith("_url")]
    links = [name for name in header if name.endswith("_url")]
    assert fixed == [name for name in promised if not name.endswith("_url")]
    assert sorted(links) == sorted(["google_url", *(f"{name}_url" for name in NETWORKS)])
    assert links[0] == "twitter_url"
    assert header.index("accounts") == header.index(links[-1]) + 1


def test_council_that_could_not_be_read_counts_in_no_share(site: Path, release: Path) -> None:
    with (release / "coverage.csv").open(newline="", encoding="utf-8") as file:
        states = [row["state"] for row in csv.DictReader(file) if row["platform"] == "bluesky"]
    (row,) = page(site, "insight/networks").xpath("//tr[th[text()='Bluesky']]")
    assert "blocked" in states
    assert row.xpath("string(td[2])") == str(len(states) - states.count("blocked"))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing: a test's output is its own."""


def test_link_that_is_gone_is_named_with_its_status() -> None:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    found = list(links.faults([f"{origin}/here", f"{origin}/gone"]))
    server.shutdown()
    server.server_close()
    thread.join()
    assert found == [(f"{origin}/gone", "404")]
