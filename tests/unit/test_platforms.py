"""URL to account: repairs, refusals and the kinds of evidence, on a grammar as published."""

from __future__ import annotations

import csv
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline.platforms import (
    Account,
    Rejected,
    RulesError,
    absolute,
    identify,
    is_candidate_host,
    load_rules,
)

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "urls.csv"


def named(url: str, hint: str | None = None) -> tuple[str, str, str] | str:
    """Platform, handle and source of an account, or the reason why there is none."""
    found = identify(url, hint)
    if isinstance(found, Rejected):
        return found.reason
    return found.platform, found.handle, found.via


PASTE_ERRORS = {
    "scheme twice": "http://https://x.com/ExampleDC",
    "scheme without its colon": "https//x.com/ExampleDC",
    "one slash": "https:/x.com/ExampleDC",
    "three slashes": "https:///x.com/ExampleDC",
    "no scheme": "x.com/ExampleDC",
    "no scheme but slashes": "//x.com/ExampleDC",
    "backslashes": "https:\\\\x.com\\ExampleDC",
    "escaped for a script": "https:\\/\\/x.com\\/ExampleDC",
    "escaped by number": "https:\\u002F\\u002Fx.com\\u002FExampleDC",
    "percent-encoded whole": "https%3A%2F%2Fx.com%2FExampleDC",
    "four w": "https://wwww.x.com/ExampleDC",
    "www twice": "https://www.www.x.com/ExampleDC",
    "port": "https://x.com:443/ExampleDC",
    "dot after the host": "https://x.com./ExampleDC",
    "host before the address": "https://x.com/https://x.com/ExampleDC",
    "host before the host": "https://x.com/www.x.com/ExampleDC",
    "host glued to the address": "https://www.x.comhttps://x.com/ExampleDC",
    "address twice": "https://x.com/ExampleDChttps://x.com/ExampleDC",
    "space after the scheme": "https:// x.com/ExampleDC",
    "space in the host": "https://www. x.com/ExampleDC",
    "space before the name": "https://x.com/ ExampleDC",
    "line break": "https://x.com/Exam\npleDC",
    "zero-width space": "https://x.com/Example\u200bDC",
    "encoded zero-width space": "https://x.com/ExampleDC%E2%80%8B",
    "marks of direction": "\u202ahttps://x.com/ExampleDC\u202c",
    "entity": "https://x.com/ExampleDC&#8203;",
    "entity in the query": "https://x.com/ExampleDC?a=1&amp;b=2",
    "query without its mark": "https://x.com/ExampleDC&lang=en",
    "query with an encoded mark": "https://x.com/ExampleDC%3Flang=en",
    "end of a sentence": "https://x.com/ExampleDC.",
    "quotes": '"https://x.com/ExampleDC"',
    "brackets": "<https://x.com/ExampleDC>",
    "empty segments": "https://x.com//ExampleDC//",
    "upper case": "HTTPS://X.COM/ExampleDC",
}


@pytest.mark.parametrize("url", PASTE_ERRORS.values(), ids=PASTE_ERRORS)
def test_paste_error_is_repaired(url: str) -> None:
    assert named(url) == ("twitter", "ExampleDC", "")


