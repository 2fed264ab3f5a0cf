"""docs/policy.md, the rule files and the code name the same rules."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POLICY = (ROOT / "docs" / "policy.md").read_text("utf-8")
RULES = tomllib.loads((ROOT / "data" / "rules" / "attribution.toml").read_text("utf-8"))
CITED = re.compile(r"\bP\d\.\d\b")
DEFINED = re.findall(r"^\*\*(P\d\.\d)\*\*", POLICY, re.MULTILINE)
SOURCES = ("attribute", "overrides", "explain", "review", "signals", "likeness")


def test_the_policy_defines_each_rule_once() -> None:
    assert len(DEFINED) == len(set(DEFINED))


def test_the_policy_defines_the_rules_of_the_rule_file() -> None:
    assert [rule["id"] for rule in RULES["rule"]] == DEFINED


@pytest.mark.parametrize("rule", RULES["rule"], ids=lambda rule: str(rule["id"]))
def test_the_policy_gives_each_rules_words_and_example(rule: dict[str, str]) -> None:
    assert f"**{rule['id']}** {rule['says']}." in POLICY
    assert f"*Example:* {rule['example']}." in POLICY


@pytest.mark.parametrize("rule", DEFINED)
def test_each_rule_is_cited_by_code_or_data(rule: str) -> None:
    code = [(ROOT / "pipeline" / f"{name}.py").read_text("utf-8") for name in SOURCES]
    data = [
        (ROOT / "data" / "rules" / f"{name}.toml").read_text("utf-8")
        for name in ("strangers", "notices")
    ]
    assert any(rule in text for text in (*code, *data))


@pytest.mark.parametrize("name", SOURCES)
def test_code_cites_only_rules_of_the_policy(name: str) -> None:
    assert set(CITED.findall((ROOT / "pipeline" / f"{name}.py").read_text("utf-8"))) <= set(DEFINED)


@pytest.mark.parametrize("name", ["strangers", "notices"])
def test_data_cites_only_rules_of_the_policy(name: str) -> None:
    text = (ROOT / "data" / "rules" / f"{name}.toml").read_text("utf-8")
    assert set(CITED.findall(text)) <= set(DEFINED)


@pytest.mark.parametrize("kind", ["weight", "threshold"])
def test_every_number_has_its_reason(kind: str) -> None:
    assert all(entry["reason"] for entry in RULES[kind].values())
