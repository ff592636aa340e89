#!/usr/bin/env python3
"""What durability costs, side by side in one run: heal and scrub beside the
raw drives, GET with two drives lost beside the healthy GET, small PUTs with
three mirrors of the metadata beside one, and how long a start takes.

    make bench-durability       (or: build/venv/bin/python bench/durability.py)
    bench/durability.py scrub heal --rounds 5

Each figure is the median over rounds; the two sides of a ratio alternate
inside a round. The load average says what else the machine was doing.
"""

import argparse
import json
import mmap
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from run import KIB, MIB, PUT_SCRIPT, Report, median, wrk
from stack import BUILD, Signer, Stack, pattern, wait_for

CARE = """
log_level = "warn";
scrub = { rate = "1T"; };
heal = { workers = %d; rate = "1T"; };
"""
OBJECTS, OBJECT = 12, 32 * MIB
TOOL = BUILD / "bench" / "metadata"


# --- the raw drive -------------------------------------------------------------

def forget(paths):
    """Nothing of the files is left in the page cache."""
    for path in paths:
        with open(path, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_raw(paths):
    """As dd iflag=direct bs=1M does; bytes."""
    block = mmap.mmap(-1, MIB)
    total = 0
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        while (count := os.readv(fd, [block])) > 0:
            total += count
        os.close(fd)
    return total


def write_raw(path, size):
    block = pattern(MIB)
    with open(path, "wb", buffering=0) as f:
        for _ in range(-(-size // MIB)):
            f.write(block)
        os.fdatasync(f.fileno())
    path.unlink()


def seconds(what, *arguments):
    start = time.perf_counter()
    result = what(*arguments)
    return time.perf_counter() - start, result


# --- the server ----------------------------------------------------------------

def server(directory, name, workers=2, extra="", **options):
    return Stack(pathlib.Path(directory) / name,
                 s3d_extra=CARE % workers + extra,
                 location_extra="access_log off;", **options)


def load(stack, count=OBJECTS, size=OBJECT):
    client = stack.client()
    client.create_bucket(Bucket="bench")
    body = pattern(size)
    for i in range(count):
        client.put_object(Bucket="bench", Key=f"o{i}", Body=body)


def extents(drives):
    return sorted(path for drive in drives
                  for path in (drive / "extents").rglob("*") if path.is_file())


def care(stack):
    return stack.ctl("heal", "status")


def scrubbed(stack):
    """A whole pass; the bytes it verified."""
    passes = care(stack)["scrub"]["passes"]
    stack.ctl("scrub", "start")
    wait_for(lambda: care(stack)["scrub"]["passes"] > passes, "a pass", 300)
    return care(stack)["scrub"]["last"]["bytes"]


def bench_scrub(directory, options, report):
    stack = server(directory, "scrub").start()
    try:
        load(stack)
        scrubbed(stack)
        files = extents(stack.drives)
        ratios, rates, bases = [], [], []
        for _ in range(options.rounds):
            forget(files)
            raw_seconds, raw = seconds(read_raw, files)
            forget(files)
            our_seconds, ours = seconds(scrubbed, stack)
            rates.append(ours / our_seconds / MIB)
            bases.append(raw / raw_seconds / MIB)
            ratios.append(rates[-1] / bases[-1])
        report.add("scrub", "the same files read directly", ratios,
                   mib_per_second=median(rates), raw_per_second=median(bases))
    finally:
        stack.stop()


def replaced(stack, number):
    """Seconds from when the healers begin to full redundancy, bytes written."""
    shutil.rmtree(stack.drives[number])
    stack.drives[number].mkdir()
    wait_for(lambda: care(stack)["drives_ok"] == 5, "the loss")
    wait_for(lambda: care(stack)["ledger"]["waiting"] >= OBJECTS, "the walk")
    before = care(stack)["today"]["bytes_repaired"]
    forget(extents(stack.drives))
    stack.ctl("drive", "replace", str(number), "--yes")
    wait_for(lambda: care(stack)["ledger"]["waiting"] == 0, "the healers")
    start = time.perf_counter()
    wait_for(lambda: care(stack)["fully_redundant"], "healed", 300)
    return (time.perf_counter() - start,
            care(stack)["today"]["bytes_repaired"] - before)


def bench_heal(directory, options, report):
    """Beside: the other drives read and as much written, one after the other
    on the disk that they all share."""
    stack = server(directory, "heal").start()
    try:
        load(stack)
        scrubbed(stack)
        ratios, rates, bases = [], [], []
        for number in range(options.rounds):
            drive = number % 3 + 3
            our_seconds, rebuilt = replaced(stack, drive)
            others = [d for i, d in enumerate(stack.drives) if i != drive]
            forget(extents(others))
            raw_seconds = (seconds(read_raw, extents(others))[0] +
                           seconds(write_raw, stack.directory / "raw",
                                   rebuilt)[0])
            rates.append(rebuilt / our_seconds / MIB)
            bases.append(rebuilt / raw_seconds / MIB)
            ratios.append(rates[-1] / bases[-1])
        report.add("heal of one drive of six", "five read, one written",
                   ratios, rebuilt_mib_per_second=median(rates),
                   raw_mib_per_second=median(bases))
    finally:
        stack.stop()


# --- GET with drives lost --------------------------------------------------------

def bench_get(directory, options, report):
    stack = server(directory, "get", workers=0).start()
    away = [drive.with_name(f"away{i}")
            for i, drive in enumerate(stack.drives)]
    signer = Signer(stack)
    client = stack.client()
    client.create_bucket(Bucket="bench")
    sizes = {"4 KiB": (4 * KIB, 32), "1 MiB": (MIB, 8), "64 MiB": (64 * MIB, 4)}
    script = {}
    for name, (size, _) in sizes.items():
        body, urls = pattern(size), []
        for i in range(1 if size == 64 * MIB else 24):
            client.put_object(Bucket="bench", Key=f"{size}/{i}", Body=body)
            urls.append(signer.url("GET", f"/bench/{size}/{i}") + "\n")
        (stack.directory / f"urls{size}").write_text("".join(urls))
        script[name] = stack.directory / f"get{size}.lua"
        script[name].write_text(PUT_SCRIPT.replace("PUT", "GET") % (
            stack.directory / f"urls{size}", 0))

    def measure(name):
        return wrk(stack.endpoint, sizes[name][1], options.seconds,
                   script[name])["rate"]

    def lose(count):
        for i in range(count):
            stack.drives[i + 3].rename(away[i + 3])
        wait_for(lambda: care(stack)["drives_ok"] == 6 - count, "the loss")

    def give_back(count):
        for i in range(count):
            shutil.rmtree(stack.drives[i + 3], ignore_errors=True)
            away[i + 3].rename(stack.drives[i + 3])
        wait_for(lambda: care(stack)["drives_ok"] == 6, "the return", 120)

    ratios = {(name, lost): [] for name in sizes for lost in (1, 2)}
    healthy, degraded = {name: [] for name in sizes}, {k: [] for k in ratios}
    try:
        for _ in range(options.rounds):
            base = {name: measure(name) for name in sizes}
            for lost in (1, 2):
                lose(lost)
                for name in sizes:
                    rate = measure(name)
                    degraded[name, lost].append(rate)
                    ratios[name, lost].append(rate / base[name])
                give_back(lost)
            for name in sizes:
                healthy[name].append(base[name])
        for (name, lost), values in ratios.items():
            report.add(f"GET {name}, {lost} of 6 drives lost", "healthy GET",
                       values, per_second=median(degraded[name, lost], 1),
                       healthy_per_second=median(healthy[name], 1))
    finally:
        stack.stop()


# --- mirrors ---------------------------------------------------------------------

def bench_mirrors(directory, options, report):
    stacks = {}
    try:
        for count in (1, 3):
            stack = stacks[count] = server(
                directory, f"mirrors{count}",
                extra=f"metadata_mirrors = {count};\n").start()
            stack.client().create_bucket(Bucket="bench")
            signer = Signer(stack)
            urls = stack.directory / "urls"
            urls.write_text("".join(
                signer.url("PUT", f"/bench/k{i:05d}") + "\n"
                for i in range(20000)))
            (stack.directory / "put.lua").write_text(
                PUT_SCRIPT % (urls, 4 * KIB))
        for clients in (1, 16):
            rates = {1: [], 3: []}
            for _ in range(options.rounds):
                for count, stack in stacks.items():
                    rates[count].append(wrk(
                        stack.endpoint, clients, options.seconds,
                        stack.directory / "put.lua")["rate"])
            report.add(f"PUT 4 KiB, {clients} clients, 3 mirrors", "1 mirror",
                       [b / a for a, b in zip(rates[1], rates[3])],
                       per_second=median(rates[3]),
                       one_mirror_per_second=median(rates[1]))
    finally:
        for stack in stacks.values():
            stack.stop()


# --- restart ---------------------------------------------------------------------

def first_answer(stack, url):
    stack.start_s3d()
    subprocess.run(["curl", "-sSf", "-o", "/dev/null", stack.endpoint + url],
                   check=True)


def bench_restart(directory, options, report):
    """From the start of the process to the first answer to a listing."""
    stack = server(directory, "restart").start()
    try:
        stack.client().create_bucket(Bucket="many")
        stack.stop_s3d()
        mirrors = [drive / "metadata" for drive in stack.drives[:3]]
        subprocess.run([TOOL, "fill", "many", str(options.keys), *mirrors],
                       check=True)
        url = Signer(stack).url("GET", "/many")
        first_answer(stack, url)
        clean, killed = [], []
        for _ in range(options.rounds):
            stack.stop_s3d()
            clean.append(seconds(first_answer, stack, url)[0])
            stack.kill_s3d()
            killed.append(seconds(first_answer, stack, url)[0])
        for what, times in (("stopped", clean), ("killed", killed)):
            report.add(f"start with {options.keys} objects, {what}",
                       "3 seconds", [t / 3 for t in times],
                       seconds=median(times, 2), most=round(max(times), 2))
    finally:
        stack.stop()


BENCHES = {"scrub": bench_scrub, "heal": bench_heal, "get": bench_get,
           "mirrors": bench_mirrors, "restart": bench_restart}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=list(BENCHES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    report = Report()
    for name in options.what:
        with tempfile.TemporaryDirectory(prefix="s3d-bench-") as directory:
            print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
            BENCHES[name](directory, options, report)
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
