"""A built hub behind a loopback server, and a browser in front of it."""

from __future__ import annotations

import functools
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from hub.build import build
from tests.browser.made import HOSTILE, make_release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog, Page

TOOLS = Path(__file__).parents[2] / "hub" / "style" / "node_modules"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing: a test's output is its own."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The origin of a loopback server that serves the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("made") / "release")


@pytest.fixture(scope="session")
def site(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "site"
    build(release, folder)
    return folder


@pytest.fixture(scope="session")
def origin(site: Path) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def split_origin(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same councils, as if they were too many for one page of the A–Z."""
    folder = tmp_path_factory.mktemp("split") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.build.ONE_PAGE", 30)
        build(release, folder)
    with served(folder) as address:
        yield address


@pytest.fixture(scope="session")
def hostile_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A hub in whose release every text that others write is HOSTILE."""
    folder = tmp_path_factory.mktemp("hostile")
    build(make_release(folder / "release", 3, HOSTILE), folder / "site")
    with served(folder / "site") as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium here; on Debian: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def tab(browser: Browser, origin: str) -> Iterator[Page]:
    """One page for all tests that only look: none of them leaves anything behind."""
    context = browser.new_context(base_url=origin)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """A fresh page that fails the test when the console reports an error."""
    with watched(browser, origin) as page:
        yield page


@contextmanager
def watched(browser: Browser, origin: str) -> Iterator[Page]:
    """A page of its own context; an error, a console error or a dialog fails the test."""
    context = browser.new_context(base_url=origin)
    page = context.new_page()
    said: list[str] = []

    def refuse(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", refuse)
    page.on(
        "console", lambda message: said.append(message.text) if message.type == "error" else None
    )
    yield page
    context.close()
    assert said == []


@pytest.fixture(scope="session")
def axe() -> str:
    script = TOOLS / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("no axe-core here; `npm ci --ignore-scripts` in hub/style")
    return script.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def checker() -> list[str]:
    jar = TOOLS / "vnu-jar" / "build" / "dist" / "vnu.jar"
    java = shutil.which("java")
    if not (jar.exists() and java):
        pytest.skip(
            "no Nu HTML checker here; needs Java and `npm ci --ignore-scripts` in hub/style"
        )
    return [java, "-jar", str(jar), "--skip-non-html", "--errors-only"]
