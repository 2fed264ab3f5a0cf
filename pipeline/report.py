"""Tell the maintainer in words what a build made of its crawls, and what there is to do.

Written into every release as report.md, and kept with one that was refused, so that whoever is
woken by an alert needs no other file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pandas as pd

from pipeline.changes import as_markdown, markdown
from pipeline.domains import registrable
from pipeline.schema import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.checks import Finding

LONGEST_LIST = 20
MANY_COUNCILS = 2
UNSURE = 0.8
LARGEST_SITES = 5
SLOW_SECONDS = 5
KEPT_OUT = ("blocked", "robots", "not_today")
UNASKED = ("budget", "not_due", "not_today")
LETTER = """A letter to those that keep us out:

> To the web team,
>
> Digital Councils is a public directory of councils' own social media accounts. Once a week it
> reads a few pages of each council's website, one at a time with a pause between them, and obeys
> robots.txt. Your website turns it away, so that your accounts are missing from the directory, or
> are shown as unconfirmed.
>
> Its requests name themselves `{agent}`. If you are content to be listed, please let that user
> agent pass your firewall and your robots.txt. If you are not, tell us, and we will not ask."""
ADVICE = {
    "http_error": "the site answers with an error: open it in a browser, and correct the register "
    "if it has moved",
    "robots": "its robots.txt asks us to stay away: ask the council to allow our user agent",
    "dns": "its host has no address: look for the new website, and correct the register",
    "tls": "its certificate is not valid: tell the council",
    "timeout": "it did not answer in time: wait for the next crawl",
    "refused": "it does not take our connection: wait for the next crawl, then tell the council",
    "blocked": "a firewall keeps us out: ask the council to allow our user agent",
    "too_large": "its home page is larger than we read: look at it in a browser",
    "truncated": "its home page broke off: wait for the next crawl",
    "not_html": "its home page is no HTML: look at it in a browser",
    "needs_browser": "its home page is empty without scripts: crawl it with the browser extra",
    "not_found": "its home page does not exist: look for the new website, correct the register",
    "parked": "its host is parked: look for the new website, and correct the register",
    "off_site": "it leads to another site: if the council moved, correct the register",
    "address": "its host has no public address: correct the register",
    "not_today": "it turned us away again and again, and was not asked any more that day: ask the "
    "council to allow our user agent",
    "budget": "the budget of the crawl ended before it: crawl again",
}


NOT_NEEDED = "no certificate was let pass: if they all verify now, empty `unverified_reason`"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report tells of: the tables of a build and what was noted on the way.

    Attributes:
        version: Of the release.
        last_version: Of the release before.
        findings: Gates that did not pass.
        tables: By name.
        unused_overrides: What unused_overrides returns.
        warnings: What was left out on reading the crawls.
        crawls: The run.json of each crawl.
    """

    version: str
    last_version: str | None
    findings: Sequence[Finding]
    tables: Mapping[str, pd.DataFrame]
    unused_overrides: pd.DataFrame
    warnings: Sequence[str]
    crawls: Sequence[Mapping[str, Any]]

    @property
    def asked(self) -> pd.DataFrame:
        """The fetches of these crawls, without those that are carried on from earlier ones."""
        fetches = self.tables["fetches"]
        return fetches[fetches["crawl_id"].isin([crawl["crawl_id"] for crawl in self.crawls])]


