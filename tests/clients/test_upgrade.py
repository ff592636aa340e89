"""s3d is replaced, nginx reloaded and its binary upgraded while clients work:
no request fails, and what was acknowledged is there (docs/upgrade.md).

The test does as systemd: it holds the socket, and starts s3d with LISTEN_FDS.
"""

import hashlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from stack import BUILD, Signer, Stack, pattern, wait_for

PASS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
PART = 5 << 20


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Behind(Stack):
    """s3d behind a socket that is not its own, and an nginx that is nobody's
    child: only such a one upgrades its binary."""

    listener = None

    def start_s3d(self):
        if self.listener is None:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.socket_path))
            self.listener.listen(4096)
        self.begin_s3d()
        wait_for(self.s3d_serves, "s3d did not start")

    def begin_s3d(self):
        self.write_s3d_conf()
        self.log_size = len(self.log())
        with open(self.directory / "s3d.out", "ab") as output:
            self.s3d = subprocess.Popen(
                [sys.executable, "-c", PASS, str(self.listener.fileno()),
                 str(BUILD / "s3d"), "-c", str(self.directory / "s3d.conf")],
                pass_fds=[self.listener.fileno()],
                stdout=output, stderr=output)

    def log(self):
        path = self.directory / "s3d.log"
        return path.read_text() if path.exists() else ""

    def s3d_serves(self):
        assert self.s3d.poll() is None, self.log()[-2000:]
        return "serves on" in self.log()[self.log_size:]

    def count_sockets(self, state):
        with open("/proc/net/unix") as sockets:
            return sum(line.endswith(f" {self.socket_path}\n")
                       and line.split()[5] == state for line in sockets)

    def accepted(self):
        return self.count_sockets("03")  # SS_CONNECTED

    def waiting(self):
        return self.count_sockets("02")  # SS_CONNECTING

    def start_nginx(self):
        self.write_nginx_conf()
        conf = self.directory / "nginx.conf"
        conf.write_text(conf.read_text().replace("daemon off;", ""))
        subprocess.run(["/usr/sbin/nginx", "-p", self.directory, "-c", conf,
                        "-e", self.directory / "error.log"], check=True)

    def nginx_pid(self):
        try: # a new master renames the old one's before it writes its own
            return int((self.directory / "nginx.pid").read_text() or 0)
        except FileNotFoundError:
            return 0

    def signal_nginx(self, number):
        os.kill(self.nginx_pid(), number)

    def stop(self):
        master = self.nginx_pid()
        if master:
            os.kill(master, signal.SIGQUIT)
            wait_for(lambda: is_gone(master), "nginx ends")
        super().stop()
        if self.listener is not None:
            self.listener.close()


class Client:
    """One connection that is kept alive. An answer that is not 2xx raises, and
    so does a connection that is lost, unless it was idle and nginx was just
    told to end: then HTTP has the client try again."""

    def __init__(self, stack, signer=None):
        self.stack = stack
        self.signer = signer or Signer(stack)
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", stack.port, timeout=60)

    def ask(self, method, path, body=b"", subresource=""):
        target = self.signer.url(method, path, subresource)
        reused = self.connection.sock is not None
        try:
            return self.exchange(method, target, body)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.connection.close()
            if not reused or not self.stack.nginx_ends:
                raise
            return self.exchange(method, target, body)

    def exchange(self, method, target, body):
        self.connection.request(method, target, body)
        answer = self.connection.getresponse()
        data = answer.read()
        assert 200 <= answer.status < 300, (method, target, answer.status, data)
        return answer, data


