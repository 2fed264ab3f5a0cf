"""What a person does on the hub, done in a real browser."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import watched

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

TEMPLATES = (
    "/",
    "/connect/",
    "/connect/check/",
    "/connect/best-practice/",
    "/connect/useful-links/",
    "/cy/connect/",
    "/cy/connect/check/",
    "/cy/council/ABA/",
    "/get-started/",
    "/go-further/x/",
    "/go-further/bilingual-accounts/",
    "/checklists/emergency/",
    "/case-studies/",
    "/case-studies/york-stops-posting-on-x/",
    "/insight/",
    "/insight/types/",
    "/data/",
    "/data/dictionary/",
    "/data/load/",
    "/about/the-crawler/",
    "/council/SPL/",
    "/404.html",
)
COUNCILS = ("/council/ABA/", "/council/INS/", *(f"/council/Q{n:03d}/" for n in range(18)))


def shown(page: Page) -> list[str]:
    return page.locator(".az a.name:visible").all_text_contents()


def test_council_is_found_by_its_welsh_name_as_one_types(page: Page) -> None:
    page.goto("/connect/")
    page.get_by_label("Search by council").press_sequentially("glan-y-mor")
    assert shown(page) == ["Aberafon Fictional Council"]
    expect(page.get_by_role("status")).to_have_text("Showing 1 of 40 councils")


def test_council_is_found_by_the_name_of_an_account(page: Page) -> None:
    page.goto("/connect/")
    page.get_by_label("Search by council").fill("@innisCouncil")
    assert shown(page) == ["Innis Fictional Council"]


def test_scottish_councils_on_bluesky_are_a_shareable_address(page: Page) -> None:
    page.goto("/connect/")
    page.get_by_label("Nation").select_option("Scotland")
    page.get_by_label("Network").select_option("bluesky")
    assert "nation=Scotland&network=bluesky" in page.url
    page.goto(page.url)
    assert shown(page) == ["Innis Fictional Council"]
    expect(page.get_by_label("Network")).to_have_value("bluesky")


def test_letters_without_a_match_are_disabled_and_come_back(page: Page) -> None:
    page.goto("/connect/?q=innis")
    letter = page.locator(".letters a", has_text="A")
    expect(letter).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Clear all").click()
    expect(letter).not_to_have_attribute("aria-disabled", "true")
    assert len(shown(page)) == 40


def test_search_that_finds_nothing_says_what_to_do(page: Page) -> None:
    page.goto("/connect/")
    page.get_by_label("Search by council").fill("zzzz")
    expect(page.get_by_role("status")).to_contain_text("Try fewer letters")


def test_search_on_the_home_page_leads_to_the_council(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Find a council").fill("innis")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Innis Fictional Council").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Innis Fictional Council")


@pytest.mark.parametrize(
    "link",
    [
        "https://x.com/AberafonCouncil",
        "http://www.twitter.com/aberafoncouncil?lang=en",
        "mobile.twitter.com/AberafonCouncil/",
        "https://twitter.com/intent/user?screen_name=AberafonCouncil",
        "https://en-gb.facebook.com/Aberafon.Council/?ref=page",
        "@AberafonCouncil",
    ],
)
def test_link_however_written_is_recognised(page: Page, link: str) -> None:
    page.goto("/connect/check/")
    page.get_by_label("Address of the account").fill(link)
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#answer h2")).to_contain_text("Aberafon Fictional Council")


@pytest.mark.parametrize(
    ("link", "answer"),
    [
        ("https://x.com/AberafonCounciI", "Not in the directory"),
        ("https://twitter.com@evil.example/AberafonCouncil", "Not in the directory"),
        ("https://notx.com/AberafonCouncil", "Not in the directory"),
        ("javascript:alert(1)", "not an address"),
        ("<img src=x onerror=alert(1)>", "not an address"),
        ("https://www.aba.example/news", "This is the website of Aberafon"),
    ],
)
def test_link_that_is_not_listed_gets_an_honest_answer(page: Page, link: str, answer: str) -> None:
    page.goto("/connect/check/")
    page.get_by_label("Address of the account").fill(link)
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#answer h2")).to_contain_text(answer)


def test_closed_network_is_listed_with_a_warning(page: Page) -> None:
    page.goto("/connect/check/")
    page.get_by_label("Address of the account").fill("https://plus.google.com/+AberafonCouncil")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#answer .warn")).to_contain_text("retired")


def test_table_downloads(page: Page) -> None:
    page.goto("/data/")
    with page.expect_download() as download:
        page.get_by_role("link", name="directory.csv").first.click()
    assert download.value.suggested_filename == "directory.csv"


def test_mistake_is_reported_with_the_row(page: Page) -> None:
    page.goto("/council/ABA/")
    link = page.get_by_role("link", name="Report a mistake").get_attribute("href")
    assert link is not None
    assert link.startswith("mailto:")
    assert "ABA" in link


def test_ticks_outlive_the_page_and_can_be_cleared(page: Page) -> None:
    page.goto("/checklists/emergency/")
    page.get_by_label("The queue is stopped").check()
    page.reload()
    expect(page.get_by_label("The queue is stopped")).to_be_checked()
    page.get_by_role("button", name="Clear all ticks").click()
    page.reload()
    expect(page.get_by_label("The queue is stopped")).not_to_be_checked()


@pytest.mark.parametrize(
    "name",
    [
        "abuse",
        "accessible-post",
        "closing-or-parking",
        "election",
        "emergency",
        "handover",
        "moderation-log",
        "new-account",
        "request-received",
    ],
)
def test_checklist_prints_on_one_page(tab: Page, name: str) -> None:
    tab.goto(f"/checklists/{name}/")
    assert tab.pdf(format="A4", margin={"top": "1cm", "bottom": "1cm"}).count(b"/Type /Page\n") == 1


PLANTED = (
    "<script>told.push('inline')</script>"
    "<img src=/nothing.png onerror=\"told.push('handler')\">"
    "<a id=bait href=\"javascript:void(told.push('address'))\">bait</a>"
)
LISTENING = """
    window.told = [];
    document.addEventListener('securitypolicyviolation', () => told.push('refused'));
