"""s3ctl import and export: resumed after kill -9, verified, safe."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from interrupter import Interrupter
from stack import BUILD, free_port, pattern, same_tree, wait_for
from test_transfer_hostile import DATA, Endpoint

MIB = 1 << 20
PART = 5 * MIB
BIG = 20 * MIB + 3

TYPES = """types {
    text/html  html htm;
    text/css   css;
    image/png  png;
}
"""


@pytest.fixture
def command(stack, tmp_path):
    """The words of s3ctl, and its environment, for another endpoint too."""
    types = tmp_path / "mime.types"
    types.write_text(TYPES)

    def make(*words, endpoint=None):
        if words[0] == "import":
            words = (words[0], "--types", types, "--part-size", "5M",
                     *words[1:])
        environment = stack.environment()
        environment["AWS_ENDPOINT_URL"] = endpoint or stack.endpoint
        return [str(word) for word in (BUILD / "s3ctl", *words)], environment
    return make


@pytest.fixture
def s3ctl(command):
    """Runs it to its end; the result, with its exit code."""

    def call(*words, code=0, endpoint=None):
        arguments, environment = command(words[0], "--json", *words[1:],
                                         endpoint=endpoint)
        done = subprocess.run(arguments, env=environment, timeout=60,
                              capture_output=True)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout else None
    return call


@pytest.fixture
def odd_tree(tmp_path):
    """Names, types, sizes and times of all kinds. In the order of keys there
    are small files, a large one, small files."""
    root = tmp_path / "odd"
    files = {
        "a/index.html": b"<p>", "a/style.min.css": b"p{}", "a/B.PNG": b"\x89",
        "a/no-type": b"1", "a.b/x": b"before a/", "a0": b"after a/",
        "empty": b"", "percent%41 +&=?#;~'\"<>|\\*.txt": b"2",
        "new\nline\t": b"3", "ünïcode/日本 😀": b"4", "..a/...": b"5",
        "m/large": pattern(BIG, 7), "n/one-part": pattern(PART, 8),
        "deep/" + "d/" * 60 + "f": b"6",
    }
    files.update({f"z/{i:03}": pattern(i, i) for i in range(100)})
    for number, (name, data) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(0, 1_000_000_007 * number * 7919 - 10**15))
    return root


def times(root):
    return {str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in root.rglob("*") if path.is_file()}


class Log:
    """What nginx was asked, and what s3ctl was told."""

    def __init__(self, stack):
        self.path = stack.directory / "access.log"
        self.begin = self._end()

    def _end(self):
        """A line comes after its answer: when no more have come for long."""
        size = None
        while size != (size := self.path.stat().st_size):
            time.sleep(0.3)
        return size

    def done(self, method):
        """Targets of requests that were answered with 2xx."""
        self._end()
        text = self.path.read_bytes()[self.begin:].decode()
        return [target for verb, target, status in re.findall(
            r'"(\w+) (\S+) HTTP/1.1" (\d+)', text)
            if verb == method and status[0] == "2"]


def kill(arguments, environment, interrupter, until=lambda: True):
    process = subprocess.Popen(arguments, env=environment,
                               stdout=subprocess.DEVNULL)
    assert interrupter.held.wait(60)
    wait_for(until, "something to be kept")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_and_resumed(stack, bucket, command, s3ctl, odd_tree, tmp_path):
    url = f"s3://{bucket}/some/prefix"
    count = len(times(odd_tree))
    log = Log(stack)

    # Of four parts sent by two at once, 13 MiB are at least one whole part.
    with Interrupter(stack.port, "up", 13 * MIB, "hold") as proxy:
        kill(*command("import", "-j", "2", odd_tree, url,
                      endpoint=proxy.endpoint), proxy)
    first = [t for t in log.done("PUT") if "partNumber" in t]
    assert 1 <= len(first) <= 3
    there = len(log.done("PUT")) - len(first)
    assert 0 < there < count

    result = s3ctl("import", odd_tree, url)
    assert (result["files"], result["failed"]) == (count, 0)
    assert (result["same"], result["moved"]) == (there, count - there)
    assert result["parts_kept"] == len(first)
    assert result["unverified"] == 0
    sent = log.done("PUT")
    assert len(sent) == len(set(sent)) == count - 1 + 5  # nothing twice
    assert len([t for t in log.done("POST") if "uploads" in t]) == 1

    log = Log(stack)
    result = s3ctl("import", odd_tree, url)
    assert (result["same"], result["moved"]) == (count, 0)
    assert log.done("PUT") == log.done("POST") == []

    back = tmp_path / "back"
    with Interrupter(stack.port, "down", 12 * MIB, "hold") as proxy:
        kill(*command("export", "-j", "1", url, back,
                      endpoint=proxy.endpoint), proxy,
             lambda: any(path.stat().st_size > MIB
                         for path in back.glob("m/.s3ctl-*")))
    assert not (back / "m/large").exists()
    kept = sum(path.stat().st_size for path in back.glob("m/.s3ctl-*"))
    result = s3ctl("export", url, back)
    assert (result["failed"], result["unverified"]) == (0, 0)
    assert 0 < result["same"] < count
    assert result["body_bytes"] == sum(
        path.stat().st_size for path in odd_tree.rglob("*")
        if path.is_file()) - kept - sum(
            path.stat().st_size for path in odd_tree.rglob("*")
            if path.is_file() and str(path.relative_to(odd_tree)) < "m/")
    same_tree(odd_tree, back)
    assert times(odd_tree) == times(back)
    assert s3ctl("export", url, back)["moved"] == 0


def test_metadata(stack, bucket, s3ctl, odd_tree):
    s3ctl("import", "--cache-control", "max-age=60, public", odd_tree,
          f"s3://{bucket}")
    for key, kind in (("a/index.html", "text/html"), ("a/B.PNG", "image/png"),
                      ("a/style.min.css", "text/css"),
                      ("a/no-type", "binary/octet-stream"),
                      ("m/large", "binary/octet-stream")):
        head = stack.client().head_object(Bucket=bucket, Key=key,
                                          ChecksumMode="ENABLED")
        mtime = (odd_tree / key).stat().st_mtime_ns
        whole, fraction = divmod(abs(mtime), 10**9)
        assert head["ContentType"] == kind
        assert head["CacheControl"] == "max-age=60, public"
        assert head["Metadata"] == {"mtime": f"-{whole}.{fraction:09}".rstrip(
            "0").rstrip(".") if mtime < 0 else f"{whole}.{fraction:09}"}
        assert head["ChecksumType"] == "FULL_OBJECT"
        assert "ChecksumCRC64NVME" in head


def test_rclone_sees_the_same_times(stack, bucket, run, s3ctl, odd_tree):
    """What one of the two has moved, the other need not."""
    environment = {
        "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_S3D_TYPE": "s3",
        "RCLONE_CONFIG_S3D_PROVIDER": "Other", "RCLONE_CONFIG_S3D_ENV_AUTH":
        "true", "RCLONE_CONFIG_S3D_ENDPOINT": stack.endpoint,
        "RCLONE_CONFIG_S3D_REGION": "us-east-1"}
    (odd_tree / "new\nline\t").unlink()
    run("rclone", "copy", odd_tree, f"s3d:{bucket}/theirs", env=environment)
    log = Log(stack)
    result = s3ctl("import", odd_tree, f"s3://{bucket}/theirs")
    assert result["moved"] == 0 and log.done("PUT") == []
    s3ctl("import", odd_tree, f"s3://{bucket}/ours")
    log = Log(stack)
    run("rclone", "copy", odd_tree, f"s3d:{bucket}/ours", env=environment)
    assert log.done("PUT") == []


def test_what_is_left_out(stack, bucket, s3ctl, tmp_path):
    root = tmp_path / "mixed"
    (root / "empty/below").mkdir(parents=True)
    (root / "file").write_text("x")
    (root / "link").symlink_to("file")
    (root / "loop").symlink_to(".")
    (root / "dangling").symlink_to("nothing")
    (root / ".s3ctl-0123").write_text("unfinished")
    os.mkfifo(root / "fifo")
    with open(os.fsencode(root) + b"/\xff", "w"):
        pass
    result = s3ctl("import", root, f"s3://{bucket}/x", code=4)
    assert {n["name"]: n["why"] for n in result["left_out_names"]} == {
        "link": "symbolic link", "loop": "symbolic link",
        "dangling": "symbolic link", "fifo": "not a file",
        "empty/below": "empty directory",
        ".s3ctl-0123": "an unfinished file of s3ctl export"}
    assert result["failures"] == [{"name": "?", "why": "is not UTF-8"}]
    assert (result["moved"], result["left_out"], result["failed"]) == (1, 6, 1)

    log = Log(stack)
    result = s3ctl("import", "--dry-run", "--follow", root,
                   f"s3://{bucket}/x", code=4)
    assert (result["moved"], result["same"]) == (1, 1)  # link; file
    assert {n["name"] for n in result["failures"]} == {"?", "loop", "dangling"}
    assert log.done("PUT") == []


def test_export_stays_below_its_directory(stack, bucket, s3ctl, tmp_path):
    outside, back = tmp_path / "outside", tmp_path / "back"
    outside.mkdir()
    back.mkdir()
    (back / "link").symlink_to(outside)
    (back / "to-file").symlink_to(outside / "file")
    put = {"p/../evil": b"1", "p//evil": b"2", "p/./evil": b"3",
           "p/a/../../evil": b"4", "p/link/evil": b"5", "p/to-file": b"6",
           "p/n": b"7", "p/n-1": b"8", "p/n/below": b"9", "p/made/": b"",
           "p/full/": b"not empty", "p/" + "l" * 256: b"10", "p/": b"",
           "p/.s3ctl-x": b"11", "p/good": b"12"}
    for key, data in put.items():
        stack.client().put_object(Bucket=bucket, Key=key, Body=data)
    result = s3ctl("export", f"s3://{bucket}/p", back, code=4)
    assert {n["name"] for n in result["failures"]} == {
        "../evil", "/evil", "./evil", "a/../../evil", "link/evil", "n/below",
        "full/", "l" * 256, ".s3ctl-x"}
    assert list(outside.iterdir()) == []
    assert sorted(os.listdir(back)) == ["good", "link", "made", "n", "n-1",
                                        "to-file"]
    assert not (back / "to-file").is_symlink()  # replaced, not followed
    assert (back / "to-file").read_bytes() == b"6"
    assert (back / "n").read_bytes() == b"7"
    assert not (tmp_path / "evil").exists()


def test_lost_and_falsified(stack, bucket, s3ctl, tmp_path):
    """A connection that breaks is made again; other bytes are noticed."""
    root, url = tmp_path / "root", f"s3://{bucket}/f"
    root.mkdir()
    (root / "file").write_bytes(pattern(3 * MIB))
    with Interrupter(stack.port, "up", MIB, "flip") as proxy:
        result = s3ctl("import", root, url, code=4, endpoint=proxy.endpoint)
    assert re.match("PUT: 400 (XAmzContentSHA256Mismatch|BadDigest)",
                    result["failures"][0]["why"])
    with Interrupter(stack.port, "up", MIB, "cut") as proxy:
        assert s3ctl("import", root, url,
                     endpoint=proxy.endpoint)["moved"] == 1
        assert proxy.done
    back = tmp_path / "back"
    with Interrupter(stack.port, "down", MIB, "flip") as proxy:
        result = s3ctl("export", url, back, code=4, endpoint=proxy.endpoint)
    assert result["failures"] == [
        {"name": "file", "why": "what came has another checksum"}]
    assert list(back.iterdir()) == []
    log = Log(stack)
    with Interrupter(stack.port, "down", MIB, "cut") as proxy:
        result = s3ctl("export", url, back, endpoint=proxy.endpoint)
    assert len(log.done("GET")) == 4  # two pages of the listing, two ranges
    assert result["body_bytes"] == 3 * MIB
    same_tree(root, back)


def test_migrated(stack, bucket, command, s3ctl):
    """Metadata, tags and times come along; what was interrupted goes on."""
    client = stack.client()
    source = f"{bucket}-from"
    client.create_bucket(Bucket=source)
    large = pattern(BIG, 3)
    client.put_object(
        Bucket=source, Key="in/a key+&.txt", Body=b"1", ContentType="text/x",
        CacheControl="no-store", ContentLanguage="de", ContentEncoding="x",
        ContentDisposition='attachment;  filename="a  b"',
        Metadata={"one": "1", "two": "a  b"}, Tagging="k%20=v%2B%3D&l=",
        StorageClass="STANDARD_IA")
    client.put_object(Bucket=source, Key="in/empty", Body=b"")
    client.put_object(Bucket=source, Key="in/plain", Body=b"2",
                      Metadata={"mtime": "1354040105.5", "empty": ""})
    client.put_object(Bucket=source, Key="in/m", Body=large,
                      StorageClass="GLACIER_IR")
    client.put_object(Bucket=source, Key="out", Body=b"not this one")
    log = Log(stack)
    words = ("migrate", "--part-size", "5M", "--from", stack.endpoint,
             f"s3://{source}/in", f"s3://{bucket}/x/y")

    with Interrupter(stack.port, "up", 13 * MIB, "hold") as proxy:
        kill(*command(*words, endpoint=proxy.endpoint), proxy)
    first = [t for t in log.done("PUT") if "partNumber" in t]
    assert 1 <= len(first) <= 2
    result = s3ctl(*words)
    assert result["failed"] == result["unverified"] == 0
    assert result["parts_kept"] == len(first)
    assert result["same"] + result["moved"] == 4
    sent = log.done("PUT")
    assert len(sent) == len(set(sent)) == 3 + 5  # nothing twice

    keys = {o["Key"]: o["StorageClass"] for o in client.list_objects_v2(
        Bucket=bucket)["Contents"]}
    assert keys == {
        "x/y/a key+&.txt": "STANDARD_IA", "x/y/empty": "STANDARD",
        "x/y/m": "GLACIER_IR", "x/y/plain": "STANDARD"}
    assert client.get_object(Bucket=bucket, Key="x/y/m")["Body"].read() == large
    before, after = (client.head_object(Bucket=b, Key=k) for b, k in (
        (source, "in/a key+&.txt"), (bucket, "x/y/a key+&.txt")))
    for name in ("ContentType", "CacheControl", "ContentLanguage",
                 "ContentEncoding", "ContentDisposition", "ETag"):
        assert after[name] == before[name], name
    assert after["Metadata"] == {
        **before["Metadata"], "mtime": str(int(before[
            "LastModified"].timestamp()))}
    assert client.get_object_tagging(Bucket=bucket, Key="x/y/a key+&.txt")[
        "TagSet"] == [{"Key": "k ", "Value": "v+="}, {"Key": "l", "Value": ""}]
    assert client.head_object(Bucket=bucket, Key="x/y/plain")["Metadata"] == {
        "mtime": "1354040105.5", "empty": ""}

    log = Log(stack)
    assert s3ctl(*words)["same"] == 4
    assert log.done("PUT") == log.done("POST") == []
    s3ctl("migrate", "s3://no-such-bucket", f"s3://{bucket}", code=1)
    s3ctl("migrate", f"s3://{source}", "s3://no-such-bucket", code=1)
    s3ctl("migrate", "--follow", f"s3://{source}", f"s3://{bucket}", code=2)


@pytest.mark.parametrize("storage_class", ("DEEP_ARCHIVE", "OTHER"))
def test_migrated_to_where_the_class_is_not(stack, bucket, s3ctl,
                                            storage_class):
    """What the destination refuses is left to it."""
    with Endpoint(get=lambda _: (200, [
            ("ETag", '"one"'), ("x-amz-storage-class", storage_class)],
            DATA)) as source:
        assert s3ctl("migrate", "--from", source.url, "s3://bucket",
                     f"s3://{bucket}")["moved"] == 1
    object = stack.client().get_object(Bucket=bucket, Key="k")
    assert "StorageClass" not in object
    assert object["Body"].read() == DATA


def history(client, bucket, prefix):
    """Of each key, from the oldest: None for a delete marker, or the bytes and
    their type."""
    keys = {}
    for page in client.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 3}):
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        for entry in entries:
            keys.setdefault(entry["Key"][len(prefix):], []).append(entry)
    result = {}
    for key, entries in keys.items():
        entries.sort(key=lambda e: (e["LastModified"], e["VersionId"]))
        result[key] = []
        for entry in entries:
            if "ETag" not in entry:
                result[key].append(None)
                continue
            got = client.get_object(Bucket=bucket, Key=prefix + key,
                                    VersionId=entry["VersionId"])
            result[key].append((got["Body"].read(), got["ContentType"]))
    return result


def test_migrated_with_versions(stack, bucket, command, s3ctl):
    """Every version and delete marker, in their order, once."""
    client = stack.client()
    source = f"{bucket}-from"
    client.create_bucket(Bucket=source)
    words = ("migrate", "-j", "1", "--part-size", "5M", "--versions", "--from",
             stack.endpoint, f"s3://{source}/p", f"s3://{bucket}/q")
    s3ctl(*words, code=1)  # the destination would forget the older ones
    for name in (bucket, source):
        client.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def put(key, data, **options):
        client.put_object(Bucket=source, Key=f"p/{key}", Body=data, **options)
    put("a b", b"1", ContentType="text/one")
    put("a b", b"22", ContentType="text/two")
    client.delete_object(Bucket=source, Key="p/a b")
    put("a b", b"22")
    put("m", b"small")
    put("m", pattern(6 * MIB, 1))
    put("m", pattern(6 * MIB, 2))
    put("z", b"1")
    client.delete_object(Bucket=source, Key="p/z")
    before = history(client, source, "p/")
    assert [len(versions) for versions in before.values()] == [4, 3, 2]

    with Interrupter(stack.port, "up", 9 * MIB, "hold") as proxy:
        kill(*command(*words, endpoint=proxy.endpoint), proxy)
    assert sum(map(len, history(client, bucket, "q/").values())) == 6
    result = s3ctl(*words)
    assert (result["same"], result["moved"], result["failed"]) == (6, 3, 0)
    assert history(client, bucket, "q/") == before
    result = s3ctl(*words)
    assert (result["same"], result["moved"], result["failed"]) == (9, 0, 0)
    put("a b", b"333")
    assert s3ctl(*words)["moved"] == 1

    client.put_object(Bucket=bucket, Key="q/m", Body=b"of another")
    result = s3ctl(*words, code=4)
    assert result["failures"] == [
        {"name": "m", "why": "other versions of it are there"}]


def test_versions_of_the_same_bytes(stack, bucket, s3ctl):
    """They are others if their metadata are."""
    client = stack.client()
    for name in (bucket, f"{bucket}-from"):
        if name != bucket:
            client.create_bucket(Bucket=name)
        client.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def put(name, number):
        client.put_object(Bucket=name, Key="k", Body=b"same",
                          Metadata={"n": number, "mtime": "5"})
    put(f"{bucket}-from", "1")
    put(f"{bucket}-from", "2")
    put(bucket, "1")
    put(bucket, "1")  # again, as if the answer to it was lost
    result = s3ctl("migrate", "--versions", f"s3://{bucket}-from",
                   f"s3://{bucket}")
    assert (result["same"], result["moved"]) == (1, 1)
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert [client.head_object(Bucket=bucket, Key="k", VersionId=version[
        "VersionId"])["Metadata"]["n"] for version in versions] == [
            "2", "1", "1"]


@pytest.fixture
def plant(stack, bucket, s3ctl, tmp_path):
    """Begins an upload as an earlier run would have, of what was there then:
    with the right first part of pattern(BIG), and a type of its own."""
    client = stack.client()
    root = tmp_path / "first"
    root.mkdir()
    (root / "part").write_bytes(pattern(BIG)[:PART])
    s3ctl("import", root, f"s3://{bucket}/first")
    crc = client.head_object(Bucket=bucket, Key="first/part",
                             ChecksumMode="ENABLED")["ChecksumCRC64NVME"]

    def call(key, **more):
        upload = client.create_multipart_upload(
            Bucket=bucket, Key=key, ContentType="text/planted",
            ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT", **more)
        client.upload_part(Bucket=bucket, Key=key, PartNumber=1,
                           UploadId=upload["UploadId"], ChecksumCRC64NVME=crc,
                           Body=pattern(BIG)[:PART])
    return call


def test_continued_with_other_metadata(stack, bucket, s3ctl, plant, tmp_path):
    """An upload has the metadata that were said when it was begun: what it
    made is looked at, and sent again."""
    client = stack.client()
    source = f"{bucket}-from"
    client.create_bucket(Bucket=source)
    client.put_object(Bucket=source, Key="m", Body=pattern(BIG),
                      ContentType="text/m")
    client.put_object(Bucket=source, Key="other", Body=pattern(6 * MIB, 5),
                      ContentType="text/other")
    root = tmp_path / "root"
    root.mkdir()
    (root / "i.html").write_bytes(pattern(BIG))
    for key in ("x/m", "x/other", "x/i.html"):
        plant(key)
    foreign = client.create_multipart_upload(
        Bucket=bucket, Key="x/m", ChecksumAlgorithm="CRC32")["UploadId"]
    words = ("migrate", "--part-size", "5M", f"s3://{source}")

    log = Log(stack)
    result = s3ctl(*words, f"s3://{bucket}/x")
    assert (result["moved"], result["parts_kept"]) == (2, 1)
    # Begun and completed: of other bytes at once, of the same ones in the end.
    assert len([t for t in log.done("POST") if "/x/other" in t]) == 2
    assert len([t for t in log.done("POST") if "/x/m" in t]) == 3
    result = s3ctl("import", root, f"s3://{bucket}/x")
    assert (result["moved"], result["parts_kept"]) == (1, 1)
    assert {key: client.head_object(Bucket=bucket, Key=key)["ContentType"]
            for key in ("x/m", "x/other", "x/i.html")} == {
                "x/m": "text/m", "x/other": "text/other",
                "x/i.html": "text/html"}
    for key in ("x/m", "x/i.html"):
        assert client.get_object(Bucket=bucket, Key=key)[
            "Body"].read() == pattern(BIG)
    assert s3ctl("import", root, f"s3://{bucket}/x")["same"] == 1
    assert [u["UploadId"] for u in client.list_multipart_uploads(
        Bucket=bucket)["Uploads"]] == [foreign]

    for name in (bucket, source):
        client.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    plant("y/m")
    result = s3ctl(*words, "--versions", f"s3://{bucket}/y")
    assert (result["moved"], result["parts_kept"]) == (2, 0)
    assert client.head_object(Bucket=bucket, Key="y/m")[
        "ContentType"] == "text/m"
    assert len(client.list_object_versions(Bucket=bucket, Prefix="y/m")[
        "Versions"]) == 1


def test_continued_with_other_tags(stack, bucket, s3ctl, plant):
    """It has the tags, too, that were said when it was begun."""
    client = stack.client()
    source = f"{bucket}-from"
    client.create_bucket(Bucket=source)
    cases = {"same": ("a=1&b=2", "b=2&a=1"), "other": ("a=1", "a=2"),
             "gone": ("", "a=1")}
    as_planted = {"ContentType": "text/planted", "Metadata": {"mtime": "5"}}
    for key, (tags, _) in cases.items():
        client.put_object(Bucket=source, Key=key, Body=pattern(BIG)[:PART + 1],
                          Tagging=tags, **as_planted)
    for key, (_, tags) in cases.items():
        plant(f"x/{key}", Tagging=tags, Metadata={"mtime": "5"})

    log = Log(stack)
    result = s3ctl("migrate", "--part-size", "5M", f"s3://{source}",
                   f"s3://{bucket}/x")
    assert (result["moved"], result["parts_kept"]) == (3, 3)
    # Begun, or not, and completed: of the others twice.
    posts = log.done("POST")
    assert {key: len([t for t in posts if f"/x/{key}" in t])
            for key in cases} == {"same": 1, "other": 3, "gone": 3}
    for key, (tags, _) in cases.items():
        assert {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(
            Bucket=bucket, Key=f"x/{key}")["TagSet"]} == dict(
                tag.split("=") for tag in tags.split("&") if tag)


def test_tls_and_a_server_that_restarts(fresh_stack, tmp_path):
    certificate = tmp_path / "tls.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate,
         "-out", tmp_path / "ca.pem"], check=True, capture_output=True)
    port = free_port()
    stack = fresh_stack(http_extra=f"""server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {tmp_path}/ca.pem;
        ssl_certificate_key {certificate};
        location / {{ s3_pass s3d; }}
    }}""").start()
    stack.client().create_bucket(Bucket="tls")
    root, back = tmp_path / "root", tmp_path / "back"
    root.mkdir()
    (root / "file").write_bytes(pattern(6 * MIB))
    (root / "small").write_bytes(b"1")
    environment = stack.environment()
    del environment["AWS_ENDPOINT_URL"]

    def words(*rest):
        return [BUILD / "s3ctl", rest[0], "--endpoint",
                f"https://127.0.0.1:{port}", *rest[1:]]
    done = subprocess.run(words("import", root, "s3://tls"), env=environment,
                          capture_output=True)
    assert done.returncode == 3 and b"certificate" in done.stderr

    trusted = ("--ca-file", tmp_path / "ca.pem")
    subprocess.run(words("import", *trusted, "--part-size", "5M", root,
                         "s3://tls"), env=environment, check=True)
    subprocess.run(words("export", *trusted, "s3://tls", back),
                   env=environment, check=True)
    same_tree(root, back)

    stack.kill_s3d()
    (root / "more").write_bytes(b"2")
    process = subprocess.Popen(words("import", *trusted, root, "s3://tls"),
                               env=environment)
    wait_for(lambda: re.search('HTTP/1.1" 50[234]', (
        stack.directory / "access.log").read_text()), "a failure")
    stack.start_s3d()
    assert process.wait(timeout=60) == 0
    assert stack.client().get_object(Bucket="tls", Key="more")[
        "Body"].read() == b"2"


def test_exit_codes(stack, bucket, command, s3ctl, tmp_path):
    s3ctl("import", tmp_path, "s3://no-such-bucket", code=1)
    s3ctl("import", tmp_path / "none", f"s3://{bucket}", code=2)
    s3ctl("import", tmp_path, f"http://{bucket}", code=2)
    s3ctl("import", "--part-size", "4M", tmp_path, f"s3://{bucket}", code=2)
    s3ctl("export", "--follow", f"s3://{bucket}", tmp_path, code=2)
    s3ctl("import", tmp_path, f"s3://{bucket}", code=3,
          endpoint="http://127.0.0.1:1")
    arguments, environment = command("import", tmp_path, f"s3://{bucket}")
    environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    done = subprocess.run(arguments, env=environment, capture_output=True)
    assert done.returncode == 1
    assert b"SignatureDoesNotMatch" in done.stderr
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment[name] = ""
    done = subprocess.run(arguments, env=environment, capture_output=True)
    assert done.returncode == 2
    profile = tmp_path / "credentials"
    profile.write_text(f"[mine]\naws_access_key_id = {stack.access_key}\n"
                       f"aws_secret_access_key = {stack.secret_key}\n")
    environment["AWS_SHARED_CREDENTIALS_FILE"] = str(profile)
    done = subprocess.run([*arguments, "--profile", "mine"], env=environment,
                          capture_output=True)
    assert done.returncode == 0
