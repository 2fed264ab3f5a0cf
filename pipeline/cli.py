"""The commands: each reads its arguments, calls one module, and prints what came of it.

Nothing is decided here. A fault in what a person gave ends with exit status 1 and one sentence
that says what to write instead; a wrong call ends with 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from pipeline.faults import is_ours
from pipeline.show import FORMATS, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from pipeline.build import BuildReport
    from pipeline.checks import Finding
    from pipeline.refresh import Crawled, Steps
    from spiders.run import RunReport


class Commands(click.Group):
    """The group of commands, in the order of the work, with our own faults as sentences."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in the order in which they are written here, not by letter."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a fault that one of our modules names is told, not traced."""
        try:
            return super().invoke(ctx)
        except ValueError as fault:
            if not is_ours(fault):
                raise
            click.echo(f"digital-councils: {fault}", err=True)
            ctx.exit(1)


def example(text: str) -> str:
    """The epilogue of a command's help: one call that works."""
    return f"\b\nExample:\n  digital-councils {text}"


form_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="A table for people; CSV or JSON lines for programs.",
)
register_option = click.option(
    "--register",
    "register_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Another register than data/register/councils.csv.",
)
release_option = click.option(
    "--release",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("build/current"),
    show_default=True,
    help="The release to read; by default the one that `refresh` published.",
)
base_option = click.option(
    "--base", default="/", show_default=True, help="Path that the site will stand under."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="digital-councils")
def main() -> None:
    """Find, check and publish the social media accounts of UK councils."""


IDENTIFIED = ("url", "platform", "account", "kind", "canonical_url", "reason")


@main.command(epilog=example("identify https://x.com/LeedsCC_News --format csv"))
@click.argument("urls", nargs=-1)
@form_option
def identify(urls: tuple[str, ...], form: str) -> None:
    """Name the platform and account of each URL, or the reason why it is none.

    URLs come from the arguments or, one per line, from standard input.
    """
    show(IDENTIFIED, map(identified, urls or _lines()), form)


def identified(url: str) -> Mapping[str, object]:
    """One row of IDENTIFIED: `reason` tells why it is no account, or how it was derived."""
    from pipeline import platforms

    found = platforms.identify(url)
    if isinstance(found, platforms.Rejected):
        return {"url": url, "reason": found.reason}
    return {
        "url": url,
        "platform": found.platform,
        "account": found.handle,
        "kind": found.kind,
        "canonical_url": found.url,
        "reason": f"derived: {found.via}" if found.via else None,
    }


def _lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


SCANNED = (
    "mechanism",
    "region",
    "href",
    "hint",
    "label",
    "heading",
    "sentence",
    "language",
    "platform",
    "account",
    "kind",
    "canonical_url",
    "reason",
)


@main.command(epilog=example("scan page.html --base-url https://www.avonbrook.example/"))
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--base-url", required=True, help="Address that the page was fetched from.")
@form_option
def scan(page: Path, base_url: str, form: str) -> None:
    """List the candidate links of one saved page, each with its account or a reason.

    A post names its author but is no account of the page's: its reason is `post`.
    """
    from dataclasses import asdict

    from spiders.read import observe

    observations = observe(page.read_bytes(), base_url).observations
    show(SCANNED, (asdict(o) | judged(o.href, o.hint) for o in observations), form, str(page))


def judged(href: str, hint: str | None) -> dict[str, object]:
    """What a link on a page amounts to: an account, or the reason why it is none."""
    from pipeline import platforms

    found = platforms.identify(href, hint)
    if isinstance(found, platforms.Rejected):
        return {"platform": found.platform, "reason": found.reason}
    if found.via == "post":
        return {"platform": found.platform, "reason": "post"}
    return {
        "platform": found.platform,
        "account": found.handle,
        "kind": found.kind,
        "canonical_url": found.url,
        "reason": f"derived: {found.via}" if found.via else None,
    }


render_option = click.option(
    "--render",
    is_flag=True,
    help="Fill pages that are empty without scripts in Chromium (needs the extra `render`).",
)


