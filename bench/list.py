#!/usr/bin/env python3
"""The first page of a listing in a bucket with many keys beside the same page
in a bucket with a thousand; LIST beside LevelDB's own iterator.

    make bench-list                    (or: build/venv/bin/python bench/list.py)
    bench/list.py --keys 10000000 --rounds 300

Two servers run side by side, one on each store; the requests of a round go to
one and then the other. Each time is the median over all rounds, from the
request's first byte to the answer's last, over one kept connection to one
worker. CPU is what the threads of s3d, and the worker, ran per request. The
stores are filled directly, without objects' bytes.
"""

import argparse
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from stack import BUILD, Stack, peak_rss  # noqa: E402

SMALL, PAGE = 1000, 1000
ANSWER = bytearray(4 << 20)
TOOL = BUILD / "bench" / "metadata"
PAGES = {
    "v2, 1000 keys": ("list_objects_v2", {}),
    "v2, delimiter=/": ("list_objects_v2", {"Delimiter": "/"}),
    "v2, prefix of a folder, delimiter=/":
        ("list_objects_v2", {"Prefix": "photos/0000/", "Delimiter": "/"}),
    "v2, max-keys=1": ("list_objects_v2", {"MaxKeys": 1}),
    "v1, 1000 keys": ("list_objects", {}),
    "versions, 1000 keys": ("list_object_versions", {}),
    "uploads": ("list_multipart_uploads", {}),
}
# There is no such page in a bucket with a thousand keys.
FOLDERS = {"Prefix": "photos/", "Delimiter": "/"}