def report(facts: Facts) -> str:
    """The report as Markdown."""
    sections = [
        _head(facts),
        _checks(facts.findings),
        _coverage(facts.tables["coverage"]),
        _unread(facts),
        _turned_away(facts.asked, facts.tables["councils"]),
        _moved(facts.tables["fetches"], facts.tables["councils"]),
        _unverified(facts.crawls, facts.tables["councils"]),
        _doubtful(facts.tables["accounts"]),
        _overrides(facts.unused_overrides),
        _unknown(facts.tables["rejections"]),
        _kept_from_us(facts.asked, facts.tables["councils"]),
        _largest(facts.asked, facts.tables["councils"]),
        _slowest(facts.asked, facts.tables["councils"]),
        _list("What was left out on reading the crawls", list(facts.warnings)),
        _changes(facts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(facts: Facts) -> str:
    since = f", after {facts.last_version}" if facts.last_version else ", the first"
    directory, accounts = facts.tables["directory"], facts.tables["accounts"]
    read = int(directory["check_outcome"].isin(("ok", "not_modified")).sum())
    with_any = int(directory["accounts"].gt(0).sum())
    return (
        f"# Release {facts.version}{since}\n\n"
        f"{len(accounts)} accounts of {with_any} councils. Of {len(directory)} current councils, "
        f"the home page of {read} was read at the last look."
    )


def _checks(findings: Sequence[Finding]) -> str:
    refused = [f for f in findings if f.refuses]
    title = "Refused: not published" if refused else "Checks passed"
    lines = [
        f"{'allowed' if f.allowed else f.severity}: **{f.gate}**: {_plain(f.message)}. "
        + (f"Let pass because: {_plain(f.allowed)}" if f.allowed else f.reason)
        for f in findings
    ]
    if refused:
        lines.append(
            "If this is as it should be, build again with `--allow GATE REASON` for each gate; "
            "if not, the release before still stands"
        )
    return _list(title, lines) or f"## {title}"


def _coverage(coverage: pd.DataFrame) -> str:
    counts = coverage.groupby(["platform", "state"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(STATES), fill_value=0)
    head = "| Network | Found | None found | Kept out | Not checked |"
    rule = "| --- | --: | --: | --: | --: |"
    order = counts.sort_values(["found", "none_found"], ascending=False, kind="stable")
    rows = [f"| {n} | {' | '.join(map(str, row))} |" for n, *row in order.itertuples(name=None)]
    return "## Councils by network\n\n" + "\n".join([head, rule, *rows])


def _unread(facts: Facts) -> str:
    """Each council whose home page was not read: how, since how many crawls, what to do."""
    directory = facts.tables["directory"]
    failed = directory[directory["check_outcome"].isin(ADVICE)]
    failed = failed.assign(since=_in_vain(failed["checked_on"], facts.tables["versions"]))
    parts = []
    for outcome, rows in failed.groupby("check_outcome", sort=True):
        lines = as_markdown(rows["name"]) + " (" + rows["council_id"] + "), " + rows["since"]
        parts.append(f"**{outcome}** — {ADVICE[str(outcome)]}:\n\n{_bullets(lines.tolist())}")
    never = int(directory["check_outcome"].isna().sum())
    if never:
        parts.append(f"The home pages of {never} councils are in no crawl up to now.")
    if failed["check_outcome"].isin(KEPT_OUT).any():
        parts.append(_letter(facts.crawls))
    return "## Councils whose site could not be read\n\n" + "\n\n".join(parts) if parts else ""


def _in_vain(checked_on: pd.Series, versions: pd.DataFrame) -> pd.Series:
    """In words, how many crawls have failed since a page of each council was last read."""
    released = versions["released"].dt.tz_convert(None).dt.normalize().to_numpy()
    days = pd.to_datetime(checked_on).to_numpy()
    # A council that was never read has no day, and no release is as old as that.
    crawls = (~(released <= days[:, None])).sum(axis=1)
    count = pd.Series(crawls, index=checked_on.index)
    since = "for " + count.astype("str") + " crawls, last read " + checked_on.astype("str")
    return since.where(count.gt(1), "for the first time").mask(
        checked_on.isna(), "never read in " + count.astype("str") + " crawls"
    )


def _letter(crawls: Sequence[Mapping[str, Any]]) -> str:
    """A letter to a council that keeps the crawler out, with the very user agent to allow."""
    agents = [crawl.get("inputs", {}).get("user_agent") for crawl in crawls]
    agent = next(filter(None, agents), "the user agent of our crawler")
    return LETTER.format(agent=agent)


def _turned_away(asked: pd.DataFrame, councils: pd.DataFrame) -> str:
    """Sites that answered 403 or 429 again and again: what they left unread, until when."""
    rows = asked[asked["outcome"].eq("not_today")].groupby("council_id")["fetched_at"]
    lines = [
        f"{name}: {count} pages not asked for, {when:%Y-%m-%d}"
        for name, count, when in zip(
            _names(rows.size().index, councils), rows.size(), rows.max(), strict=True
        )
    ]
    return _list("Sites that turned us away again and again: not asked any more that day", lines)


def _moved(fetches: pd.DataFrame, councils: pd.DataFrame) -> str:
    """Home pages that answer under another host, or under https alone: what the row should say."""
    homes = fetches[fetches["purpose"].eq("home") & fetches["final_url"].notna()]
    homes = homes.sort_values("fetched_at").drop_duplicates("council_id", keep="last")
    old, new = homes["url"], homes["final_url"]
    secured = old.str.startswith("http:") & new.str.startswith("https:")
    moved = homes[_hosts(old).ne(_hosts(new)) | secured]
    names = _names(pd.Index(moved["council_id"]), councils)
    lines = [
        f"{name} ({council}): `{_address(url)}` now leads to `{_address(final)}`"
        for name, council, url, final in zip(
            names, moved["council_id"], moved["url"], moved["final_url"], strict=True
        )
    ]
    return _list("Home pages that moved: correct the register", sorted(lines))


def _address(url: str) -> str:
    """A website as the register would have it, with nothing in it that Markdown could take up."""
    parts = urlsplit(url)
    host, path = quote(parts.hostname or "", safe=".-:[]"), quote(parts.path or "/", safe="/%~")
    return f"{parts.scheme}://{host}{path}"


def _unverified(crawls: Sequence[Mapping[str, Any]], councils: pd.DataFrame) -> str:
    """Councils whose certificates need not verify, and those for whom that is needed no more."""
    if not crawls or any(crawl.get("kind") != "crawl" for crawl in crawls):
        return ""
    rows = councils[councils["unverified_reason"].notna()]
    used = {council for crawl in crawls for council in crawl.get("unverified", [])}
    lines = [
        f"{name}: "
        + (f"read unverified, because: {_plain(reason)}" if council in used else NOT_NEEDED)
        for council, name, reason in zip(
            rows["council_id"],
            _names(pd.Index(rows["council_id"]), councils),
            rows["unverified_reason"],
            strict=True,
        )
    ]
    return _list("Sites whose certificates need not verify", lines)


def _hosts(url: pd.Series) -> pd.Series:
    return url.map(lambda u: (urlsplit(u).hostname or "").removeprefix("www.")).astype("str")


def _doubtful(accounts: pd.DataFrame) -> str:
    doubtful = accounts[accounts["is_primary"] & accounts["confidence"].lt(UNSURE)]
    rows = doubtful.sort_values(["confidence", "account_id"])
    lines = as_markdown(rows["council_name"]) + ", " + rows["platform"] + ": `" + rows["url"] + "`"
    lines = lines + " at " + rows["confidence"].round(2).astype("str")
    return _list(f"Primary accounts below {UNSURE}: decide with `review`", lines.tolist())


def _overrides(unused: pd.DataFrame) -> str:
    lines = [
        f"row {row}: {council} {platform} {_plain(str(account))}: {fault}"
        for row, council, platform, account, fault in unused[
            ["row", "council_id", "platform", "account", "fault"]
        ].itertuples(index=False, name=None)
    ]
    return _list("Overrides that do nothing any more: remove or renew", lines)


def _unknown(rejections: pd.DataFrame) -> str:
    """Hosts that no rule knows and several councils link: the next network is among them."""
    unknown = rejections[rejections["reason"].eq("unknown_host")]
    hosts = unknown["href"].str.extract(r"^\s*(?:https?:)?//([A-Za-z0-9.-]+)", expand=False)
    distinct = hosts.dropna().unique()
    domain = hosts.map({host: registrable(host) for host in distinct})
    counts = unknown.groupby(domain)["council_id"].nunique()
    often = counts[counts >= MANY_COUNCILS].sort_values(ascending=False, kind="stable")
    lines = [f"`{host}`: {count} councils" for host, count in often.head(LONGEST_LIST).items()]
    return _list(
        "Hosts that no rule knows, and several councils link: is a network among them?", lines
    )


def _kept_from_us(asked: pd.DataFrame, councils: pd.DataFrame) -> str:
    """Pages that robots.txt forbids on sites that are read otherwise."""
    pages = asked[asked["outcome"].eq("robots") & asked["purpose"].eq("follow")]
    counts = pages.groupby("council_id").size().sort_values(ascending=False, kind="stable")
    names = _names(counts.index, councils)
    lines = [f"{n}: {count} pages" for n, count in zip(names, counts, strict=True)]
    return _list("Pages that robots.txt forbids: an account on them cannot be seen", lines)


def _largest(asked: pd.DataFrame, councils: pd.DataFrame) -> str:
    sizes = asked[~asked["outcome"].isin(UNASKED)].groupby("council_id")
    table = sizes.agg(pages=("url", "size"), size=("bytes", "sum"))
    top = table.sort_values("size", ascending=False, kind="stable").head(LARGEST_SITES)
    lines = [
        f"{name}: {int(size) / 1e6:.1f} MB in {pages} requests"
        for name, pages, size in zip(
            _names(top.index, councils), top["pages"], top["size"], strict=True
        )
    ]
    return _list("Largest sites of this crawl", lines)


def _slowest(asked: pd.DataFrame, councils: pd.DataFrame) -> str:
    """Sites by the seconds from one answer to the next, our own pauses among them."""
    times = asked[~asked["outcome"].isin(UNASKED)].groupby("council_id")["fetched_at"]
    spans = (times.max() - times.min()).dt.total_seconds() / (times.size() - 1).clip(lower=1)
    slow = spans[spans >= SLOW_SECONDS].sort_values(ascending=False, kind="stable")
    top = slow.head(LARGEST_SITES)
    names = _names(top.index, councils)
    lines = [f"{name}: {span:.0f} seconds a page" for name, span in zip(names, top, strict=True)]
    return _list("Slowest sites of this crawl", lines)


def _names(ids: pd.Index, councils: pd.DataFrame) -> list[str]:
    """Councils as a report names them."""
    names = ids.to_series().map(councils.set_index("council_id")["name"])
    return as_markdown(names.fillna(ids.to_series())).tolist()


def _changes(facts: Facts) -> str:
    if facts.last_version is None:
        return ""
    title = f"Changes since {facts.last_version}"
    text = markdown(facts.tables["changes"], facts.tables["councils"], title)
    return text.replace("\n## ", "\n### ").replace("# ", "## ", 1).strip()


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"## {title}\n\n{_bullets(lines)}"


def _bullets(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:LONGEST_LIST]]
    if len(lines) > LONGEST_LIST:
        shown.append(f"- and {len(lines) - LONGEST_LIST} more")
    return "\n".join(shown)


def _plain(text: str) -> str:
    return str(as_markdown(pd.Series([text])).iloc[0])