"""


@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without it"])
@pytest.mark.parametrize("path", ["/connect/", "/council/ABA/", "/go-further/x/"])
def test_planted_script_runs_only_without_the_policy(
    browser: Browser, origin: str, path: str, policy: bool
) -> None:
    """What is planted in a page does run where the policy is taken out: the test can fail."""
    context = browser.new_context(base_url=origin)

    def plant(route: Route) -> None:
        text = route.fetch().text().replace("<main", PLANTED + "<main", 1)
        named = "Content-Security-Policy" if policy else "nothing"
        changed = text.replace('http-equiv="Content-Security-Policy"', f'http-equiv="{named}"')
        route.fulfill(body=changed, content_type="text/html; charset=utf-8")

    page = context.new_page()
    page.add_init_script(LISTENING)
    page.route(f"**{path}", plant)
    page.goto(path)
    page.locator("#bait").click()
    page.wait_for_function("told.length >= 3")
    told = page.evaluate("told")
    context.close()
    assert sorted(told) == (["refused"] * 3 if policy else ["address", "handler", "inline"])


@pytest.mark.parametrize("path", ["/connect/", "/cy/connect/", "/council/BAD/", "/insight/types/"])
def test_hostile_words_run_nothing_and_fit_a_narrow_page(
    browser: Browser, hostile_origin: str, path: str
) -> None:
    with watched(browser, hostile_origin) as page:
        page.set_viewport_size({"width": 320, "height": 800})
        page.goto(path)
        shown = page.locator("main").inner_text()
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert "<img src=x" in shown
        assert page.evaluate("window.planted") is None
        assert wide <= 0


def test_hostile_words_stay_words_in_what_the_scripts_write(
    browser: Browser, hostile_origin: str
) -> None:
    with watched(browser, hostile_origin) as page:
        page.goto("/connect/check/")
        page.get_by_label("Address of the account").fill("https://x.com/bad")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#answer h2")).to_contain_text("<script>window.planted=1</script>")
        assert page.locator("#answer img, #answer script").count() == 0


@pytest.mark.parametrize("path", ["/connect/", "/council/ABA/", "/checklists/abuse/", "/insight/"])
def test_page_is_whole_without_javascript(browser: Browser, origin: str, path: str) -> None:
    context = browser.new_context(base_url=origin, java_script_enabled=False)
    page = context.new_page()
    page.goto(path)
    hidden = page.locator("main li:not(.letters li)").filter(visible=False).count()
    missing = page.locator("form:visible").count()
    context.close()
    assert (hidden, missing) == (0, 0)


@pytest.mark.parametrize("path", TEMPLATES)
def test_nothing_runs_off_a_narrow_page(tab: Page, path: str) -> None:
    """320 px wide; and 640 px at 200%, where type is twice as large."""
    over = "document.documentElement.scrollWidth - window.innerWidth"
    tab.set_viewport_size({"width": 320, "height": 800})
    tab.goto(path)
    narrow = tab.evaluate(over)
    tab.set_viewport_size({"width": 640, "height": 800})
    zoomed = tab.evaluate(f"document.documentElement.style.fontSize = '200%', {over}")
    tab.set_viewport_size({"width": 1280, "height": 720})
    assert (narrow <= 0, zoomed <= 0) == (True, True)


def test_keyboard_alone_skips_searches_and_opens_a_council(page: Page) -> None:
    page.goto("/connect/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to main content")
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.type("innis")
    focus_on(page, "Skip past the letters to the list")
    page.keyboard.press("Enter")
    focus_on(page, "Innis Fictional Council")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Innis Fictional Council")


def focus_on(page: Page, text: str) -> None:
    """Press Tab until the focus is on `text`, as a person would, at most sixty times."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(":focus").text_content() == text:
            return
    pytest.fail(f"the keyboard does not reach {text!r}")