class Load(threading.Thread):
    """A client that writes, reads and deletes until it is told to stop."""

    def __init__(self, stack, number):
        super().__init__()
        self.stack, self.number = stack, number
        self.client = Client(stack)
        self.there = {}  # path: digest of what was acknowledged
        self.gone = set()
        self.rounds = 0
        self.error = None

    def run(self):
        try:
            while not self.stack.enough.is_set():
                self.round()
                self.rounds += 1
        except BaseException as error:
            self.error = error

    def put(self, path, data):
        answer, _ = self.client.ask("PUT", path, data)
        assert answer.headers["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        self.keep(path, data)

    def keep(self, path, data):
        self.there[path] = hashlib.sha256(data).digest()
        self.gone.discard(path)

    def get(self, path):
        _, data = self.client.ask("GET", path)
        assert hashlib.sha256(data).digest() == self.there[path], path

    def delete(self, path):
        self.client.ask("DELETE", path)
        del self.there[path]
        self.gone.add(path)

    def round(self):
        path = f"/bkt/{self.number}-{self.rounds % 7}"
        self.put(path, pattern((1000, 20_000, 300_000)[self.rounds % 3],
                               self.rounds))
        self.get(path)
        _, data = self.client.ask("GET", "/bkt/hot")
        assert data == b"hot"
        if self.rounds % 4 == 3:
            self.delete(path)


class Uploads(Load):
    """The same with uploads in parts."""

    first = pattern(PART)

    def round(self):
        path = f"/bkt/{self.number}-{self.rounds % 3}"
        last = b"%d" % self.rounds
        _, data = self.client.ask("POST", path, subresource="uploads=")
        upload = re.search(rb"<UploadId>(.*)</UploadId>", data)[1].decode()
        parts = b""
        for number, part in enumerate((self.first, last), 1):
            answer, _ = self.client.ask(
                "PUT", path, part, f"partNumber={number}&uploadId={upload}")
            parts += (b"<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>"
                      % (number, answer.headers["ETag"].encode()))
        _, data = self.client.ask(
            "POST", path, b"<CompleteMultipartUpload>%s"
            b"</CompleteMultipartUpload>" % parts, f"uploadId={upload}")
        assert b"<CompleteMultipartUploadResult" in data, data
        self.keep(path, self.first + last)
        self.get(path)


@pytest.fixture
def stack(tmp_path):
    stack = Behind(tmp_path, location_extra="add_header X-Hot $s3_hot always;")
    stack.nginx_ends = False
    stack.enough = threading.Event()
    stack.start()
    client = Client(stack)
    client.ask("PUT", "/bkt")
    client.ask("PUT", "/bkt/hot", b"hot")
    yield stack
    stack.enough.set()
    stack.stop()
    stack.check_logs()


@pytest.fixture
def load(stack):
    clients = [Load(stack, i) for i in range(5)] + [Uploads(stack, 5)]
    for client in clients:
        client.start()
    yield clients
    stack.enough.set()
    for client in clients:
        client.join()


def served(load, rounds=2):
    """Waits until each client has come round so often, or has failed."""
    goals = [client.rounds + rounds for client in load]

    def done():
        for client in load:
            if client.error is not None:
                raise client.error
        return all(c.rounds >= goal for c, goal in zip(load, goals))
    wait_for(done, "the load stands still", 60)


def is_hot(client):
    answer, _ = client.ask("GET", "/bkt/hot")
    return answer.headers["X-Hot"] == "HIT"


def later(target, *arguments):
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    return thread


def check(stack, load):
    """All that was acknowledged, with what is said after the load's end."""
    stack.enough.set()
    for client in load:
        client.join()
        assert client.error is None, client.error
        assert client.there
        for path in client.there:
            client.get(path)
        for path in client.gone:
            with pytest.raises(AssertionError, match="404"):
                client.client.ask("GET", path)


def upgrade_nginx(stack, load):
    """USR2, then WINCH and QUIT to the old master."""
    old = stack.nginx_pid()
    stack.signal_nginx(signal.SIGUSR2)
    wait_for(lambda: stack.nginx_pid() not in (0, old), "a second master")
    served(load)
    os.kill(old, signal.SIGWINCH)
    served(load)
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: is_gone(old), "the old master ends")


def test_load(stack, load):
    served(load)
    for _ in range(3):
        stack.restart_s3d()
        served(load)
    stack.nginx_ends = True
    for _ in range(2):
        stack.signal_nginx(signal.SIGHUP)
        served(load)
    upgrade_nginx(stack, load)
    served(load)
    stack.nginx_ends = False
    stack.restart_s3d()
    served(load)
    check(stack, load)
    wait_for(lambda: is_hot(load[0].client), "the hot index is back")


