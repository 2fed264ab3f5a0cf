"""What holds for every URL of the grammar, whatever is pasted before, after or around it."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.platforms import KINDS, Account, Rejected, Rule, load_rules

RULES = load_rules()
DIRECT = [rule for rule in RULES.rules if rule.action == "accept"]
HOSTS = sorted({host for rule in DIRECT for host in rule.hosts if "{" not in host})

# `make test` tries the same few each time; `make fuzz` what nobody tried before.
calm = settings(deadline=None, derandomize=settings.get_current_profile_name() != "fuzz")
direct = st.sampled_from(DIRECT)
letters = string.ascii_letters + string.digits
handles = st.builds(
    "{}{}".format, st.sampled_from("abXY"), st.text(letters, min_size=4, max_size=13)
)
tracking = st.sampled_from(
    ["utm_source=news&utm_medium=mail", "fbclid=IwAR0x", "gclid=1", "ref=ts", "hl=cy", "s=20"]
)
fragments = st.sampled_from(["", "#", "#content", "#top", "#main-menu"])
PIECES = [
    *(
        "https://",
        "http:",
        "//",
        "/",
        "?",
        "#",
        "#!",
        "@",
        ":",
        "&",
        "=",
        "%",
        "%2F",
        ".",
        "[",
        "]",
    ),
    *("{", "}", "x.com", "www.", "facebook.com", "mastodon.social", "l.facebook.com/l.php?u="),
    *("google.com/url?q=", "web.archive.org/web/2/", "urldefense.com/v3/__", "__;", "pages", "id="),
    *("profile.php", "status", "é", "🦅", " ", "\\", "\x00", "\u200b", "\u202e", "\ud800"),
    *("İ", "ı", "ſ", "\u212a", "ﬁ", "www.social", "tumblr.com/"),  # letters that change with case
]
pieces = st.sampled_from(PIECES)
pasted = st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=20).map("".join)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """An example of the grammar with a piece put in, or in the place of another."""
    text = draw(direct).example
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 4)))
    return text[:start] + draw(st.one_of(pieces, st.text(max_size=3))) + text[end:]


texts = st.one_of(st.text(), pasted, spoiled())


def account(url: str) -> Account:
    found = RULES.identify(url)
    assert isinstance(found, Account), (url, found)
    return found


def same(one: Account, other: Account) -> bool:
    return (one.platform, one.key, one.url, one.via) == (
        other.platform,
        other.key,
        other.url,
        other.via,
    )


def with_tracking(url: str, parameters: str) -> str:
    before, mark, fragment = url.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{parameters}{mark}{fragment}"


@calm
@given(texts, st.sampled_from([None, "twitter", "facebook", "mastodon", "bebo"]))
def test_any_text_gives_an_account_or_a_described_reason(text: str, hint: str | None) -> None:
    found = RULES.identify(text, hint)
    if isinstance(found, Rejected):
        assert found.reason in RULES.reasons
    else:
        assert found.kind in KINDS
        assert found.key


@calm
@given(texts)
def test_canonical_address_of_any_account_is_canonical(text: str) -> None:
    found = RULES.identify(text)
    if isinstance(found, Account):
        assert account(found.url).url == found.url


@calm
@given(direct)
def test_canonical_of_canonical_is_itself(rule: Rule) -> None:
    first = account(rule.example)
    assert same(account(first.url), first)


@calm
@given(direct, tracking)
def test_tracking_parameters_change_nothing(rule: Rule, parameters: str) -> None:
    assert same(account(with_tracking(rule.example, parameters)), account(rule.example))


@calm
@given(direct, st.sampled_from(["http://", "https://", "//", "", "HTTPS://", "http://https://"]))
def test_scheme_changes_nothing(rule: Rule, scheme: str) -> None:
    bare = rule.example.partition("://")[2]
    assert same(account(scheme + bare), account(rule.example))


@calm
@given(direct, st.sampled_from(["www.", "wwww.", "WWW."]))
def test_www_changes_nothing(rule: Rule, www: str) -> None:
    bare = rule.example.partition("://")[2].removeprefix("www.")
    assert same(account("https://" + www + bare), account("https://" + bare))


@calm
@given(direct, fragments)
def test_trailing_slash_and_fragment_change_nothing(rule: Rule, fragment: str) -> None:
    before = rule.example.partition("#")[0]
    if "?" not in before:
        before = before.rstrip("/") + "/"
    assert same(account(before + fragment), account(rule.example))


@calm
@given(direct, st.sampled_from(["\u200b", "\ufeff", " ", "\u202c", "\n"]))
def test_invisible_marks_around_change_nothing(rule: Rule, mark: str) -> None:
    assert same(account(mark + rule.example + mark), account(rule.example))


LOOKALIKES = ["a{}", "0{}", "_{}", "{}.evil.example", "{}x", "my{}", "not-{}", "{}-login.example"]


@calm
@given(st.sampled_from(HOSTS), st.sampled_from(LOOKALIKES), handles)
def test_lookalike_host_never_matches(host: str, pattern: str, handle: str) -> None:
    lookalike = pattern.format(host)
    if lookalike not in HOSTS:
        found = RULES.identify(f"https://{lookalike}/{handle}")
        assert isinstance(found, Rejected)


FOLDING = [
    "https://x.com/{}",
    "https://www.facebook.com/{}",
    "https://www.instagram.com/{}",
    "https://www.youtube.com/user/{}",
    "https://www.linkedin.com/company/{}",
    "https://t.me/{}",
]


@pytest.mark.parametrize("form", FOLDING)
@calm
@given(name=handles)
def test_case_of_a_name_does_not_count(form: str, name: str) -> None:
    wanted = RULES.identify(form.format(name))
    other = RULES.identify(form.format(name.swapcase()))
    if isinstance(wanted, Account):
        assert isinstance(other, Account)
        assert wanted.key == other.key


EXACT = [
    "https://www.youtube.com/channel/UC{}",
    "https://open.spotify.com/show/{}",
    "https://g.page/r/{}",
    "https://whatsapp.com/channel/{}",
]


@pytest.mark.parametrize("form", EXACT)
@calm
@given(code=st.text(letters, min_size=21, max_size=21).map("x{}".format))
def test_case_of_an_id_counts(form: str, code: str) -> None:
    assert account(form.format(code)).key != account(form.format(code.swapcase())).key


@calm
@given(handles, st.lists(st.integers(1, 8), max_size=4))
def test_dots_of_a_facebook_name_do_not_count(name: str, places: list[int]) -> None:
    dotted = name
    for place in places:
        dotted = re.sub(r"\.+", ".", f"{dotted[:place]}.{dotted[place:]}").strip(".")
    plain = RULES.identify(f"https://www.facebook.com/{name}")
    found = RULES.identify(f"https://www.facebook.com/{dotted}")
    if isinstance(plain, Account) and isinstance(found, Account):
        assert plain.key == found.key
