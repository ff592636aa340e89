"""Checksums of objects, of parts, of whole uploads; on writes and on reads."""

import base64
import binascii
import hashlib
import json

import botocore
import pytest
from conformance import MIN_PART, Raw, refused
from stack import pattern

pytest.importorskip("awscrt")
from awscrt import checksums  # noqa: E402


def text(value, size):
    return base64.b64encode(value.to_bytes(size, "big")).decode()


def crc64(data, before=0):
    return checksums.crc64nvme(data, before)


SUMS = {
    "CRC32": lambda data: text(binascii.crc32(data), 4),
    "CRC32C": lambda data: text(checksums.crc32c(data), 4),
    "CRC64NVME": lambda data: text(crc64(data), 8),
    "SHA1": lambda data: base64.b64encode(
        hashlib.sha1(data).digest()).decode(),
    "SHA256": lambda data: base64.b64encode(
        hashlib.sha256(data).digest()).decode(),
}
COMPOSITES = ["CRC32", "CRC32C", "SHA1", "SHA256"]
FULL_OBJECTS = ["CRC32", "CRC32C", "CRC64NVME"]


def composite(algorithm, parts):
    """A checksum of the parts' checksums, and how many they are."""
    joined = b"".join(base64.b64decode(SUMS[algorithm](p)) for p in parts)
    return f"{SUMS[algorithm](joined)}-{len(parts)}"


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def lazy(stack):
    """A client that sends no checksum unless told to."""
    return stack.client(request_checksum_calculation="when_required",
                        response_checksum_validation="when_required")


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module")
def sums(s3):
    s3.create_bucket(Bucket="sums")
    return "sums"


# --- one object
@pytest.mark.parametrize("algorithm", SUMS)
def test_put(lazy, sums, algorithm):
    body = pattern(70_000, algorithm)
    expected = SUMS[algorithm](body)
    given = lazy.put_object(Bucket=sums, Key="k", Body=body,
                            **{f"Checksum{algorithm}": expected})
    chosen = lazy.put_object(Bucket=sums, Key="k", Body=body,
                             ChecksumAlgorithm=algorithm)
    got = lazy.get_object(Bucket=sums, Key="k", ChecksumMode="ENABLED")
    head = lazy.head_object(Bucket=sums, Key="k", ChecksumMode="ENABLED")
    for answer in (given, chosen, got, head):
        assert answer[f"Checksum{algorithm}"] == expected
        assert answer["ChecksumType"] == "FULL_OBJECT"
    listed = lazy.list_objects_v2(Bucket=sums, Prefix="k")["Contents"][0]
    assert listed["ChecksumAlgorithm"] == [algorithm]
    wrong = SUMS[algorithm](b"other")
    assert refused(lazy.put_object, Bucket=sums, Key="wrong", Body=body,
                   **{f"Checksum{algorithm}": wrong}) == (400, "BadDigest")
    assert refused(lazy.get_object, Bucket=sums, Key="wrong") == (
        404, "NoSuchKey")


def test_default(lazy, sums):
    put = lazy.put_object(Bucket=sums, Key="default", Body=b"x")
    assert put["ChecksumCRC64NVME"] == SUMS["CRC64NVME"](b"x")
    silent = lazy.get_object(Bucket=sums, Key="default")
    assert not [name for name in silent if name.startswith("Checksum")]
    ranged = lazy.get_object(Bucket=sums, Key="default", Range="bytes=0-0",
                             ChecksumMode="ENABLED")
    assert not [name for name in ranged if name.startswith("Checksum")]


def test_of_nobody(stack, s3, bucket):
    """A client without keys, with its own way to send a checksum."""
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    nobody = stack.client(signature_version=botocore.UNSIGNED)
    body = pattern(70_000, "nobody")
    put = nobody.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ChecksumCRC32"] == SUMS["CRC32"](body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


OF_X = SUMS["CRC32"](b"x")