REFUSED = {
    "user name before the host": ("https://twitter.com@evil.example/", "userinfo"),
    "password before the host": ("https://a:b@x.com/ExampleDC", "userinfo"),
    "encoded @ before the host": ("https://x.com%40evil.example/", "userinfo"),
    "letter in front": ("https://0twitter.com/exampledc", "unknown_host"),
    "name within a name": ("https://sussex.com/exampledc", "unknown_host"),
    "network as a label": ("https://facebook.com.evil.example/exampledc", "unknown_host"),
    "word before the network": ("https://www.myfacebook.com/exampledc", "unknown_host"),
    "other alphabet": ("https://\u0445.com/exampledc", "non_ascii_host"),
    "wide letters": ("https://\uff38.com/exampledc", "non_ascii_host"),
    "punycode": ("https://xn--fcebook-8va.com/exampledc", "unknown_host"),
    "endless host": ("https://" + "a." * 200 + "social/@news", "malformed"),
    "host encoded without end": ("https://x%" + "25" * 1500 + "2ecom/a", "nested"),
    "host glued without end": ("https://" + "x.comhttps://" * 300, "nested"),
    "IPv6 address": ("https://[::1]/exampledc", "malformed"),
    "IPv4 address": ("https://192.0.2.1/exampledc", "unknown_host"),
    "network in a stranger's query": ("https://evil.example/?u=https://x.com/acme", "unknown_host"),
    "network in a stranger's path": ("https://a.example/x.com/exampledc", "unknown_host"),
    "other scheme": ("ftp://x.com/exampledc", "not_http"),
    "half a scheme": ("htt://x.com/exampledc", "not_http"),
    "mail": ("mailto:exampledc@x.com", "not_http"),
    "telephone": ("tel:01130000000", "not_http"),
    "script": ("javascript:location='https://x.com/exampledc'", "not_http"),
    "data": ("data:text/plain,https://x.com/exampledc", "not_http"),
    "app": ("whatsapp://send?phone=441130000000", "not_http"),
    "bare word": ("about", "relative"),
    "bare handle": ("@ExampleDC", "relative"),
    "path": ("/facebook", "relative"),
    "anchor": ("#facebook", "relative"),
    "file beside the page": ("twitter.html", "relative"),
    "template leftover": ("https://x.com/{{handle}}", "malformed"),
    "hyphen in a handle": ("https://x.com/Exampleton-Council", "malformed"),
    "letter that small case makes two of": ("https://www.tumblr.com/exam\u0130leton", "malformed"),
    "letter that case turns into another": ("https://x.com/\u017fampleton", "malformed"),
    "odd letter in a query": (
        "https://x.com/intent/follow?screen_name=Exam\u0130leton",
        "share",
    ),
    "name that is www as a host": ("https://www.tumblr.com/www", "malformed"),
    "word of a host behind www": ("https://www.social/@exampleton", "unknown_host"),
    "handle too long": ("https://x.com/ExampletonBoroughCouncil", "malformed"),
    "short link": ("https://bit.ly/exampleton", "needs_resolving"),
    "short link among names": ("https://fb.me/AbCdEfGh", "needs_resolving"),
    "shared link": ("https://www.facebook.com/share/1AbCdEf/", "share"),
}


