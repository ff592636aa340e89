"""Debian's headless Firefox, spoken to in Marionette, which it has built in:
https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

import base64
import json
import socket
import subprocess

from stack import accepts, free_port, wait_for

TIMEOUT = 60  # seconds that anything may take
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name of one


class Firefox:
    def __init__(self, directory):
        profile = directory / "firefox"
        profile.mkdir()
        self.downloads = directory / "downloads"
        self.downloads.mkdir()
        port = free_port()
        wanted = {"marionette.port": port,
                  "browser.download.folderList": 2,
                  "browser.download.dir": str(self.downloads),
                  "network.proxy.type": 0}
        (profile / "user.js").write_text("".join(
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in wanted.items()))
        with open(directory / "firefox.out", "ab") as log:
            self.process = subprocess.Popen(
                ["firefox-esr", "--headless", "--marionette", "--no-remote",
                 "--profile", profile], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        wait_for(lambda: accepts(socket.AF_INET, ("127.0.0.1", port)),
                 "Firefox does not listen", TIMEOUT)
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.stream = self.socket.makefile("rb")
        self.receive()  # what it is
        self.number = 0
        self.call("WebDriver:NewSession")
        self.call("WebDriver:SetTimeouts", script=TIMEOUT * 1000)

    def close(self):
        self.call("Marionette:Quit", flags=["eForceQuit"])
        assert self.process.wait(timeout=TIMEOUT) == 0
        self.stream.close()
        self.socket.close()

    def receive(self):
        length = b""
        while (byte := self.stream.read(1)) != b":":
            assert byte, "Firefox is gone"
            length += byte
        return json.loads(self.stream.read(int(length)))

    def call(self, command, **params):
        self.number += 1
        message = json.dumps([0, self.number, command, params]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self.receive()
        assert number == self.number and error is None, (command, error)
        return result

    def goto(self, url):
        self.call("WebDriver:Navigate", url=url)

    def evaluate(self, expression):
        """What a JavaScript expression, or its promise, comes to."""
        return self.call("WebDriver:ExecuteScript", sandbox=None, args=[],
                         script=f"return {expression};")["value"]

    def choose_files(self, selector, paths):
        element = self.call("WebDriver:FindElement", using="css selector",
                            value=selector)["value"][ELEMENT]
        self.call("WebDriver:ElementSendKeys", id=element,
                  text="\n".join(map(str, paths)))

    def screenshot(self, path):
        data = self.call("WebDriver:TakeScreenshot", full=False)["value"]
        path.write_bytes(base64.b64decode(data))
