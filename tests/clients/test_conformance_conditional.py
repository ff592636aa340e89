"""Conditions on reads, writes, copies, completions and deletes: the whole
matrix, and racers of whom one wins."""

import concurrent.futures
import hashlib

import pytest
from conformance import Raw, refused, status_of

BODY = b"content"
ETAG = f'"{hashlib.md5(BODY).hexdigest()}"'
PAST = "Sat, 01 Jan 2000 00:00:00 GMT"
FUTURE = "Sat, 01 Jan 2050 00:00:00 GMT"


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client(max_pool_connections=16)


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module", params=["plain", "versioned"])
def kind(request, s3):
    name = f"conditions-{request.param}"
    s3.create_bucket(Bucket=name)
    if request.param == "versioned":
        s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def key(s3, kind):
    s3.put_object(Bucket=kind, Key="k", Body=BODY)
    return f"/{kind}/k"


# RFC 9110, 13.2.2, as Amazon S3 documents its order of the four.
READS = [
    ({"If-Match": ETAG}, 200), ({"If-Match": '"other"'}, 412),
    ({"If-Match": "*"}, 200), ({"If-Match": ETAG.strip('"')}, 200),
    ({"If-Match": f'"other", {ETAG}'}, 200),
    ({"If-None-Match": ETAG}, 304), ({"If-None-Match": '"other"'}, 200),
    ({"If-None-Match": "*"}, 304),
    ({"If-Modified-Since": PAST}, 200), ({"If-Modified-Since": FUTURE}, 304),
    ({"If-Modified-Since": "never"}, 200),
    ({"If-Unmodified-Since": PAST}, 412),
    ({"If-Unmodified-Since": FUTURE}, 200),
    ({"If-Unmodified-Since": "never"}, 200),
    ({"If-Match": ETAG, "If-Unmodified-Since": PAST}, 200),
    ({"If-Match": '"other"', "If-Unmodified-Since": FUTURE}, 412),
    ({"If-None-Match": ETAG, "If-Modified-Since": PAST}, 304),
    ({"If-None-Match": '"other"', "If-Modified-Since": FUTURE}, 200),
    ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
    ({"If-Range": ETAG, "Range": "bytes=0-1"}, 206),
    ({"If-Range": '"other"', "Range": "bytes=0-1"}, 200),
    ({"If-Range": PAST, "Range": "bytes=0-1"}, 200),
    ({"If-Match": ETAG, "Range": "bytes=0-1"}, 206),
    ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
]


@pytest.mark.parametrize("headers, status", READS)
def test_read(raw, key, headers, status):
    for method in ("GET", "HEAD"):
        answer = raw.request(method, key, headers=headers)
        assert answer.status == status
        if status == 304:
            assert answer.body == b""
            assert answer.headers["ETag"] == ETAG
            assert answer.headers["Last-Modified"]
        elif status == 412 and method == "GET":
            assert answer.error == (412, "PreconditionFailed")
            assert answer.text("Condition") in headers


def test_read_missing_is_missing(raw, key):
    for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}):
        answer = raw.request("GET", f"{key}-none", headers=headers)
        assert answer.error == (404, "NoSuchKey")


# --- writes: PutObject, CopyObject, CompleteMultipartUpload
def put(s3, bucket, key, **conditions):
    return s3.put_object(Bucket=bucket, Key=key, Body=b"new", **conditions)


def copy(s3, bucket, key, **conditions):
    s3.put_object(Bucket=bucket, Key="source", Body=b"new")
    return s3.copy_object(Bucket=bucket, Key=key, **conditions,
                          CopySource={"Bucket": bucket, "Key": "source"})


def complete(s3, bucket, key, **conditions):
    where = {"Bucket": bucket, "Key": key}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, PartNumber=1, Body=b"new")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    try:
        return s3.complete_multipart_upload(**where, MultipartUpload=parts,
                                            **conditions)
    except s3.exceptions.ClientError:
        # what failed on a condition is still there to be given up
        assert status_of(s3.abort_multipart_upload(**where)) == 204
        raise


WRITES = [
    ({"IfMatch": ETAG}, "k", None),
    ({"IfMatch": '"other"'}, "k", (412, "PreconditionFailed")),
    ({"IfMatch": ETAG}, "none", (404, "NoSuchKey")),
    ({"IfMatch": ETAG}, "deleted", (404, "NoSuchKey")),
    ({"IfNoneMatch": "*"}, "k", (412, "PreconditionFailed")),
    ({"IfNoneMatch": "*"}, "none", None),
    ({"IfNoneMatch": "*"}, "deleted", None),
]


