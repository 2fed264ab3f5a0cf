"""Hold what was seen now against the ledger: what stays, is missing, has moved or changed its name.

Without it every failed fetch would strike a good account from the directory, and every account
that a council took off its site would stay in it for ever.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.schema import TABLES

ACCOUNTS, HISTORY = TABLES["accounts"].names, TABLES["history"].names
READ, PAGE = ("ok", "not_modified"), ("home", "follow")
UNASKED, GONE = ("budget", "not_due"), (404, 410)
DAY = pd.Timedelta(days=1)
SLOT = ["council_id", "platform"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the ledger waits, from data/rules/expectations.toml."""

    carry_days: int
    unvisited_days: int
    missed_crawls: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The accounts of the new release (schema.ACCOUNTS), and the ledger after it (HISTORY)."""

    accounts: pd.DataFrame
    history: pd.DataFrame


def reconcile(
    seen: pd.DataFrame,
    last: pd.DataFrame,
    history: pd.DataFrame,
    fetches: pd.DataFrame,
    register: pd.DataFrame,
    renames: pd.DataFrame,
    limits: Limits,
    now: pd.Timestamp,
) -> Reconciled:
    """Bring the accounts that the crawl saw together with those of the release before.

    Args:
        seen: What attribution decided on this crawl; a row without scope is not the council's.
        last: The accounts of the release before (schema.ACCOUNTS), empty for the first.
        history: Its ledger (schema.HISTORY).
        fetches: This crawl's fetches (schema.FETCHES), a shared website's under each council.
        register: All councils, with `status` as it stands at `now`.
        renames: `council_id`, `old`, `new`: account_ids of which the first now leads to the second.
        limits: How long to wait.
        now: The time of the latest fetch.

    Returns:
        Accounts and ledger, each sorted by its key. Every account of `last` is in the accounts, or
        has a row in the ledger that says why it is not.
    """
    seen = seen.assign(account_id=account_ids(seen))
    found = _judge_seen(seen[seen["scope"].notna()], history, fetches, limits, now)
    rest = _with_standing(last[~last["account_id"].isin(found["account_id"])], history)
    rest = _ended(_renamed(_denied(rest, seen), renames, found), register)
    heirs = _handed_over(rest, register)
    rest = _moved_to(rest, heirs, found)
    found = _inherit(found, rest, heirs)
    taken = [*found["account_id"], *rest.loc[rest["left"].isna(), "account_id"]]
    heirs = heirs[~heirs["account_id"].isin(taken)]
    kept = _judge_kept(_together(rest[rest["left"].isna()], heirs), fetches, limits, now)
    accounts = _together(found, kept[kept["left"].isna()])
    accounts = _one_primary(_as_registered(accounts, register))
    gone = _together(rest[rest["left"].notna()], kept[kept["left"].notna()])
    return Reconciled(
        accounts[ACCOUNTS].sort_values("account_id", ignore_index=True),
        _write_ledger(history, accounts, gone, now),
    )


def account_ids(rows: pd.DataFrame) -> pd.Series:
    """The stable id of each account: the first 16 hexadecimal digits of a SHA-256.

    What is hashed is `council_id|platform|account_key`, so that anybody can compute it again.
    """
    text = rows["council_id"].astype("str") + "|" + rows["platform"].astype("str")
    text = text + "|" + rows["account_key"].astype("str")
    codes, distinct = pd.factorize(text)
    digests = [hashlib.sha256(value.encode()).hexdigest()[:16] for value in distinct]
    return pd.Series(np.array(digests, dtype=object)[codes], index=rows.index, dtype="str")


def _together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Rows of several frames; one without rows, whose types say nothing, gives none of its own."""
    parts = [frame for frame in frames if len(frame)]
    return pd.concat(parts, ignore_index=True) if parts else frames[0]


def lookup(keys: pd.Series, table: pd.Series) -> pd.Series:
    """What a table says of each key, in the table's type even where it says nothing of any."""
    return pd.Series(table.reindex(keys).array, index=keys.index)


def standing(history: pd.DataFrame) -> pd.DataFrame:
    """The latest row of each account in the ledger, indexed by account_id."""
    return (
        history.sort_values("since")
        .drop_duplicates("account_id", keep="last")
        .set_index("account_id")
    )


# --- What the crawl saw ------------------------------------------------------------------------


