#!/usr/bin/env python3
"""A site of 2,000 files out of a bucket (s3_static) beside the same tree by
root, in one nginx: hot, and once through when no page is in memory.

    make all && build/venv/bin/python bench/static.py
    bench/static.py --rounds 5 --seconds 4

The two sides alternate inside a round; figures are medians over rounds.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from run import KIB, MIB, Report, cpu_seconds, median, wrk  # noqa: E402
from stack import Stack, free_port, pattern, peak_rss  # noqa: E402

FILES = 2000
# What a site is made of: share of the files, sizes from and up to.
SIZES = ((0.6, 1 * KIB, 16 * KIB), (0.3, 16 * KIB, 64 * KIB),
         (0.1, 64 * KIB, 512 * KIB))

SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local n = 0
function request()
    n = n %% #paths + 1
    return wrk.format("GET", paths[n])
end
"""


def make_site(client, tree):
    """Stores the same files on both sides; returns their paths, shuffled."""
    chance = random.Random(1)
    paths = []
    client.create_bucket(Bucket="site")
    for share, least, most in SIZES:
        for _ in range(int(FILES * share)):
            name = f"d{len(paths) % 40:02d}/f{len(paths):04d}.html"
            data = pattern(chance.randrange(least, most), name)
            (tree / name).parent.mkdir(exist_ok=True)
            (tree / name).write_bytes(data)
            client.put_object(Bucket="site", Key=name, Body=data,
                              ContentType="text/html")
            paths.append("/" + name)
    chance.shuffle(paths)
    return paths


def forget_pages(directory):
    """What is below the directory is read from the disk next time."""
    os.sync()
    for path in pathlib.Path(directory).rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def once_through(port, paths):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    started = time.perf_counter()
    for path in paths:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, path
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def bench_hot(stack, options, report, script):
    pids = stack.worker_pids() + [stack.s3d.pid]
    for connections in (1, 32):
        ratios, ours, bases, cpu, p99 = [], [], [], [], []
        for _ in range(options.rounds):
            base = wrk(f"http://127.0.0.1:{stack.root_port}", connections,
                       options.seconds, script)
            before = cpu_seconds(pids)
            bucket = wrk(f"http://127.0.0.1:{stack.bucket_port}", connections,
                         options.seconds, script)
            cpu.append((cpu_seconds(pids) - before) / bucket["requests"] * 1e6)
            ratios.append(bucket["rate"] / base["rate"])
            ours.append(bucket["rate"])
            bases.append(base["rate"])
            p99.append(bucket["p99_ms"])
        report.add(f"{FILES} files, hot, {connections} clients", "root", ratios,
                   per_second=median(ours), root_per_second=median(bases),
                   cpu_us=median(cpu), p99_ms=median(p99, 2))


def bench_cold(stack, options, report, paths):
    ratios, ours, bases = [], [], []
    for _ in range(options.rounds):
        forget_pages(stack.directory)
        base = once_through(stack.root_port, paths)
        forget_pages(stack.directory)
        bucket = once_through(stack.bucket_port, paths)
        ratios.append(base / bucket)
        ours.append(bucket)
        bases.append(base)
    report.add(f"{FILES} files, cold, one client", "root", ratios,
               seconds=median(ours, 2), root_seconds=median(bases, 2))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()

    report = Report()
    with tempfile.TemporaryDirectory(prefix="s3d-bench-") as directory:
        bucket_port, root_port = free_port(), free_port()
        stack = Stack(directory, http_extra=f"""
    access_log off;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{root_port}; root {directory}/tree; }}
    server {{ listen 127.0.0.1:{bucket_port}; s3_static s3d site; }}
""", s3d_extra='log_level = "warn";')
        stack.bucket_port, stack.root_port = bucket_port, root_port
        tree = stack.directory / "tree"
        tree.mkdir()
        stack.start()
        try:
            paths = make_site(stack.client(), tree)
            listed = stack.directory / "paths"
            listed.write_text("\n".join(paths) + "\n")
            script = stack.directory / "site.lua"
            script.write_text(SCRIPT % listed)
            once_through(bucket_port, paths)
            once_through(root_port, paths)
            bench_hot(stack, options, report, script)
            bench_cold(stack, options, report, paths)
            print(f"peak RSS: s3d {peak_rss(stack.s3d.pid) // MIB} MiB")
        finally:
            stack.stop()
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
