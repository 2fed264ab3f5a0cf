"""Build the hub: a release folder and our texts in, a static site out.

The same release and base path give the same bytes: the only clock is the data's own, and every
list has an order. The site is written whole into an empty or earlier output folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, PackageLoader, PrefixLoader
from markupsafe import Markup

from hub import api, az, content, councils, insight
from hub.release import HubError, Release, read_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from hub.content import Page
    from hub.councils import Council
    from hub.release import Row

HERE = Path(__file__).parent
MARK = ".digital-councils-hub"
LANGUAGES = ("en", "cy")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
    )
)
REPORTED_ROWS = 30
ONE_PAGE = 1_000  # councils that the A–Z holds on one page; more of them get a page per letter


def build(release: Path, out: Path, base: str = "/") -> None:
    """Make the whole site from the release folder, for a server that puts it under `base`.

    `out` must be empty, absent, or a site that this function made; anything else is left alone.

    Raises:
        HubError: the release or a text is not usable, or `out` holds somebody else's files.
    """
    site = Site(read_release(release), content.read_pages(), base)
    beside = out.with_name(out.name + ".new")
    for folder in (out, beside):
        _refuse_strangers(folder)
    shutil.rmtree(beside, ignore_errors=True)
    made: set[Path] = set()
    for path, data in site.files():
        target = beside / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_bytes(data)
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)


def _refuse_strangers(folder: Path) -> None:
    """A folder that we did not make is not ours to remove, nor a link that a refresh turns."""
    if folder.is_symlink():
        raise HubError(f"{folder}: is a link, as a refresh makes it; name another folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise HubError(f"{folder}: holds files that are not a hub's; name another folder")


class Site:
    """Everything that the templates need, and the list of files that they give."""

    def __init__(self, release: Release, pages: list[Page], base: str) -> None:
        self.release = release
        self.pages = pages
        self.base = "/" + base.strip("/") + "/" if base.strip("/") else "/"
        self.settings = content.read_toml(content.CONTENT / "site.toml")
        self.labels = content.read_toml(content.CONTENT / "networks.toml")
        self.words = {
            code: content.read_toml(content.CONTENT / "words" / f"{code}.toml")
            for code in LANGUAGES
        }
        self.councils = councils.view(release)
        self.moved = councils.moved(release)
        self.markdown = content.Markdown(self.base)
        self.figures = insight.figures(release, self.councils, self.network)
        self.split = len(self.councils) > ONE_PAGE
        principal = set(self.settings["principal"])
        self.wide = not principal.issuperset(c.row["council_type"] for c in self.councils)
        self.choices = az.choices(self.councils, release.networks)
        self._names = {council.id: council.row["name"] for council in self.councils}
        self._parts: dict[tuple[object, ...], Markup] = {}
        self.templates = self._environment()

    def _environment(self) -> Environment:
        loader = PrefixLoader(
            {
                "hub": FileSystemLoader(HERE / "templates"),
                "govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja"),
            }
        )
        env = Environment(
            loader=loader,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        env.globals.update(
            site=self,
            url=self.url,
            policy=POLICY,
            sections=self.settings["sections"],
            network=self.network,
        )
        env.filters.update(
            day=_day,
            month=_month,
            number="{:,}".format,
            bare=_bare,
            initial=_initial,
            outcome=_outcome,
            nothing=_nothing,
            network=self.network,
        )
        return env

    def url(self, path: str) -> str:
        """A path from the site's root, under its base."""
        return self.base + quote(path.lstrip("/"), safe="/#?=&.-_~+%")

    def absolute(self, path: str) -> str:
        """The same with the origin, where a relative address will not do."""
        return str(self.settings["origin"]).rstrip("/") + self.url(path)

    def network(self, platform: str) -> str:
        """The name of a network, or its id written as a name."""
        entry = self.labels.get(platform)
        return str(entry["name"]) if entry else platform.replace("_", " ").capitalize()

    def language_of(self, name: str) -> str:
        """The language that a council's other name shows by its first word, or ''."""
        first = name.split(maxsplit=1)[0].casefold() if name.strip() else ""
        return str(self.settings["name_language"].get(first, ""))

    def report(self, council: Council) -> str:
        """A message to the maintainers with the council's row already in it."""
        rows = [f"{row['platform']}: {row['url']}" for row in council.accounts[:REPORTED_ROWS]]
        body = "\n".join(
            (
                f"Council: {council.row['name'][:200]} ({council.id})",
                f"Data version: {self.release.version}",
                "Listed now:",
                *(rows or ["(nothing)"]),
                "",
                "What is wrong, and where can we see what is right?",
                "",
            )
        )
        subject = f"Correction: {council.id}"
        to = self.settings["corrections"]
        return f"mailto:{to}?subject={quote(subject)}&body={quote(body)}"

    def section(self, name: str) -> list[Page]:
        """The pages of a section in their order."""
        return [page for page in self.pages if page.section == name]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the site: path and bytes; the mark first, so that half a site has it."""
        yield MARK, b""
        for path, text in self._texts():
            yield path, text.encode()
        for file in sorted((HERE / "static").iterdir()):
            yield f"static/{file.name}", file.read_bytes()
        for name in self.downloads():
            yield f"data/{name}", (self.release.folder / name).read_bytes()

    def downloads(self) -> list[str]:
        """The release's files that can be downloaded, as its data package lists them."""
        listed = {r["path"] for r in self.release.package.get("resources", [])}
        names = listed | {"datapackage.json", "report.md", "changes.md"}
        folder = self.release.folder
        return sorted(n for n in names if Path(n).name == n and (folder / n).is_file())

    def _texts(self) -> Iterator[tuple[str, str]]:
        paths = []
        for path, html in self._pages():
            paths.append(path)
            yield path, html
        yield "404.html", self._render("404.html", path="/404.html")
        networks = self._network_rows()
        yield from api.files(self.release, self.councils, networks, self.url)
        if self.split:
            yield "api/search.json", api.search(self.councils)
        entries = api.feed_entries(self.release, self._change_title)
        yield "changes.xml", self._render("feed.xml", entries=entries)
        yield "sitemap.xml", self._render("sitemap.xml", paths=_canonical(paths, self.moved))
        yield "robots.txt", f"User-agent: *\nAllow: /\nSitemap: {self.absolute('/sitemap.xml')}\n"

    def _pages(self) -> Iterator[tuple[str, str]]:
        """Every page that has an address of its own."""
        yield from self._guidance()
        yield from self._directory()
        yield from self._insight_and_data()
        yield from self._moved_pages()
        yield "index.html", self._render("home.html", path="/")

    def _guidance(self) -> Iterator[tuple[str, str]]:
        for section, about in self.settings["sections"].items():
            pages = self.section(section)
            yield (
                f"{section}/index.html",
                self._render(
                    "section.html", path=f"/{section}/", section=section, about=about, pages=pages
                ),
            )
        for page in self.pages:
            yield page.path.lstrip("/") + "index.html", self._guide(page)

    def _guide(self, page: Page) -> str:
        near = self.section(page.section)
        place = near.index(page)
        return self._render(
            "guide.html",
            path=page.path,
            page=page,
            html=self.markdown.render(page.body),
            before=near[place - 1] if place else None,
            after=near[place + 1] if place + 1 < len(near) else None,
        )

    def _directory(self) -> Iterator[tuple[str, str]]:
        for code in LANGUAGES:
            lead = "" if code == "en" else f"{code}/"
            shared: dict[str, Any] = {"t": self.words[code], "lead": "/" + lead}
            for path, html in self._az(shared):
                yield f"{lead}{path[1:]}index.html", html
            yield (
                f"{lead}connect/check/index.html",
                self._render("check.html", path="/connect/check/", **shared),
            )
            for council in self.councils:
                yield (
                    f"{lead}council/{council.id}/index.html",
                    self._render(
                        "council.html", path=f"/council/{council.id}/", council=council, **shared
                    ),
                )

    def _az(self, shared: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The A–Z: all councils on one page; or an entrance, and pages by letter and by facet."""
        filed = az.by_letter(self.councils)
        letters = az.letters(filed)
        shared = shared | {"filed": filed, "letters": letters, "choices": self.choices}
        whole = az.Listing(az.START, [] if self.split else self.councils, [])
        if not self.split:
            yield whole.path, self._listing("az.html", whole, shared)
            return
        paths = {each: az.letter_path(n, each) for n, each in enumerate(letters) if each in filed}
        shared |= {"paths": paths}
        yield whole.path, self._listing("az.html", whole, shared)
        for page in az.letter_pages(self.councils):
            yield page.path, self._listing("az.html", page, shared)
        for page in az.facet_pages(self.councils, self.choices):
            yield page.path, self._listing("names.html", page, shared)

    def _listing(self, template: str, page: az.Listing, shared: dict[str, Any]) -> str:
        return self._render(template, path=page.path, page=page, **shared)

    def _insight_and_data(self) -> Iterator[tuple[str, str]]:
        yield "insight/index.html", self._render("insight.html", path="/insight/")
        for figure in self.figures:
            path = f"/insight/{figure.slug}/"
            yield path[1:] + "index.html", self._render("figure.html", path=path, figure=figure)
        yield "data/index.html", self._render("data.html", path="/data/", tables=self._tables())
        yield (
            "data/dictionary/index.html",
            self._render("dictionary.html", path="/data/dictionary/", tables=self._tables()),
        )

    def _tables(self) -> list[Row]:
        """Each table of the data package: what it is, its columns, its files with their sizes."""
        tables: dict[str, Row] = {}
        for resource in self.release.package.get("resources", []):
            name = Path(resource["path"]).stem
            entry = tables.setdefault(name, {"name": name, "fields": [], "key": [], "files": []})
            described = resource.get("schema", {})
            entry["description"] = resource.get("description", "")
            entry["fields"] = described.get("fields") or resource.get("columns") or entry["fields"]
            entry["key"] = described.get("primaryKey") or entry["key"]
            entry["files"].append((resource["path"], resource.get("bytes", 0)))
        return list(tables.values())

    def _moved_pages(self) -> Iterator[tuple[str, str]]:
        names = self._names | {page.id: page.name for page in self.moved}
        for page in self.moved:
            yield (
                f"council/{page.id}/index.html",
                self._render(
                    "moved.html",
                    path=f"/council/{page.id}/",
                    page=page,
                    names=names,
                ),
            )
        about = "/about/the-crawler/"
        yield (
            "about-the-crawler/index.html",
            self._render("redirect.html", path="/about-the-crawler/", to=about),
        )

    def _network_rows(self) -> list[Row]:
        using = {
            name: sum(any(r["platform"] == name for r in c.accounts) for c in self.councils)
            for name in self.release.networks
        }
        return [
            {
                "id": name,
                "name": self.network(name),
                "hosts": self.labels.get(name, {}).get("hosts", []),
                "councils": using[name],
                "accounts": sum(row["platform"] == name for row in self.release.accounts),
            }
            for name in self.release.networks
        ]

    def _change_title(self, row: Row) -> str:
        council = self._names.get(row["council_id"], row["council_id"])
        shown = " → ".join(str(row[side]) for side in ("old", "new") if row[side])
        return f"{council}: {self.network(row['platform'])} {row['change']} {shown}".strip()

    def part(self, name: str, t: Row, lead: str, path: str = "") -> Markup:
        """A part of a page that many share, made once: the menu, the foot, the skip link, a trail.

        Of `path` only the section counts, and whether the page is its first.
        """
        section = f"/{path.split('/')[1]}/" if path else ""
        key = (name, lead, section, path == section)
        if key not in self._parts:
            made = self._render(f"{name}.html", t=t, lead=lead, path=path)
            self._parts[key] = Markup(made.removesuffix("\n"))  # noqa: S704  made of our templates
        return self._parts[key]

    def _render(self, template: str, **values: Any) -> str:
        shared = {"t": self.words["en"], "lead": "/"}
        return self.templates.get_template(f"hub/{template}").render(shared | values)


def _canonical(paths: list[str], moved: list[councils.Moved]) -> list[str]:
    """The addresses of the sitemap: every page that is not a signpost to another."""
    signposts = {f"council/{page.id}/index.html" for page in moved}
    signposts.add("about-the-crawler/index.html")
    return ["/" + path.removesuffix("index.html") for path in paths if path not in signposts]


def _day(value: date, words: dict[str, Any]) -> str:
    """A date in words: 3 May 2026."""
    return f"{value.day} {words['months'][value.month - 1]} {value.year}"


def _month(value: str, words: dict[str, Any]) -> str:
    """A date as written in front matter, 2025-02 or 2025-02-09, in words."""
    year, month, *day = value.split("-")
    return " ".join([*(str(int(d)) for d in day), words["months"][int(month) - 1], year])


def _bare(address: str) -> str:
    """An address as people say it: without its scheme and last slash."""
    return address.split("://", 1)[-1].removesuffix("/")


def _initial(words: str) -> str:
    """Words with a capital at the start, the rest as it is: 'Northern Ireland district'."""
    return words[:1].upper() + words[1:]


def _outcome(row: Row, words: dict[str, Any]) -> str:
    """The last look at a council in words; an outcome of a later version is 'not reached'."""
    missing = "part" if row["checked_on"] else "none"
    return str(words.get(f"outcome_{row['check_outcome'] or missing}", words["not_reached"]))


def _nothing(council: Council, words: dict[str, Any]) -> str:
    """Why no account is listed: none on a site that was read, or no look, and what prevented it."""
    if council.read:
        return str(words["no_accounts"])
    why = _outcome(council.row, words)
    if council.row["check_outcome"] in (None, "ok", "not_due"):
        return _initial(why)
    return str(words["could_not"]).replace("{why}", why)