def _judge_seen(
    ours: pd.DataFrame,
    history: pd.DataFrame,
    fetches: pd.DataFrame,
    limits: Limits,
    now: pd.Timestamp,
) -> pd.DataFrame:
    """Give what was seen its standing, and the first time that any release saw it.

    Missing is what a later capture of the same page no longer shows; unconfirmed what was captured
    too long before the latest fetch. What a person added, and no page shows, does not age.
    """
    first = lookup(ours["account_id"], history.groupby("account_id")["first_seen"].min())
    looked = look(ours, fetches)["looked"]
    dropped = (looked > ours["last_seen"]) & (ours["status"] != "retired")
    on_pages = (ours["status"] == "current") & (ours["pages_seen"] > 0)
    old = on_pages & (now - ours["last_seen"] > limits.unvisited_days * DAY)
    carrier = "the page that carried it no longer does: " + ours["evidence_url"].astype("str")
    return ours.assign(
        first_seen=ours["first_seen"].mask(first < ours["first_seen"], first),
        last_checked=ours["last_seen"].mask(dropped, looked),
        status=ours["status"].mask(old, "unconfirmed").mask(dropped, "missing"),
        missed=dropped.astype("int64"),
        reason=_why_seen(ours)
        .mask(old, "not looked at since " + _day(ours["last_seen"]))
        .mask(dropped, carrier),
        moved=False,
        fresh=True,
    )


def _why_seen(ours: pd.DataFrame) -> pd.Series:
    region, page = ours["evidence_region"].astype("str"), ours["evidence_url"].astype("str")
    where = ("seen in the " + region + " of " + page).fillna("added by a person")
    words = ours["notice"].fillna(ours["evidence_text"]).fillna("").astype("str")
    ended = where + ", on a network or of a council that has ended"
    parked = where.mask(ours["status"].eq("parked"), "its page says: " + words)
    return parked.mask(ours["status"].eq("retired"), ended)


def _day(time: pd.Series) -> pd.Series:
    days: pd.Series = time.dt.strftime("%Y-%m-%d").astype("str")
    return days


# --- What the release before held, and the crawl did not see -------------------------------------


