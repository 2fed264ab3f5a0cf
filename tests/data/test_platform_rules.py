"""The committed grammar of networks: every rule has an example that this very rule decides."""

from __future__ import annotations

import re

import pytest

from pipeline.platforms import KINDS, VIAS, Account, Platform, Rejected, Rule, load_rules

RULES = load_rules()
SHAPES = [rule.form for rule in RULES.rules if rule.form]


def name_of(rule: Rule) -> str:
    return f"{rule.platform}-{rule.action}-{rule.hosts[0]}/{rule.path}-{rule.via or rule.reason}"


EVERY = [pytest.param(rule, id=name_of(rule)) for rule in RULES.rules]
NAMING = [pytest.param(r, id=name_of(r)) for r in RULES.rules if r.action in ("accept", "derive")]
UNWRAPPING = [pytest.param(r, id=name_of(r)) for r in RULES.rules if r.action == "unwrap"]
REJECTING = [pytest.param(r, id=name_of(r)) for r in RULES.rules if r.action == "reject"]


@pytest.mark.parametrize("rule", EVERY)
def test_example_is_decided_by_its_own_rule(rule: Rule) -> None:
    _, deciding = RULES.decide(rule.example)
    assert deciding is rule


@pytest.mark.parametrize("rule", NAMING)
def test_example_names_the_account_that_the_file_says(rule: Rule) -> None:
    found = RULES.identify(rule.example)
    assert isinstance(found, Account)
    assert (found.platform, found.handle, found.via) == (rule.platform, rule.gives, rule.via)


@pytest.mark.parametrize("rule", UNWRAPPING)
def test_example_of_a_redirect_gives_the_account_behind_it(rule: Rule) -> None:
    found = RULES.identify(rule.example)
    assert isinstance(found, Account)
    assert (found.handle, found.via) == (rule.gives, "")


@pytest.mark.parametrize("rule", REJECTING)
def test_example_is_rejected_for_the_reason_that_the_file_says(rule: Rule) -> None:
    assert RULES.identify(rule.example) == Rejected(rule.reason, rule.platform)


@pytest.mark.parametrize("rule", NAMING)
def test_canonical_address_of_an_example_names_the_same_account(rule: Rule) -> None:
    found = RULES.identify(rule.example)
    assert isinstance(found, Account)
    again = RULES.identify(found.url)
    assert isinstance(again, Account)
    assert (again.platform, again.key, again.url) == (found.platform, found.key, found.url)
    assert again.via == ""


def test_no_example_is_written_twice() -> None:
    examples = [rule.example for rule in RULES.rules]
    assert sorted(examples) == sorted(set(examples))


def test_forms_use_known_kinds_and_rules_known_sources() -> None:
    assert {form.kind for form in SHAPES} <= KINDS
    assert {rule.via for rule in RULES.rules if rule.via} <= VIAS


BY_ENGINE = {
    "empty": "",
    "too_long": "https://x.com/" + "a" * 5000,
    "relative": "/facebook",
    "not_http": "mailto:news@exampleton.example",
    "malformed": "https://x.com/not-a-name",
    "userinfo": "https://x.com@exampleton.example/",
    "non_ascii_host": "https://\u0445.com/ExampleDC",
    "unknown_host": "https://www.exampleton.example/",
    "service_host": "https://pbs.twimg.com/media/a",
    "home_page": "https://x.com/",
    "reserved": "https://x.com/explore",
    "file": "https://www.youtube.com/icon.png",
    "unknown_path": "https://www.youtube.com/this/is/too/long",
}


@pytest.mark.parametrize(("reason", "text"), BY_ENGINE.items())
def test_text_without_a_rule_is_rejected_by_name(reason: str, text: str) -> None:
    found, rule = RULES.decide(text)
    assert isinstance(found, Rejected)
    assert (found.reason, rule) == (reason, None)


def test_every_reason_is_described_and_used() -> None:
    used = {rule.reason for rule in RULES.rules if rule.reason} | {*BY_ENGINE, "nested"}
    assert used == set(RULES.reasons)


def at_root(platform: Platform) -> list[str]:
    """A host of each kind on which the network has names at the root."""
    rules = [r for r in RULES.rules if r.platform == platform.id and r.guarded]
    return sorted({r.hosts[0] for r in rules if not r.hosts[0].startswith("{")})


@pytest.mark.parametrize("platform", RULES.platforms, ids=lambda platform: platform.id)
def test_reserved_words_name_nobody(platform: Platform) -> None:
    urls = [f"https://{h}/{word}" for h in at_root(platform) for word in sorted(platform.reserved)]
    assert [url for url in urls if isinstance(RULES.identify(url), Account)] == []


@pytest.mark.parametrize("platform", RULES.platforms, ids=lambda platform: platform.id)
def test_reserved_words_could_else_be_names(platform: Platform) -> None:
    leading = [r for r in RULES.rules if r.platform == platform.id and r.guarded]
    idle = [w for w in platform.reserved if not any(could_be(r, w) for r in leading)]
    assert sorted(idle) == []


def could_be(rule: Rule, word: str) -> bool:
    name = rule.segments[0].partition(":")[2].rstrip("}") or rule.guarded
    return bool(re.fullmatch(rule.parts[name or ""], word, re.IGNORECASE))


def test_reserved_words_are_not_said_twice() -> None:
    """The words that open a rule's path are reserved already."""
    for platform in RULES.platforms:
        first = {w for r in RULES.rules if r.platform == platform.id for w in r.first_words}
        own = {w for r in RULES.rules if r.platform == platform.id and r.guarded for w in r.hosts}
        assert not own or not platform.reserved & first, platform.id
