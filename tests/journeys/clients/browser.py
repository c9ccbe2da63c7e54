"""Chromium without a window, told what to do through its DevTools protocol."""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.journeys.running import PATIENCE, eventually


class Page:
    """One page of a browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters, **self._session}
        self._connection.send(json.dumps(call))
        while True:
            said = json.loads(self._connection.recv(PATIENCE))
            if said.get("id") == number:
                assert "error" not in said, said["error"]
                result: dict[str, Any] = said["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page, all that belongs to it included."""
        told = self._call("Page.navigate", url=url)
        assert "errorText" not in told, told["errorText"]
        eventually(lambda: self.run("document.readyState") == "complete")

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever JSON knows
        """Return the value of an expression on the page, waiting for it if it is a promise."""
        told = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")


@contextmanager
def browsing(home: Path, authority: Path) -> Iterator[Page]:
    """Run a browser with a profile of its own that trusts `authority` beside the usual ones."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "ca", "-i", authority]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True, timeout=PATIENCE)
    profile = home / "profile"
    with (home / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-dev-shm-usage", "--remote-debugging-port=0", "--no-proxy-server",
                f"--user-data-dir={profile}", "about:blank",
            ],
            env={**os.environ, "HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        announced = profile / "DevToolsActivePort"
        port, path = eventually(lambda: announced.read_text().split() if announced.exists() else [])
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
