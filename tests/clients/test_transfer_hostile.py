"""s3ctl against endpoints, and beside programs, that do not keep the rules."""

import fcntl
import hashlib
import http.server
import json
import os
import subprocess
import threading
import urllib.parse

import pytest
from stack import BUILD, pattern

MIB = 1 << 20
DATA = pattern(MIB)


class Endpoint:
    """Answers as `answers` says: of a request to the headers and the body, or
    to a status and the two. Holds one object, "k"."""

    def __init__(self, listing=None, get=None, etag='"one"'):
        self.listing = listing or self.page
        self.get = get or self.whole
        self.etag = etag
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                outer.requests.append(self)
                target = urllib.parse.urlsplit(self.path)
                query = urllib.parse.parse_qs(target.query, True)
                key = target.path.removeprefix("/bucket").removeprefix("/")
                status, headers, body = (
                    outer.get(self) if key else (200, [], outer.versioning())
                    if "versioning" in query else outer.listing(query))
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                if "Content-Length" not in dict(headers):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    if self.command != "HEAD":
                        self.wfile.write(body)
                except OSError:
                    pass  # it did not want all of it
                if len(body) < int(dict(headers).get("Content-Length", 0)):
                    self.close_connection = True
            do_GET = do_HEAD = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def page(self, _query=None, more=""):
        return 200, [], (
            "<ListBucketResult><Contents><Key>k</Key><Size>%d</Size><ETag>%s"
            "</ETag></Contents>%s</ListBucketResult>" % (
                len(DATA), self.etag, more)).encode()

    def whole(self, _request):
        return 200, [("ETag", self.etag)] if self.etag else [], DATA

    @staticmethod
    def versioning():
        return (b"<VersioningConfiguration><Status>Enabled</Status>"
                b"</VersioningConfiguration>")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def s3ctl(endpoint, *words, code):
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
                   "AWS_ENDPOINT_URL": endpoint.url, "HOME": "/nonexistent"}
    done = subprocess.run(
        [str(word) for word in (BUILD / "s3ctl", words[0], "--json",
                                *words[1:])],
        env=environment, timeout=60, capture_output=True)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def same_page(query):
    """There is always another, which begins where this one did."""
    if "versions" in query:
        return 200, [], (
            b"<ListVersionsResult><IsTruncated>true</IsTruncated>"
            b"<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v"
            b"</NextVersionIdMarker></ListVersionsResult>")
    return 200, [], (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>t</NextContinuationToken></ListBucketResult>")


def large_headers(_query):
    return (200, [("x-filler", "x" * 8000)] * 100,
            b"<ListBucketResult></ListBucketResult>")


def large_body(_query):
    return 200, [], b"<ListBucketResult>" + b" " * 9 * MIB


def many_versions(query):
    """Of one key: more than are held in memory."""
    page = int(query.get("version-id-marker", ["0"])[0]) + 1
    return 200, [], (
        b"<ListVersionsResult><EncodingType>no</EncodingType>"
        b"<IsTruncated>%s</IsTruncated>"
        b"<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>%d"
        b"</NextVersionIdMarker>%s</ListVersionsResult>" % (
            b"true" if page < 3 else b"false", page,
            b"<DeleteMarker><Key>k</Key></DeleteMarker>" * 40000))


EXPORT = ("export", "s3://bucket")
MIGRATE = ("migrate", "--versions", "s3://bucket", "s3://bucket")


@pytest.mark.parametrize("listing, words, why", (
    (same_page, EXPORT, "the listing is not understood"),
    (same_page, MIGRATE, "the listing is not understood"),
    (many_versions, MIGRATE, "a key has more than 99999 versions"),
    (large_headers, EXPORT, "GET: the answer is too large"),
    (large_body, EXPORT, "GET: the answer is too large"),
))
def test_endless(listing, words, why, tmp_path):
    with Endpoint(listing) as endpoint:
        words = (*words, tmp_path) if words is EXPORT else words
        result = s3ctl(endpoint, *words, code=1)
    assert result["error"] == why


def test_object_that_changes(tmp_path):
    """What is continued must be what was begun, whatever the endpoint makes of
    If-Match."""
    def half(request):
        if "Range" not in request.headers:
            return (200, [("ETag", '"one"'), ("Content-Length",
                                              str(MIB))], DATA[:MIB // 2])
        begin = int(request.headers["Range"][6:].split("-")[0])
        return (206, [("ETag", '"two"'), (
            "Content-Range", f"bytes {begin}-{MIB - 1}/{MIB}")], DATA[begin:])
    with Endpoint(get=half) as endpoint:
        result = s3ctl(endpoint, "export", "s3://bucket", tmp_path, code=4)
    assert result["failures"] == [
        {"name": "k", "why": "it changed while it was read"}]
    assert list(tmp_path.iterdir()) == []


def unfinished(root, etag='"one"'):
    name = hashlib.sha256(f"k\n{etag}".encode()).hexdigest()[:32]
    return root / f".s3ctl-{name}"


def test_object_without_an_etag(tmp_path):
    unfinished(tmp_path, "").write_bytes(b"of another?")
    with Endpoint(etag="") as endpoint:
        s3ctl(endpoint, "export", "s3://bucket", tmp_path, code=0)
        last = endpoint.requests[-1]
    assert (tmp_path / "k").read_bytes() == DATA
    assert "If-Match" not in last.headers and "Range" not in last.headers
    assert "if-match" not in last.headers["Authorization"]


def test_unfinished_file_of_another(tmp_path):
    """One that another export writes stays as it is; so does a file elsewhere
    of which it is a name."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    busy = [{"name": "k", "why": "its unfinished file is another's"}]
    with Endpoint() as endpoint:
        with open(unfinished(root), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert s3ctl(endpoint, "export", "s3://bucket", root, code=4)[
                "failures"] == busy
            assert os.listdir(root) == [unfinished(root).name]
        unfinished(root).unlink()
        outside.write_bytes(b"precious")
        unfinished(root).hardlink_to(outside)
        assert s3ctl(endpoint, "export", "s3://bucket", root, code=4)[
            "failures"] == busy
        assert outside.read_bytes() == b"precious"
        outside.unlink()
        unfinished(root).write_bytes(b"")
        s3ctl(endpoint, "export", "s3://bucket", root, code=0)
    assert (root / "k").read_bytes() == DATA