def begin_upload(stack, data):
    """A client of which s3d has a third of the data."""
    client = Client(stack)
    client.connection.putrequest("PUT", client.signer.url("PUT", "/bkt/slow"))
    client.connection.putheader("Content-Length", str(len(data)))
    client.connection.endheaders(data[:len(data) // 3])
    wait_for(lambda: stack.ctl("status")["in_flight"] == 1, "the upload")
    return client


def test_drain(stack):
    """The old s3d ends what it has begun, while what comes waits for the next:
    requests, idle connections, a key that no worker has."""
    late = Client(stack, Signer(stack, stack.ctl(
        "account", "add", "late", "--operator")))
    data = pattern(3_000_000)
    idle = Client(stack)
    idle.ask("PUT", "/bkt/once", b"once")
    slow = begin_upload(stack, data)
    stack.s3d.send_signal(signal.SIGTERM)
    wait_for(lambda: stack.accepted() == 1, "only the upload is left")
    answers = []

    def ask(client, method, path, body=b""):
        answers.append(client.ask(method, path, body)[1])

    threads = [later(ask, idle, "GET", "/bkt/once"),
               later(ask, Client(stack), "GET", "/bkt/once"),
               later(ask, Client(stack), "PUT", "/bkt/new", b"new"),
               later(ask, late, "GET", "/bkt/once")]
    # Three requests, and both workers' control connections with a question.
    wait_for(lambda: stack.waiting() >= 5, "they wait in the socket")
    assert answers == [] and stack.s3d.poll() is None
    slow.connection.send(data[1_000_000:])
    assert slow.connection.getresponse().status == 200
    assert stack.s3d.wait(timeout=60) == 0
    assert answers == []
    stack.start_s3d()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [b"", b"once", b"once", b"once"]
    assert idle.ask("GET", "/bkt/slow")[1] == data
    assert idle.ask("GET", "/bkt/new")[1] == b"new"


def test_many_questions(tmp_path):
    """More questions for keys than fit into what a worker keeps to be sent wait
    for the next s3d as well."""
    stack = Behind(tmp_path, workers=1)
    stack.start()
    stack.stop_s3d()
    wait_for(lambda: stack.waiting() == 1, "the worker waits for the next")
    unknown = Signer(stack, {"access_key": "A" * 128, "secret_key": "x"})
    request = (f"GET {unknown.url('GET', '/bkt/k')} HTTP/1.1\r\n"
               f"Host: {unknown.host}\r\n\r\n").encode()
    clients = [socket.create_connection(("127.0.0.1", stack.port), 60)
               for _ in range(1000)]
    for client in clients:
        client.sendall(request)
    stack.start_s3d()
    answers = {client.recv(12) for client in clients}
    for client in clients:
        client.close()
    stack.stop()
    assert answers == {b"HTTP/1.1 403"}


def test_bound(stack):
    """A client that is slower than shutdown_timeout is told to come again, and
    nothing of what it sent is there."""
    (stack.directory / "s3d.conf").write_text(
        (stack.directory / "s3d.conf").read_text()
        + "limits = { shutdown_timeout = 0; };")
    stack.s3d.send_signal(signal.SIGHUP)
    wait_for(lambda: "reload: done" in stack.log(), "SIGHUP")
    slow = begin_upload(stack, pattern(3_000_000))
    stack.stop_s3d()
    answer = slow.connection.getresponse()
    assert (answer.status, b"<Code>ServiceUnavailable</Code>" in answer.read()
            ) == (503, True)
    stack.start_s3d()
    with pytest.raises(AssertionError, match="404"):
        Client(stack).ask("GET", "/bkt/slow")


def test_kill(stack):
    """What comes after s3d was killed waits as well."""
    client = Client(stack)
    client.ask("GET", "/bkt/hot")
    stack.kill_s3d()
    answers = []
    thread = later(lambda: answers.append(client.ask("PUT", "/bkt/k", b"k")))
    stack.start_s3d()
    thread.join()
    assert answers
    assert client.ask("GET", "/bkt/k")[1] == b"k"


def test_downgrade(tmp_path):
    """An s3d that is older than what is on the drives says so and ends."""
    stack = Behind(tmp_path)
    stack.start_s3d()
    stack.stop_s3d()
    for path in tmp_path.glob("drive*/metadata/set"):
        data = bytearray(path.read_bytes())
        data[8] += 1  # docs/disk-format.md: the version
        path.write_bytes(data + b"what newer ones add")
    stack.begin_s3d()
    assert stack.s3d.wait(timeout=60) == 3
    assert "a newer s3d wrote it" in stack.log()
    stack.listener.close()