@main.command(epilog=example("crawl --council Bradford --max-pages 5 --out build/crawl"))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Crawl folder to write."
)
@register_option
@click.option("--council", "councils", multiple=True, help="Only this one: name, id or GSS code.")
@click.option(
    "--nation",
    type=click.Choice(["England", "Scotland", "Wales", "Northern Ireland"]),
    help="Only the councils of one nation.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many councils.")
@click.option(
    "--shard",
    metavar="K/N",
    help="Of these only part K of N, split by website: one for each task of a job array.",
)
@click.option("--max-pages", type=click.IntRange(1), help="At most so many pages a council.")
@click.option("--capture", type=click.Path(path_type=Path), help="Write every response to WARC.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Crawl from WARC.")
@click.option("--resume", is_flag=True, help="Go on with the crawl that stands in the folder.")
@render_option
def crawl(
    out: Path,
    register_path: Path | None,
    councils: tuple[str, ...],
    nation: str | None,
    limit: int | None,
    shard: str | None,
    max_pages: int | None,
    capture: Path | None,
    replay: Path | None,
    resume: bool,
    render: bool,
) -> None:
    """Visit the councils' own websites, as a guest, and record what their pages carry."""
    from pipeline.register import load_register
    from spiders import run
    from spiders.shard import Shard

    part = Shard.of(shard) if shard is not None else None
    register = load_register(register_path)
    rows = chosen(register, councils, nation, limit)
    report = run.crawl(
        part.rows(rows) if part else rows,
        out,
        register=register,
        max_pages=max_pages,
        capture=capture,
        replay=replay,
        resume=resume,
        render=render,
        shard=str(part) if part else None,
    )
    ended(report)


def chosen(
    register: pd.DataFrame, councils: Sequence[str], nation: str | None, limit: int | None
) -> pd.DataFrame:
    """The current councils that have a website and that the options of a crawl let through."""
    from pipeline.register import find_council

    rows = register[register["status"].eq("current") & register["website"].notna()]
    if councils:
        rows = rows[rows["council_id"].isin([find_council(register, text) for text in councils])]
    if nation:
        rows = rows[rows["nation"].eq(nation)]
    if rows.empty:
        raise click.UsageError("no current council with a website is left by these options")
    return rows.head(limit) if limit else rows


def ended(report: RunReport) -> None:
    """Tell how a crawl ended; exit with its status."""
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in report.outcomes.items())
    click.echo(f"{report.folder}: {told or 'nothing fetched'}")
    for problem in report.problems:
        click.echo(f"digital-councils: {problem}", err=True)
    if report.exit_status:
        sys.exit(report.exit_status)


STRANGE_HOSTS = 20


