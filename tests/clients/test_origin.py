"""What a site costs its drives: HEAD and 304 read no data, and what a thousand
clients ask for at once is read from the drives once."""

import os
import pathlib
import selectors
import socket

import pytest
from stack import Stack, free_port, pattern

SIZE = 1 << 18
CLIENTS = 1000


def read(stack, what):
    """Bytes that s3d and the workers have read: "rchar" from anywhere,
    "read_bytes" from the disk."""
    total = 0
    for pid in [stack.s3d.pid, *stack.worker_pids()]:
        for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
            name, value = line.split(": ")
            total += int(value) if name == what else 0
    return total


def forget_pages(stack):
    os.sync()
    for path in stack.directory.glob("drive*/**/*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def ask(port, count, method="GET", headers=""):
    """So many requests at once; returns their answers, without what of a
    header differs."""
    request = (f"{method} /object HTTP/1.1\r\nHost: site.test\r\n{headers}"
               "Connection: close\r\n\r\n").encode()
    answers = {}
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            selector.register(client, selectors.EVENT_READ)
            answers[client] = bytearray()
        for client in answers:
            client.sendall(request)
        while selector.get_map():
            ready = selector.select(30)
            assert ready, "no answer within 30 s"
            for key, _ in ready:
                data = key.fileobj.recv(1 << 18)
                answers[key.fileobj] += data
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    return list(answers.values())


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    port = free_port()
    stack = Stack(tmp_path_factory.mktemp("origin"), http_extra=f"""
    server {{
        listen 127.0.0.1:{port} backlog={CLIENTS};
        s3_static s3d site;
    }}
""").start()
    stack.site = port
    stack.data = pattern(SIZE)
    stack.client().create_bucket(Bucket="site")
    stack.etag = stack.client().put_object(
        Bucket="site", Key="object", Body=stack.data)["ETag"]
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.mark.parametrize("method, headers, status", [
    ("HEAD", "", 200), ("GET", "If-None-Match: {etag}\r\n", 304),
    ("GET", "If-Match: \"other\"\r\n", 412),
    ("GET", f"Range: bytes={SIZE}-\r\n", 416)])
def test_no_data_is_read_for(origin, method, headers, status):
    before = read(origin, "rchar")
    answers = ask(origin.site, 20, method, headers.format(etag=origin.etag))
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 %d " % status)
    # The scrub may read the object meanwhile, not twenty times.
    assert read(origin, "rchar") - before < 5 * SIZE
    before = read(origin, "rchar")
    ask(origin.site, 20)
    assert read(origin, "rchar") - before > 20 * SIZE


def test_a_thousand_clients_read_a_cold_object_once(origin):
    before = read(origin, "read_bytes")
    forget_pages(origin)
    ask(origin.site, 1)
    if read(origin, "read_bytes") == before:
        pytest.skip("nothing is read from a disk here")
    forget_pages(origin)
    before = read(origin, "read_bytes")
    answers = ask(origin.site, CLIENTS)
    for answer in answers:
        head, body = bytes(answer).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == origin.data
    cost = read(origin, "read_bytes") - before
    print(f"{CLIENTS} clients, {SIZE} bytes each: {cost} bytes from the disk")
    assert cost < 3 * SIZE
