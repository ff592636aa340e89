"""Debian's headless Chromium, spoken to through a pipe in its own protocol:
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import time

OPTIONS = (
    "--no-sandbox",  # tests run as root
    "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--disable-background-networking", "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP * 127.0.0.1",  # every name is this machine
)
TIMEOUT = 60  # seconds that anything may take


class Browser:
    def __init__(self, directory):
        ours, theirs = os.pipe(), os.pipe()

        def place():  # it reads from 3 and writes to 4
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
                    for end in (ours[0], theirs[1])]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        with open(directory / "browser.out", "ab") as log:
            self.process = subprocess.Popen(
                ["chromium-headless-shell", "--remote-debugging-pipe",
                 f"--user-data-dir={directory}/profile", *OPTIONS],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                close_fds=False, preexec_fn=place)
        os.close(ours[0])
        os.close(theirs[1])
        self.out, self.input = ours[1], theirs[0]
        self.rest = b""
        self.number = 0
        self.events = []  # that nobody has taken

    def close(self):
        """What it still says is read: else it could wait for that."""
        self.send("Browser.close")
        deadline = time.monotonic() + TIMEOUT
        with contextlib.suppress(EOFError):
            while True:
                self.receive(deadline)
        assert self.process.wait(timeout=TIMEOUT) == 0
        os.close(self.out)
        os.close(self.input)

    def send(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        return self.number

    def receive(self, deadline):
        while b"\0" not in self.rest:
            if not select.select([self.input], [], [],
                                 max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser says nothing")
            data = os.read(self.input, 1 << 16)
            if not data:
                raise EOFError("the browser is gone")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        number = self.send(method, session, **params)
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.receive(deadline)
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    def page(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, target, self.call(
            "Target.attachToTarget", targetId=target, flatten=True)["sessionId"])


class Page:
    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session
        self.seen = []  # every event of this page, in order
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def collect(self):
        """Takes what has come; returns all events so far."""
        events, self.browser.events = self.browser.events, []
        for event in events:
            if event.get("sessionId") == self.session:
                self.seen.append(event)
            else:
                self.browser.events.append(event)
        return self.seen

    def all(self, method):
        return [event["params"] for event in self.collect()
                if event.get("method") == method]

    def wait(self, method, condition=lambda params: True):
        """The first event of that name and condition, past or to come."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            for params in self.all(method):
                if condition(params):
                    return params
            self.browser.events.append(self.browser.receive(deadline))

    def goto(self, url):
        self.forget()
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, (url, result)
        self.wait("Page.loadEventFired")

    def click(self, selector):
        """On what leads to another page."""
        self.forget()
        self.evaluate(f"document.querySelector({selector!r}).click()")
        self.wait("Page.loadEventFired")

    def forget(self):
        self.collect()
        self.seen.clear()

    def evaluate(self, expression):
        """What a JavaScript expression, or its promise, comes to."""
        result = self.call("Runtime.evaluate", expression=expression,
                           awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def choose_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)
        self.call("DOM.setFileInputFiles", nodeId=node["nodeId"],
                  files=[str(path)])

    def complaints(self):
        """What the console shows in red."""
        self.evaluate("0")  # what was under way has come
        return ([e["entry"]["text"] for e in self.all("Log.entryAdded")
                 if e["entry"]["level"] == "error"]
                + [e["exceptionDetails"]["text"]
                   for e in self.all("Runtime.exceptionThrown")]
                + [str(e["args"]) for e in self.all("Runtime.consoleAPICalled")
                   if e["type"] == "error"])

    def responses(self, part):
        """[(request's id, response)] where the URL holds this text."""
        return [(e["requestId"], e["response"]) for e in self.all("Network.responseReceived")
                if part in e["response"]["url"]]

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot")["data"]
        path.write_bytes(base64.b64decode(data))
