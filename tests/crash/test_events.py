"""Every acknowledged change has its event in the stream, in the order of the
key, whatever becomes of Redis and s3d meanwhile: Redis stopped, killed,
restarted empty, s3d killed, both killed. S3D_LONG_RUN=1: 10,000 changes.
"""

import hashlib
import http.client
import json
import os
import random
import signal
import threading
import time
import urllib.parse

import pytest

from redis_server import INSTALLED, Redis
from stack import Signer, Stack, wait_for

CHANGES = 10_000 if "S3D_LONG_RUN" in os.environ else 1200
WRITERS = 4
KEYS = 6  # of each writer

pytestmark = pytest.mark.skipif(not INSTALLED,
                                reason="redis-server is not installed")


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
    # One that forgets nothing when it is killed, but can be emptied.
    with Redis(tmp_path / "redis.sock", "--appendonly", "yes", "--appendfsync",
               "always") as redis:
        stack = Stack(tmp_path, s3d_extra=f"""
events = {{ targets = ( {{ name = "stream"; kind = "stream"; key = "events";
                          redis = "unix:{redis.socket}"; }} ); }};
""")
        try:
            yield stack.start(), redis
        finally:
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
        redis.pause()
        more()  # nobody waits for it
        assert status()["backlog"] >= CHANGES / 8
        redis.process.send_signal(signal.SIGCONT)
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
