"""The hot index hides nothing: keys and a policy change while all workers
answer reads of them from it, as objects, files and a website's pages, whole, in
part and "not modified"; s3d is killed, nginx is reloaded; the history of each
is that of a register (linearizable.py). S3D_LONG_RUN=10: ten times as long.
"""

import hashlib
import math
import operator
import os
import random
import signal
import socket
import threading
import time

from linearizable import Operation, violation
from stack import Signer, free_port

SECONDS = 4 * int(os.environ.get("S3D_LONG_RUN", 1))
KEYS = ["a", "b"]
PATIENCE = 60  # seconds more for who has read nothing from the index yet
PAUSE = 0.02   # between two changes at least
HEATING = 0.5  # and at most, if reads do not get hot
OPEN = b"""{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bkt/*"}]}"""


class Gone(Exception):
    """There was no answer, or none that says anything."""


class Connection:
    """HTTP with as little as possible between the clock and the server."""

    def __init__(self, port):
        self.port = port
        self.socket = None

    def ask(self, head, body=b""):
        """(status, lower-case head, body)"""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(
                    ("127.0.0.1", self.port), timeout=60)
                self.rest = b""
            self.socket.sendall(head + body)
            return self.answer()
        except OSError as error:
            self.close()
            raise Gone from error

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError
        self.rest += data

    def answer(self):
        while b"\r\n\r\n" not in self.rest:
            self.read()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        status, head = int(head[9:12]), head.lower()
        size = 0
        if status != 304 and b"\ncontent-length: " in head:
            size = int(head.split(b"\ncontent-length: ")[1].split(b"\r")[0])
        while len(self.rest) < size:
            self.read()
        body, self.rest = self.rest[:size], self.rest[size:]
        if b"connection: close" in head:
            self.close()
        if status >= 500:
            raise Gone
        return status, head, body


