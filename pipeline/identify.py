"""Give every observation its account, or the named reason why it is none.

A crawl meets the same footer link on every page, so each distinct link is identified once and the
answer is spread over its rows. Raw links stay as they were written: with better rules, the same
crawl is simply identified again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.platforms import Account, absolute, identify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from pipeline.platforms import Rejected

ANSWER = ["platform", "account_key", "handle", "kind", "url", "via", "reason"]

# What a short link, or a council's own `/facebook`, is called before its server was asked.
_MAY_LEAD_ON = frozenset({"needs_resolving", "relative", "unknown_host"})


def identify_table(
    observations: pd.DataFrame, resolved: Mapping[str, str] | pd.Series
) -> pd.DataFrame:
    """Add platform, account_key, handle, kind, url, via and reason to a table of observations.

    Needs the columns href, hint and page_url. `resolved` gives the address that answered for each
    absolute short link that the crawl asked for (fetches with purpose `short_link`). A row with an
    account has a null reason; a row without has only its reason and, where a network was
    recognised, its platform. Rows and index stay as they are.
    """
    codes, links = _distinct(observations[["href", "hint"]])
    answers = _answers(identify(href or "", hint) for href, hint in links)
    if len(resolved):
        codes, answers = _lead_on(observations, codes, answers, dict(resolved))
    spread = answers.take(codes).set_index(observations.index)
    return observations.assign(**{name: spread[name] for name in ANSWER})


def _distinct(
    columns: pd.DataFrame,
) -> tuple[npt.NDArray[np.intp], list[tuple[str | None, str | None]]]:
    """Number the distinct pairs of two text columns: the number of each row, and the pairs."""
    (left, lefts), (right, rights) = (pd.factorize(columns[name]) for name in columns)
    codes, pairs = pd.factorize((left + 1) * (len(rights) + 1) + right + 1)
    values = [[None, *lefts], [None, *rights]]
    numbers = (divmod(int(pair), len(rights) + 1) for pair in pairs)
    return codes, [(values[0][a], values[1][b]) for a, b in numbers]


def _answers(found: Iterable[Account | Rejected]) -> pd.DataFrame:
    """One row per answer of the grammar, with the columns of `ANSWER`."""
    rows = [
        (a.platform, a.key, a.handle, a.kind, a.url, a.via, None)
        if isinstance(a, Account)
        else (a.platform, None, None, None, None, None, a.reason)
        for a in found
    ]
    return pd.DataFrame(rows, columns=ANSWER, dtype="str")


def _lead_on(
    observations: pd.DataFrame,
    codes: npt.NDArray[np.intp],
    answers: pd.DataFrame,
    resolved: dict[str, str],
) -> tuple[npt.NDArray[np.intp], pd.DataFrame]:
    """Identify the addresses that short links led to, in place of the links themselves."""
    open_ = answers["reason"].isin(_MAY_LEAD_ON).to_numpy()[codes]
    rows = open_.nonzero()[0]
    pairs, links = _distinct(observations[["href", "page_url"]].iloc[rows])
    asked = [absolute(href or "", page or "").partition("#")[0] for href, page in links]
    goals = pd.Series([resolved.get(url) for url in asked], dtype="str")
    led = goals.notna().to_numpy()
    numbers = led.cumsum() - 1 + len(answers)
    codes = codes.copy()
    codes[rows[led[pairs]]] = numbers[pairs[led[pairs]]]
    more = _answers(identify(goal) for goal in goals[led])
    return codes, pd.concat([answers, more], ignore_index=True)
