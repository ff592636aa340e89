#!/usr/bin/env python3
"""Many connections: slow readers beside fast ones, slow writers, both at once,
idle ones; small objects by the hundred thousand, and one of 5 GiB.

    make bench-connections      (or: build/venv/bin/python bench/connections.py)
    bench/connections.py readers --slow 2000 --rounds 5
    bench/connections.py small --objects 1000000

The slow ones are a process of their own on the same machine, and part of its
load. Each figure is the median over rounds; the two sides of a ratio alternate
inside a round. The load average says what else the machine was doing.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import tempfile
import time

from run import (KIB, MIB, Client, Report, at_once, cpu_seconds, median,
                 wrk)
from stack import Signer, Stack, pattern, peak_rss

RATE, TURNS = 64 * KIB, 4  # bytes of each slow one, and turns, per second
SLOW_OBJECT = 64 * MIB     # of a slow reader: longer than any round
SLOW_UPLOAD = 4 * MIB


def rss(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    raise RuntimeError("no VmRSS")


def memory(stack):
    """MiB of s3d and of all workers."""
    return (rss(stack.s3d.pid) // MIB,
            sum(rss(pid) for pid in stack.worker_pids()) // MIB)


# --- slow ones -----------------------------------------------------------------

def connect(port, buffer, count):
    """`count` connections whose buffers hold about two seconds."""
    found = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, buffer, RATE)
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        found.append(s)
    return found


def take_turns(sockets, turn, moved, stop):
    """Each socket has a turn `TURNS` times a second; they are spread evenly."""
    groups = [sockets[i::16] for i in range(16)]
    due, number = time.monotonic(), 0
    while not stop.is_set():
        for s in groups[number % len(groups)]:
            try:
                moved.value += turn(s)
            except BlockingIOError:
                pass
        number += 1
        due += 1 / TURNS / len(groups)
        time.sleep(max(0, due - time.monotonic()))


def read_slowly(port, requests, moved, ready, stop):
    sockets = connect(port, socket.SO_RCVBUF, len(requests))
    for s, request in zip(sockets, requests):
        s.send(request)
    ready.set()
    room = bytearray(RATE // TURNS)

    def turn(s):
        got = s.recv_into(room)
        if got == 0:
            raise RuntimeError("a slow reader was cut off")
        return got
    take_turns(sockets, turn, moved, stop)


def write_slowly(port, requests, moved, ready, stop):
    sockets = connect(port, socket.SO_SNDBUF, len(requests))
    left = {}
    for s, request in zip(sockets, requests):
        s.send(request)
        left[s] = SLOW_UPLOAD
    ready.set()
    block = pattern(RATE // TURNS)

    def turn(s):
        if left[s] == 0:
            answer = s.recv(1024)
            if answer and not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(answer)
            return 0
        sent = s.send(block[:left[s]])
        left[s] -= sent
        return sent
    take_turns(sockets, turn, moved, stop)


class Slow:
    """As many slow ones as there are requests, while in the block."""

    def __init__(self, work, stack, requests):
        self.stack, self.count = stack, len(requests)
        self.moved = multiprocessing.Value("Q", lock=False)
        self.ready, self.end = multiprocessing.Event(), multiprocessing.Event()
        self.process = multiprocessing.Process(
            target=work, args=(stack.port, requests, self.moved, self.ready,
                               self.end), daemon=True)

    def __enter__(self):
        self.process.start()
        if not self.ready.wait(60):
            raise RuntimeError("the slow ones did not begin")
        return self

    def look(self, seconds):
        """While `seconds` pass: KiB per second of each, and the part of a
        processor that the server and that the slow ones take."""
        pids = self.stack.worker_pids() + [self.stack.s3d.pid]
        before, start = self.moved.value, time.monotonic()
        cpu, own = cpu_seconds(pids), cpu_seconds([self.process.pid])
        time.sleep(seconds)
        spent = time.monotonic() - start
        return ((self.moved.value - before) / self.count / KIB / spent,
                (cpu_seconds(pids) - cpu) / spent,
                (cpu_seconds([self.process.pid]) - own) / spent)

    def __exit__(self, *_):
        self.end.set()
        self.process.join(60)
        if self.process.exitcode != 0:
            raise RuntimeError("the slow ones failed")


def requests(signer, method, paths, more=""):
    return [f"{method} {signer.url(method, path)} HTTP/1.1\r\nHost: "
            f"{signer.host}\r\n{more}\r\n".encode() for path in paths]


# --- what is measured ------------------------------------------------------------

def load():
    return round(os.getloadavg()[0])


def fast_beside(stack, options, report, name, slow):
    """64 fast GETs of 64 KiB, alone and beside the slow ones, in turn."""
    signer = Signer(stack)
    url = stack.endpoint + signer.url("GET", "/bench/fast")
    ratios, alone, looks, used = [], [], [], []
    for _ in range(options.rounds):
        alone.append(wrk(url, 64, options.seconds)["rate"])
        with slow() as those:
            looks.append(those.look(3))
            beside = wrk(url, 64, options.seconds)["rate"]
            used.append(memory(stack))
        ratios.append(beside / alone[-1])
    s3d, workers = (max(column) for column in zip(*used))
    rate, server, generator = (median(column, 2) for column in zip(*looks))
    report.add(f"64 fast GETs of 64 KiB beside {name}", "the fast ones alone",
               ratios, alone_per_second=median(alone), slow_kib_s=rate,
               server_cpu_of_slow=server, their_own_cpu=generator, s3d_mib=s3d,
               workers_mib=workers, load=load())


def bench_readers(stack, options, report):
    signer = Signer(stack)
    asked = requests(signer, "GET", ["/bench/slow"] * options.slow)
    fast_beside(stack, options, report, f"{options.slow} slow readers",
                lambda: Slow(read_slowly, stack, asked))


def bench_writers(stack, options, report):
    signer = Signer(stack)
    count = options.slow // 2
    asked = requests(signer, "PUT", [f"/bench/w{i}" for i in range(count)],
                     f"Content-Length: {SLOW_UPLOAD}\r\n")
    fast_beside(stack, options, report, f"{count} slow writers",
                lambda: Slow(write_slowly, stack, asked))
    idle = memory(stack)
    with Slow(write_slowly, stack, asked) as slow:
        used, rates = [], []
        for _ in range(SLOW_UPLOAD // RATE // 2):
            rates.append(slow.look(1)[0])
            used.append(memory(stack))
    most = [max(column) for column in zip(*used)]
    print(f"{count} slow writers, half of {SLOW_UPLOAD // MIB} MiB each: s3d "
          f"{most[0]} MiB, workers {most[1]} MiB at most, at "
          f"{median(rates)} KiB/s each; before {idle[0]} and {idle[1]} MiB, "
          f"load {load()}", flush=True)
    report.rows.append({"what": f"{count} slow writers", "s3d_mib": most[0],
                        "workers_mib": most[1], "slow_kib_s": median(rates)})


def bench_both(stack, options, report):
    """As many slow readers as slow writers, all at once: what it holds."""
    signer = Signer(stack)
    count = options.slow // 2
    reading = requests(signer, "GET", ["/bench/slow"] * count)
    writing = requests(signer, "PUT", [f"/bench/b{i}" for i in range(count)],
                       f"Content-Length: {SLOW_UPLOAD}\r\n")
    before = memory(stack)
    with (Slow(read_slowly, stack, reading) as readers,
          Slow(write_slowly, stack, writing) as writers):
        used, rates = [], []
        for _ in range(SLOW_UPLOAD // RATE // 4):
            rates.append((readers.look(1)[0], writers.look(1)[0]))
            used.append(memory(stack))
    after = memory(stack)
    s3d, workers = (max(column) for column in zip(*used))
    read, written = (median(column) for column in zip(*rates))
    print(f"{count} slow readers and {count} slow writers at once: "
          f"{read} and {written} KiB/s each; s3d {s3d} MiB, workers {workers} "
          f"MiB at most; before {before[0]} and {before[1]}, after {after[0]} "
          f"and {after[1]} MiB, load {load()}", flush=True)
    report.rows.append({"what": f"{count} slow readers and writers",
                        "s3d_mib": s3d, "workers_mib": workers,
                        "read_kib_s": read, "written_kib_s": written})


def bench_large(stack, options, report):
    """The largest single PUT, and its GET."""
    size = options.large * MIB
    body = stack.directory / "body"
    with open(body, "wb") as file:
        for _ in range(options.large):
            file.write(pattern(MIB))
    client, start = Client(stack), time.perf_counter()
    client.request("PUT", "/bench/large", body=body)
    put = time.perf_counter() - start
    body.unlink()
    s3d, workers = memory(stack)
    peaks = [peak_rss(pid) // MIB
             for pid in (stack.s3d.pid, *stack.worker_pids())]
    url, got = Signer(stack).url("GET", "/bench/large"), 0
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", stack.port)) as s:
        s.sendall(f"GET {url} HTTP/1.0\r\nHost: {Signer(stack).host}"
                  "\r\n\r\n".encode())
        room = bytearray(MIB)
        while size_now := s.recv_into(room):
            got += size_now
    get = time.perf_counter() - start
    if not size <= got < size + 4 * KIB:
        raise RuntimeError(f"{got} bytes of {size}")
    row = {"what": f"{options.large} MiB in one PUT",
           "put_mib_s": round(options.large / put),
           "get_mib_s": round(options.large / get),
           "s3d_mib_after_put": s3d, "workers_mib_after_put": workers,
           "peaks_of_put_mib": peaks,
           "peaks_mib": [peak_rss(pid) // MIB for pid in
                         (stack.s3d.pid, *stack.worker_pids())]}
    report.rows.append(row)
    print(f"{row}, load {load()}", flush=True)


def bench_idle(stack, options, report):
    """Connections that have had an answer and wait."""
    signer = Signer(stack)
    before, sockets = memory(stack), []
    url = stack.endpoint + signer.url("GET", "/bench/fast")
    [request] = requests(signer, "HEAD", ["/bench/fast"])
    ratios, alone = [], []
    alone.append(wrk(url, 64, options.seconds)["rate"])
    for _ in range(options.idle):
        s = socket.create_connection(("127.0.0.1", stack.port))
        s.sendall(request)
        if not s.recv(4096).startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("HEAD")
        sockets.append(s)
    for _ in range(options.rounds):
        ratios.append(wrk(url, 64, options.seconds)["rate"] / alone[-1])
    after = memory(stack)
    for s in sockets:
        s.close()
    report.add(f"64 fast GETs beside {options.idle} idle connections",
               "the fast ones alone", ratios,
               alone_per_second=median(alone), s3d_mib=after[0],
               workers_mib=after[1], s3d_mib_before=before[0],
               workers_mib_before=before[1], load=load())


SMALL_SCRIPT = """
local n = %d
wrk.method = "PUT"
wrk.body = string.rep("x", 1024)
function request()
    n = n + 1
    return wrk.format(nil, string.format("/small/%%03d/%%08d", n %% 1000, n))
end
"""


def used_bytes(path):
    return int(subprocess.run(["du", "-sB1", path], check=True,
                              capture_output=True, text=True).stdout.split()[0])


def write_files(directory, count):
    block = pattern(KIB)
    directory.mkdir()
    for i in range(count):
        with open(directory / f"{i}", "wb", buffering=0) as file:
            file.write(block)
            os.fsync(file.fileno())


def file_beside(directory, count):
    """As many files of 1 KiB, each synced, by 64 writers: bytes of each on
    disk, and files a second."""
    directory.mkdir()
    seconds = at_once([lambda d=directory / str(n): write_files(d, count // 64)
                       for n in range(64)])
    size = used_bytes(directory) / (count // 64 * 64)
    shutil.rmtree(directory)
    return size, count // 64 * 64 / seconds


def bench_small(stack, options, report):
    """Anybody may write into the bucket: nothing is spent on signatures."""
    client = stack.client()
    client.create_bucket(Bucket="small")
    client.delete_public_access_block(Bucket="small")
    client.put_bucket_policy(Bucket="small", Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::small/*"}]}))
    before = used_bytes(stack.directory)
    script = stack.directory / "small.lua"
    stored, start = 0, time.monotonic()
    while stored < options.objects:  # wrk knows seconds only
        seconds = max(1, min(30, (options.objects - stored) // 6000))
        script.write_text(SMALL_SCRIPT % stored)
        stored += wrk(stack.endpoint, 64, seconds, script)["requests"]
    rate = stored / (time.monotonic() - start)
    objects = sum(len(page.get("Contents", [])) for page in
                  client.get_paginator("list_objects_v2").paginate(
                      Bucket="small", PaginationConfig={"MaxItems": 5000}))
    os.sync()
    size = (used_bytes(stack.directory) - before) / stored
    peak = peak_rss(stack.s3d.pid) // MIB
    file_size, file_rate = file_beside(stack.directory / "files",
                                       min(stored, 20000))
    print(f"{stored} objects of 1 KiB: {rate:.0f} a second, {size:.0f} bytes "
          f"each on the drives, metadata included; a file of 1 KiB takes "
          f"{file_size:.0f} bytes ({file_rate:.0f} a second, each synced, by "
          f"as many writers: ratio {rate / file_rate:.2f}); peak "
          f"RSS of s3d {peak} MiB, load {load()}", flush=True)
    assert objects == 5000
    report.rows.append({"what": "1 KiB objects", "objects": stored,
                        "per_second": rate, "bytes_each": size,
                        "file_bytes_each": file_size,
                        "files_per_second": file_rate, "s3d_peak_mib": peak})


BENCHES = {"readers": bench_readers, "writers": bench_writers,
           "both": bench_both, "idle": bench_idle, "small": bench_small,
           "large": bench_large}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=list(BENCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--slow", type=int, default=2000)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--objects", type=int, default=100000)
    parser.add_argument("--large", type=int, default=5120,
                        help="MiB of the large object")
    parser.add_argument("--body-memory", default="256M")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    report = Report()
    with tempfile.TemporaryDirectory(prefix="s3d-bench-") as directory:
        stack = Stack(directory, connections=16384,
                      s3d_extra='log_level = "warn";\n'
                                'limits = { body_memory = "%s"; };\n'
                                % options.body_memory,
                      location_extra="access_log off;",
                      http_extra="keepalive_timeout 1h; "
                                 "keepalive_requests 1000000;")
        stack.start()
        try:
            client = stack.client()
            client.create_bucket(Bucket="bench")
            for key, size in (("fast", 64 * KIB), ("slow", SLOW_OBJECT)):
                client.put_object(Bucket="bench", Key=key, Body=pattern(size))
            for name in options.what:
                BENCHES[name](stack, options, report)
        finally:
            stack.stop()
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