@pytest.mark.parametrize("write", [put, copy, complete])
@pytest.mark.parametrize("conditions, name, expected", WRITES)
def test_write(s3, kind, key, write, conditions, name, expected):
    s3.delete_object(Bucket=kind, Key="none", VersionId="null")
    for version in s3.list_object_versions(
            Bucket=kind, Prefix="none").get("Versions", []):
        s3.delete_object(Bucket=kind, Key="none",
                         VersionId=version["VersionId"])
    s3.put_object(Bucket=kind, Key="deleted", Body=b"x")
    s3.delete_object(Bucket=kind, Key="deleted")
    if expected is None:
        assert status_of(write(s3, kind, name, **conditions)) == 200
        got = s3.get_object(Bucket=kind, Key=name)["Body"].read()
        assert got == b"new"
    else:
        assert refused(write, s3=s3, bucket=kind, key=name,
                       **conditions) == expected
        got = s3.get_object(Bucket=kind, Key="k")["Body"].read()
        assert got == BODY


@pytest.mark.parametrize("write", [put, complete])
def test_one_creator_wins(s3, kind, write):
    key = f"race-{write.__name__}"

    def one(_):
        try:
            return status_of(write(s3, kind, key, IfNoneMatch="*"))
        except s3.exceptions.ClientError as error:
            return status_of(error.response)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(one, range(8)))
    assert answers[0] == 200
    assert set(answers[1:]) <= {409, 412}


# --- copy sources
SOURCES = [
    ({"CopySourceIfMatch": ETAG}, None),
    ({"CopySourceIfMatch": '"other"'}, 412),
    ({"CopySourceIfNoneMatch": '"other"'}, None),
    ({"CopySourceIfNoneMatch": ETAG}, 412),
    ({"CopySourceIfModifiedSince": PAST}, None),
    ({"CopySourceIfModifiedSince": FUTURE}, 412),
    ({"CopySourceIfUnmodifiedSince": FUTURE}, None),
    ({"CopySourceIfUnmodifiedSince": PAST}, 412),
    ({"CopySourceIfMatch": ETAG, "CopySourceIfUnmodifiedSince": PAST}, None),
    ({"CopySourceIfNoneMatch": ETAG, "CopySourceIfModifiedSince": PAST}, 412),
]


@pytest.mark.parametrize("conditions, status", SOURCES)
def test_source(s3, kind, key, conditions, status):
    where = {"Bucket": kind, "Key": "to",
             "CopySource": {"Bucket": kind, "Key": "k"}}
    upload = s3.create_multipart_upload(Bucket=kind, Key="to")["UploadId"]
    for call, more in ((s3.copy_object, {}),
                       (s3.upload_part_copy,
                        {"UploadId": upload, "PartNumber": 1})):
        if status is None:
            assert status_of(call(**where, **more, **conditions)) == 200
        else:
            assert refused(call, **where, **more, **conditions) == (
                status, "PreconditionFailed")


# --- deletes
DELETES = [
    ({"If-Match": '"other"'}, "k", (412, "PreconditionFailed")),
    ({"If-Match": ETAG}, "none", (404, "NoSuchKey")),
    ({"If-Match": "*"}, "none", (404, "NoSuchKey")),
    ({"x-amz-if-match-size": "6"}, "k", (412, "PreconditionFailed")),
    ({"x-amz-if-match-size": "x"}, "k", (400, "InvalidArgument")),
    ({"x-amz-if-match-last-modified-time": PAST}, "k",
     (412, "PreconditionFailed")),
    ({"x-amz-if-match-last-modified-time": "x"}, "k",
     (400, "InvalidArgument")),
    ({"If-Match": ETAG, "x-amz-if-match-size": "7"}, "k", (204, None)),
    ({"If-Match": "*"}, "k", (204, None)),
    ({"x-amz-if-match-size": "6"}, "none", (204, None)),
]


@pytest.mark.parametrize("headers, name, expected", DELETES)
def test_delete(s3, raw, kind, key, headers, name, expected):
    answer = raw.request("DELETE", f"/{kind}/{name}", headers=headers)
    assert answer.error == expected
    there = raw.head(key).status
    assert there == (404 if expected[0] == 204 and name == "k" else 200)
