#!/usr/bin/env python3
"""Opens pages in headless Chromium, and writes down what happened and what they look like.

It runs in the image of this folder, without a network. `visits.json` in the working directory
lists the visits; `visited.json` and one PNG file a visit are the answer. Chromium is told what to
do through a pair of pipes (`--remote-debugging-pipe`): JSON messages that a zero byte ends.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--user-data-dir=/tmp/profile",
    "--no-first-run", "--disable-gpu", "--disable-extensions", "--disable-background-networking",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
    "--no-sandbox",  # the container is the sandbox: it allows no namespaces of Chromium's own
)  # fmt: skip
LOG = Path("/tmp/chromium.log")
LOAD_SECONDS = 60.0
DOMAINS = ("Page", "Runtime", "Log", "Network")
TALLEST = 16_000  # pixels of a picture, which Chromium can still draw


class Browser:
    """Chromium, its messages, and the events that it told."""

    def __init__(self) -> None:
        to_browser, self._send = map(_high, os.pipe())
        self._receive, from_browser = map(_high, os.pipe())
        log = _high(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        actions = [(os.POSIX_SPAWN_DUP2, to_browser, 3), (os.POSIX_SPAWN_DUP2, from_browser, 4),
                   (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]  # fmt: skip
        self.pid = os.posix_spawnp("chromium", ["chromium", *FLAGS], os.environ,
                                   file_actions=actions)  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events on the way are kept."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def read(self) -> dict[str, Any]:
        """The next message; an event is kept, too, and a dialogue is closed."""
        while b"\0" not in self._buffer:
            piece = os.read(self._receive, 1 << 20)
            if not piece:
                raise RuntimeError(f"Chromium ended: {LOG.read_text(errors='replace')[-2000:]}")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append(message)
            if message["method"] == "Page.javascriptDialogOpening":
                self._last += 1
                closing = {"id": self._last, "method": "Page.handleJavaScriptDialog",
                           "sessionId": message["sessionId"],
                           "params": {"accept": True}}  # fmt: skip
                os.write(self._send, json.dumps(closing).encode() + b"\0")
        return message

    def wait(self, event: str) -> None:
        """Read until this event has been told."""
        until = time.monotonic() + LOAD_SECONDS
        while all(one["method"] != event for one in self.events):
            if time.monotonic() > until:
                raise RuntimeError(f"waited {LOAD_SECONDS:g} s for {event}")
            self.read()


def _high(descriptor: int) -> int:
    """The same open file under a number that is none of Chromium's own."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


def visit(browser: Browser, wanted: dict[str, Any]) -> dict[str, Any]:
    """Open one page; returns what it told, and writes its picture.

    Args:
        browser: that opens it.
        wanted: `name` of the visit, `page` (a file), `width` and `height` in CSS pixels, `mobile`,
            and `questions`: JavaScript expressions whose values are wanted, in their order.
    """
    browser.events.clear()
    target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
    session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in DOMAINS:
        browser.ask(f"{domain}.enable", session)
    size = {name: wanted[name] for name in ("width", "height", "mobile")}
    browser.ask("Emulation.setDeviceMetricsOverride", session, deviceScaleFactor=1, **size)
    browser.events.clear()  # those of the blank page
    browser.ask("Page.navigate", session, url=Path(wanted["page"]).resolve().as_uri())
    browser.wait("Page.loadEventFired")
    answers = [_answer(browser, session, question) for question in wanted["questions"]]
    tall = min(TALLEST, int(_answer(browser, session, "document.documentElement.scrollHeight")))
    area = {"x": 0, "y": 0, "width": wanted["width"], "height": tall, "scale": 1}
    shot = browser.ask("Page.captureScreenshot", session, captureBeyondViewport=True, clip=area)
    Path(f"{wanted['name']}.png").write_bytes(base64.b64decode(shot["data"]))
    found = [(one["method"], one["params"]) for one in browser.events]
    browser.ask("Target.closeTarget", targetId=target)
    return {
        "answers": answers,
        "errors": [_error(method, params) for method, params in found if method in ERRORS],
        "requests": [params["request"]["url"] for method, params in found
                     if method == "Network.requestWillBeSent"],
        "failed": [params["errorText"] for method, params in found
                   if method == "Network.loadingFailed"],
        "dialogues": [params["message"] for method, params in found
                      if method == "Page.javascriptDialogOpening"],
    }  # fmt: skip


ERRORS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


def _error(method: str, params: dict[str, Any]) -> str:
    """What the console shows of an event."""
    if method == "Log.entryAdded":
        return f"{params['entry']['level']}: {params['entry']['text']}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {json.dumps(params['exceptionDetails'])}"
    return f"{params['type']}: {json.dumps(params['args'])}"


def _answer(browser: Browser, session: str, question: str) -> Any:
    """The value of an expression; an exception is an error of the test's."""
    told = browser.ask(
        "Runtime.evaluate", session, expression=question, returnByValue=True, awaitPromise=True
    )
    if "exceptionDetails" in told:
        raise RuntimeError(f"{question}: {told['exceptionDetails']}")
    return told["result"].get("value")


def main() -> None:
    """All visits, one after the other, in one browser."""
    browser = Browser()
    try:
        visits = json.loads(Path("visits.json").read_text(encoding="utf-8"))
        visited = {one["name"]: visit(browser, one) for one in visits}
    finally:
        os.kill(browser.pid, signal.SIGKILL)
    Path("visited.json").write_text(json.dumps(visited), encoding="utf-8")


if __name__ == "__main__":
    main()
