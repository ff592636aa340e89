"""Any two of the six drives lost or full of garbage: every byte is there."""

import itertools
import os
import random
import shutil

import pytest
from stack import pattern

OBJECTS = {
    "empty": 0, "one": 1, "small": 4096, "block": 65536, "over": 65537,
    "stripe": 1 << 20, "odd": (1 << 20) + 12345, "large": (9 << 20) + 7,
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    from stack import Stack
    directory = tmp_path_factory.mktemp("drives")
    # The objects are meant here; what becomes of mirrors: test_mirrors.py.
    # Nothing is healed: each drive comes back as it was, past what healing
    # would have written to it.
    stack = Stack(directory, s3d_extra=f'metadata = "{directory}/meta";'
                  " heal = { workers = 0; };").start()
    client = stack.client()
    client.create_bucket(Bucket="data")
    for name, size in OBJECTS.items():
        client.put_object(Bucket="data", Key=name, Body=pattern(size, name))
    upload = client.create_multipart_upload(Bucket="data", Key="parts")
    parts = []
    for number, size in ((1, 5 << 20), (2, (6 << 20) + 1), (3, 100)):
        part = client.upload_part(
            Bucket="data", Key="parts", UploadId=upload["UploadId"],
            PartNumber=number, Body=pattern(size, number))
        parts.append({"PartNumber": number, "ETag": part["ETag"],
                      "ChecksumCRC32": part["ChecksumCRC32"]})
    client.complete_multipart_upload(
        Bucket="data", Key="parts", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": parts})
    yield stack
    stack.stop()
    stack.check_logs()


def expected():
    bodies = {name: pattern(size, name) for name, size in OBJECTS.items()}
    bodies["parts"] = (pattern(5 << 20, 1) + pattern((6 << 20) + 1, 2)
                       + pattern(100, 3))
    return bodies


def read_everything(stack, seed):
    client = stack.client()
    chance = random.Random(seed)
    for name, data in expected().items():
        got = client.get_object(Bucket="data", Key=name)["Body"].read()
        assert got == data, name
        for _ in range(3 if data else 0):
            start = chance.randrange(len(data))
            end = chance.randrange(start, len(data))
            answer = client.get_object(
                Bucket="data", Key=name, Range=f"bytes={start}-{end}")
            assert answer["ContentRange"] == f"bytes {start}-{end}/{len(data)}"
            assert answer["Body"].read() == data[start:end + 1], (name, start)


def garbage(drive):
    for path in list(drive.rglob("*")):
        try:
            if path.is_file():
                size = path.stat().st_size
                with open(path, "r+b") as f:
                    f.write(os.urandom(size))
        except FileNotFoundError:  # s3d adds and removes files there
            pass


PAIRS = list(itertools.combinations(range(6), 2))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0]}-{p[1]}")
@pytest.mark.parametrize("harm", ["deleted", "garbage"])
@pytest.mark.parametrize("when", ["running", "restarted"])
def test_two_drives_lost(loaded, tmp_path, pair, harm, when):
    victims = [loaded.drives[i] for i in pair]
    saved = [tmp_path / f"saved{i}" for i in pair]
    loaded.stop_s3d()
    for drive, copy in zip(victims, saved):
        shutil.copytree(drive, copy)
    if when == "running":
        loaded.start_s3d()
    for drive in victims:
        if harm == "deleted":
            while drive.exists():  # s3d adds and removes files there
                shutil.rmtree(drive, ignore_errors=True)
        else:
            garbage(drive)
    if when == "restarted":
        loaded.start_s3d()
    try:
        read_everything(loaded, seed=pair[0] * 6 + pair[1])
    finally:
        loaded.stop_s3d()
        for drive, copy in zip(victims, saved):
            shutil.rmtree(drive, ignore_errors=True)
            shutil.move(copy, drive)
        loaded.start_s3d()