@pytest.mark.parametrize("path", [*TEMPLATES, *COUNCILS])
def test_axe_finds_nothing(tab: Page, axe: str, path: str) -> None:
    """All rules on the light page; on the dark one, which differs in colours alone, theirs."""
    found = []
    tab.emulate_media(color_scheme="light")
    tab.goto(path)
    tab.evaluate(axe)
    schemes: Any = (("light", None), ("dark", ["color-contrast", "link-in-text-block"]))
    for scheme, rules in schemes:
        tab.emulate_media(color_scheme=scheme)
        asked: Any = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        seen = tab.evaluate("(asked) => axe.run(asked).then((r) => r.violations)", asked)
        found += [(scheme, v["id"], v["nodes"][0]["html"]) for v in seen]
    assert found == []


@pytest.mark.parametrize(
    "path",
    [
        "/connect/",
        "/connect/a/",
        "/connect/?q=fictional",
        "/connect/a/?q=fictional",
        "/connect/nation/wales/",
        "/cy/connect/network/facebook/",
    ],
)
def test_axe_finds_nothing_where_letters_have_pages(
    browser: Browser, split_origin: str, axe: str, path: str
) -> None:
    with watched(browser, split_origin) as page:
        page.goto(path)
        if "?" in path:
            page.locator("#found a.name").first.wait_for()
        page.evaluate(axe)
        seen = page.evaluate("axe.run().then((r) => r.violations)")
        assert [(v["id"], v["nodes"][0]["html"]) for v in seen] == []


def test_council_of_many_is_found_by_its_welsh_name(browser: Browser, split_origin: str) -> None:
    with watched(browser, split_origin) as page:
        page.goto("/connect/?q=glan-y-mor")
        expect(page.get_by_role("status")).to_have_text("1 found")
        page.get_by_role("link", name="Aberafon Fictional Council").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Aberafon Fictional Council")


