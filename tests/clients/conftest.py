"""Helpers for running client programs."""

import subprocess

import pytest
from redis_server import Redis


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("redis") / "redis.sock") as redis:
        yield redis


@pytest.fixture
def run(stack):
    """Runs a program with the server's credentials; returns its output."""

    def call(*words, ok=True, **options):
        environment = stack.environment()
        environment.update(options.pop("env", {}))
        done = subprocess.run(
            [str(word) for word in words], env=environment,
            capture_output=True, timeout=300, **options)
        if ok:
            assert done.returncode == 0, (words, done.stdout[-2000:],
                                          done.stderr[-2000:])
        return done

    return call


@pytest.fixture
def tree(tmp_path):
    """A small directory tree with awkward names and sizes."""
    from stack import pattern
    root = tmp_path / "tree"
    files = {
        "plain.txt": b"hello\n", "empty": b"", "a/b/c/deep.bin": pattern(70000),
        "sp ace/plus+sign": b"1", "ünïcode/日本 😀.txt": b"2",
        "big/nine.bin": pattern((9 << 20) + 3, 9),
        "percent%41/amp&lt<": b"3", "x/~tilde'quote": b"4",
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root