def request(signer, method, path, body=b"", subresource="", sign=True):
    target = signer.url(method, path, subresource) if sign else path
    return (f"{method} {target} HTTP/1.1\r\nHost: {signer.host}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()


class Run:
    """What the clients of a run share."""

    def __init__(self, stack, files_port, website_port):
        self.stack = stack
        self.files_port, self.website_port = files_port, website_port
        self.end = time.monotonic() + SECONDS
        self.readers = []
        self.bodies = {}  # by their entity tags

    def is_over(self):
        now = time.monotonic()
        return now >= self.end and (self.all_hot()
                                    or now >= self.end + PATIENCE)

    def all_hot(self):
        return all(reader.hits for reader in self.readers)

    def hits(self, what):
        return [reader.hits for reader in self.readers if reader.what == what]

    def all_hot_since(self, what, hits):
        return all(map(operator.gt, self.hits(what), hits))


class Client(threading.Thread):
    def __init__(self, run, port=None):
        super().__init__()
        self.connection = Connection(port or run.stack.port)
        self.signer = Signer(run.stack)
        self.shared = run
        self.history = []  # (what, Operation)
        self.error = None

    def run(self):
        try:
            while not self.shared.is_over():
                self.step()
        except Exception as error:
            self.error = error
            raise
        finally:
            self.connection.close()

    def note(self, what, kind, start, **more):
        self.history.append(
            (what, Operation(kind, start, time.monotonic_ns(), **more)))


class Reader(Client):
    """Of a key, or of the policy."""

    def __init__(self, run, what, port=None):
        super().__init__(run, port)
        self.what = what
        self.hits = 0
        self.tag = None  # of what it has read

    def question(self):
        return request(self.signer, "GET", f"/bkt/{self.what}")

    def step(self):
        start = time.monotonic_ns()
        try:
            status, head, body = self.connection.ask(self.question())
        except Gone:
            time.sleep(0.005)
            return
        tag = None
        if status in (200, 206, 304):
            tag = head.split(b'\netag: "')[1].split(b'"')[0].decode()
        value = self.value(status, tag, body)
        self.tag = tag or self.tag
        self.note(self.what, "read", start, value=value)
        self.hits += b"\nx-hot: hit" in head

    def value(self, status, tag, body):
        assert status in (200, 404), status
        assert status == 404 or tag == hashlib.md5(body).hexdigest()
        return tag


class FileReader(Reader):
    """Through a location that serves files."""

    def __init__(self, run, what):
        super().__init__(run, what, run.files_port)

    def question(self, more=""):
        return f"GET /{self.what} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()


class Revalidator(FileReader):
    """Asks whether what it has is still so."""

    def question(self):
        return super().question(f'If-None-Match: "{self.tag}"\r\n')

    def value(self, status, tag, body):
        if status != 304:
            return super().value(status, tag, body)
        assert tag == self.tag
        return tag


class PartReader(FileReader):
    def question(self):
        return super().question("Range: bytes=2-9\r\n")

    def value(self, status, tag, body):
        assert status in (206, 404), status
        assert status == 404 or body == self.shared.bodies[tag][2:10]
        return tag


class PolicyReader(Reader):
    """Whether anybody may read the page of a website, or the object."""

    def __init__(self, run, website):
        super().__init__(run, "policy", run.website_port if website else None)
        self.head = (b"GET /open HTTP/1.1\r\nHost: bkt.site.test\r\n\r\n"
                     if website else
                     request(self.signer, "GET", "/bkt/open", sign=False))

    def question(self):
        return self.head

    def value(self, status, tag, body):
        assert status in (200, 403), status
        return "open" if status == 200 else None


class Writer(Client):
    def __init__(self, run, number):
        super().__init__(run)
        self.random = random.Random(number)
        self.number, self.count = number, 0

    def step(self):
        key = self.random.choice(KEYS)
        if self.random.random() < 0.25:
            self.change(key, "delete", "DELETE", b"", None)
        else:
            self.count += 1
            body = f"{self.number} {self.count} ".encode() * 300
            tag = hashlib.md5(body).hexdigest()
            self.shared.bodies[tag] = body
            self.change(key, "put", "PUT", body, tag)

    def change(self, what, kind, method, body, value):
        if what == "policy":
            head = request(self.signer, method, "/bkt", body, "policy")
        else:
            head = request(self.signer, method, f"/bkt/{what}", body)
        hits = self.shared.hits(what)
        start = time.monotonic_ns()
        try:
            status, _, answer = self.connection.ask(head, body)
        except Gone:
            self.history.append((what, Operation(
                kind, start, math.inf, known=False, value=value)))
            time.sleep(0.5)
            return
        assert status in (200, 204), (status, answer)
        self.note(what, kind, start, value=value)
        time.sleep(PAUSE)
        heated = time.monotonic() + HEATING
        while (value is not None and time.monotonic() < heated
               and not self.shared.all_hot_since(what, hits)):
            time.sleep(0.002)


class Opener(Writer):
    """Lets everybody read, and nobody any more."""

    def step(self):
        self.count += 1
        if self.count % 2:
            self.change("policy", "put", "PUT", OPEN, "open")
        else:
            self.change("policy", "delete", "DELETE", b"", None)


def gather(clients):
    histories = {}
    for client in clients:
        assert client.error is None, client.error
        for what, operation in client.history:
            histories.setdefault(what, []).append(operation)
    return histories


def make_bucket(stack):
    client = stack.client()
    client.create_bucket(Bucket="bkt")
    client.delete_public_access_block(Bucket="bkt")
    client.put_object(Bucket="bkt", Key="open", Body=b"for all")
    client.put_bucket_website(Bucket="bkt", WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}})


def test_reads_are_the_newest(fresh_stack):
    files_port, website_port = free_port(), free_port()
    stack = fresh_stack(drives=1, http_extra=f"""
    add_header X-Hot $s3_hot always;
    server {{ listen 127.0.0.1:{files_port}; s3_static s3d bkt; }}
    server {{
        listen 127.0.0.1:{website_port};
        location / {{ s3_website s3d; s3_domain site.test; }}
    }}
""")
    stack.start()
    make_bucket(stack)
    run = Run(stack, files_port, website_port)
    run.readers = [kind(run, key) for key in KEYS
                   for kind in (Reader, FileReader, Revalidator, PartReader)]
    run.readers += [PolicyReader(run, website) for website in (False, True)]
    clients = run.readers + [Writer(run, number) for number in range(2)]
    clients.append(Opener(run, 2))
    for one in clients:
        one.start()
    while time.monotonic() < run.end - 2:
        time.sleep(1.5)
        stack.kill_s3d()
        stack.start_s3d()
        time.sleep(0.5)
        stack.nginx.send_signal(signal.SIGHUP)
    for one in clients:
        one.join()

    histories = gather(clients)
    assert set(histories) == {"policy", *KEYS}
    for what, history in histories.items():
        print(what, len(history), "operations")
        assert violation(history) is None, what
    for reader in run.readers:
        print(type(reader).__name__, reader.what, reader.hits, "of",
              len(reader.history), "reads were hot")
    assert run.all_hot()