@main.command(epilog=example("mine pages.warc.gz --out build/crawl"))
@click.argument("files", nargs=-1)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Crawl folder to write."
)
@register_option
@click.option(
    "--list",
    "lists",
    type=click.File(encoding="utf-8"),
    multiple=True,
    help="A file that names one WARC file a line; - for standard input.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Mine by so many processes of this machine (needs the extra `cluster`).",
)
@click.option("--scheduler", help="Mine on a Dask cluster: tcp://HOST:8786.")
def mine(
    files: tuple[str, ...],
    out: Path,
    register_path: Path | None,
    lists: tuple[TextIO, ...],
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Read WARC files into a crawl folder, without asking any website.

    A host that belongs to no council of the register is counted and named. FILES are paths; with
    the extra `cluster` also addresses, https:// and s3://, and with --workers or --scheduler each
    file becomes a part of the folder: the same command goes on where it was stopped.
    """
    from pipeline.register import load_register

    places = [*files, *(line.strip() for file in lists for line in file if line.strip())]
    if not places:
        raise click.UsageError("name a WARC file, or give --list a file that names some")
    if workers and scheduler:
        raise click.UsageError("the workers are those of the scheduler: leave out --workers")
    register = load_register(register_path)
    if workers or scheduler or any("://" in place for place in places):
        from spiders import cluster

        report = cluster.mine_parts(
            places, out, register, workers=workers or 1, scheduler=scheduler
        )
    else:
        from spiders import run

        report = run.mine_to([Path(place) for place in places], out, register)
    unknown = report.report["unknown_hosts"]
    for host in sorted(unknown, key=unknown.get, reverse=True)[:STRANGE_HOSTS]:
        click.echo(f"{host}: {unknown[host]} pages of no council in the register", err=True)
    if len(unknown) > STRANGE_HOSTS:
        click.echo(f"… and other such hosts: see {out / 'run.json'}", err=True)
    ended(report)


@main.command(epilog=example("build build/crawl --out build/release"))
@click.argument(
    "crawls", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Release to write.")
@click.option(
    "--previous",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The release before, whose history goes on.",
)
@register_option
@click.option("--overrides", "overrides_path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--allow", nargs=2, multiple=True, metavar="GATE REASON", help="Let a gate pass once."
)
def build(
    crawls: tuple[Path, ...],
    out: Path,
    previous: Path | None,
    register_path: Path | None,
    overrides_path: Path | None,
    allow: tuple[tuple[str, str], ...],
) -> None:
    """Make a release of crawl folders: identify, attribute, reconcile, check, publish."""
    from pipeline import build as building
    from pipeline.overrides import load_overrides
    from pipeline.register import load_register

    register = load_register(register_path)
    overrides = load_overrides(overrides_path, register)
    report = building.build(crawls, out, previous, register, overrides, allow=dict(allow))
    told(report)
    if not report.published:
        sys.exit(1)


def told(report: BuildReport) -> None:
    """Print what a build came to, its findings and its warnings."""
    counts = ", ".join(f"{count:,} {name}" for name, count in report.counts.items() if count)
    state = "published" if report.published else "REFUSED, kept aside"
    click.echo(f"{report.folder}: release {report.version} {state}: {counts}")
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    tell_findings(report.findings)


def tell_findings(findings: Sequence[Finding]) -> None:
    """Print each gate that did not pass, and whether it refuses the release."""
    for finding in findings:
        weight = "allowed" if finding.allowed else finding.severity
        click.echo(f"{weight}: {finding.gate}: {finding.message}", err=True)


@main.command(epilog=example("check build/release --previous build/last"))
@click.argument("release", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--previous",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The release before, to compare with.",
)
def check(release: Path, previous: Path | None) -> None:
    """Hold a release against its gates; exit 1 when it must not be published."""
    from pipeline.checks import check as findings_of
    from pipeline.release import read_release

    findings = findings_of(release, None if previous is None else read_release(previous))
    tell_findings(findings)
    if any(finding.refuses for finding in findings):
        sys.exit(1)
    click.echo(f"{release}: may be published, {len(findings)} warnings")


def tables_of(release: Path) -> dict[str, pd.DataFrame]:
    """Every table of a release, for pandas."""
    from pipeline.release import read_release

    read = read_release(release)
    return {name: read.frame(name) for name in read.tables}


@main.command(epilog=example("explain Bradford"))
@click.argument("council")
@release_option
def explain(council: str, release: Path) -> None:
    """Tell of one council: every account, its evidence, and what was left out and why."""
    from pipeline import explain as explaining

    click.echo(explaining.explain(council, tables_of(release)), nl=False)


LOOKED_UP = (
    "url",
    "council_id",
    "council_name",
    "platform",
    "handle",
    "scope",
    "status",
    "decided_by",
)


@main.command(epilog=example("lookup https://x.com/bradfordmdc"))
@click.argument("urls", nargs=-1, required=True)
@release_option
@form_option
def lookup(urls: tuple[str, ...], release: Path, form: str) -> None:
    """Tell whose account each URL is; exit 1 when one is in nobody's row."""
    accounts = tables_of(release)["accounts"]
    found = [row for url in urls for row in owners(url, accounts)]
    show(LOOKED_UP, found, form)
    if not all(row.get("council_id") for row in found):
        sys.exit(1)


def owners(url: str, accounts: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `accounts` that hold the account of a URL; one without a council if none does."""
    from pipeline import platforms

    asked = platforms.identify(url)
    if isinstance(asked, platforms.Rejected):
        return [{"url": url, "decided_by": f"no account: {asked.reason}"}]
    same = accounts[accounts["platform"].eq(asked.platform)]
    keys = same["url"].map({link: platforms.identify(link) for link in same["url"].unique()})
    held = same[[isinstance(k, platforms.Account) and k.key == asked.key for k in keys]]
    if held.empty:
        return [
            {
                "url": url,
                "platform": asked.platform,
                "handle": asked.handle,
                "decided_by": "not in the directory",
            }
        ]
    return [row | {"url": url} for row in records(held)]


@main.command(epilog=example("diff build/last build/release"))
@click.argument("old", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, file_okay=False))
@form_option
def diff(old: Path, new: Path, form: str) -> None:
    """List what changed between two releases."""
    from pipeline.changes import changes
    from pipeline.release import read_release
    from pipeline.schema import TABLES

    before, after = read_release(old), read_release(new)
    accounts = before.frame("accounts"), after.frame("accounts")
    released = after.frame("versions")["released"].max()
    table = changes(*accounts, after.frame("history"), after.version, released)
    columns = TABLES["changes"].names
    show(columns, records(table), form, f"{before.version} → {after.version}")
    if form == "table" and table.empty:
        click.echo("No differences.")


@main.command(epilog=example("hub build/current --out build/hub"))
@click.argument("release", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Site to write.")
@base_option
def hub(release: Path, out: Path, base: str) -> None:
    """Build the static hub of a release: guides, A–Z, insight and data."""
    from hub import build as site

    site.build(release, out, base)
    click.echo(f"{out}: {sum(1 for _ in out.rglob('*.html')):,} pages")


SAMPLE_SETTINGS = {
    "DOWNLOAD_DELAY": 0.02,
    "RETRY_BACKOFF": 0.1,
    "ALLOW_ADDRESSES": ["127.0.0.0/8"],
}
"""What the fictional sites are given; real ones are given spiders/settings.py as it is."""


@main.command(epilog=example("demo --out build/demo"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Folder for the crawl, the release and the hub; what an earlier demo left is replaced.",
)
def demo(out: Path) -> None:
    """Crawl the fictional councils over loopback, and publish their directory."""
    import shutil

    from hub import build as site
    from pipeline import build as building
    from pipeline.overrides import load_overrides
    from pipeline.register import load_register
    from spiders import run, sample

    for name in ("crawl", "release", "site"):
        shutil.rmtree(out / name, ignore_errors=True)
    register = load_register(sample.sample_register())
    rows = chosen(register, (), None, None)
    with sample.serve(sample.sample_sites()) as proxy:
        crawled = run.crawl(
            rows, out / "crawl", register=register, proxy=proxy, settings=SAMPLE_SETTINGS
        )
    ended(crawled)
    report = building.build(
        [out / "crawl"], out / "release", None, register, load_overrides(None, None)
    )
    told(report)
    tables = tables_of(report.folder)
    show(SUMMARY, summary(tables["directory"], tables["accounts"]), "table")
    click.echo(f"\nThe A–Z:   {report.folder / 'directory.csv'}")
    click.echo(f"Evidence:  {report.folder / 'accounts.csv'}")
    click.echo(f"Report:    {report.folder / 'report.md'}")
    site.build(report.folder, out / "site")
    click.echo(f"The hub:   python3 -m http.server --bind 127.0.0.1 -d {out / 'site'}")


SUMMARY = ("council", "X", "facebook", "youtube", "other networks", "services", "last look")


def summary(directory: pd.DataFrame, accounts: pd.DataFrame) -> list[dict[str, Any]]:
    """One row of SUMMARY per council of the directory: primary handles, then what else there is."""
    import pandas as pd

    councils = directory.set_index("council_id")
    english_first = accounts.sort_values("language", ascending=False, na_position="first")
    first = english_first[english_first["is_primary"]]
    first = first.drop_duplicates(["council_id", "platform"])
    handles = first.pivot_table("handle", "council_id", "platform", "first").reindex(councils.index)
    shown = handles.reindex(columns=["twitter", "facebook", "youtube"])
    others = first[~first["platform"].isin(shown.columns)].groupby("council_id")["platform"]
    services = accounts[accounts["scope"].eq("service")].groupby("council_id").size()
    columns = [
        councils["name"],
        *(shown[name] for name in shown),
        others.agg(", ".join).reindex(councils.index),
        services.reindex(councils.index).astype("Int64"),
        councils["check_outcome"],
    ]
    table = dict(zip(SUMMARY, columns, strict=True))
    return records(pd.DataFrame(table))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries by column name; what is missing is None."""
    rows = table.astype(object)
    names = [str(name) for name in table.columns]
    values = rows.where(rows.notna(), None).itertuples(index=False, name=None)
    return [dict(zip(names, row, strict=True)) for row in values]


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build"),
    show_default=True,
    help="Folder of the published releases: `current`, `site`, and the work in progress.",
)


@main.command(epilog=example("refresh --resume"))
@store_option
@register_option
@click.option("--overrides", "overrides_path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--resume", is_flag=True, help="Go on with a refresh that was interrupted, if one was."
)
@click.option(
    "--allow", nargs=2, multiple=True, metavar="GATE REASON", help="Let a gate pass once."
)
@click.option(
    "--keep",
    type=click.IntRange(2),
    default=12,
    show_default=True,
    help="How many releases stay, to roll back to.",
)
@click.option(
    "--webhook",
    envvar="DIGITAL_COUNCILS_WEBHOOK",
    default="",
    help="Address that is told, by POST, when nothing could be published.",
)
@base_option
@render_option
@click.option(
    "--sample", is_flag=True, help="Refresh the fictional councils over loopback, to practise."
)
def refresh(
    store: Path,
    register_path: Path | None,
    overrides_path: Path | None,
    resume: bool,
    allow: tuple[tuple[str, str], ...],
    keep: int,
    webhook: str,
    base: str,
    render: bool,
    sample: bool,
) -> None:
    """Crawl, build, check, publish, hub: what the schedule runs.

    Exit status 0: published. 1: refused by a check, or stopped; the old release stands. 2: the
    input cannot be used, or another refresh is running.
    """
    import time
    from contextlib import nullcontext

    from pipeline import refresh as refreshing
    from pipeline.overrides import load_overrides
    from pipeline.register import load_register
    from spiders import run
    from spiders import sample as fictional

    try:
        register = load_register(fictional.sample_register() if sample else register_path)
        inputs = refreshing.Inputs(
            register, load_overrides(overrides_path, register), dict(allow), keep, webhook
        )
        serving = fictional.serve(fictional.sample_sites()) if sample else nullcontext()
        with serving as proxy:
            local = SAMPLE_SETTINGS if sample else None
            run.vet(local)
            lent = steps(base, proxy=proxy, settings=local, render=render)
            outcome = refreshing.refresh(
                store, lent, inputs, clock=time.time, say=click.echo, resume=resume
            )
    except ValueError as fault:
        if not is_ours(fault):
            raise
        click.echo(f"digital-councils: {fault}", err=True)
        sys.exit(2)
    click.echo(outcome.message, err=outcome.exit_status != 0)
    sys.exit(outcome.exit_status)


def steps(
    base: str = "/",
    *,
    now: Callable[[], float] | None = None,
    proxy: str | None = None,
    settings: Mapping[str, Any] | None = None,
    render: bool = False,
) -> Steps:
    """How a refresh crawls, in this very process, and how it makes the hub.

    A crawl in a process of its own would outlive a refresh that is killed, and write on in the
    folder that the next one resumes.

    Raises:
        RenderError: `render` is set, and there is no browser that works: said before the refresh
            begins, it costs no crawl that was interrupted.
    """
    import time

    from pipeline.refresh import Crawled, Steps

    if render:
        from spiders import run

        run.can_render(settings)

    def crawl(register: pd.DataFrame, folder: Path, known: Path | None, resume: bool) -> Crawled:
        from spiders import memory, run

        report = run.crawl(
            chosen(register, (), None, None),
            folder,
            register=register,
            known=known,
            resume=resume,
            render=render,
            proxy=proxy,
            now=now or time.time,
            settings=settings,
        )
        ended = report.report.get("reason") == "finished"
        if ended:
            memory.keep(folder, memory.read(known) if known else {})
        counts = sorted(report.outcomes.items(), key=lambda count: (-count[1], count[0]))
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts)
        faults = "; ".join(report.problems)
        return Crawled("" if ended else faults, "; ".join(filter(None, (told, faults))))

    def hub(release: Path, site: Path) -> None:
        from hub import build as building

        building.build(release, site, base)

    return Steps(crawl, hub)


