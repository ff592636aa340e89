#!/usr/bin/env python3
"""Ratios, side by side in one run: S3 beside static nginx, PUT beside the
drive's own append+fdatasync, hashing and writing.

    make bench                  (or: build/venv/bin/python bench/run.py)
    bench/run.py get put --rounds 5 --seconds 4

Each figure is the median over rounds; the two sides of a ratio alternate
inside a round. CPU is user+system time of nginx's workers and s3d per request.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from redis_server import Redis  # noqa: E402
from stack import (Signer, Stack, free_port, pattern,  # noqa: E402
                   peak_rss, wait_for)

KIB, MIB = 1 << 10, 1 << 20


# --- load --------------------------------------------------------------------

def wrk(url, connections, seconds, script=None):
    """Requests and bytes per second, 99th percentile in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
               "--timeout", "30s"]
    if script:
        command += ["-s", str(script)]
    text = subprocess.run(command + [url], check=True, capture_output=True,
                          text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    requests, duration = re.search(
        r"(\d+) requests in ([\d.]+)s", text).groups()
    unit = {"B": 1, "KB": KIB, "MB": MIB, "GB": 1 << 30}
    size, suffix = re.search(r"Transfer/sec:\s+([\d.]+)(\w+)", text).groups()
    p99, scale = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return {
        "rate": int(requests) / float(duration),
        "bytes": float(size) * unit[suffix],
        "p99_ms": float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[scale],
        "requests": int(requests),
    }


def cpu_seconds(pids):
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / tick


# --- the table ---------------------------------------------------------------

class Report:
    def __init__(self):
        self.rows = []

    def add(self, what, beside, ratios, **more):
        row = {"what": what, "beside": beside,
               "ratio": round(statistics.median(ratios), 3),
               "rounds": [round(r, 3) for r in ratios], **more}
        self.rows.append(row)
        extra = ", ".join(f"{k} {v}" for k, v in more.items())
        print(f"{what:42} beside {beside:34} {row['ratio']:6.3f}   {extra}",
              flush=True)


def median(values, digits=0):
    return round(statistics.median(values), digits or None)


def compare_get(stack, options, report, what, url, key, connections,
                script=None):
    """A URL beside the same bytes as a static file."""
    pids = stack.worker_pids() + [stack.s3d.pid]
    rows = []
    for _ in range(options.rounds):
        row = []
        for of in (f"http://127.0.0.1:{stack.static_port}/{key}", url):
            before = cpu_seconds(pids)
            got = wrk(of, connections, options.seconds, script)
            spent = (cpu_seconds(pids) - before) / got["requests"] * 1e6
            row += [got["rate"], spent, got["p99_ms"]]
        rows.append(row)
    bases, base_cpu, _, rates, cpu, p99 = zip(*rows)
    report.add(what, "nginx static",
               [rate / base for rate, base in zip(rates, bases)],
               per_second=median(rates, 1), static_per_second=median(bases, 1),
               cpu_us=median(cpu, 1), static_cpu_us=median(base_cpu, 1),
               p99_ms=median(p99, 2))


READ_BY_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::bench/*"}]})


RANGES = """
request = function()
  local first = math.random(0, %d)
  return wrk.format("GET", nil,
                    {Range = "bytes=" .. first .. "-" .. first + %d})
end
"""


def bench_get(stack, options, report):
    client = stack.client()
    client.create_bucket(Bucket="bench")
    client.delete_public_access_block(Bucket="bench")
    client.put_bucket_policy(Bucket="bench", Policy=READ_BY_ALL)
    signer = Signer(stack)
    static = stack.directory / "static"
    static.mkdir()

    def store(size):
        data = pattern(size, str(size))
        (static / f"o{size}").write_bytes(data)
        client.put_object(Bucket="bench", Key=f"o{size}", Body=data)
        # Both in memory: a large PUT passes the page cache by.
        for _ in client.get_object(Bucket="bench", Key=f"o{size}")[
                "Body"].iter_chunks(MIB):
            pass

    def compare(what, size, port, connections, signed=True, script=None):
        signer.host = f"127.0.0.1:{port}"
        path = f"/bench/o{size}"
        target = signer.url("GET", path) if signed else path
        compare_get(stack, options, report, f"GET {what}",
                    f"http://{signer.host}{target}", f"o{size}", connections,
                    script)

    store(4 * KIB)
    compare("4 KiB, public, hot", 4 * KIB, stack.port, 32, signed=False)
    compare("4 KiB, pre-signed, hot", 4 * KIB, stack.port, 32)
    compare("4 KiB, pre-signed, not hot", 4 * KIB, stack.asking, 32)
    compare("4 KiB, pre-signed, not hot, s3_verify off", 4 * KIB,
            stack.unverified, 32)
    store(64 * MIB)
    compare("64 MiB, pre-signed, verified", 64 * MIB, stack.port, 4)
    compare("64 MiB, pre-signed, s3_verify off", 64 * MIB, stack.unverified, 4)
    store(1024 * MIB)
    script = stack.directory / "ranges.lua"
    script.write_text(RANGES % (1023 * MIB, MIB - 1))
    compare("1 MiB of 1 GiB, random", 1024 * MIB, stack.port, 16, script=script)


def raw_fdatasync(directory, seconds):
    path = directory / "raw"
    block = os.urandom(4 * KIB)
    count = 0
    with open(path, "wb", buffering=0) as f:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            f.write(block)
            os.fdatasync(f.fileno())
            count += 1
    path.unlink()
    return count / seconds


PUT_SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local n = 0
wrk.method = "PUT"
wrk.body = string.rep("x", %d)
function request()
    n = n + 1
    if n > #paths then n = 1 end
    return wrk.format(nil, paths[n])
end
"""


def put_script(stack, signer, bucket):
    """For wrk: PUTs of 4 KiB into 20,000 keys in turn."""
    urls = stack.directory / f"urls-{bucket}"
    urls.write_text("".join(
        signer.url("PUT", f"/{bucket}/k{i:05d}") + "\n" for i in range(20000)))
    script = stack.directory / f"{bucket}.lua"
    script.write_text(PUT_SCRIPT % (urls, 4 * KIB))
    return script


def bench_put(stack, options, report):
    stack.client().create_bucket(Bucket="bench-put")
    script = put_script(stack, Signer(stack), "bench-put")
    pids = stack.worker_pids() + [stack.s3d.pid]
    for clients in (1, 16, 64):
        ratios, rates, bases, cpu, p99 = [], [], [], [], []
        for _ in range(options.rounds):
            base = raw_fdatasync(stack.drives[0], options.seconds / 2)
            before = cpu_seconds(pids)
            ours = wrk(stack.endpoint, clients, options.seconds, script)
            spent = cpu_seconds(pids) - before
            ratios.append(ours["rate"] / base)
            rates.append(ours["rate"])
            bases.append(base)
            cpu.append(spent / ours["requests"] * 1e6)
            p99.append(ours["p99_ms"])
        report.add(f"PUT 4 KiB, {clients} clients",
                   "append+fdatasync, one writer", ratios,
                   per_second=median(rates), raw_per_second=median(bases),
                   cpu_us=median(cpu), p99_ms=median(p99, 1))


class Client:
    """One keep-alive connection that costs as little as it can: bodies go by
    sendfile."""

    def __init__(self, stack):
        self.stack = stack
        self.signer = Signer(stack)
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1",
                                                self.stack.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, method, path, payload="UNSIGNED-PAYLOAD", body=None,
                **fields):
        size = body.stat().st_size if body else 0
        head = f"{method} {path} HTTP/1.1\r\nContent-Length: {size}\r\n"
        for name, value in self.signer.headers(method, path, payload,
                                               **fields).items():
            head += f"{name}: {value}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        if body:
            with open(body, "rb") as file:
                self.socket.sendfile(file)
        return self.answer(method)

    def answer(self, method):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.receive()
        head, body = data.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(data.decode())
        size = re.search(rb"(?i)content-length: (\d+)", head)
        while method != "HEAD" and size and len(body) < int(size[1]):
            body += self.receive()
        if b"Connection: close" in head:  # after keepalive_requests
            self.connect()
        return body

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the connection was closed")
        return data


def md5_speed():
    data = pattern(64 * MIB)
    start = time.perf_counter()
    hashlib.md5(data)
    return len(data) / (time.perf_counter() - start)


def at_once(jobs):
    """Seconds until all of them, each in a thread, have ended."""
    failed = []

    def run(job):
        try:
            job()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - start


def write_raw(directory, mib):
    data = pattern(MIB)
    with open(directory / "raw", "wb", buffering=0) as f:
        for _ in range(mib):
            f.write(data)
        os.fdatasync(f.fileno())


def raw_write_speed(drives, mib):
    """Object bytes a second, if all that 4+2 makes of them were only written
    to the drives and synced."""
    each = mib * 3 // 2 // len(drives)
    seconds = at_once([lambda d=drive: write_raw(d, each) for drive in drives])
    for drive in drives:
        (drive / "raw").unlink()
    return mib * MIB / seconds


def bench_large_put(stack, options, report):
    stack.client().create_bucket(Bucket="bench-large")
    body = stack.directory / "body"
    body.write_bytes(pattern(64 * MIB))
    digest = hashlib.sha256(body.read_bytes()).hexdigest()
    pids = stack.worker_pids() + [stack.s3d.pid]

    def put(clients, payload):
        """Bytes a second, and milliseconds of CPU a MiB."""
        before = cpu_seconds(pids)
        seconds = at_once([
            lambda c=client, n=number: c.request(
                "PUT", f"/bench-large/k{n}", payload, body)
            for number, client in enumerate(clients)])
        mib = 64 * len(clients)
        return mib * MIB / seconds, (cpu_seconds(pids) - before) * 1e3 / mib

    def compare(what, beside, count, base, payload="UNSIGNED-PAYLOAD"):
        clients = [Client(stack) for _ in range(count)]
        put(clients, payload)
        ratios, rates, bases, cpu = [], [], [], []
        for number in range(options.rounds):
            if number % 2:
                bases.append(base())
            rate, spent = put(clients, payload)
            if not number % 2:
                bases.append(base())
            rates.append(rate / MIB)
            cpu.append(spent)
            ratios.append(rate / bases[-1])
        report.add(what, beside, ratios, mib_per_second=median(rates),
                   base_mib_per_second=median([b / MIB for b in bases]),
                   cpu_ms_per_mib=median(cpu, 2))

    compare("PUT 64 MiB, one client", "MD5 of one core", 1, md5_speed)
    compare("PUT 64 MiB, one client, signed payload", "MD5 of one core", 1,
            md5_speed, digest)
    for count, name in ((1, "one client"), (8, "eight clients")):
        compare(f"PUT 64 MiB, {name}", "x 1.5 written to all drives + fdatasync",
                count, lambda c=count: raw_write_speed(stack.drives, 64 * c))


def bench_copy(stack, options, report):
    """A copy of what came in one PUT takes no bytes along."""
    stack.client().create_bucket(Bucket="bench-copy")
    body = stack.directory / "sparse"
    with open(body, "wb") as file:
        file.truncate(5 << 30)
    client = Client(stack)
    client.request("PUT", "/bench-copy/large", body=body)

    def rate(method, path, **fields):
        count, start = 0, time.monotonic()
        while time.monotonic() < start + options.seconds / 2:
            client.request(method, path, **fields)
            count += 1
        return count / (time.monotonic() - start)

    ratios, copies, heads = [], [], []
    for _ in range(options.rounds):
        heads.append(rate("HEAD", "/bench-copy/large"))
        copies.append(rate("PUT", "/bench-copy/copy",
                           x_amz_copy_source="/bench-copy/large"))
        ratios.append(copies[-1] / heads[-1])
    report.add("CopyObject 5 GiB", "HEAD", ratios,
               per_second=median(copies), head_per_second=median(heads))


# What was delivered leaves the outbox within so many.
OUTBOX_SECONDS = 1.2


def mean(values, weights):
    return sum(v * w for v, w in zip(values, weights)) / sum(weights)


def tell_of(stack, client, bucket):
    [account] = stack.ctl("account", "list")["accounts"]
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [{
            "QueueArn": f"arn:aws:sqs:us-east-1:{account['number']}:bench",
            "Events": ["s3:ObjectCreated:*"]}]})


def bench_events(stack, options, report):
    """PUT into a bucket whose changes are told beside one that tells none;
    then with a Redis that does not answer. Rounds are short and many: what
    else the machine does then concerns both sides alike. CPU is the better
    figure: it says what telling costs, whoever waits for whom, and it is
    counted until all was delivered and has left the outbox. A single round's
    differs by a tenth from the next one's; so the ratio is of all rounds'
    together, beside that of the middle half of them."""
    client, signer = stack.client(), Signer(stack)
    rounds, seconds = 3 * options.rounds, max(options.seconds // 2, 1)
    pids = stack.worker_pids() + [stack.s3d.pid]
    scripts = {}

    def backlog():
        return stack.ctl("events", "status")["events"][0]["backlog"]

    def measure(bucket, clients, drained):
        before = cpu_seconds(pids), cpu_seconds([redis.process.pid])
        result = wrk(stack.endpoint, clients, seconds, scripts[bucket])
        if drained:
            wait_for(lambda: backlog() == 0, "delivery", 60)
        time.sleep(OUTBOX_SECONDS)
        after = cpu_seconds(pids), cpu_seconds([redis.process.pid])
        cpu, redis_cpu = ((b - a) / result["requests"] * 1e6
                          for a, b in zip(before, after))
        return result["rate"], cpu, redis_cpu, result["requests"]

    with Redis(stack.directory / "redis.sock") as redis:
        for bucket in ("quiet", "told"):
            client.create_bucket(Bucket=bucket)
            scripts[bucket] = put_script(stack, signer, bucket)
        # A look for a new key goes on to what lies behind its bucket: let that
        # be the same for both.
        client.create_bucket(Bucket="behind")
        client.put_object(Bucket="behind", Key="k")
        tell_of(stack, client, "told")
        for name in ("Redis takes them", "Redis is stopped"):
            if name == "Redis is stopped":
                redis.process.send_signal(signal.SIGSTOP)
            for clients in (1, 64):
                rows = []
                for number in range(rounds):
                    pair = ["quiet", "told"][::-1 if number % 2 else 1]
                    got = {bucket: measure(bucket, clients,
                                           name == "Redis takes them")
                           for bucket in pair}
                    rows.append(got["quiet"] + got["told"])
                (rate, cpu, _, count,
                 told_rate, told_cpu, redis_cpu, told_count) = zip(*rows)
                ratios = [b / a for a, b in zip(cpu, told_cpu)]
                low, _, high = statistics.quantiles(ratios, n=4)
                report.add(f"PUT 4 KiB told, {clients} clients, {name}",
                           "PUT that is not told",
                           [b / a for a, b in zip(rate, told_rate)],
                           per_second=median(told_rate),
                           quiet_per_second=median(rate),
                           cpu_us=median(told_cpu), quiet_cpu_us=median(cpu),
                           cpu_ratio=round(mean(told_cpu, told_count)
                                           / mean(cpu, count), 3),
                           cpu_ratio_of_half=f"{low:.3f} to {high:.3f}",
                           redis_cpu_us=median(redis_cpu))
        redis.process.send_signal(signal.SIGCONT)
        wait_for(lambda: backlog() == 0, "delivery", 120)


BENCHES = {"get": bench_get, "put": bench_put, "large": bench_large_put,
           "copy": bench_copy, "events": bench_events}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=list(BENCHES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()

    report = Report()
    with tempfile.TemporaryDirectory(prefix="s3d-bench-") as directory:
        static_port, unverified, asking = (free_port() for _ in range(3))
        stack = Stack(directory, http_extra=f"""
    server {{
        listen 127.0.0.1:{static_port};
        access_log off;
        root {directory}/static;
    }}
    server {{
        listen 127.0.0.1:{unverified};
        access_log off;
        location / {{ s3_pass s3d; s3_hot off; s3_verify off; }}
    }}
    server {{
        listen 127.0.0.1:{asking};
        access_log off;
        location / {{ s3_pass s3d; s3_hot off; }}
    }}
""", location_extra="access_log off;", s3d_extra=f"""
log_level = "warn";
events = {{ targets = ( {{ name = "bench"; kind = "stream"; key = "bench";
    redis = "unix:{directory}/redis.sock"; maxlen = 10000; }} ); }};
""")
        stack.static_port = static_port
        stack.unverified, stack.asking = unverified, asking
        stack.start()
        try:
            for name in options.what:
                BENCHES[name](stack, options, report)
            print(f"peak RSS: s3d {peak_rss(stack.s3d.pid) // MIB} MiB, workers "
                  f"{[peak_rss(p) // MIB for p in stack.worker_pids()]} MiB")
        finally:
            stack.stop()
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
