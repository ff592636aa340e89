"""The hot index hides nothing: keys and a policy change while all workers
answer reads of them from it, s3d is killed, nginx is reloaded; the history of
each is that of a register (linearizable.py). S3D_LONG_RUN=10: ten times as
long.
"""

import hashlib
import math
import os
import random
import signal
import socket
import threading
import time

from linearizable import Operation, violation
from stack import Signer

SECONDS = 4 * int(os.environ.get("S3D_LONG_RUN", 1))
KEYS = ["a", "b"]
READERS = 4
PAUSE = 0.02   # between two changes: reads get hot in it
OPEN = b"""{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bkt/*"}]}"""


class Gone(Exception):
    """There was no answer, or none that says anything."""


class Connection:
    """HTTP with as little as possible between the clock and the server."""

    def __init__(self, stack):
        self.stack = stack
        self.socket = None

    def ask(self, head, body=b""):
        """(status, lower-case head, body)"""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(
                    ("127.0.0.1", self.stack.port), timeout=60)
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
        if b"\ncontent-length: " in head:
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


class Client(threading.Thread):
    def __init__(self, stack, deadline):
        super().__init__()
        self.connection = Connection(stack)
        self.signer = Signer(stack)
        self.deadline = deadline
        self.history = []  # (what, Operation)
        self.hits = 0
        self.error = None

    def run(self):
        try:
            while time.monotonic() < self.deadline:
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
    """Of keys as their owner, or of the policy as anybody."""

    def __init__(self, stack, deadline, key, anybody):
        super().__init__(stack, deadline)
        self.key, self.anybody = key, anybody
        self.question = request(self.signer, "GET", f"/bkt/{key}",
                                sign=not anybody)

    def step(self):
        start = time.monotonic_ns()
        try:
            status, head, body = self.connection.ask(self.question)
        except Gone:
            time.sleep(0.005)
            return
        hot = b"\nx-hot: hit" in head
        self.hits += hot
        value = hashlib.md5(body).hexdigest() if status == 200 else None
        if status == 200:
            assert f'etag: "{value}"'.encode() in head
        if self.anybody:
            assert status in (200, 403), status
            self.note("policy", "read", start,
                      value="open" if status == 200 else None)
        else:
            assert status in (200, 404), status
            self.note(self.key, "read", start, value=value)


class Writer(Client):
    def __init__(self, stack, deadline, number):
        super().__init__(stack, deadline)
        self.random = random.Random(number)
        self.number, self.count = number, 0

    def step(self):
        key = self.random.choice(KEYS)
        if self.random.random() < 0.25:
            self.change(key, "delete", "DELETE", b"", None)
        else:
            self.count += 1
            body = f"{self.number} {self.count} ".encode() * 300
            self.change(key, "put", "PUT", body, hashlib.md5(body).hexdigest())
        time.sleep(PAUSE)

    def change(self, what, kind, method, body, value):
        if what == "policy":
            head = request(self.signer, method, "/bkt", body, "policy")
        else:
            head = request(self.signer, method, f"/bkt/{what}", body)
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


class Opener(Writer):
    """Lets everybody read, and nobody any more."""

    def step(self):
        self.count += 1
        if self.count % 2:
            self.change("policy", "put", "PUT", OPEN, "open")
        else:
            self.change("policy", "delete", "DELETE", b"", None)
        time.sleep(PAUSE)


def gather(clients):
    histories = {}
    for client in clients:
        assert client.error is None, client.error
        for what, operation in client.history:
            histories.setdefault(what, []).append(operation)
    return histories


def test_reads_are_the_newest(fresh_stack):
    stack = fresh_stack(drives=1, location_extra="add_header X-Hot $s3_hot;")
    stack.start()
    client = stack.client()
    client.create_bucket(Bucket="bkt")
    client.delete_public_access_block(Bucket="bkt")
    client.put_object(Bucket="bkt", Key="open", Body=b"for all")
    deadline = time.monotonic() + SECONDS
    readers = [Reader(stack, deadline, KEYS[n % len(KEYS)], False)
               for n in range(READERS)]
    readers += [Reader(stack, deadline, "open", True) for _ in range(2)]
    clients = readers + [Writer(stack, deadline, n) for n in range(2)]
    clients.append(Opener(stack, deadline, 2))
    for one in clients:
        one.start()
    while time.monotonic() < deadline - 2:
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
    hits = sum(reader.hits for reader in readers)
    reads = sum(len(reader.history) for reader in readers)
    print(f"{hits} of {reads} reads were hot")
    assert hits > 0
