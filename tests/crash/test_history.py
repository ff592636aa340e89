"""Linearizability of every key, over HTTP, while s3d is killed, drives go and
come back and mirrors of the metadata are removed.

Clients write, delete and read a few keys, some of it conditionally, and list
them; each remembers when it asked and when the answer was there. Every listing
is a read of every key. The checker (linearizable.py) then looks for an order
in which all answers are right. S3D_LONG_RUN=10: ten times as long.
"""

import dataclasses
import hashlib
import math
import os
import random
import re
import shutil
import time

from caller import Caller, Unclear
from linearizable import Operation, violation
from test_mirrors import wait_for_members

SECONDS = 20 * int(os.environ.get("S3D_LONG_RUN", 1))
CLIENTS = 6
KEYS = ["a", "b", "c", "d"]
SIZES = [1, 3000, 65536, 70_000, 400_000]


class Client(Caller):
    def __init__(self, stack, number, deadline):
        super().__init__(stack, number)
        self.deadline = deadline
        self.writes = 0
        self.seen = {}       # key: the last ETag that was met
        self.history = []    # (key, Operation)
        self.in_trouble = False

    def work(self):
        while time.monotonic() < self.deadline:
            self.step()

    def request(self, *question):
        """ask(); what conflicts with another write is unclear too."""
        self.in_trouble = True
        status, headers, body = self.ask(*question)
        if status == 409:
            raise Unclear
        self.in_trouble = False
        return status, headers, body

    def note(self, key, kind, start, **more):
        self.history.append((key, Operation(
            kind, start, time.monotonic_ns(), **more)))

    def step(self):
        """After an answer that did not come it only reads until one does: few
        writes have an unknown end."""
        key = self.random.choice(KEYS)
        which = self.random.random()
        if self.in_trouble:
            time.sleep(0.01)
            self.read(key)
        elif which < 0.35:
            self.read(key)
        elif which < 0.45:
            self.list()
        elif which < 0.55:
            self.delete(key)
        else:
            self.put(key)

    def read(self, key):
        start = time.monotonic_ns()
        try:
            status, headers, body = self.request("GET", f"/bkt/{key}")
        except Unclear:
            return
        assert status in (200, 404), (status, body)
        etag = headers["ETag"] if status == 200 else None
        if status == 200:
            assert f'"{hashlib.md5(body).hexdigest()}"' == etag
        self.note(key, "read", start, value=etag)
        self.seen[key] = etag

    def list(self):
        start = time.monotonic_ns()
        try:
            status, _, body = self.request("GET", "/bkt")
        except Unclear:
            return
        assert status == 200, (status, body)
        found = dict(re.findall(
            "<Key>(.*?)</Key>.*?<ETag>(.*?)</ETag>",
            body.decode().replace("&quot;", '"')))
        for key in KEYS:
            self.note(key, "read", start, value=found.get(key))

    def delete(self, key):
        start = time.monotonic_ns()
        try:
            status, _, body = self.request("DELETE", f"/bkt/{key}")
        except Unclear:
            self.note(key, "delete", start, known=False)
            return
        assert status == 204, (status, body)
        self.note(key, "delete", start)

    def put(self, key):
        self.writes += 1
        seed = f"{self.number}/{self.writes}".encode()
        size = self.random.choice(SIZES)
        body = seed + hashlib.shake_256(seed).digest(size)
        value = f'"{hashlib.md5(body).hexdigest()}"'
        kind, headers, expected = self.condition(key)
        start = time.monotonic_ns()
        try:
            status, answered, text = self.request(
                "PUT", f"/bkt/{key}", body, headers)
        except Unclear:
            self.note(key, kind, start, known=False, value=value,
                      expected=expected)
            return
        allowed = {"put": [200], "put_absent": [200, 412],
                   "put_match": [200, 404, 412]}[kind]
        assert status in allowed, (status, text)
        assert status != 200 or answered["ETag"] == value
        self.note(key, kind, start, done=status == 200, value=value,
                  expected=expected)

    def condition(self, key):
        """(kind, headers, the ETag that must be there)"""
        which = self.random.random()
        if which < 0.25:
            return "put_absent", {"If-None-Match": "*"}, None
        if which < 0.5 and self.seen.get(key) is not None:
            return "put_match", {"If-Match": self.seen[key]}, self.seen[key]
        return "put", {}, None


class Trouble:
    """What happens to the server meanwhile; each returns with all repaired."""

    def __init__(self, stack):
        self.stack = stack
        self.random = random.Random(5)
        self.restarts = []   # when s3d was up again
        self.happened = {}

    def restart(self):
        self.stack.kill_s3d()
        self.stack.start_s3d()
        self.restarts.append(time.monotonic_ns())

    def kill(self):
        self.restart()

    def take_drive(self):
        """One without a mirror; it comes back with what it had."""
        drive = self.random.choice(self.stack.drives[3:])
        away = drive.with_name("away")
        drive.rename(away)
        time.sleep(self.random.random())
        self.stack.kill_s3d()
        shutil.rmtree(drive, ignore_errors=True)
        away.rename(drive)
        self.stack.start_s3d()
        self.restarts.append(time.monotonic_ns())

    def take_mirror(self):
        directory = self.random.choice(self.stack.drives[:3]) / "metadata"
        gone = directory.with_name("gone")
        directory.rename(gone)
        shutil.rmtree(gone)
        if self.random.random() < 0.5:
            self.restart()
        wait_for_members(self.stack)

    def until(self, deadline):
        turn = 0
        kinds = [self.kill, self.take_drive, self.take_mirror]
        while time.monotonic() < deadline:
            time.sleep(self.random.random())
            kind = kinds[turn % len(kinds)]
            kind()
            self.happened[kind.__name__] = \
                self.happened.get(kind.__name__, 0) + 1
            turn += 1


