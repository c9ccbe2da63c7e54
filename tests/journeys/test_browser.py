"""A browser in front of the proxy: a page with a hundred parts over HTTP/2, and a chat."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.apps.running import proxying, serving
from tests.journeys.clients.browser import Page, browsing
from tests.journeys.running import RunningProxy, eventually

pytestmark = [
    pytest.mark.needs("chromium"), pytest.mark.needs("certutil"), pytest.mark.timeout(180),
]  # fmt: skip

CONFIG = """
user: null
log: {access: {to: ./access.log, format: json}}
sites:
  - hosts: [localhost]
    headers: {preset: strict}
    routes:
      - {path: /, proxy: "http://127.0.0.1:${APP}"}
      - {path: /page/, files: page, cache: 1h}
"""
PARTS = 100
SCRIPT = "<script>document.title = 'it ran'</script>"
CHAT = """
new Promise((told, failed) => {
  const heard = [];
  const socket = new WebSocket(`wss://${location.host}/ws/echo`);
  socket.onopen = () => { for (let n = 0; n < 20; n++) socket.send(`message ${n}`); };
  socket.onmessage = (event) => { heard.push(event.data); if (heard.length == 20) socket.close(); };
  socket.onclose = () => told(heard);
  socket.onerror = () => failed("no socket");
})
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "page"
    page.mkdir()
    parts = "".join(f'<link rel="stylesheet" href="part{n}.css">' for n in range(PARTS))
    rules = "".join(f'<b class="part{n}"></b>' for n in range(PARTS))
    (page / "index.html").write_text(
        f"<!doctype html><title>parts</title>{parts}<p>{rules}{SCRIPT}"
    )
    for n in range(PARTS):
        (page / f"part{n}.css").write_text(f".part{n} {{ z-index: {n} }}\n" * 200)
    command = ["uvicorn", "tests.journeys.apps.fast:application", "--port", "{port}"]
    with (
        serving(command, folder) as app,
        proxying(CONFIG, folder, APP=app.port) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def browser(proxy: RunningProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("home"), proxy.ca_file) as running:
        yield running


def origin(proxy: RunningProxy) -> str:
    return f"https://localhost:{proxy.https_port}"


def test_a_page_of_a_hundred_parts(proxy: RunningProxy, browser: Page) -> None:
    browser.open(f"{origin(proxy)}/page/")
    indexes = browser.run(
        "[...document.querySelectorAll('b')].map((each) => +getComputedStyle(each).zIndex)"
    )
    assert indexes == list(range(PARTS)), "every part came, and is the one that was asked for"
    loaded = browser.run(
        "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('.css'))"
        ".map((e) => [e.nextHopProtocol, e.responseStatus, e.encodedBodySize < e.decodedBodySize])"
    )
    assert loaded == [["h2", 200, True]] * PARTS


def test_a_hundred_requests_at_once(proxy: RunningProxy, browser: Page) -> None:
    browser.open(f"{origin(proxy)}/page/")
    told = browser.run(
        "Promise.all([...Array(100).keys()].map(async (n) => {"
        " const answer = await fetch(`/echo/${n}`, {method: 'POST', body: `b${n}`.repeat(1000)});"
        " const told = await answer.json();"
        " return [told.target, told.body.length, told.secure]; }))"
    )
    assert told == [[f"/echo/{n}", len(f"b{n}") * 1000, True] for n in range(100)]


def test_a_chat(proxy: RunningProxy, browser: Page) -> None:
    browser.open(f"{origin(proxy)}/page/")
    assert browser.run(CHAT) == [f"message {n}" for n in range(20)]


def test_the_strict_preset_lets_no_inline_script_run(proxy: RunningProxy, browser: Page) -> None:
    browser.open(f"{origin(proxy)}/page/")
    assert browser.run("document.title") == "parts"


def test_the_log_names_the_version(proxy: RunningProxy, browser: Page) -> None:
    browser.open(f"{origin(proxy)}/page/?logged")
    log = Path(proxy.config.parent / "access.log")
    lines = eventually(lambda: [line for line in log.read_text().splitlines() if "?logged" in line])
    assert all("HTTP/2.0" in line for line in lines)