def _with_standing(rest: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Add what the ledger alone knows: account_key, missed; `left` says why a row must go."""
    known = standing(history)
    return rest.assign(
        account_key=lookup(rest["account_id"], known["account_key"]),
        missed=lookup(rest["account_id"], known["missed"]).fillna(0).astype("int64"),
        left=pd.Series(None, index=rest.index, dtype="str"),
        renamed_to=pd.Series(None, index=rest.index, dtype="str"),
        moved=False,
        fresh=False,
    )


def _leave(rest: pd.DataFrame, which: pd.Series, why: pd.Series | str) -> pd.DataFrame:
    return rest.assign(left=rest["left"].mask(which & rest["left"].isna(), why))


def _denied(rest: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Strike what the crawl saw, and attribution now says is not theirs."""
    denied = seen[seen["scope"].isna()].set_index("account_id")["decided_by"]
    rule = lookup(rest["account_id"], denied).astype("str")
    return _leave(rest, rule.notna(), "no longer taken for theirs: rule " + rule.fillna(""))


def _renamed(rest: pd.DataFrame, renames: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Strike an account whose address now leads to another one that the council links."""
    known = renames[renames["new"].isin(found["account_id"])].drop_duplicates("old")
    to = lookup(rest["account_id"], known.set_index("old")["new"]).astype("str")
    rest = _leave(rest, to.notna(), "its address now leads to another account")
    return rest.assign(renamed_to=to)


def _ended(rest: pd.DataFrame, register: pd.DataFrame) -> pd.DataFrame:
    """Strike the accounts of councils that have ended, or left the register."""
    ended = register.loc[register["status"] == "abolished", "council_id"]
    ends = rest["council_id"].isin(ended) & rest["left"].isna()
    rest = _leave(rest.assign(ends=ends), ends, "the council ended")
    unknown = ~rest["council_id"].isin(register["council_id"])
    return _leave(rest, unknown, "the council is not in the register any more")


def successors(register: pd.DataFrame) -> pd.DataFrame:
    """Each abolished council with the councils that stand in its place: council_id, heir.

    A successor that has itself ended is followed to its own successors.
    """
    over = register.loc[register["status"] == "abolished", ["council_id", "replaced_by"]]
    steps = over.explode("replaced_by").dropna().rename(columns={"replaced_by": "heir"})
    onward = steps.rename(columns={"council_id": "heir", "heir": "next"})
    chain = steps
    for _ in range(len(steps)):
        chain = chain.merge(onward, on="heir", how="left")
        if chain["next"].isna().all():
            break
        chain = chain.assign(heir=chain["next"].fillna(chain["heir"]))[["council_id", "heir"]]
    return chain[["council_id", "heir"]].drop_duplicates(ignore_index=True)


def _handed_over(rest: pd.DataFrame, register: pd.DataFrame) -> pd.DataFrame:
    """The accounts of ended councils as those of each successor; `was` is the id they had."""
    rows = rest[rest["ends"]].merge(successors(register), on="council_id")
    names = lookup(rows["council_id"], register.set_index("council_id")["name"])
    rows = rows.assign(was=rows["account_id"], council_id=rows["heir"])
    rows = rows.assign(account_id=account_ids(rows), left=None, moved=True, missed=0)
    rows = rows.assign(handed="handed over by " + names.astype("str"))
    rows["left"] = rows["left"].astype("str")
    return rows.sort_values(["account_id", "last_seen", "was"]).drop_duplicates(
        "account_id", keep="last"
    )


def _moved_to(rest: pd.DataFrame, heirs: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Name the successor's account in place of the old: one that its site shows, else the first."""
    shown = heirs.assign(unseen=~heirs["account_id"].isin(found["account_id"]))
    first = shown.sort_values(["unseen", "account_id"]).drop_duplicates("was").set_index("was")
    to = lookup(rest["account_id"], first["account_id"]).astype("str")
    return rest.assign(renamed_to=rest["renamed_to"].fillna(to))


def _inherit(found: pd.DataFrame, rest: pd.DataFrame, heirs: pd.DataFrame) -> pd.DataFrame:
    """Date what was renamed or moved from the day on which its old self was first seen."""
    renamed = rest[["renamed_to", "first_seen"]].rename(columns={"renamed_to": "account_id"})
    both = pd.concat([renamed.dropna(), heirs[["account_id", "first_seen"]]])
    earlier = lookup(found["account_id"], both.groupby("account_id")["first_seen"].min())
    return found.assign(first_seen=found["first_seen"].mask(earlier < found["first_seen"], earlier))


def look(accounts: pd.DataFrame, fetches: pd.DataFrame) -> pd.DataFrame:
    """When the page that shows each account best was last looked at, and what hindered a look.

    Returns `looked` (time; missing where the page was neither read nor found gone) and `hindered`
    (outcome of the page, or of the home page, that could not be read), in the accounts' index.
    A page that answers 404 or 410 was looked at, provided that the home page was read.
    """
    pages = fetches[fetches["purpose"].isin(PAGE) & ~fetches["outcome"].isin(UNASKED)]
    homes = pages[pages["purpose"] == "home"]
    home_read = homes[homes["outcome"].isin(READ)].groupby("council_id")["fetched_at"].max()
    addresses = pd.concat(
        [
            pages.assign(page=pages["url"]),
            pages.assign(page=pages["final_url"]).dropna(subset="page"),
        ]
    )
    addresses["page"] = _plain(addresses["page"])
    gone = addresses["status"].isin(GONE) & addresses["council_id"].isin(home_read.index)
    read = addresses["outcome"].isin(READ) | gone
    keys = pd.MultiIndex.from_arrays([accounts["council_id"], _plain(accounts["evidence_url"])])
    looked = addresses[read].groupby(["council_id", "page"])["fetched_at"].max().reindex(keys)
    page_failed = _last_outcome(addresses[~read], ["council_id", "page"]).reindex(keys)
    down = homes[~homes["council_id"].isin(home_read.index)]
    site_failed = lookup(accounts["council_id"], _last_outcome(down, ["council_id"]))
    failed = pd.Series(page_failed.to_numpy(), index=accounts.index, dtype="str")
    looked = pd.Series(looked.array, index=accounts.index)
    return pd.DataFrame(
        {
            "looked": looked,
            "hindered": failed.fillna(site_failed.astype("str")).mask(looked.notna()),
        }
    )


def _last_outcome(rows: pd.DataFrame, by: list[str]) -> pd.Series:
    latest = rows.sort_values("fetched_at").drop_duplicates(by, keep="last")
    return latest.set_index(by)["outcome"]


def _plain(url: pd.Series) -> pd.Series:
    """A page's address without scheme, www and closing slash, which moves of a site change."""
    return url.astype("str").str.replace(r"^https?://(www\.)?", "", regex=True).str.rstrip("/")


def _judge_kept(
    rest: pd.DataFrame, fetches: pd.DataFrame, limits: Limits, now: pd.Timestamp
) -> pd.DataFrame:
    """The standing of accounts that the crawl did not see, and which of them now leave.

    Seen to be absent: missing, and after `missed_crawls` such crawls it leaves. Not seen because
    the page could not be read: unconfirmed. Not looked at: as before, for `unvisited_days`. Not
    seen for `carry_days`, whatever the cause: missing. What was retired stays so until looked at.
    """
    looks = look(rest, fetches)
    absent = looks["looked"] > rest["last_checked"]
    missed = rest["missed"] + absent.astype("int64")
    current = rest["status"].eq("current")
    hindered = current & looks["hindered"].notna()
    unvisited = current & (now - rest["last_checked"] > limits.unvisited_days * DAY)
    lapsed = rest["status"].isin(("current", "unconfirmed", "parked")) & (
        now - rest["last_seen"] > limits.carry_days * DAY
    )
    seen_last = _day(rest["last_seen"])
    cases = [
        (
            absent,
            "missing",
            "the page that carried it no longer does: " + rest["evidence_url"].astype("str"),
        ),
        (lapsed, "missing", "not seen since " + seen_last),
        (
            hindered,
            "unconfirmed",
            "the page could not be read ("
            + looks["hindered"].fillna("")
            + "); last seen "
            + seen_last,
        ),
        (unvisited, "unconfirmed", "its page was not visited; last seen " + seen_last),
    ]
    status, reason = rest["status"], rest["status"].mask(rest["moved"], rest.get("handed"))
    for which, standing_then, why in reversed(cases):
        status, reason = status.mask(which, standing_then), reason.mask(which, why)
    judged = rest.assign(
        status=status,
        reason=reason,
        missed=missed,
        last_checked=rest["last_checked"].mask(absent, looks["looked"]),
    )
    out = absent & (missed >= limits.missed_crawls)
    return _leave(
        judged, out, f"absent in {limits.missed_crawls} crawls in a row that read its page"
    )


# --- The new accounts and the new ledger ---------------------------------------------------------


def _as_registered(accounts: pd.DataFrame, register: pd.DataFrame) -> pd.DataFrame:
    councils = register.set_index("council_id")
    return accounts.assign(
        council_name=lookup(accounts["council_id"], councils["name"]),
        gss_code=lookup(accounts["council_id"], councils["gss_code"]),
    )


def _one_primary(accounts: pd.DataFrame) -> pd.DataFrame:
    """Leave one primary per council, network and language: what the crawl chose, else what was.

    Of several that a merger brought together none is primary: each spoke for a part only.
    """
    slots = accounts[SLOT].assign(language=accounts["language"].fillna("en"))
    slots["moved"] = accounts["moved"]
    claims = slots[accounts["is_primary"].astype(bool)]
    order = pd.DataFrame(
        {
            "fresh": ~accounts["fresh"].astype(bool),
            "moved": accounts["moved"].astype(bool),
            "confidence": -accounts["confidence"],
            "account_id": accounts["account_id"],
        }
    ).loc[claims.index]
    rivals = claims["moved"].astype(bool) & claims.duplicated(keep=False)
    claims = claims[~rivals].loc[
        order[~rivals].sort_values(["fresh", "moved", "confidence", "account_id"]).index
    ]
    best = claims.drop_duplicates([*SLOT, "language"]).index
    return accounts.assign(is_primary=accounts.index.isin(best))


def _write_ledger(
    history: pd.DataFrame, accounts: pd.DataFrame, gone: pd.DataFrame, now: pd.Timestamp
) -> pd.DataFrame:
    """The ledger with today's standings: a new row where one changed, else the old row dated on."""
    gone = gone.assign(status="removed", reason=gone["left"])
    here = accounts.assign(renamed_to=None)
    rows = _together(here, gone).assign(since=now)[HISTORY]
    before = standing(history).reindex(rows["account_id"]).reset_index(drop=True)
    same = rows["status"].eq(before["status"]) & rows["scope"].eq(before["scope"])
    rows["since"] = rows["since"].mask(same, before["since"])
    rows["reason"] = rows["reason"].mask(same, before["reason"])
    ledger = _together(history[HISTORY], rows)
    ledger = ledger.drop_duplicates(["account_id", "since"], keep="last")
    return ledger.sort_values(["account_id", "since"], ignore_index=True)