@main.command(epilog=example("rollback --store build"))
@store_option
@base_option
def rollback(store: Path, base: str) -> None:
    """Publish the release before the current one again, with its site."""
    import time

    from pipeline import refresh as refreshing

    version = refreshing.rollback(store, steps(base), time.time)
    click.echo(f"{store / 'current'}: release {version} is published again")


@main.command(epilog=example("review --author 'A. Maintainer'"))
@release_option
@click.option(
    "--previous",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The release before, to ask about primaries that changed.",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--author", help="Your name: asks you one question after the other.")
@click.option(
    "--read",
    "sheet",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take the decisions from a sheet that was filled in.",
)
@click.option(
    "--overrides",
    "overrides_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that decisions are added to, if not data/rules/overrides.csv.",
)
@form_option
def review(
    release: Path,
    previous: Path | None,
    limit: int,
    author: str | None,
    sheet: Path | None,
    overrides_path: Path | None,
    form: str,
) -> None:
    """List what a person should decide, most consequential first, and keep the decisions.

    With --author it asks on the terminal. With --format csv it prints a sheet to fill in, which
    --read takes back. A decision is a row of overrides.csv: it counts from the next build on.
    """
    from datetime import date

    from pipeline import review as reviewing
    from pipeline.overrides import OVERRIDES

    target = overrides_path or OVERRIDES
    if sheet:
        rows = reviewing.read_sheet(sheet, date.today())
        click.echo(f"{target}: decisions added: {reviewing.append_overrides(target, rows)}")
        return
    before = tables_of(previous) if previous else None
    questions = reviewing.questions(tables_of(release), before).head(limit)
    if form == "csv":
        reviewing.write_sheet(questions, sys.stdout)
    elif author and form == "table":
        ask(records(questions), author, target)
    else:
        words = questions.assign(question=questions["question"].map(reviewing.QUESTIONS))
        show(REVIEWED, records(words), form)


