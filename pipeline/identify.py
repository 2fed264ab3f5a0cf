"""Give every observation its account, or the named reason why it is none.

A crawl meets the same footer link on every page, so each distinct link is identified once and the
answer is spread over its rows. Raw links stay as they were written: with better rules, the same
crawl is simply identified again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline.codes import codes_of
from pipeline.platforms import Account, absolute, identify, is_relative

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from pipeline.platforms import Rejected

    Codes: TypeAlias = npt.NDArray[np.intp]
    Link: TypeAlias = tuple[str | None, str | None]

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
    recognised, its platform. Rows and index stay as they are; where href is categorical, so are
    the answers.
    """
    codes, links = _distinct(observations["href"], observations["hint"])
    answers = _answers(identify(href or "", hint) for href, hint in links)
    if len(resolved):
        codes, answers = _lead_on(observations, codes, answers, dict(resolved))
    if isinstance(observations["href"].dtype, pd.CategoricalDtype):
        spread = {name: _as_categories(answers[name], codes) for name in ANSWER}
    else:
        spread = {name: answers[name].array.take(codes) for name in ANSWER}
    return observations.assign(**spread)


def _as_categories(answers: pd.Series, codes: Codes) -> pd.Categorical[Any]:
    numbers, values = pd.factorize(answers, sort=True)
    return pd.Categorical.from_codes(numbers[codes], dtype=pd.CategoricalDtype(values))


def _distinct(left: pd.Series, right: pd.Series) -> tuple[Codes, list[Link]]:
    """Number the distinct pairs of two text columns: the number of each row, and the pairs."""
    (lefts, left_texts), (rights, right_texts) = codes_of(left), codes_of(right)
    width = len(right_texts) + 1
    codes, pairs = pd.factorize((lefts + 1) * width + rights + 1)
    firsts = np.append([None], left_texts.to_numpy(dtype=object))[pairs // width]
    seconds = np.append([None], right_texts.to_numpy(dtype=object))[pairs % width]
    return codes, [*zip(firsts, seconds, strict=True)]


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
    codes: Codes,
    answers: pd.DataFrame,
    resolved: dict[str, str],
) -> tuple[Codes, pd.DataFrame]:
    """Identify the addresses that short links led to, in place of the links themselves."""
    open_ = answers["reason"].isin(_MAY_LEAD_ON).to_numpy()[codes]
    rows = open_.nonzero()[0]
    href, page = (observations[name].iloc[rows] for name in ("href", "page_url"))
    pairs, links = _distinct(href, page.where(_relative(href)))
    asked = [absolute(href or "", page or "").partition("#")[0] for href, page in links]
    goals = pd.Series([resolved.get(url) for url in asked], dtype="str")
    led = goals.notna().to_numpy()
    numbers = led.cumsum() - 1 + len(answers)
    codes = codes.copy()
    codes[rows[led[pairs]]] = numbers[pairs[led[pairs]]]
    more = _answers(identify(goal) for goal in goals[led])
    return codes, pd.concat([answers, more], ignore_index=True)


def _relative(href: pd.Series) -> npt.NDArray[np.bool_]:
    """Which links ask for another address on another page."""
    codes, distinct = pd.factorize(href, use_na_sentinel=False)
    return np.array([is_relative(text or "") for text in distinct], dtype=bool)[codes]