def test_directory_of_many_is_filtered_as_a_whole(browser: Browser, split_origin: str) -> None:
    with watched(browser, split_origin) as page:
        page.goto("/connect/")
        page.get_by_label("Nation").select_option("Scotland")
        page.get_by_label("Network").select_option("bluesky")
        expect(page.get_by_role("status")).to_have_text("1 found")
        assert shown(page) == ["Innis Fictional Council"]
        assert page.url.endswith("/connect/?nation=Scotland&network=bluesky")
        page.reload()
        expect(page.locator("#found a.name")).to_have_text(["Innis Fictional Council"])
        page.get_by_role("button", name="Clear all").click()
        expect(page.get_by_role("status")).to_have_text("40 councils and other bodies")
        assert shown(page) == []


def test_council_of_another_letter_is_found_from_the_page_of_one(
    browser: Browser, split_origin: str
) -> None:
    with watched(browser, split_origin) as page:
        page.goto("/connect/a/")
        page.get_by_label("Search by council").fill("innis")
        expect(page.locator("#found-head")).to_have_text("On other pages: 1 found")
        expect(page.locator("#count")).to_have_text("None on this page.")
        assert shown(page) == ["Innis Fictional Council"]
        page.get_by_label("Search by council").fill("aberafon")
        expect(page.locator("#found-head")).to_have_text("On other pages: 0 found")
        assert shown(page) == ["Aberafon Fictional Council"]


def test_handle_that_spells_the_name_finds_a_council_of_many(
    browser: Browser, split_origin: str
) -> None:
    with watched(browser, split_origin) as page:
        page.goto("/connect/?q=%40innisfictional")
        expect(page.locator("#found a.name")).to_have_text(["Innis Fictional Council"])


def test_more_results_are_shown_when_asked_for(browser: Browser, split_origin: str) -> None:
    """Every council answers; the first of the next ones is where the keyboard goes on."""
    with watched(browser, split_origin) as page:
        page.route("**/find.js", lambda route: route.fulfill(
            body=route.fetch().text().replace("STEP = 50", "STEP = 15"),
            content_type="text/javascript",
        ))  # fmt: skip
        page.goto("/connect/?q=fictional")
        expect(page.get_by_role("status")).to_have_text("The first 15 of 40 found")
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("#found a.name")).to_have_count(30)
        expect(page.locator("#found a.name").nth(15)).to_be_focused()


def test_search_that_cannot_be_loaded_says_so(browser: Browser, split_origin: str) -> None:
    context = browser.new_context(base_url=split_origin)
    page = context.new_page()
    page.route("**/api/search.json", lambda route: route.abort())
    page.goto("/connect/?q=innis")
    expect(page.get_by_role("status")).to_have_text(
        "The list could not be loaded. Use the letters below."
    )
    context.close()


def test_directory_of_many_is_browsed_without_a_script(browser: Browser, split_origin: str) -> None:
    context = browser.new_context(base_url=split_origin, java_script_enabled=False)
    page = context.new_page()
    page.goto("/connect/")
    assert not page.locator("#filters").is_visible()
    page.get_by_role("link", name="Scotland").first.click()
    assert page.locator(".names a").all_text_contents() == ["Innis Fictional Council"]
    page.get_by_role("link", name="Innis Fictional Council").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Innis Fictional Council")
    context.close()


def test_page_of_a_letter_is_filtered_as_the_whole_is(browser: Browser, split_origin: str) -> None:
    with watched(browser, split_origin) as page:
        page.goto("/connect/a/")
        page.get_by_label("Nation").select_option("Wales")
        assert shown(page) == ["Aberafon Fictional Council"]


def test_nu_checker_finds_no_error(site: Path, checker: list[str]) -> None:
    done = subprocess.run([*checker, str(site)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
