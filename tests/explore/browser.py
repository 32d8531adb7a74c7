"""Chromium, driven through its own protocol over two pipes: real pointer, key and touch events.

No driver package is needed: a message is a line of JSON that ends with a zero byte (Chrome DevTools
Protocol, `--remote-debugging-pipe`).
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--mute-audio", "--remote-debugging-pipe",
)  # fmt: skip
KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Delete": 46, "Enter": 13,
    "Escape": 27, "Tab": 9, "Home": 36, "End": 35, " ": 32,
}  # fmt: skip


class PageError(AssertionError):
    """A script of the page threw."""


class Browser:
    """A headless Chromium with one page."""

    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="ssd-np-browser")
        (to_child, self._write), (self._read, from_child) = _pipe(), _pipe()
        self._process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: (os.dup2(to_child, 3), os.dup2(from_child, 4)),
            pass_fds=(3, 4),
        )
        os.close(to_child)
        os.close(from_child)
        self._buffer, self._id, self._session, self.console = b"", 0, None, []
        (target,) = [
            t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page"
        ]
        attached = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")
        self.requests = []

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._profile, ignore_errors=True)

    # --- messages --------------------------------------------------------------------------------

    def send(self, method, **params):
        """Calls a method of the protocol; returns its result."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        wanted = self._id
        while True:
            answer = self._next(120)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._heard(answer)

    def _next(self, timeout):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], timeout)
            if not ready:
                raise TimeoutError("the browser does not answer")
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise PageError("the browser has gone")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(line)

    def _heard(self, event):
        """Keeps what a page must not say: errors, warnings, exceptions; and what it fetched."""
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.console.append(str([a.get("value") for a in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    # --- the page --------------------------------------------------------------------------------

    def size(self, width, height, touch=False, dark=False):
        """The window's size in CSS pixels, a finger instead of a mouse, the reader's colours."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=touch)  # fmt: skip
        self.send("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def offline(self):
        """Cuts the network off."""
        self.send("Network.emulateNetworkConditions", offline=True, latency=0,
                  downloadThroughput=0, uploadThroughput=0)  # fmt: skip

    def open(self, path, state=""):
        """Opens a file, with the state in its address; waits until it is loaded."""
        url = path if str(path).startswith("about:") else Path(path).resolve().as_uri() + state
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=url)
        self.wait(f"location.href.split('#')[0] === {json.dumps(url.split('#')[0])}"
                  " && document.readyState === 'complete'")  # fmt: skip

    def run(self, expression):
        """The value of an expression (or of its promise) in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True, userGesture=True)  # fmt: skip
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait(self, condition, timeout=60):
        """Until a condition holds in the page."""
        end = time.monotonic() + timeout
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}; console: {self.console}")
            time.sleep(0.02)

    def picture(self, path, full=False):
        """A screenshot."""
        extra = {}
        if full:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            extra = {"captureBeyondViewport": True,
                     "clip": {"x": 0, "y": 0, "width": size["width"],
                              "height": min(size["height"], 6000), "scale": 1}}  # fmt: skip
        data = self.send("Page.captureScreenshot", format="png", **extra)["data"]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(base64.b64decode(data))

    # --- hands -----------------------------------------------------------------------------------

    def centre(self, selector, x=0.5, y=0.5):
        """A point of an element, scrolled into view, in the window's pixels.

        First the page draws what it was told before, or the element would move under the pointer.
        """
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
        )
        return place[0] + x * place[2], place[1] + y * place[3]

    def mouse(self, kind, x, y, buttons=0):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons,
                  button="left" if kind != "mouseMoved" or buttons else "none",
                  clickCount=1 if kind != "mouseMoved" else 0)  # fmt: skip

    def click(self, selector, x=0.5, y=0.5):
        at = self.centre(selector, x, y)
        self.mouse("mouseMoved", *at)
        self.mouse("mousePressed", *at, buttons=1)
        self.mouse("mouseReleased", *at)

    def hover(self, selector, x=0.5, y=0.5):
        self.mouse("mouseMoved", *self.centre(selector, x, y))

    def drag(self, selector, dx, dy, start=(0.5, 0.5), steps=6):
        """Presses on an element, moves by (dx, dy) pixels, releases."""
        x, y = self.centre(selector, *start)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, buttons=1)
        for i in range(1, steps + 1):
            self.mouse("mouseMoved", x + dx * i / steps, y + dy * i / steps, buttons=1)
        self.mouse("mouseReleased", x + dx, y + dy)

    def finger(self, selector, dx, dy, start=(0.5, 0.5), steps=6):
        """The same with a finger."""
        x, y = self.centre(selector, *start)
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for i in range(1, steps + 1):
            point = {"x": x + dx * i / steps, "y": y + dy * i / steps}
            self.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=[point])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key, shift=False):
        """A key, pressed and released."""
        code = KEYS.get(key) or ord(key.upper())
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        text = {" ": " ", "Enter": "\r"}.get(key, key if len(key) == 1 else None)
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.send("Input.dispatchKeyEvent", **down, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose_files(self, selector, *paths):
        """What a reader does in the dialog of a file field."""
        node = self.send("Runtime.evaluate", expression=f"document.querySelector('{selector}')")
        object_id = node["result"]["objectId"]
        self.send("DOM.setFileInputFiles", files=[str(p) for p in paths], objectId=object_id)


def _pipe():
    """Both ends of a pipe, with numbers that the child's 3 and 4 can not overwrite."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved
