#!/usr/bin/env python3
"""A site of 2,000 files out of a bucket (s3_static) beside the same tree by
root, in one nginx: hot, and once through when no page is in memory.

    make bench-static
    make bench-static BENCH="--rounds 30 --seconds 2"

The two sides alternate inside a round, and who is first in the next one;
figures are medians over rounds. CPU is user+system time of the workers and
s3d per request: the load of others on the machine weighs least on it.
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
        def measure(port):
            before = cpu_seconds(pids)
            result = wrk(f"http://127.0.0.1:{port}", connections,
                         options.seconds, script)
            result["cpu_us"] = ((cpu_seconds(pids) - before)
                                / result["requests"] * 1e6)
            return result

        compare(stack, options, report, measure,
                f"{FILES} files, hot, {connections} clients", "p99_ms")


def bench_cold(stack, options, report, paths):
    pids = stack.worker_pids() + [stack.s3d.pid]

    def measure(port):
        forget_pages(stack.directory)
        before = cpu_seconds(pids)
        seconds = once_through(port, paths)
        return {"rate": len(paths) / seconds, "seconds": seconds,
                "cpu_us": (cpu_seconds(pids) - before) / len(paths) * 1e6}

    compare(stack, options, report, measure,
            f"{FILES} files, cold, one client", "seconds")


def compare(stack, options, report, measure, what, also):
    ours, root = [], []
    for number in range(options.rounds):
        sides = [(stack.bucket_port, ours), (stack.root_port, root)]
        for port, results in sides[::-1 if number % 2 else 1]:
            results.append(measure(port))

    def middle(results, name, digits=0):
        return median([result[name] for result in results], digits)

    cpu, root_cpu = middle(ours, "cpu_us", 1), middle(root, "cpu_us", 1)
    report.add(what, "root",
               [a["rate"] / b["rate"] for a, b in zip(ours, root)],
               per_second=middle(ours, "rate"),
               root_per_second=middle(root, "rate"),
               cpu_us=cpu, root_cpu_us=root_cpu, cpu_ratio=round(cpu / root_cpu, 2),
               **{also: middle(ours, also, 2), f"root_{also}": middle(root, also, 2)},
               load=round(os.getloadavg()[0], 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1)
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
""", s3d_extra='log_level = "warn"; hot_index = {'
                     ' size = "256M"; slot = "64K"; };')
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
