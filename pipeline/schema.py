"""Every table of Digital Councils: its columns, types, descriptions and key.

Readers and writers take their types from here, so a column that is not described here can be
neither written nor published, and the data dictionary cannot differ from the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

STRING = pa.string()
CODED = pa.dictionary(pa.int32(), STRING)
TEXTS = pa.list_(pa.string())
TIME = pa.timestamp("s", tz="UTC")
DATE = pa.date32()
COUNT = pa.int32()
SHARE = pa.float64()
FLAG = pa.bool_()

NATIONS = ("England", "Scotland", "Wales", "Northern Ireland")
PURPOSES = ("home", "follow", "sitemap", "robots", "short_link")
OUTCOMES = (
    "ok",
    "not_modified",
    "not_due",
    "http_error",
    "robots",
    "dns",
    "tls",
    "timeout",
    "refused",
    "blocked",
    "too_large",
    "truncated",
    "not_html",
    "needs_browser",
    "not_found",
    "parked",
    "off_site",
    "address",
    "redirects",
    "duplicate",
    "not_captured",
    "given_up",
    "not_today",
    "budget",
)
MECHANISMS = (
    "anchor",
    "area",
    "svg",
    "noscript",
    "template",
    "link_rel",
    "meta",
    "json_ld",
    "microdata",
    "rdfa",
    "widget",
    "iframe",
    "onclick",
    "data_attribute",
    "script",
    "text",
)
REGIONS = ("header", "nav", "main", "aside", "footer", "head")
KINDS = ("profile", "page", "group", "channel", "place", "directory")
SCOPES = ("corporate", "service")
STATUSES = ("current", "unconfirmed", "missing", "parked", "retired")
STATES = ("found", "none_found", "blocked", "not_checked")
CHANGES = ("added", "removed", "moved", "renamed", "status", "scope")
LEVELS = ("first", "schema", "rows", "values")
# The networks of one owner, best first: the directory's google_url is the first that a council has.
GOOGLE = ("youtube", "google_business", "google_plus")
ACTIONS = ("confirm", "reject", "add", "set_scope", "set_status", "set_primary")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, what it means, and which values it may hold."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, its columns in order, and the columns that identify a row."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The column names, in the order in which they are written."""
        return [column.name for column in self.columns]

    def arrow(self) -> pa.Schema:
        """The Arrow schema, with each column's description as field metadata."""
        fields = [
            pa.field(c.name, c.type, c.nullable, {"description": c.description})
            for c in self.columns
        ]
        return pa.schema(fields, {"table": self.name, "description": self.description})

    def faults(self, table: pa.Table) -> list[str]:
        """What is wrong with a table that should be this one; empty when nothing is.

        Names each column that is missing, unknown or of another type, each that is empty where it
        may not be, each value that is none of those allowed, and rows that share a key. Texts may
        be coded: what is asked of them is the same.
        """
        wanted, found = self.arrow(), table.schema
        faults = [f"column '{name}' is missing" for name in wanted.names if name not in found.names]
        faults += [
            f"column '{name}' is unknown" for name in found.names if name not in wanted.names
        ]
        faults += [
            f"column '{f.name}' is {found.field(f.name).type}, not {f.type}"
            for f in wanted
            if f.name in found.names and _written_out(found.field(f.name).type) != f.type
        ]
        if faults:
            return faults
        for column in self.columns:
            faults += _column_faults(column, table[column.name])
        if self.key and (repeated := _repeated(table, self.key)):
            faults.append(f"{repeated} rows repeat the key {', '.join(self.key)}")
        return faults


def _written_out(kind: pa.DataType) -> pa.DataType:
    return STRING if kind == CODED else kind


def _column_faults(column: Column, cells: pa.ChunkedArray) -> list[str]:
    faults = []
    if cells.null_count and not column.nullable:
        faults.append(f"column '{column.name}' is empty in {cells.null_count} rows")
    if column.values:
        found = pc.unique(cells).drop_null().to_pylist()
        strange = sorted(set(found) - set(column.values))
        faults += [f"column '{column.name}' holds '{value}'" for value in strange]
    return faults


def _repeated(table: pa.Table, key: Sequence[str]) -> int:
    """Rows beyond the first of their key."""
    return int(table.num_rows - table.select(list(key)).group_by(list(key)).aggregate([]).num_rows)


