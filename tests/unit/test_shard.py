"""A register split for several crawls: every site in one part, and never in another."""

from __future__ import annotations

from collections import Counter
from random import Random  # noqa: TC003  hypothesis reads it
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.register import load_register
from spiders.shard import Shard, ShardError

if TYPE_CHECKING:
    from collections.abc import Iterable

HOSTS = st.from_regex(r"(www\.|cy\.)?[a-d]{1,3}\.example", fullmatch=True)
SITES = st.lists(HOSTS.map("https://{}/".format) | st.none(), unique=True)


def council(sites: Iterable[str | None]) -> pd.DataFrame:
    rows = [(f"C{number}", site) for number, site in enumerate(sites)]
    return pd.DataFrame(rows, columns=["council_id", "website"])


def shard_of(register: pd.DataFrame, count: int) -> dict[str, int]:
    """Website → the number of its shard; fails where it is in none, or in several."""
    found = [
        (site, number)
        for number in range(1, count + 1)
        for site in Shard(number, count).rows(register)["website"]
    ]
    assert Counter(site for site, _ in found) == Counter(register["website"].dropna())
    return dict(found)


@given(SITES, st.integers(1, 20))
def test_each_site_is_in_one_shard(sites: list[str | None], count: int) -> None:
    shard_of(council(sites), count)


@given(SITES, HOSTS, st.integers(1, 20), st.randoms())
def test_a_council_that_comes_or_goes_moves_no_other(
    sites: list[str | None], more: str, count: int, chance: Random
) -> None:
    before = shard_of(council(sites), count)
    others = [*dict.fromkeys([*sites, f"https://{more}/"])]
    chance.shuffle(others)
    after = shard_of(council(others), count)
    assert {site: after[site] for site in before} == before


@given(st.sampled_from(["https://www.a.example/", "http://a.example/x"]), st.integers(1, 50))
def test_councils_of_one_domain_stay_together(site: str, count: int) -> None:
    shards = shard_of(council(["https://cy.a.example/", site]), count)
    assert len(set(shards.values())) == 1


def test_the_register_is_shared_evenly() -> None:
    register = load_register()
    sizes = [len(Shard(number, 8).rows(register)) for number in range(1, 9)]
    assert max(sizes) < 2 * min(sizes)


def test_one_shard_is_the_register() -> None:
    register = council(["https://a.example/", "https://b.example/"])
    assert Shard.of("1/1").rows(register).equals(register)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", "", "١/٣"])
def test_what_is_no_shard_is_refused_with_a_form_to_write(text: str) -> None:
    with pytest.raises(ShardError, match="write 3/16"):
        Shard.of(text)
