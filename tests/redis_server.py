"""A real redis-server for the Python tests, on a Unix socket."""

import os
import shutil
import signal
import socket
import subprocess

from stack import accepts, wait_for

INSTALLED = shutil.which("redis-server") is not None


class Redis:
    """Below the directory of its socket; `start()` may be called again."""

    def __init__(self, path, *options):
        self.socket = path
        self.data = path.with_suffix(".data")
        self.options = options
        self.process = None

    def start(self, empty=False):
        if empty:
            shutil.rmtree(self.data)
        self.data.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket,
             "--dir", self.data, "--save", "", *self.options],
            stdout=subprocess.DEVNULL)
        wait_for(lambda: accepts(socket.AF_UNIX, str(self.socket)), "redis")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        """It stands still when this returns, until its next SIGCONT."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.kill()

    def ask(self, *words):
        """The reply to one command; RuntimeError: it is an error."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.socket))
            words = [str(word).encode() for word in words]
            s.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            with s.makefile("rb") as replies:
                return read_reply(replies)


def read_reply(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis has gone")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return file.read(int(rest) + 2)[:-2] if rest != b"-1" else None
    if kind == b"*":
        return [read_reply(file) for _ in range(int(rest))]
    if kind == b"-":
        raise RuntimeError(rest.decode())
    return rest