_COUNCIL_ID = Column("council_id", STRING, "Stable id of the council, three or four letters")
_GSS = Column("gss_code", STRING, "ONS code (GSS) of the council's area, to join on", True)
_PLATFORM = Column("platform", STRING, "Network, by its id in data/rules/platforms.toml")
_CRAWL_ID = Column("crawl_id", STRING, "Which crawl asked")

COUNCILS = Table(
    "councils",
    "The register: one row per council, current, abolished or coming",
    (
        _COUNCIL_ID,
        _GSS,
        Column("former_gss_codes", TEXTS, "Codes that the same area had before"),
        Column("name", STRING, "Official name in English"),
        Column("sort_name", STRING, "Name under which a reader looks for it in an A–Z"),
        Column("names_other", TEXTS, "Welsh, Gaelic, short and former names"),
        Column("nation", STRING, "Nation of the United Kingdom", values=NATIONS),
        Column("council_type", STRING, "Type of council, such as London borough"),
        Column("region", STRING, "English region; the nation elsewhere", True),
        Column("county_id", STRING, "council_id of the county council above a district", True),
        Column("website", STRING, "Home page, with scheme", True),
        Column("other_hosts", TEXTS, "Other and former hosts of the council's own sites"),
        Column("shares_website_with", STRING, "council_id of the council on one website", True),
        Column("unverified_reason", STRING, "Why its TLS certificates need not verify", True),
        Column("start_date", DATE, "First day of the council, where known", True),
        Column("end_date", DATE, "Last day of the council", True),
        Column("replaced_by", TEXTS, "council_id of each successor"),
        Column("status", STRING, "Today's standing", values=("current", "abolished", "coming")),
    ),
    ("council_id",),
)

FETCHES = Table(
    "fetches",
    "One row per request made, or deliberately not made, and what came of it",
    (
        _CRAWL_ID,
        _COUNCIL_ID,
        Column("url", STRING, "Address asked for"),
        Column("final_url", STRING, "Address that answered, after redirects", True),
        Column("purpose", STRING, "Why it was asked", values=PURPOSES),
        Column("depth", COUNT, "Links followed from the home page"),
        Column("outcome", STRING, "What came of it, in one word", values=OUTCOMES),
        Column("status", COUNT, "HTTP status", True),
        Column("bytes", COUNT, "Decoded size of the body", True),
        Column("sha256", STRING, "Digest of the decoded body, hexadecimal", True),
        Column("rendered", FLAG, "Read as a browser's scripts had filled it, not as it was sent"),
        Column("fetched_at", TIME, "When the answer, or its failure, came"),
    ),
    ("crawl_id", "council_id", "url", "purpose", "fetched_at"),
)

OBSERVATIONS = Table(
    "observations",
    "One row per candidate link on a page: where it stood, as it was written",
    (
        _CRAWL_ID,
        _COUNCIL_ID,
        Column("page_url", STRING, "Page that carried it"),
        Column("is_home", FLAG, "The page is the council's home page"),
        Column("mechanism", STRING, "Markup that carried it", values=MECHANISMS),
        Column("region", STRING, "Part of the page that it stood in", values=REGIONS),
        Column("href", STRING, "The link, as written"),
        Column("hint", STRING, "Network that the markup itself names, for a bare handle", True),
        Column("label", STRING, "Accessible name of the link", True),
        Column("heading", STRING, "Nearest heading above it", True),
        Column("sentence", STRING, "Sentence around it", True),
        Column("language", STRING, "Language of the text around it, as declared", True),
        Column("fetched_at", TIME, "When the page was fetched"),
    ),
    # None identify a row: a page may carry one link twice, with other words around it.
    (),
)