class Server:
    """A store of `keys` keys, and what answers of it."""

    def __init__(self, directory, keys):
        self.keys = keys
        self.stack = Stack(directory, workers=1,
                           s3d_extra=f'log_level = "warn";\n'
                                     f'metadata = "{directory}/meta";',
                           location_extra="access_log off;",
                           http_extra="keepalive_requests 1000000;")
        self.stack.start()
        self.client = self.stack.client(signature_version="s3v4")
        self.client.create_bucket(Bucket="many")
        self.stack.stop_s3d()
        started = time.monotonic()
        subprocess.run([TOOL, "fill", "many", str(keys), self.metadata],
                       check=True)
        print(f"{keys} keys: filled in {time.monotonic() - started:.0f} s, "
              f"{self.bytes() >> 20} MiB", flush=True)
        self.stack.start_s3d()
        self.connect()

    @property
    def metadata(self):
        return self.stack.directory / "meta"

    def bytes(self):
        return sum(p.stat().st_size for p in self.metadata.rglob("*"))

    def connect(self):
        self.connection = socket.create_connection(
            ("127.0.0.1", self.stack.port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def path(self, call, options):
        url = urllib.parse.urlsplit(self.client.generate_presigned_url(
            call, Params={"Bucket": "many", **options}, ExpiresIn=86400))
        return f"{url.path}?{url.query}"

    def seconds(self, path):
        request = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:"
                   f"{self.stack.port}\r\n\r\n").encode()
        start = time.perf_counter()
        self.connection.sendall(request)
        got = 0
        while True:
            got += self.receive(got)
            end = ANSWER.find(b"\r\n\r\n", 0, got)
            if end >= 0:
                break
        head = bytes(ANSWER[:end]).lower()
        size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while got < end + 4 + size:
            got += self.receive(got)
        spent = time.perf_counter() - start
        body = bytes(ANSWER[end + 4:got])
        if not head.startswith(b"http/1.1 200 "):
            raise RuntimeError(body[:500])
        return spent, body

    def receive(self, offset):
        got = self.connection.recv_into(memoryview(ANSWER)[offset:])
        if got == 0:
            raise RuntimeError("nginx has closed the connection")
        return got

    def cpu(self):
        """Seconds that s3d's threads and the worker have run."""
        return [sum(int(task.read_text().split()[0]) for task in
                    pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
                for pid in (self.stack.s3d.pid, *self.stack.worker_pids())]

    def iterate(self, count, rounds):
        """LevelDB's own iterator, on the same store while s3d is down."""
        self.stack.stop_s3d()
        done = subprocess.run(
            [TOOL, "iterate", self.metadata / "db", str(count), str(rounds)],
            check=True, capture_output=True, text=True)
        self.stack.start_s3d()
        return [float(line) for line in done.stdout.split()]


def count_entries(body):
    return sum(body.count(tag) for tag in
               (b"<Contents>", b"<CommonPrefixes>", b"<Version>"))


def first_pages(small, large, options, rows):
    print(f"{'first page':38} {'1000 keys':>10} {large.keys:>10} keys   ratio")
    for server in (small, large):
        server.connect()  # nginx keeps none for as long as filling takes
    for name, (call, words) in PAGES.items():
        paths = [server.path(call, words) for server in (small, large)]
        times = ([], [])
        for number in range(options.rounds + 5):
            for server, path, spent in zip((small, large), paths, times):
                seconds, body = server.seconds(path)
                if number >= 5:  # the first ones warm up
                    spent.append(seconds * 1e6)
        medians = [statistics.median(t) for t in times]
        ratio = statistics.median(b / a for a, b in zip(*times))
        rows.append({"what": name, "small_us": medians[0],
                     "large_us": medians[1], "ratio": ratio,
                     "entries": count_entries(body)})
        print(f"{name:38} {medians[0]:7.0f} us {medians[1]:12.0f} us "
              f"{ratio:8.3f}   {rows[-1]['entries']} entries", flush=True)


def folders(large, options, rows):
    path = large.path("list_objects_v2", FOLDERS)
    times = []
    for _ in range(max(10, options.rounds // 10)):
        seconds, body = large.seconds(path)
        times.append(seconds * 1e6)
    row = {"what": "prefix=photos/, delimiter=/",
           "large_us": statistics.median(times), "entries": count_entries(body)}
    rows.append(row)
    print(f"{row['what']:38} {'':10} {row['large_us']:12.0f} us "
          f"{'':8}   {row['entries']} entries")


def beside_iterator(large, options, rows):
    """Rounds alternate: LevelDB alone, then the same keys through S3."""
    path = large.path("list_objects_v2", {})
    ratios, ours, bases, cpus = [], [], [], []
    for _ in range(5):
        base = statistics.median(large.iterate(PAGE, options.rounds)[5:])
        for _ in range(5):
            large.seconds(path)
        before = large.cpu()
        list_ = statistics.median(
            [large.seconds(path)[0] for _ in range(options.rounds)])
        cpus.append([(b - a) / options.rounds * 1e6
                     for a, b in zip(before, large.cpu())])
        ratios.append(base / list_)
        ours.append(list_ * 1e6)
        bases.append(base * 1e6)
    s3d, worker = (statistics.median(column) for column in zip(*cpus))
    row = {"what": "LIST 1000 keys", "beside": "LevelDB's iterator",
           "ratio": statistics.median(ratios),
           "list_us": statistics.median(ours),
           "iterator_us": statistics.median(bases),
           "s3d_cpu_us": s3d, "worker_cpu_us": worker}
    rows.append(row)
    print(f"LIST 1000 keys of {large.keys} beside LevelDB's own iterator: "
          f"ratio {row['ratio']:.3f} ({row['list_us']:.0f} us, "
          f"{row['iterator_us']:.0f} us; CPU of s3d {s3d:.0f} us, of the "
          f"worker {worker:.0f} us)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if options.keys < 2 * SMALL:
        parser.error(f"--keys: at least {2 * SMALL}")
    rows, servers = [], []
    with tempfile.TemporaryDirectory(prefix="s3d-bench-") as directory:
        try:
            for name, keys in (("small", SMALL), ("large", options.keys)):
                servers.append(Server(pathlib.Path(directory) / name, keys))
            first_pages(*servers, options, rows)
            folders(servers[1], options, rows)
            beside_iterator(servers[1], options, rows)
            print("peak RSS of s3d: " + ", ".join(
                f"{peak_rss(s.stack.s3d.pid) >> 20} MiB at {s.keys} keys"
                for s in servers))
        finally:
            for server in servers:
                server.stack.stop()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
