"""20,000 keys, or 100,000 with S3D_LONG_RUN, listed in every way, against a
sorted reference."""

import concurrent.futures
import http.client
import os
import random
import urllib.parse

import pytest
from stack import Signer

COUNT = 100_000 if os.environ.get("S3D_LONG_RUN") else 20_000
THREADS = 8


def valid(key):
    """Amazon S3's own rule, and nginx's: '..' may not lead above the bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
    depth = 0
    for part in key.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return True


def make_keys():
    chance = random.Random(7)
    parts = ["a", "b", "photos", "2026", "x+y", "sp ace", "é", "日本", "~", "%",
             "..", "", "-", "A", "😀"]
    keys = set()
    number = 0
    while len(keys) < COUNT:
        depth = chance.randrange(0, 4)
        path = "/".join(chance.choice(parts) for _ in range(depth))
        key = f"{path}/k{number:06d}" if path else f"k{number:06d}"
        if valid(key):
            keys.add(key)
        number += 1
    return sorted(keys, key=lambda k: k.encode())


@pytest.fixture(scope="module")
def keys(stack):
    names = make_keys()
    stack.client().create_bucket(Bucket="many")

    # boto3 would spend minutes on this: bare requests with signed URLs.
    signer = Signer(stack)

    def put(shard):
        connection = http.client.HTTPConnection("127.0.0.1", stack.port)
        for name in names[shard::THREADS]:
            path = "/many/" + urllib.parse.quote(name, safe="/-._~")
            connection.request("PUT", signer.url("PUT", path), body=b"")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (name, answer.status)
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, range(THREADS)))
    return names


def reference(keys, prefix="", delimiter=""):
    contents, prefixes = [], []
    for key in keys:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix):]
        if delimiter and delimiter in rest:
            common = prefix + rest[:rest.index(delimiter) + len(delimiter)]
            if not prefixes or prefixes[-1] != common:
                if common not in prefixes[-1:]:
                    prefixes.append(common)
        else:
            contents.append(key)
    return contents, list(dict.fromkeys(prefixes))


def listed(stack, version, page, **options):
    client = stack.client()
    name = "list_objects_v2" if version == 2 else "list_objects"
    contents, prefixes = [], []
    pages = client.get_paginator(name).paginate(
        Bucket="many", PaginationConfig={"PageSize": page}, **options)
    for answer in pages:
        here = answer.get("Contents", []), answer.get("CommonPrefixes", [])
        assert len(here[0]) + len(here[1]) <= page
        contents += [item["Key"] for item in here[0]]
        prefixes += [item["Prefix"] for item in here[1]]
    return contents, prefixes


@pytest.mark.parametrize("version", [1, 2])
def test_everything_in_order(stack, keys, version):
    assert listed(stack, version, 1000) == (keys, [])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("prefix,delimiter,page", [
    ("", "/", 1000), ("", "/", 331), ("a/", "/", 53), ("a/", "", 997),
    ("photos/2026/", "/", 41), ("x+y/", "k", 71), ("é", "/", 2),
    ("日本/", "00", 111), ("nothing", "/", 10), ("", "k0", 50), ("/", "/", 1),
])
def test_prefix_and_delimiter(stack, keys, version, prefix, delimiter, page):
    options = {"Prefix": prefix}
    if delimiter:
        options["Delimiter"] = delimiter
    assert listed(stack, version, page, **options) == reference(
        keys, prefix, delimiter)


def test_start_after_any_place(stack, keys):
    client = stack.client()
    chance = random.Random(3)
    for _ in range(50):
        place = chance.randrange(len(keys))
        for start in (keys[place], keys[place] + "!", keys[place][:-1]):
            answer = client.list_objects_v2(
                Bucket="many", StartAfter=start, MaxKeys=20)
            after = [k for k in keys if k.encode() > start.encode()][:20]
            assert [i["Key"] for i in answer.get("Contents", [])] == after