SIGNALS = Table(
    "signals",
    "One row per council and account seen, ours or not: what attribution decided, and on what",
    (
        _COUNCIL_ID,
        _PLATFORM,
        Column("account_key", STRING, "Account, in the form in which two writings compare equal"),
        Column("handle", STRING, "Account, as it is shown"),
        Column("kind", STRING, "What the network calls it", values=KINDS),
        Column("pages_seen", COUNT, "Pages of the council that carry it"),
        Column("pages_share", SHARE, "Share of the council's pages read that carry it, 0 to 1"),
        Column("on_home", FLAG, "On the home page"),
        Column("in_chrome", FLAG, "In a header, navigation or footer"),
        Column("declared", FLAG, "Declared in sameAs, a publisher link or a meta element"),
        Column("on_social_page", FLAG, "Listed on the council's own social media page"),
        Column("direct", FLAG, "Linked itself, not only through a post, plugin or feed"),
        Column("name_likeness", SHARE, "Likeness of handle and council name, 0 to 1", True),
        Column("foreign", STRING, "Other council that the handle or a label names in full", True),
        Column("other_councils", COUNT, "Other councils whose sites carry it"),
        Column("siblings", COUNT, "Other networks on which the site links the same name"),
        Column("follow", FLAG, "Words such as 'follow us' stand on or above a link to it"),
        Column("named", FLAG, "The label of a link to it names the council"),
        Column("office", FLAG, "Words near a link say that the council's own office posts there"),
        Column("agreed", FLAG, "Handle, words and address agree, two of them, on the service"),
        Column("credit", FLAG, "The words around a link to it credit a partner or supplier"),
        Column("rival", FLAG, "The site links another account there that has the council's name"),
        Column("score", SHARE, "Evidence that it is theirs, in log-odds: the sum of the weights"),
        Column("service", STRING, "Service, by its handle or the page's words", True),
        Column("language", STRING, "Language of the account where twins exist (en, cy, gd)", True),
        Column("notice", STRING, "Sentence that says the account is left or unattended", True),
        Column("notice_rule", STRING, "Rule of docs/policy.md that the sentence falls under", True),
        Column("stranger", STRING, "Known third party, from data/rules/strangers.toml", True),
        Column("scope", STRING, "corporate or service; empty when it is not theirs", True, SCOPES),
        Column("confidence", SHARE, "Chance that this decision is right, 0 to 1"),
        Column("decided_by", STRING, "Rule of docs/policy.md, or override, that decided"),
    ),
    ("council_id", "platform", "account_key"),
)

ACCOUNTS = Table(
    "accounts",
    "One row per account of a council, with its evidence",
    (
        Column("account_id", STRING, "Stable id: hash of council, platform and account"),
        _COUNCIL_ID,
        _GSS,
        Column("council_name", STRING, "Official name in English"),
        _PLATFORM,
        Column("handle", STRING, "Account, as it is shown"),
        Column("url", STRING, "Canonical address, written by our own grammar"),
        Column("kind", STRING, "What the network calls it", values=KINDS),
        Column("scope", STRING, "The council's own voice, or one of its services", values=SCOPES),
        Column("service", STRING, "Service, when the scope is service", True),
        Column("is_primary", FLAG, "The one to show for this council, network and language"),
        Column("status", STRING, "How sure it is that the account is in use", values=STATUSES),
        Column("language", STRING, "Language of the account where twins exist (en, cy, gd)", True),
        Column("confidence", SHARE, "Chance that it is the council's, in this scope, 0 to 1"),
        Column("pages_seen", COUNT, "Pages of the council that carry it"),
        Column("evidence_url", STRING, "Page that shows it best", True),
        Column("evidence_region", STRING, "Where on that page", True, REGIONS),
        Column("evidence_mechanism", STRING, "In which markup", True, MECHANISMS),
        Column("evidence_text", STRING, "Label or sentence there, or a person's reason", True),
        Column("first_seen", TIME, "First time that a page showed it"),
        Column("last_seen", TIME, "Last time that a page showed it"),
        Column("last_checked", TIME, "Last time that a page which could show it was read"),
        Column("decided_by", STRING, "Rule of docs/policy.md, or override, that decided"),
    ),
    ("account_id",),
)

REJECTIONS = Table(
    "rejections",
    "One row per council and link that is no account of theirs, with the reason",
    (
        _COUNCIL_ID,
        Column("href", STRING, "The link, as written"),
        Column("platform", STRING, "Network, where one was recognised", True),
        Column("reason", STRING, "Name of the rule that rejected it"),
        Column("pages_seen", COUNT, "Pages of the council that carry it"),
        Column("evidence_url", STRING, "A page that carries it"),
    ),
    ("council_id", "href", "reason"),
)

COVERAGE = Table(
    "coverage",
    "One row per council and network: whether we looked, and whether there is an account",
    (
        _COUNCIL_ID,
        _PLATFORM,
        Column("state", STRING, "Found, looked in vain, kept out, or not looked", values=STATES),
        Column("last_checked", TIME, "Last time that a page of the council was read", True),
    ),
    ("council_id", "platform"),
)

