"""A headless Chromium for the tests, driven over its DevTools protocol; the network is off except for this machine."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needed = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-allow-origins=*"]
OFFLINE = ["--proxy-server=127.0.0.1:9", "--proxy-bypass-list=127.0.0.1"]


class Tab:
    """A page that is open: what it is asked to do, and what it complained of."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=120)
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": given}))
        while True:
            said = json.loads(self._socket.recv())
            self._hear(said)
            if said.get("id") == number:
                assert "error" not in said, f"{method}: {said['error']}"
                return dict(said["result"])

    def _hear(self, said: dict[str, Any]) -> None:
        about = said.get("params", {})
        if said.get("method") == "Page.loadEventFired":
            self._loaded = True
        elif said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif said.get("method") == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning", "assert"}:
            self.complaints.append(str([a.get("value", a.get("description")) for a in about["args"]]))
        elif said.get("method") == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        got = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def until(self, script: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"not within {seconds} seconds: {script}"
            time.sleep(0.1)

    def open(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Go to a page, on a screen of this size, in the light or in the dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)  # as if nobody else had the screen
        self.complaints.clear()
        self._loaded = False
        self.ask("Page.navigate", url=address)
        end = time.monotonic() + 120
        while not self._loaded:
            assert time.monotonic() < end, f"{address} did not load"
            self.run("0")
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def move(self, x: float, y: float, *, click: bool = False) -> None:
        """Put the pointer somewhere, and click."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def picture(self, to: Path, *, whole: bool = True) -> None:
        """A picture of the page."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        to.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A Chromium with one empty page; its profile is in the folder."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", *QUIET, *OFFLINE, "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        found = (re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line) for line in process.stderr)
        opened = Tab(_first_page(int(next(port for port in found if port)[1])))
        try:
            yield opened
        finally:
            opened.close()
    finally:
        process.kill()
        process.communicate()


def _first_page(port: int) -> str:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
        pages = json.loads(answer.read())
    return next(str(page["webSocketDebuggerUrl"]) for page in pages if page["type"] == "page")
