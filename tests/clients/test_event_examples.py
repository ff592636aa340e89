"""The examples of docs/events.md, run as they stand there."""

import http.server
import io
import sqlite3
import subprocess
import sys
import threading

import pytest

from redis_server import INSTALLED
from stack import TOP, Stack, wait_for

pytestmark = pytest.mark.skipif(
    not INSTALLED, reason="redis-server is not installed")

EXAMPLES = TOP / "docs/examples"


@pytest.fixture(scope="module")
def stack(tmp_path_factory, redis):
    stack = Stack(
        tmp_path_factory.mktemp("examples"),
        s3d_extra='events = { targets = ( { name = "t"; '
                  f'redis = "unix:{redis.socket}"; key = "s3events"; }} ); }};')
    stack.start()
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.fixture(scope="module")
def s3(stack):
    s3 = stack.client()
    [account] = stack.ctl("account", "list")["accounts"]
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="before/all began.txt", Body=b"1")
    s3.put_bucket_notification_configuration(
        Bucket="photos", NotificationConfiguration={"QueueConfigurations": [{
            "QueueArn": f"arn:aws:sqs:us-east-1:{account['number']}:t",
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]})
    return s3


class Example:
    def __init__(self, stack, redis, name, *words):
        self.command = [sys.executable, EXAMPLES / f"{name}.py", *words]
        self.environment = dict(stack.environment(),
                                REDIS=f"unix://{redis.socket}")
        self.process = None

    def run(self, *words):
        return subprocess.run([*self.command, *words], text=True, check=True,
                              env=self.environment,
                              stdout=subprocess.PIPE).stdout

    def start(self, *words):
        self.process = subprocess.Popen([*self.command, *words],
                                        env=self.environment)

    def stop(self):
        """It was still at work."""
        assert self.process.poll() is None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def example(stack, redis):
    started = []

    def make(name, *words):
        started.append(Example(stack, redis, name, *words))
        return started[-1]

    yield make
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.stop()


def picture(colour, size=(640, 480)):
    from PIL import Image
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


def thumbnail(s3, key):
    from PIL import Image
    try:
        body = s3.get_object(Bucket="thumbs", Key=f"photos/{key}.png")["Body"]
    except s3.exceptions.NoSuchKey:
        return None
    return Image.open(io.BytesIO(body.read()))


def test_thumbnails(s3, redis, example):
    s3.create_bucket(Bucket="thumbs")
    s3.put_object(Bucket="photos", Key="no image", Body=b"hello")
    s3.put_object(Bucket="photos", Key="sp ace/a+b", Body=picture("red"))
    worker = example("thumbnails", "s3events", "worker-1")
    worker.start()
    wait_for(lambda: thumbnail(s3, "sp ace/a+b"), "a thumbnail")
    small = thumbnail(s3, "sp ace/a+b")
    assert small.size == (128, 96) and small.getpixel((5, 5)) == (255, 0, 0)
    assert thumbnail(s3, "no image") is None

    # What it took and did not finish is not forgotten.
    worker.stop()
    s3.put_object(Bucket="photos", Key="later", Body=picture("blue"))
    wait_for(lambda: b"later" in redis.ask(
        "XREVRANGE", "s3events", "+", "-", "COUNT", 1)[0][1][1], "its event")
    redis.ask("XREADGROUP", "GROUP", "thumbs", "worker-1", "STREAMS",
              "s3events", ">")
    worker.start()
    wait_for(lambda: thumbnail(s3, "later"), "a thumbnail")
    wait_for(lambda: redis.ask("XPENDING", "s3events", "thumbs")[0] == b"0",
             "nothing is left")


class Cdn(http.server.BaseHTTPRequestHandler):
    purged = []
    refuses = False
    refused = 0

    def do_PURGE(self):
        Cdn.refused += Cdn.refuses
        self.send_response(503 if Cdn.refuses else 200)
        self.end_headers()
        if not Cdn.refuses:
            Cdn.purged.append(self.path)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cdn():
    server = http.server.HTTPServer(("127.0.0.1", 0), Cdn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_purge(s3, example, cdn):
    agent = example("purge", "s3events", cdn)
    s3.put_object(Bucket="photos", Key="css/a b+c%.css", Body=b"1")
    agent.start()
    path = "/photos/css/a%20b%2Bc%25.css"
    wait_for(lambda: Cdn.purged.count(path) == 1, "a purge")
    s3.put_object(Bucket="photos", Key="css/a b+c%.css", Body=b"2")
    wait_for(lambda: Cdn.purged.count(path) == 2, "one after the overwrite")

    # A purge that failed is made up for.
    Cdn.refuses = True
    s3.delete_object(Bucket="photos", Key="css/a b+c%.css")
    wait_for(lambda: Cdn.refused, "a refusal")
    agent.stop()
    Cdn.refuses = False
    agent.start()
    wait_for(lambda: Cdn.purged.count(path) == 3, "one after the delete")


def holds(path, key, size):
    """The index does; None: the object is gone."""
    try:
        with sqlite3.connect(path) as index:
            return index.execute("SELECT size FROM objects WHERE key = ?",
                                 (key,)).fetchone() == (size,)
    except sqlite3.OperationalError:
        return False                 # the index is being made


def test_search(s3, example, tmp_path):
    path = tmp_path / "index.db"
    search = example("search", path)
    s3.put_object(Bucket="photos", Key="beach/holiday one.txt", Body=b"12")
    search.start("follow", "s3events", "photos")

    def found(*words):
        return search.run("find", *words).splitlines()

    wait_for(lambda: holds(path, "beach/holiday one.txt", 2), "the event")
    assert found("all", "began") == ["photos\tbefore/all began.txt\t1"]
    s3.put_object(Bucket="photos", Key="beach/holiday one.txt", Body=b"123")
    s3.delete_object(Bucket="photos", Key="before/all began.txt")
    wait_for(lambda: holds(path, "before/all began.txt", None), "the removal")
    assert found("txt") == ["photos\tbeach/holiday one.txt\t3"]
    search.stop()
    s3.delete_object(Bucket="photos", Key="beach/holiday one.txt")
    search.start("follow", "s3events", "photos")
    wait_for(lambda: holds(path, "beach/holiday one.txt", None), "what it missed")
    assert found("beach") == []


def test_redis_comes_back_empty(s3, redis, example, cdn, tmp_path):
    path = tmp_path / "index.db"
    example("thumbnails", "s3events", "worker-1").start()
    example("purge", "s3events", cdn).start()
    example("search", path).start("follow", "s3events")
    s3.put_object(Bucket="photos", Key="last", Body=picture("red"))
    wait_for(lambda: thumbnail(s3, "last") and "/photos/last" in Cdn.purged
             and holds(path, "last", len(picture("red"))), "all three")
    redis.kill()
    s3.put_object(Bucket="photos", Key="next", Body=picture("blue", (9, 9)))
    redis.start(empty=True)
    wait_for(lambda: thumbnail(s3, "next") and "/photos/next" in Cdn.purged
             and holds(path, "next", len(picture("blue", (9, 9)))), "all three")
