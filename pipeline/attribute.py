"""Whose account: the council's own voice, one of its services, or somebody else's; the primary.

Follows docs/policy.md rule by rule; `decided_by` names the rule. Without this step a directory is a
list of links, and a supplier's or a police force's account stands in a council's row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.likeness import tier_of
from pipeline.overrides import apply_overrides
from pipeline.platforms import default_rules
from pipeline.schema import SIGNALS
from pipeline.signals import FROM_LABEL, Vocabulary, collect, load_vocabulary, partners, successions

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK = ["council_id", "platform"]
YEAR_DAYS = 365.25
EVIDENCE = (
    "url",
    "is_primary",
    "status",
    "evidence_url",
    "evidence_region",
    "evidence_mechanism",
    "evidence_text",
    "first_seen",
    "last_seen",
)
COLUMNS = (*SIGNALS.names, *EVIDENCE)
KNOWN, WEAK = "stranger", "P5.9"
BY_WORDS = ("P2.2", "P2.3", "P2.4", "P2.5", "P3.2", "P3.3", "P3.4", "P4.3")
TOURISM, MAYOR, EMERGENCY = "tourism", "mayor", "emergency"


def attribute(
    identified: pd.DataFrame,
    fetches: pd.DataFrame,
    register: pd.DataFrame,
    overrides: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Decide for every account on a council's pages whether it is theirs, and in which scope.

    Args:
        identified: Observations with platform, account_key, handle, kind, url, via and reason.
        fetches: The table of that name.
        register: All councils, as pipeline.register.load_register returns them.
        overrides: What people decided, as pipeline.overrides.load_overrides returns it; those that
            have expired by the latest fetch do nothing.

    Returns:
        One row per council_id, platform and account_key, sorted by them: the columns of
        schema.SIGNALS, then url, is_primary, status, evidence and times. `scope` is missing where
        the account is not theirs. The same for any order of the input's rows.
    """
    vocabulary = load_vocabulary()
    table = collect(identified, fetches, register, vocabulary)
    table = _relations(table, register, vocabulary)
    table["score"] = evidence_score(table, vocabulary)
    table = _decide(table, vocabulary)
    table["confidence"] = _confidence(table, vocabulary)
    table = _network_notices(table)
    table["status"] = _status(table)
    if overrides is not None and not overrides.empty:
        table = apply_overrides(table, overrides, register, latest(identified, fetches))
    table["language"] = twins(table, vocabulary)
    table["is_primary"] = primaries(table, vocabulary)
    return _tidy(table)


def latest(identified: pd.DataFrame, fetches: pd.DataFrame) -> pd.Timestamp:
    """The time for which the table speaks: no clock is asked."""
    times = [pd.to_datetime(frame["fetched_at"], utc=True).max() for frame in (fetches, identified)]
    known = [time for time in times if not pd.isna(time)]
    return max(known) if known else pd.Timestamp(0, tz="UTC")


# --- What the signals mean together ----------------------------------------------------------


def _relations(table: pd.DataFrame, register: pd.DataFrame, rules: Vocabulary) -> pd.DataFrame:
    """Add own, foreign_name, for_partner, predecessor, rival and, for rule P7.3, stale_years."""
    even, like = rules.threshold("own_name"), table["name_likeness"].fillna(0.0)
    table["own"] = like >= even
    clear = table["foreign_likeness"].fillna(0.0) >= like + rules.threshold("foreign_margin")
    foreign = clear & (table["foreign_likeness"] >= rules.threshold("foreign_name"))
    kinds = tier_of(register, rules.raw["tier"])
    # A label tells namesakes of two kinds apart where the handle does not.
    namesake = ~table["told_own"] & table["told"].map(kinds).ne(table["council_id"].map(kinds))
    told = table["told"].notna() & (~table["own"] | namesake)
    table["foreign"] = table["foreign"].mask(told & ~foreign, table["told"])
    foreign |= told
    replaced = set(successions(register))
    pairs = pd.MultiIndex.from_frame(table[["council_id", "foreign"]])
    table["predecessor"] = foreign & pairs.isin(replaced)
    # An old site may already speak in the name of the council to come.
    heir = pairs.isin({(old, new) for new, old in replaced})
    partner = table["council_id"].map(partners(register))
    theirs = _likeness_to(partner, table)
    table["for_partner"] = (foreign & table["foreign"].eq(partner)) | (
        theirs.gt(rules.threshold("likeness_even")) & like.eq(0)
    )
    table["foreign_name"] = foreign & ~table["predecessor"] & ~table["for_partner"] & ~heir
    table["partner"] = table["council_id"].isin(partners(register).index)
    placed = table["in_chrome"] | table["on_home"] | table["declared"] | table["on_social_page"]
    best = (table["own"] & placed & table["linked"]).groupby([table[c] for c in NETWORK])
    table["rival"] = best.transform("any") & ~table["own"] & table["name_likeness"].notna()
    newest = table["last_seen"].where(table["linked"]).groupby([table[c] for c in NETWORK])
    behind = (newest.transform("max") - table["last_seen"]).dt.total_seconds() / (86400 * YEAR_DAYS)
    table["stale_years"] = behind.fillna(0.0).clip(0.0, rules.threshold("stale_years"))
    return table


