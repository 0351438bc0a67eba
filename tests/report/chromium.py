"""Debian's Chromium, driven over a pipe: real layout, real keys, real colour schemes, and every request it would make."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
PATIENCE_SECONDS = 60.0


class Tab:
    """One page. `requests` are the addresses it asked for, `logs` what its console said."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout.fileno()
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.requests: list[str] = []
        self.logs: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._input.write(json.dumps(message).encode() + b"\0")
        self._input.flush()
        answer = self._until(lambda heard: heard.get("id") == number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def show(self, path: Path, width: int, height: int = 900, scheme: str = "light", motion: str = "no-preference") -> None:
        """Open a file at a width in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.requests.clear()
        self.logs.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        self._until(lambda heard: heard.get("method") == "Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def point(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path: Path) -> None:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(picture["data"]))

    def _until(self, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))
                assert ready, "chromium does not answer"
                piece = os.read(self._output, 2**20)
                assert piece, "chromium is gone"
                self._buffer += piece
            line, self._buffer = self._buffer.split(b"\0", 1)
            heard: dict[str, Any] = json.loads(line)
            self._note(heard)
            if wanted(heard):
                return heard

    def _note(self, heard: dict[str, Any]) -> None:
        parameters = heard.get("params", {})
        match heard.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self.logs.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.logs.append(parameters["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled":
                self.logs += [str(argument.get("value")) for argument in parameters["args"]]


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of a fresh Chromium; the browser and its profile are gone afterwards."""
    program = shutil.which("chromium")
    assert program is not None, "the page's tests need Debian's chromium: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol speaks on descriptors 3 and 4; a shell puts our two pipes there.
        joined = f'exec "{program}" {" ".join(SWITCHES)} --user-data-dir="{profile}" about:blank 3<&0 4>&1 </dev/null >/dev/null'
        process = subprocess.Popen(["sh", "-c", joined], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            tab = Tab(process)
            yield tab
            tab._session = None
            tab.call("Browser.close")
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()