CHANGES_TABLE = Table(
    "changes",
    "One row per difference from the release before",
    (
        Column("release", STRING, "Version of the release that made the change"),
        Column("released", TIME, "Time of that release: its latest fetch"),
        Column("change", STRING, "What kind of change", values=CHANGES),
        Column("account_id", STRING, "Account concerned"),
        _COUNCIL_ID,
        _PLATFORM,
        Column("field", STRING, "Column that changed", True),
        Column("old", STRING, "Value before", True),
        Column("new", STRING, "Value now", True),
        Column("reason", STRING, "Why, in words"),
        Column("evidence_url", STRING, "Page that shows the account, or showed it last", True),
    ),
    ("release", "account_id", "change"),
)

CHANGELOG = replace(
    CHANGES_TABLE, name="changelog", description="The changes of every release since the first"
)

HISTORY = Table(
    "history",
    "The ledger: one row per account ever published and standing that it had",
    (
        Column("account_id", STRING, "Account concerned"),
        _COUNCIL_ID,
        _PLATFORM,
        Column("account_key", STRING, "Account, in the form in which two writings compare equal"),
        Column("handle", STRING, "Account, as it was shown"),
        Column("url", STRING, "Canonical address"),
        Column("kind", STRING, "What the network calls it", values=KINDS),
        Column("scope", STRING, "Corporate or service", values=SCOPES),
        Column("status", STRING, "Standing", values=(*STATUSES, "removed")),
        Column("since", TIME, "Crawl that gave it this standing"),
        Column("first_seen", TIME, "First time that a page showed it"),
        Column("last_seen", TIME, "Last time that a page showed it"),
        Column("last_checked", TIME, "Last time that a page which could show it was read"),
        Column("missed", COUNT, "Crawls in a row that read the site and did not find it"),
        Column("renamed_to", STRING, "account_id that took its place", True),
        Column("reason", STRING, "Why it has this standing, in words"),
    ),
    ("account_id", "since"),
)

VERSIONS = Table(
    "versions",
    "The data change log: one row per release, the newest last",
    (
        Column("version", STRING, "Version: schema break, rows, values"),
        Column("released", TIME, "Time of the release: its latest fetch"),
        Column("level", STRING, "Largest kind of difference", values=LEVELS),
        Column("summary", STRING, "What differs from the release before, in words"),
    ),
    ("version",),
)


def directory(networks: Sequence[str]) -> Table:
    """The A–Z that hubs import: one row per current council, one `<network>_url` per network.

    `networks` are the published platform ids in the order of data/rules/platforms.toml;
    `google_url` stands before the first Google network among them.
    """
    links = [
        Column(f"{network}_url", STRING, f"Primary {network} account", True) for network in networks
    ]
    first = next((i for i, network in enumerate(networks) if network in GOOGLE), len(links))
    best = "Best Google presence: YouTube channel, else Business Profile, else Google+ page"
    links.insert(first, Column("google_url", STRING, best, True))
    return Table(
        "directory",
        "The A–Z: one row per current council with its primary accounts",
        (
            Column("letter", STRING, "Letter under which it is filed"),
            Column("sort_name", STRING, "Filing name, the order of the rows"),
            Column("name", STRING, "Official name in English"),
            Column("names_other", TEXTS, "Welsh, Gaelic, short and former names"),
            _COUNCIL_ID,
            _GSS,
            Column("council_type", STRING, "Type of council"),
            Column("nation", STRING, "Nation of the United Kingdom", values=NATIONS),
            Column("region", STRING, "English region; the nation elsewhere", True),
            Column("website", STRING, "Home page", True),
            *links,
            Column("accounts", COUNT, "Accounts in the directory, service accounts among them"),
            Column("checked_on", DATE, "Day on which a page of the council was last read", True),
            Column("check_outcome", STRING, "What came of the last look at the home page", True),
        ),
        ("council_id",),
    )


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        COUNCILS,
        FETCHES,
        OBSERVATIONS,
        SIGNALS,
        ACCOUNTS,
        REJECTIONS,
        COVERAGE,
        CHANGES_TABLE,
        CHANGELOG,
        HISTORY,
        VERSIONS,
    )
}
