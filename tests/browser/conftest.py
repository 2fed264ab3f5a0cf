"""A built hub behind a loopback server, and a browser in front of it."""

from __future__ import annotations

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from hub.build import build
from tests.browser.made import make_release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

TOOLS = Path(__file__).parents[2] / "hub" / "style" / "node_modules"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing: a test's output is its own."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    build(make_release(folder / "release"), folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def origin(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if not path:
        pytest.skip("no chromium here; on Debian: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """A fresh page that fails the test when the console reports an error."""
    context = browser.new_context(base_url=origin)
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
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
