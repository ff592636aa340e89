"""What is lost comes back: after healing, any two drives may go again."""

import itertools
import os
import shutil

import pytest
from stack import Stack, pattern, wait_for

FAST = """
scrub = { rate = "1G"; };
heal = { workers = 4; rate = "1G"; };
"""
NO_HEAL = "heal = { workers = 0; };\n"
OBJECTS = {
    "one": 1, "small": 4096, "block": 65536, "over": 65537,
    "odd": (1 << 20) + 12345, "large": (9 << 20) + 7,
    "chunks": (66 << 20) + 1,
}
PAIRS = list(itertools.combinations(range(6), 2))


def metadata(directory):
    """Not on the drives: what becomes of mirrors is for test_mirrors.py."""
    return f'metadata = "{directory}/meta";\n'


def status(stack):
    return stack.ctl("scrub", "status")


def verified(stack):
    """Waits for a whole pass from now on, and for all that it found."""
    passes = status(stack)["scrub"]["passes"]
    stack.ctl("scrub", "start")
    wait_for(lambda: status(stack)["scrub"]["passes"] > passes, "a pass", 120)
    wait_for(lambda: status(stack)["fully_redundant"], "fully redundant", 120)


def check_objects(stack):
    client = stack.client()
    for name, size in OBJECTS.items():
        body = client.get_object(Bucket="data", Key=name)["Body"].read()
        assert body == pattern(size, name), name


def check_every_pair(stack, tmp_path):
    """The oracle; without healing, or copies would move on the way."""
    stack.stop_s3d()
    fast = stack.s3d_extra
    stack.s3d_extra = metadata(stack.directory) + NO_HEAL
    for pair in PAIRS:
        for i in pair:
            shutil.move(stack.drives[i], tmp_path / f"away{i}")
        stack.start_s3d()
        check_objects(stack)
        stack.stop_s3d()
        for i in pair:
            shutil.move(tmp_path / f"away{i}", stack.drives[i])
    stack.s3d_extra = fast
    stack.start_s3d()


ROT = 0x55


def turn_over(path):
    with open(path, "r+b") as f:
        for at in range(8192, path.stat().st_size, 65536):
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ ROT]))


def rot(drive):
    """Turns over a byte in each 64 KiB of what is stored, headers spared."""
    for path in list((drive / "extents").rglob("*")):
        try:
            if path.is_file():
                turn_over(path)
        except FileNotFoundError:  # s3d unlinks what it has reclaimed
            pass


@pytest.fixture
def loaded(tmp_path):
    directory = tmp_path / "stack"
    stack = Stack(directory, s3d_extra=metadata(directory) + FAST).start()
    client = stack.client()
    client.create_bucket(Bucket="data")
    for name, size in OBJECTS.items():
        client.put_object(Bucket="data", Key=name, Body=pattern(size, name))
    verified(stack)
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_rotten_drives(loaded, tmp_path, when):
    if when == "stopped":
        loaded.stop_s3d()
    rot(loaded.drives[1])
    rot(loaded.drives[4])
    if when == "stopped":
        loaded.start_s3d()
    check_objects(loaded)
    verified(loaded)
    today = status(loaded)["today"]
    assert today["shards_bad"] > 0
    assert today["shards_repaired"] >= 8  # two of each coded chunk
    check_every_pair(loaded, tmp_path)


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_replaced_drives(loaded, tmp_path, when):
    if when == "stopped":
        loaded.stop_s3d()
    for i in (0, 3):
        shutil.rmtree(loaded.drives[i])
        os.mkdir(loaded.drives[i])
    if when == "stopped":
        loaded.start_s3d()
    wait_for(lambda: status(loaded)["drives_ok"] == 4, "drives lost")
    wait_for(lambda: status(loaded)["ledger"]["waiting"] > 0, "blobs short")
    assert not status(loaded)["fully_redundant"]
    assert status(loaded)["ledger"]["unreadable"] == 0
    check_objects(loaded)
    loaded.ctl("drive", "replace", "0", "--yes")
    loaded.ctl("drive", "replace", "3", "--yes")
    loaded.restart_s3d()
    wait_for(lambda: status(loaded)["fully_redundant"], "healed", 120)
    assert status(loaded)["drives_ok"] == 6
    verified(loaded)
    assert status(loaded)["scrub"]["last"]["shards_bad"] == 0
    check_every_pair(loaded, tmp_path)