def by_key(clients, restarts):
    """What no answer came for happened before s3d was up again, or never: a
    process that is dead carries out nothing."""
    histories = {key: [] for key in KEYS}
    for client in clients:
        for key, operation in client.history:
            if not operation.known:
                later = [t for t in restarts if t > operation.end]
                operation = dataclasses.replace(
                    operation, end=min(later, default=math.inf))
            histories[key].append(operation)
    return histories


def test_every_key_is_a_register(fresh_stack):
    stack = fresh_stack().start()
    stack.client().create_bucket(Bucket="bkt")
    deadline = time.monotonic() + SECONDS
    clients = [Client(stack, n, deadline) for n in range(CLIENTS)]
    trouble = Trouble(stack)
    for client in clients:
        client.start()
    try:
        trouble.until(deadline)
    finally:
        for client in clients:
            client.join()
    assert [client.error for client in clients if client.error] == []
    assert len(trouble.happened) == 3
    last = Client(stack, CLIENTS, 0)
    for key in KEYS:
        last.read(key)
    last.list()
    assert len(last.history) == 2 * len(KEYS)

    histories = by_key(clients + [last], trouble.restarts)
    for key, history in histories.items():
        assert violation(history) is None, key
    # The checker is awake: the same history with one answer changed is not
    # that of a register.
    for history in histories.values():
        assert violation(with_a_stale_read(history)) is not None
    operations = sum(len(history) for history in histories.values())
    unclear = sum(not operation.known for history in histories.values()
                  for operation in history)
    print(f"{operations} operations, {unclear} without an answer, "
          f"{trouble.happened}: linearizable")
    assert operations > 100 * SECONDS / 20


def with_a_stale_read(history):
    """The last read gives what the first one that found anything gave."""
    reads = [o for o in history if o.kind == "read" and o.value is not None]
    last = max((o for o in history if o.kind == "read"), key=lambda o: o.start)
    assert reads[0].value != last.value
    return [dataclasses.replace(o, value=reads[0].value) if o is last else o
            for o in history]


# --- the checker itself: times are the numbers --------------------------------

def put(start, end, value, **more):
    return Operation("put", start, end, value=value, **more)


def read(start, end, value):
    return Operation("read", start, end, value=value)


def delete(start, end, **more):
    return Operation("delete", start, end, **more)


def absent(start, end, value, **more):
    return Operation("put_absent", start, end, value=value, **more)


def match(start, end, expected, value, **more):
    return Operation("put_match", start, end, value=value, expected=expected,
                     **more)


GOOD = {
    "in turn": [put(1, 2, "x"), read(3, 4, "x"), delete(5, 6),
                read(7, 8, None)],
    "at once, either": [put(1, 9, "x"), read(2, 3, None), read(4, 5, "x")],
    "two writers": [put(1, 9, "x"), put(1, 9, "y"), read(10, 11, "x"),
                    read(12, 13, "x")],
    "unknown, and it happened": [put(1, 5, "x", known=False), read(2, 3, "x")],
    "unknown, and it did not": [put(1, 5, "x", known=False),
                                read(6, 7, None), read(8, 9, None)],
    "unknown, later": [put(1, math.inf, "x", known=False), read(6, 7, None),
                       read(8, 9, "x")],
    "one of two is the first": [absent(1, 9, "x"),
                                absent(1, 9, "y", done=False),
                                read(10, 11, "x")],
    "not met because of an unknown one": [
        put(1, 4, "x", known=False), absent(5, 6, "y", done=False),
        read(7, 8, "x")],
    "match": [put(1, 2, "x"), match(3, 4, "x", "y"),
              match(5, 6, "x", "z", done=False), read(7, 8, "y")],
}

BAD = {
    "lost": ([put(1, 2, "x"), read(3, 4, None)], 1),
    "stale": ([put(1, 2, "x"), put(3, 4, "y"), read(5, 6, "x")], 2),
    "back and forth": ([put(1, 9, "x"), read(2, 3, "x"), read(4, 5, None)], 2),
    "not deleted": ([put(1, 2, "x"), delete(3, 4), read(5, 6, "x")], 2),
    "from nowhere": ([put(1, 2, "x"), read(3, 4, "z")], 1),
    "from the future": ([read(1, 2, "x"), put(3, 4, "x")], 0),
    "both the first": ([absent(1, 9, "x"), absent(1, 9, "y")], None),
    "match of what is gone": ([put(1, 2, "x"), put(3, 4, "y"),
                               match(5, 6, "x", "z")], 2),
    "neither the first": ([absent(1, 2, "x", done=False)], 0),
    "after its process died": ([put(1, 5, "x", known=False),
                                read(6, 7, None), read(8, 9, "x")], 2),
    "two readers disagree": ([put(1, 9, "x"), put(1, 9, "y"),
                              read(10, 11, "x"), read(12, 13, "y")], 3),
}


def test_the_checker_accepts():
    for name, history in GOOD.items():
        assert violation(history) is None, name


def test_the_checker_finds():
    for name, (history, culprit) in BAD.items():
        found = violation(history)
        assert found is not None, name
        if culprit is not None:
            assert found == history[culprit], name