def _likeness_to(partner: pd.Series, table: pd.DataFrame) -> pd.Series:
    """How like the name of the other council of its website each handle is; 0 without one."""
    rows = ["platform", "account_key"]
    known = table.set_index(["council_id", *rows])["name_likeness"]
    wanted = pd.MultiIndex.from_frame(table[rows].assign(partner=partner)[["partner", *rows]])
    return pd.Series(known.reindex(wanted).to_numpy(), index=table.index).fillna(0.0)


def evidence_score(table: pd.DataFrame, rules: Vocabulary) -> pd.Series:
    """How strongly the pages say that each account is the council's, in log-odds.

    The sum of the weights of data/rules/attribution.toml; each stands there with its reason.
    """
    like = table["name_likeness"]
    others = pd.Series(np.log2(1.0 + table["other_councils"].astype(float)), index=table.index)
    # An address alone vouches for nobody: a page of events links bands and clubs.
    vouched = table["follow"] | table["office"] | table["agreed"] | table["on_social_page"]
    service = table["service_handle"].notna() | table["service_words"].notna()
    service |= table["service_address"].notna() & vouched
    parts = {
        "chrome": table["in_chrome"],
        "home": table["on_home"],
        "share": table["pages_share"],
        "declared": table["declared"],
        "social_page": table["on_social_page"],
        "follow": table["follow"],
        "named": table["named"],
        "office": table["office"],
        "agreed": table["agreed"],
        "likeness": (like - rules.threshold("likeness_even")).fillna(0.0),
        "service": service,
        "siblings": table["siblings"].gt(0),
        "others": others.mask(table["own"], 0.0),
        "rival": table["rival"] & ~service & ~table["office"],
        "indirect": ~table["direct"] & ~table["declared"],
    }
    total = pd.Series(rules.weight("base"), index=table.index)
    for name, value in parts.items():
        total = total + rules.weight(name) * value.astype(float)
    return total


def chance(score: pd.Series) -> pd.Series:
    """Log-odds as a chance, 0 to 1."""
    return pd.Series(1.0 / (1.0 + np.exp(-score.to_numpy(dtype=float))), index=score.index)


# --- The policy, rule by rule ----------------------------------------------------------------


def _decide(table: pd.DataFrame, rules: Vocabulary) -> pd.DataFrame:
    """Add decided_by, scope and service: the first rule that applies decides."""
    cases = _cases(table, rules)
    table["decided_by"] = np.select(
        [case for _, case in cases], [rule for rule, _ in cases], "P5.9"
    )
    known = table["stranger"].map(dict(rules.stranger_rules))
    table["decided_by"] = table["decided_by"].mask(table["decided_by"].eq("stranger"), known)
    scopes = {rule["id"]: rule["scope"] or None for rule in rules.raw["rule"] if "scope" in rule}
    table["scope"] = table["decided_by"].map(scopes).astype("object")
    table["service"] = _service(table)
    return table


def _cases(table: pd.DataFrame, rules: Vocabulary) -> Sequence[tuple[str, pd.Series]]:
    """The rules of the policy in its order, each with the rows that it fits."""
    known = table["stranger"].notna()
    listed = table["stranger"].isin(rules.listed) & table["on_social_page"] & ~table["credit"]
    weak = chance(table["score"]) < rules.threshold("theirs")
    many = table["other_councils"] >= rules.threshold("many_councils")
    own, chrome = table["own"], table["in_chrome"]
    person = table["platform"].eq("linkedin") & table["account_key"].str.startswith("in/")
    handle, words = table["service_handle"], table["service_words"]
    voice = own & handle.isna()
    whole = voice & table["name_likeness"].ge(rules.threshold("full_name"))
    said = words.notna() & ~(voice & chrome) & ~(whole & ~table["on_social_page"])
    # A label that names the council itself outweighs the heading of its page.
    said &= ~(table["told_own"] & table["service_from"].gt(FROM_LABEL))
    shared = table["partner"] & (
        ~own | table["foreign_likeness"].fillna(0.0).ge(table["name_likeness"])
    )
    return (
        ("P3.7", known & listed),
        (KNOWN, known),
        ("P5.4", person),
        ("P5.2", table["person"] & ~own),
        ("P5.8", ~table["linked"]),
        ("P5.7", table["credit"] & ~own & (table["disowned"] | ~table["named"])),
        ("P4.2", table["for_partner"]),
        ("P4.3", table["predecessor"]),
        ("P5.5", table["foreign_name"]),
        ("P5.6", many & ~own),
        (WEAK, weak),
        ("P3.8", table["kind"].eq("group")),
        ("P3.6", handle.eq(MAYOR)),
        ("P3.5", handle.eq(TOURISM)),
        ("P3.1", handle.notna() & table["name_likeness"].fillna(0.0).gt(0)),
        ("P3.3", said & table["on_social_page"] & ~whole),
        ("P3.2", said & ~whole),
        ("P3.4", table["service_address"].notna() & ~voice & ~table["told_own"]),
        ("P4.1", shared),
        ("P2.1", chrome & own),
        ("P2.2", chrome),
        ("P2.3", table["declared"]),
        ("P2.4", table["on_social_page"]),
        ("P2.5", own | table["follow"] | table["named"] | table["office"] | table["on_home"]),
    )