REVIEWED = ("rank", "council_name", "platform", "account", "question", "confidence")
LETTERS = {
    "c": "confirm",
    "r": "reject",
    "p": "set_primary",
    "o": "set_scope",
    "t": "set_status",
}


def ask(questions: Sequence[Mapping[str, Any]], author: str, target: Path) -> None:
    """Ask one question after the other; each answer is written before the next is asked."""
    from datetime import date

    from pipeline import review as reviewing
    from pipeline.overrides import OverridesError

    for number, question in enumerate(questions, 1):
        click.echo(f"\n{number} of {len(questions)}: {question['council_name']}", nl=False)
        click.echo(f", {question['platform']}: {question['account']}")
        click.echo(f"  {reviewing.QUESTIONS[question['question']]}")
        for name in ("why", "evidence_url", "evidence_text", "other_account", "other_why"):
            if question[name]:
                click.echo(f"  {name.replace('_', ' ')}: {question[name]}")
        choice = click.prompt(
            "  c confirm, r reject, p primary, o scope, t status, s skip, q quit",
            type=click.Choice([*LETTERS, "s", "q"]),
            show_choices=False,
        )
        if choice == "q":
            break
        if choice == "s":
            continue
        value = click.prompt("  value") if choice in "ot" else ""
        reason = click.prompt("  why (others will read it)")
        try:
            row = reviewing.override_row(
                question,
                LETTERS[choice],
                author=author,
                reason=reason,
                on=date.today(),
                value=value,
            )
        except OverridesError as fault:
            click.echo(f"  not kept: {fault}")
            continue
        reviewing.append_overrides(target, [row])
        click.echo(f"  kept in {target}")