@pytest.mark.parametrize("headers, expected", [
    ({"x-amz-checksum-crc32": "x"}, (400, "InvalidRequest")),
    ({"x-amz-checksum-crc32": "AAAA"}, (400, "InvalidRequest")),
    ({"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
    ({"x-amz-checksum-crc32": OF_X, "x-amz-checksum-sha1": "x"},
     (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "CRC32"}, (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": OF_X},
     (400, "InvalidRequest")),
    ({"x-amz-checksum-md4": "x"}, (400, "InvalidRequest")),
    ({"x-amz-checksum-sha512": "x"}, (501, "NotImplemented"))])
def test_put_refused(raw, sums, headers, expected):
    answer = raw.request("PUT", "/sums/never", b"x", headers)
    assert answer.error == expected
    assert raw.head("/sums/never").status == 404


# --- uploads
def start(s3, key, algorithm=None, kind=None):
    options = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
    where = {"Bucket": "sums", "Key": key}
    made = s3.create_multipart_upload(
        **where, **{n: v for n, v in options.items() if v})
    return {**where, "UploadId": made["UploadId"]}, made


PARTS = [pattern(MIN_PART, "first"), pattern(77, "second")]


def send(s3, where, algorithm):
    parts = []
    for number, body in enumerate(PARTS, 1):
        part = s3.upload_part(**where, PartNumber=number, Body=body,
                              ChecksumAlgorithm=algorithm)
        name = f"Checksum{algorithm}"
        assert part[name] == SUMS[algorithm](body)
        parts.append({"PartNumber": number, "ETag": part["ETag"],
                      name: part[name]})
    return parts


@pytest.mark.parametrize("algorithm, kind", [
    *[(a, "COMPOSITE") for a in COMPOSITES],
    *[(a, "FULL_OBJECT") for a in FULL_OBJECTS]])
def test_upload(s3, lazy, sums, algorithm, kind):
    where, made = start(s3, f"{algorithm}-{kind}", algorithm, kind)
    assert (made["ChecksumAlgorithm"], made["ChecksumType"]) == (
        algorithm, kind)
    listed = s3.list_multipart_uploads(
        Bucket=sums, Prefix=where["Key"])["Uploads"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (
        algorithm, kind)
    parts = send(s3, where, algorithm)
    name = f"Checksum{algorithm}"
    assert [p[name] for p in s3.list_parts(**where)["Parts"]] == [
        p[name] for p in parts]
    expected = (composite(algorithm, PARTS) if kind == "COMPOSITE"
                else SUMS[algorithm](b"".join(PARTS)))
    other = "FULL_OBJECT" if kind == "COMPOSITE" else "COMPOSITE"
    whole = {"MultipartUpload": {"Parts": parts}}
    assert refused(s3.complete_multipart_upload, **where, **whole,
                   ChecksumType=other) == (400, "InvalidRequest")
    assert refused(s3.complete_multipart_upload, **where, **whole,
                   **{name: SUMS[algorithm](b"other")}) == (400, "BadDigest")
    done = s3.complete_multipart_upload(
        **where, **whole, ChecksumType=kind, **{name: expected})
    head = s3.head_object(Bucket=sums, Key=where["Key"],
                          ChecksumMode="ENABLED")
    for answer in (done, head):
        assert (answer[name], answer["ChecksumType"]) == (expected, kind)
    part = lazy.get_object(Bucket=sums, Key=where["Key"], PartNumber=2,
                           ChecksumMode="ENABLED")
    assert part["Body"].read() == PARTS[1]


@pytest.mark.parametrize("algorithm, kind", [
    ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"),
    ("CRC64NVME", "COMPOSITE")])
def test_types_that_do_not_go_together(s3, sums, algorithm, kind):
    assert refused(s3.create_multipart_upload, Bucket=sums, Key="k",
                   ChecksumAlgorithm=algorithm, ChecksumType=kind) == (
        400, "InvalidRequest")


@pytest.mark.parametrize("headers", [
    {"x-amz-checksum-algorithm": "MD4"}, {"x-amz-checksum-type": "COMPOSITE"},
    {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"}])
def test_create_refused(raw, sums, headers):
    answer = raw.request("POST", "/sums/k?uploads", headers=headers)
    assert answer.error == (400, "InvalidRequest")


@pytest.mark.parametrize("target, headers", [
    ("POST /sums/k?uploads", {"x-amz-checksum-algorithm": "XXHASH128"}),
    ("POST /sums/k?uploadId=x", {"x-amz-checksum-md5": "x"}),
    ("PUT /sums/copy", {"x-amz-checksum-algorithm": "MD5",
                        "x-amz-copy-source": "sums/k"})])
def test_algorithms_that_are_missing(raw, sums, target, headers):
    answer = raw.request(*target.split(), b"", headers=headers)
    assert answer.error == (501, "NotImplemented")


def test_default_of_an_upload(lazy, sums):
    """No checksum anywhere: CRC64NVME of the whole."""
    where, made = start(lazy, "plain")
    parts = [{"PartNumber": n,
              "ETag": lazy.upload_part(**where, PartNumber=n,
                                       Body=body)["ETag"]}
             for n, body in enumerate(PARTS, 1)]
    done = lazy.complete_multipart_upload(**where,
                                          MultipartUpload={"Parts": parts})
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (
        SUMS["CRC64NVME"](b"".join(PARTS)), "FULL_OBJECT")


def test_parts_without_the_checksum(lazy, sums):
    """A composite needs each part's; a full object's does not."""
    where, _ = start(lazy, "needs", "SHA256")
    assert refused(lazy.upload_part, **where, PartNumber=1, Body=b"x") == (
        400, "InvalidRequest")
    parts = send(lazy, where, "SHA256")
    bare = [{n: p[n] for n in ("PartNumber", "ETag")} for p in parts]
    assert refused(lazy.complete_multipart_upload, **where,
                   MultipartUpload={"Parts": bare}) == (400, "InvalidRequest")
    wrong = [{**p, "ChecksumSHA256": SUMS["SHA256"](b"other")} for p in parts]
    assert refused(lazy.complete_multipart_upload, **where,
                   MultipartUpload={"Parts": wrong}) == (400, "InvalidPart")


def test_part_with_another_algorithm(lazy, sums):
    where, _ = start(lazy, "mixed", "SHA256")
    assert refused(lazy.upload_part, **where, PartNumber=1, Body=b"x",
                   ChecksumAlgorithm="CRC32") == (400, "InvalidRequest")