def _service(table: pd.DataFrame) -> pd.Series:
    """Which service: of the handle, else of the words, else of the address; null for corporate."""
    service = table["service_handle"].where(
        table["service_handle"].notna(),
        table["service_words"].where(table["service_words"].notna(), table["service_address"]),
    )
    service = service.mask(table["decided_by"].eq("P3.7"), EMERGENCY)
    return service.where(table["scope"].eq("service"), None).astype("object")


def _confidence(table: pd.DataFrame, rules: Vocabulary) -> pd.Series:
    """The chance that the decision is right: of the score, within what evidence can carry.

    A rule that goes by a name is taken at the most that any page can say.
    """
    most = rules.threshold("confidence_most")
    theirs = chance(table["score"])
    one_page = table["pages_seen"].eq(1)
    ceiling = pd.Series(most, index=table.index).mask(
        one_page, rules.threshold("confidence_one_page")
    )
    by_words = table["decided_by"].isin(BY_WORDS)
    ceiling = ceiling.mask(by_words, rules.threshold("scope_doubt"))
    doubtful = table["decided_by"].eq(WEAK)
    scored = table["scope"].notna() & ~table["predecessor"] | doubtful
    return theirs.mask(doubtful, 1.0 - theirs).where(scored, most).clip(upper=ceiling).round(3)


# --- Status, languages, primary --------------------------------------------------------------


def _network_notices(table: pd.DataFrame) -> pd.DataFrame:
    """A notice is kept only on what is theirs: about a stranger's account we say nothing."""
    theirs = table["scope"].notna()
    table["notice"] = table["notice"].where(theirs, None).astype("object")
    table["notice_rule"] = table["notice_rule"].where(theirs, None)
    return table


def _status(table: pd.DataFrame) -> pd.Series:
    """Whether it is in use: retired by rule P6.4 or P4.3, parked by a notice, or current."""
    closed = [platform.id for platform in default_rules().platforms if platform.retired]
    retired = table["platform"].isin(closed) | table["decided_by"].eq("P4.3")
    return pd.Series(
        np.select([retired, table["notice"].notna()], ["retired", "parked"], "current"),
        index=table.index,
    )


def twins(table: pd.DataFrame, rules: Vocabulary) -> pd.Series:
    """The language of each corporate account where a council has it in two (P7.2): en, cy or gd.

    An account is Welsh by a Welsh word or the Welsh place name in its handle, or when only Welsh
    text links it. Without a twin the language is missing: one account may speak both.
    """
    names = table["name"].fillna("")
    tongue = pd.Series("en", index=table.index)
    for language in ("gd", "cy"):
        words = "|".join(rules.raw["language"][language]["words"])
        told = names.str.contains(words) | table["form_language"].eq(language)
        tongue = tongue.mask(told, language)
    tongue = tongue.mask(table["welsh"], "cy")
    corporate = table["scope"].eq("corporate") & ~table["predecessor"]
    groups = tongue.where(corporate).groupby([table[c] for c in NETWORK])
    return tongue.where(corporate & groups.transform("nunique").gt(1), None).astype("object")


def primaries(table: pd.DataFrame, rules: Vocabulary) -> pd.Series:
    """Which accounts to show: one per council, network and language (P7.1).

    Accounts in use come before parked ones, then the better evidence, which wanes for each year
    that newer pages do without the link (P7.3), more pages, and the shorter handle. A group is
    never primary, nor an account that an ended council left behind.
    """
    chosen = table.get("chosen", pd.Series(data=False, index=table.index)).astype(bool)
    eligible = table["scope"].eq("corporate") & (
        chosen | (table["kind"].ne("group") & ~table["predecessor"])
    )
    score = table["score"] + rules.weight("stale") * table["stale_years"]
    order = pd.DataFrame(
        {
            "council_id": table["council_id"],
            "platform": table["platform"],
            "language": table["language"].fillna(""),
            "chosen": ~chosen,
            "parked": table["status"].eq("parked"),
            "score": -score.round(3),
            "pages": -table["pages_seen"],
            "length": table["handle"].str.len(),
            "account_key": table["account_key"],
        }
    )[eligible]
    first = order.sort_values(order.columns.tolist()).drop_duplicates([*NETWORK, "language"])
    return pd.Series(table.index.isin(first.index), index=table.index)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """The published columns, sorted by key."""
    table["pages_share"] = table["pages_share"].clip(0.0, 1.0)
    ordered = table.sort_values(["council_id", "platform", "account_key"])
    texts = {column: "str" for column in COLUMNS if ordered[column].dtype == "object"}
    return ordered[list(COLUMNS)].astype(texts).reset_index(drop=True)
