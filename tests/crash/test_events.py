"""Every acknowledged change has its event in the stream, in the order of the
key, whatever becomes of Redis and s3d meanwhile: Redis stopped, killed,
restarted empty, s3d killed, both killed. S3D_LONG_RUN=1: 10,000 changes.
"""

import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from stack import Signer, Stack, accepts, wait_for

CHANGES = 10_000 if "S3D_LONG_RUN" in os.environ else 1200
WRITERS = 4
KEYS = 6  # of each writer

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None,
                                reason="redis-server is not installed")


class Redis:
    """One that forgets nothing when it is killed, but can be emptied."""

    def __init__(self, directory):
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.process = None

    def start(self, empty=False):
        data = self.directory / "redis"
        if empty:
            shutil.rmtree(data)
        data.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket,
             "--dir", data, "--save", "", "--appendonly", "yes",
             "--appendfsync", "always"], stdout=subprocess.DEVNULL)
        wait_for(lambda: accepts(socket.AF_UNIX, str(self.socket)), "redis")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.socket))
            words = [str(word).encode() for word in words]
            s.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            with s.makefile("rb") as replies:
                return reply(replies)


def reply(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis has gone")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        return file.read(int(rest) + 2)[:-2] if rest != b"-1" else None
    if kind == b"*":
        return [reply(file) for _ in range(int(rest))]
    if kind == b"-":
        raise RuntimeError(rest.decode())
    return rest


class Consumer(threading.Thread):
    """Reads the stream as it grows, and goes on after each failure."""

    def __init__(self, redis):
        super().__init__(daemon=True)
        self.redis = redis
        self.last = "0-0"
        self.records = []
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                self.read()
            except (OSError, RuntimeError):
                time.sleep(0.01)

    def read(self):
        entries = self.redis.ask("XRANGE", "events", "(" + self.last, "+",
                                 "COUNT", 500)
        for entry_id, (field, message) in entries:
            assert field == b"event"
            self.records += json.loads(message).get("Records", [])
            self.last = entry_id.decode()
        if not entries:
            time.sleep(0.005)

    def has_read(self, last):
        return self.last == last.decode()


class Writer(threading.Thread):
    """It alone changes its keys. A change without an answer may have been
    made, or not."""

    def __init__(self, stack, number):
        super().__init__()
        self.signer = Signer(stack)
        self.port = stack.port
        self.number = number
        self.random = random.Random(number)
        self.history = {f"{number}/{i}": [] for i in range(KEYS)}
        self.acknowledged = 0
        self.stopping = False
        self.connection = None

    def run(self):
        while not self.stopping:
            key = self.random.choice(list(self.history))
            history = self.history[key]
            there = (bool(history) and history[-1][2]
                     and history[-1][0] == "ObjectCreated:Put")
            if there and self.random.random() < 0.3:
                self.change("DELETE", key, None)
            else:
                body = f"{key} {len(history)} {self.random.random()}".encode()
                self.change("PUT", key, body)

    def change(self, method, key, body):
        etag, done = None, False
        path = f"/bucket/{key}"
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=60)
            self.connection.request(method, self.signer.url(method, path), body)
            answer = self.connection.getresponse()
            answer.read()
            done = answer.status in (200, 204)
            assert done or answer.status >= 500, (answer.status, method, path)
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
        if method == "PUT":
            etag = hashlib.md5(body).hexdigest()
        self.history[key].append(
            ("ObjectCreated:Put" if method == "PUT" else "ObjectRemoved:Delete",
             etag, done))
        self.acknowledged += done
        if not done:
            time.sleep(0.02)


def check_key(history, records):
    """Each acknowledged change, in order; others perhaps. What a Redis had that
    forgot all may come again when s3d is killed soon after."""
    first = {}
    for record in records:
        first.setdefault(record["s3"]["object"]["sequencer"], record)
    assert list(first) == sorted(first)
    records = first.values()
    told = [(r["eventName"], r["s3"]["object"].get("eTag")) for r in records]
    at = 0
    for name, etag, done in history:
        if at < len(told) and told[at] == (name, etag):
            at += 1
        else:
            assert not done, (name, etag, told[at:at + 3])
    assert at == len(told), told[at:]


def configure(stack):
    [account] = stack.ctl("account", "list")["accounts"]
    client = stack.client()
    client.create_bucket(Bucket="bucket")
    client.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration={"QueueConfigurations": [{
            "QueueArn": f"arn:aws:sqs:us-east-1:{account['number']}:stream",
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]})


@pytest.fixture
def servers(tmp_path):
    redis = Redis(tmp_path)
    stack = Stack(tmp_path, s3d_extra=f"""
events = {{ targets = ( {{ name = "stream"; kind = "stream"; key = "events";
                          redis = "unix:{redis.socket}"; }} ); }};
""")
    try:
        redis.start()
        yield stack.start(), redis
    finally:
        redis.kill()
        stack.stop()


def test_no_event_is_lost(servers):
    stack, redis = servers
    configure(stack)
    consumer = Consumer(redis)
    consumer.start()
    writers = [Writer(stack, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()

    def made():
        return sum(writer.acknowledged for writer in writers)

    def more(share=8):
        target = made() + CHANGES / share
        wait_for(lambda: made() >= target, "changes", 120)

    def status():
        return stack.ctl("events", "status")["events"][0]

    try:
        more()
        redis.signal(signal.SIGSTOP)
        more()  # nobody waits for it
        assert status()["backlog"] >= CHANGES / 8
        redis.signal(signal.SIGCONT)
        more()
        redis.kill()
        more()
        redis.start()
        more()
        # What it has is read before it forgets all.
        redis.ask("CLIENT", "PAUSE", 60_000, "WRITE")
        [last] = redis.ask("XREVRANGE", "events", "+", "-", "COUNT", 1)
        wait_for(lambda: consumer.has_read(last[0]), "the consumer")
        redis.kill()
        more()
        redis.start(empty=True)
        more()
        wait_for(lambda: status()["backlog"] < CHANGES, "a part of it")
        stack.kill_s3d()
        stack.start_s3d()
        more()
        redis.kill()
        stack.kill_s3d()
        stack.start_s3d()
        more()
        redis.start()
        more()
    finally:
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join()
    wait_for(lambda: status()["backlog"] == 0, "delivery", 60)
    [last] = redis.ask("XREVRANGE", "events", "+", "-", "COUNT", 1)
    wait_for(lambda: consumer.has_read(last[0]), "the consumer")
    consumer.stopping = True
    consumer.join()
    by_key = {}
    for record in consumer.records:
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        by_key.setdefault(key, []).append(record)
    for writer in writers:
        for key, history in writer.history.items():
            check_key(history, by_key.get(key, []))
    assert made() >= CHANGES
    stack.stop_s3d()
    stack.check_logs()