@pytest.mark.parametrize(("url", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_account_is_refused_by_name(url: str, reason: str) -> None:
    assert named(url) == reason


def test_share_button_is_not_opened_even_when_it_shares_an_account() -> None:
    inner = quote("https://x.com/ExampleDC", safe="")
    assert named(f"https://www.facebook.com/sharer.php?u={inner}") == "share"


def test_redirector_around_a_redirector_is_opened() -> None:
    once = "https://l.facebook.com/l.php?u=" + quote("https://x.com/ExampleDC", safe="")
    twice = "https://www.google.com/url?q=" + quote(once, safe="")
    assert named(twice) == ("twitter", "ExampleDC", "")


def test_endless_redirectors_are_given_up() -> None:
    url = "https://x.com/ExampleDC"
    for _ in range(8):
        url = "https://l.facebook.com/l.php?u=" + quote(url, safe="")
    assert named(url) == "nested"


def test_redirector_to_a_stranger_gives_the_strangers_reason() -> None:
    assert named("https://www.google.com/url?q=https%3A%2F%2Fa.example") == "unknown_host"


def test_redirector_with_spoilt_code_has_no_target() -> None:
    assert named("https://lnks.gd/l/a.%%%.c") == "needs_resolving"


def test_megabyte_is_refused_without_reading_it() -> None:
    assert named("https://x.com/" + "a/" * 500_000) == "too_long"


def test_megabyte_of_space_is_empty() -> None:
    assert named(" " * 1_000_000) == "empty"


ONE_FACEBOOK_PAGE = [
    "https://www.facebook.com/pages/Exampleton-Council/115849391761436",
    "https://www.facebook.com/Exampleton-Council-115849391761436/",
    "https://www.facebook.com/people/Exampleton-Council/115849391761436/",
    "https://www.facebook.com/p/Exampleton-Council-115849391761436/",
    "https://www.facebook.com/profile.php?id=115849391761436",
    "https://www.facebook.com/115849391761436",
    "http://www.facebook.com/home.php#!/pages/Exampleton-Council/115849391761436",
]


def keys(urls: list[str]) -> set[tuple[str, str]]:
    found = [identify(url) for url in urls]
    return {(a.platform, a.key) for a in found if isinstance(a, Account)}


def test_facebook_writings_of_one_id_are_one_account() -> None:
    assert keys(ONE_FACEBOOK_PAGE) == {("facebook", "115849391761436")}


def test_facebook_vanity_ignores_dots_and_case() -> None:
    assert len(keys(["fb.com/Exampleton.Council", "fb.com/exampletoncouncil"])) == 1


def test_youtube_channel_ids_differ_by_case() -> None:
    one = "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv"
    assert len(keys([one, one[:-1] + "V"])) == 2


def test_youtube_names_do_not_differ_by_case() -> None:
    assert len(keys(["youtube.com/user/ExampleDC", "youtube.com/user/exampledc"])) == 1


def test_youtube_user_custom_name_and_handle_stay_apart_until_resolved() -> None:
    forms = ["youtube.com/user/ExampleDC", "youtube.com/c/ExampleDC", "youtube.com/@ExampleDC"]
    assert len(keys(forms)) == 3


def test_former_and_present_host_are_one_account() -> None:
    assert keys(["https://twitter.com/ExampleDC", "https://x.com/exampledc"]) == {
        ("twitter", "exampledc")
    }


def test_handle_keeps_its_case() -> None:
    assert named("https://x.com/ExampleDC") == ("twitter", "ExampleDC", "")


def test_welsh_name_is_decoded_and_its_address_encoded() -> None:
    found = identify("https://www.youtube.com/@CyngorYr%C3%82fon")
    assert isinstance(found, Account)
    assert (found.handle, found.url) == (
        "@CyngorYrÂfon",
        "https://www.youtube.com/@CyngorYr%C3%82fon",
    )


def test_decomposed_accent_is_the_same_name() -> None:
    assert len(keys(["youtube.com/@CyngorYrA\u0302fon", "youtube.com/@CyngorYr\u00c2fon"])) == 1


DERIVED = {
    "post": "https://x.com/ExampleDC/status/1284154793376784385",
    "plugin": "https://platform.twitter.com/widgets/follow_button.html#screen_name=ExampleDC",
    "feed": "http://api.twitter.com/1/statuses/user_timeline.rss?screen_name=ExampleDC",
    "login": "https://x.com/i/flow/login?redirect_after_login=%2FExampleDC",
}


@pytest.mark.parametrize(("via", "url"), DERIVED.items())
def test_second_hand_evidence_says_what_it_is(via: str, url: str) -> None:
    assert named(url) == ("twitter", "ExampleDC", via)


def test_message_link_is_second_hand_evidence() -> None:
    assert named("https://m.me/exampletoncouncil") == ("facebook", "exampletoncouncil", "message")


def test_plugin_about_another_site_names_nobody() -> None:
    inner = quote("https://www.exampleton.gov.example", safe="")
    assert named(f"https://www.facebook.com/plugins/like.php?href={inner}") == "widget"


def test_plugin_does_not_lead_to_another_network() -> None:
    inner = quote("https://x.com/ExampleDC", safe="")
    assert named(f"https://www.facebook.com/plugins/page.php?href={inner}") == "widget"


KINDS = {
    "profile": "https://x.com/ExampleDC",
    "page": "https://www.facebook.com/exampletoncouncil",
    "group": "https://www.facebook.com/groups/exampleton",
    "channel": "https://www.youtube.com/@ExampletonCouncil",
    "place": "https://g.page/exampletoncouncil",
    "directory": "https://linktr.ee/exampletoncouncil",
}


@pytest.mark.parametrize(("kind", "url"), KINDS.items())
def test_kind_is_told(kind: str, url: str) -> None:
    found = identify(url)
    assert isinstance(found, Account)
    assert found.kind == kind


HINTED = {
    "handle": ("@ExampleDC", "twitter", ("twitter", "ExampleDC", "")),
    "handle without @": ("ExampleDC", "twitter", ("twitter", "ExampleDC", "")),
    "handle with space": (" @ExampleDC ", "twitter", ("twitter", "ExampleDC", "")),
    "numeric id": ("115849391761436", "facebook", ("facebook", "115849391761436", "")),
    "dotted name": ("exampleton.council", "facebook", ("facebook", "exampleton.council", "")),
    "channel id": (
        "UCabcdefghijklmnopqrstuv",
        "youtube",
        ("youtube", "channel/UCabcdefghijklmnopqrstuv", ""),
    ),
    "name and server": (
        "@news@social.exampleton.example",
        "mastodon",
        ("mastodon", "news@social.exampleton.example", ""),
    ),
}


@pytest.mark.parametrize(("text", "hint", "account"), HINTED.values(), ids=HINTED)
def test_bare_name_counts_where_the_markup_names_the_network(
    text: str, hint: str, account: tuple[str, str, str]
) -> None:
    assert named(text, hint) == account


def test_reserved_word_counts_not_even_with_a_hint() -> None:
    assert named("@explore", "twitter") == "reserved"


def test_website_is_no_name_though_the_markup_names_the_network() -> None:
    assert named("www.exampleton.gov.uk", "facebook") == "relative"


def test_link_wins_over_the_hint() -> None:
    assert named("https://x.com/ExampleDC", "facebook") == ("twitter", "ExampleDC", "")


def test_unknown_hint_is_as_none() -> None:
    assert named("@ExampleDC", "bebo") == "relative"


MASTODON_NOT = [
    "https://www.a.example/@news",
    "https://unpkg.com/@scope/x",
    "https://a.example/users/b",
]


@pytest.mark.parametrize("url", MASTODON_NOT)
def test_name_on_any_host_is_no_mastodon_account(url: str) -> None:
    assert named(url) == "unknown_host"


def test_council_server_with_a_telling_host_is_mastodon() -> None:
    assert named("https://social.exampleton.example/@news") == (
        "mastodon",
        "news@social.exampleton.example",
        "",
    )


CANDIDATES = [
    "x.com",
    "www.facebook.com",
    "bit.ly",
    "eur01.safelinks.protection.outlook.com",
    "social.exampleton.example",
]


@pytest.mark.parametrize("host", CANDIDATES)
def test_network_shortener_and_redirector_are_candidate_hosts(host: str) -> None:
    assert is_candidate_host(host)


@pytest.mark.parametrize("host", ["sussex.com", "www.exampleton.gov.uk", "notx.com", ""])
def test_other_hosts_are_no_candidates(host: str) -> None:
    assert not is_candidate_host(host)


ABSOLUTE = {
    "relative": ("../facebook", "https://www.exampleton.gov.example/facebook"),
    "protocol-relative": ("//x.com/ExampleDC", "https://x.com/ExampleDC"),
    "no scheme, known host": ("bit.ly/abc", "https://bit.ly/abc"),
    "scheme twice": ("http://https://bit.ly/abc", "http://bit.ly/abc"),
    "complete": ("http://a.example/b?c=d", "http://a.example/b?c=d"),
    "port": ("http://a.example:8080/b", "http://a.example:8080/b"),
    "own www": ("https://www.a.example/b&c", "https://www.a.example/b&c"),
    "mail": ("mailto:a@b.example", ""),
    "broken": ("http://[/", ""),
}


@pytest.mark.parametrize(("href", "url"), ABSOLUTE.values(), ids=ABSOLUTE)
def test_absolute_is_what_a_server_would_be_asked(href: str, url: str) -> None:
    assert absolute(href, "https://www.exampleton.gov.example/news/") == url


def test_published_networks_keep_the_order_of_the_file() -> None:
    rules = load_rules()
    assert rules.published[:3] == ("twitter", "facebook", "youtube")
    assert set(rules.published) <= {platform.id for platform in rules.platforms}


def test_closed_network_keeps_its_accounts_and_tells_its_end() -> None:
    ends = {platform.id: platform.retired for platform in load_rules().platforms}
    assert ends["google_plus"] == "2019-04-02"


SMALL = """
suffixes = ["com"]
locale = "[a-z]{2}"
files = ["png"]
[reasons]
share = "It shares."
[service.none]
[platform.town]
name = "Town"
hosts = ["town.example"]
part = { handle = '\\w+' }
form.account = { kind = "profile", handle = "{handle}", url = "https://town.example/{handle}" }
"""

BAD_RULES = {
    "no example": ('accept = [{ path = "{handle}" }]', "no example"),
    "unknown field": ('accept = [{ pth = "{handle}", example = "a" }]', "unknown field 'pth'"),
    "unknown reason": ('reject = [{ path = "a", reason = "b", example = "c" }]', "reason 'b'"),
    "unknown source": ('derive = [{ path = "a", via = "b", example = "c" }]', "via must be"),
    "unknown form": ('accept = [{ path = "a", form = "b", example = "c" }]', "no such form"),
    "unknown table field": ("hostz = []", "unknown field 'hostz'"),
    "not TOML": ("accept = [", "rules.toml"),
}


@pytest.mark.parametrize(("line", "message"), BAD_RULES.values(), ids=BAD_RULES)
def test_bad_rule_is_refused_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(SMALL + line, encoding="utf-8")
    with pytest.raises(RulesError, match=message):
        load_rules(file)


def test_missing_section_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("suffixes = []", encoding="utf-8")
    with pytest.raises(RulesError, match="is missing"):
        load_rules(file)


def test_new_network_needs_no_new_code(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    line = 'accept = [{ path = "people/{handle}", example = "https://town.example/people/a" }]'
    file.write_text(SMALL + line, encoding="utf-8")
    found = load_rules(file).identify("http://www.town.example/people/Jo?a=b")
    assert found == Account("town", "jo", "Jo", "profile", "https://town.example/Jo")


def score(flag: str) -> tuple[float, float]:
    """Share of accounts exactly right, and precision, on the shared cases with that flag."""
    with CASES.open(encoding="utf-8") as file:
        cases = [case for case in csv.DictReader(file) if case["flag"] == flag]
    found = [identify(case["url"]) for case in cases]
    claimed = [(c, a) for c, a in zip(cases, found, strict=True) if isinstance(a, Account)]
    right = [(c, a) for c, a in claimed if a.platform == c["platform"]]
    exact = [c for c, a in right if plain(a.handle) == plain(c["account"])]
    accounts = [case for case in cases if case["platform"] != "not_a_profile"]
    return len(exact) / len(accounts), len(right) / len(claimed)


def plain(account: str) -> str:
    return account.casefold().removeprefix("channel/").removeprefix("company/").lstrip("@")


needs_cases = pytest.mark.skipif(
    not CASES.exists(), reason="the shared URL cases do not lie beside this checkout"
)


@needs_cases
def test_shared_cases_are_read_exactly_and_precisely() -> None:
    exact, precision = score("")
    assert exact >= 0.995
    assert precision >= 0.995


@needs_cases
def test_shared_cases_at_second_hand_are_read() -> None:
    exact, _ = score("derived")
    assert exact >= 0.95
