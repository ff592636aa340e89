"""PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects,
GetObjectAttributes."""

import base64
import hashlib
import json

import pytest
from conformance import Raw, quote, refused, status_of
from stack import pattern


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module")
def ten(s3):
    """A bucket with one object of ten bytes."""
    s3.create_bucket(Bucket="ten")
    s3.put_object(Bucket="ten", Key="k", Body=b"0123456789")
    return "/ten/k"


def test_over_tls(stack, s3):
    """As all files of conformance: it is another path of nginx and module."""
    assert stack.endpoint.startswith("https://127.0.0.1:")
    assert s3.meta.endpoint_url == stack.endpoint
    body = pattern((3 << 20) + 1)
    s3.create_bucket(Bucket="over-tls")
    s3.put_object(Bucket="over-tls", Key="k", Body=body)
    assert s3.get_object(Bucket="over-tls", Key="k")["Body"].read() == body


# --- PutObject
REFUSED_PUTS = [
    ({"Content-MD5": ""}, (400, "InvalidDigest")),
    ({"Content-MD5": "x"}, (400, "InvalidDigest")),
    ({"Content-MD5": "YWJyYWNhZGFicmE="}, (400, "InvalidDigest")),
    ({"Content-MD5": "MDAwMDAwMDAwMDAwMDAwMA=="}, (400, "BadDigest")),
    ({"x-amz-storage-class": "NOWHERE"}, (400, "InvalidStorageClass")),
    ({"x-amz-storage-class": "GLACIER"}, (501, "NotImplemented")),
    ({"x-amz-acl": "nobody"}, (400, "InvalidArgument")),
    ({"x-amz-meta-a": "x" * 2048}, (400, "MetadataTooLarge")),
    ({"x-amz-object-lock-legal-hold": "ON"}, (400, "InvalidRequest")),
    ({"x-amz-object-lock-mode": "GOVERNANCE"}, (400, "InvalidRequest")),
    ({"x-amz-tagging": "a=1&a=2"}, (400, "InvalidArgument")),
    ({"x-amz-tagging": "a=%zz"}, (400, "InvalidArgument")),
    ({"x-amz-tagging": "aws:a=1"}, (400, "InvalidTag")),
    ({"x-amz-tagging": "=1"}, (400, "InvalidTag")),
    ({"x-amz-tagging": "&".join(f"k{i}=v" for i in range(11))},
     (400, "BadRequest")),
    ({"x-amz-write-offset-bytes": "0"}, (501, "NotImplemented")),
    ({"If-None-Match": '"x"'}, (501, "NotImplemented")),
    ({"If-None-Match": "*", "If-Match": "*"}, (501, "NotImplemented")),
]


@pytest.mark.parametrize("headers, expected", REFUSED_PUTS)
def test_put_refused(raw, ten, headers, expected):
    answer = raw.request("PUT", "/ten/never", b"x", headers)
    assert answer.error == expected
    assert raw.get("/ten/never").error == (404, "NoSuchKey")


def test_metadata_limit(raw, ten):
    """2 KiB of names and values together."""
    fits = {"x-amz-meta-a": "x" * 1023, "x-amz-meta-b": "x" * 1023}
    assert raw.request("PUT", "/ten/meta", b"", fits).status == 200
    fits["x-amz-meta-c"] = ""
    assert raw.request("PUT", "/ten/meta", b"", fits).error == (
        400, "MetadataTooLarge")


def test_headers_come_back(s3, raw, ten):
    sent = {"Cache-Control": "no-cache", "Content-Disposition": "attachment",
            "Content-Encoding": "gzip", "Content-Language": "de",
            "Content-Type": "text/x-odd; charset=utf-8",
            "Expires": "Thu, 01 Dec 2044 16:00:00 GMT",
            "x-amz-meta-under_score": "=?UTF-8?Q?=C3=A9?=",
            "x-amz-meta-UPPER": "v", "x-amz-meta-empty": "",
            "x-amz-storage-class": "STANDARD_IA"}
    assert raw.request("PUT", "/ten/headers", b"x", sent).status == 200
    for method in ("GET", "HEAD"):
        got = raw.request(method, "/ten/headers").headers
        assert {name: got[name] for name in sent} == sent
        assert (got["Accept-Ranges"], got["Content-Length"]) == ("bytes", "1")
        assert got["Last-Modified"].endswith(" GMT")
    s3.put_object(Bucket="ten", Key="headers", Body=b"x")  # all anew
    got = raw.get("/ten/headers").headers
    assert [name for name in sent if name in got] == ["Content-Type"]
    assert got["Content-Type"] == "binary/octet-stream"


def test_own_encoding_is_not_stored(raw, ten):
    for sent, kept in (("aws-chunked", None), ("aws-chunked, gzip", "gzip"),
                       ("gzip,aws-chunked", "gzip"), ("br, gzip", "br, gzip")):
        raw.request("PUT", "/ten/encoding", b"x", {"Content-Encoding": sent})
        assert raw.head("/ten/encoding").headers["Content-Encoding"] == kept


@pytest.mark.parametrize("key, expected", [
    ("k" * 1024, (200, None)), ("k" * 1025, (400, "KeyTooLongError")),
    ("é" * 512, (200, None)), ("é" * 513, (400, "KeyTooLongError"))])
def test_length_of_keys(raw, ten, key, expected):
    assert raw.request("PUT", f"/ten/{quote(key)}", b"x").error == expected


@pytest.mark.parametrize("key", ["%FF", "%00", "a%", "a%zz", "%C3%28",
                                 "%ED%A0%80", "../../up"])
def test_keys_that_are_none(raw, ten, key):
    assert raw.request("PUT", f"/ten/{key}", b"x").error == (400, "InvalidURI")


def test_same_put_again(s3, raw, ten):
    first = s3.put_object(Bucket="ten", Key="twice", Body=b"same")
    again = s3.put_object(Bucket="ten", Key="twice", Body=b"same")
    assert first["ETag"] == again["ETag"] == (
        f'"{hashlib.md5(b"same").hexdigest()}"')
    assert "VersionId" not in again


# --- GetObject, HeadObject
RANGES = [
    ("bytes=0-3", 206, "0-3"), ("bytes=5-", 206, "5-9"),
    ("bytes=-3", 206, "7-9"), ("bytes=0-99", 206, "0-9"),
    ("bytes=0-9", 206, "0-9"), ("bytes=-99", 206, "0-9"),
    ("bytes=9-9", 206, "9-9"),
    ("bytes=-0", 416, None), ("bytes=10-", 416, None),
    ("bytes=20-30", 416, None),
    ("bytes=5-2", 200, None), ("bytes=a-b", 200, None),
    ("bytes=0-1,3-4", 200, None), ("lines=0-3", 200, None),
    ("bytes=-", 200, None), ("bytes", 200, None),
]


@pytest.mark.parametrize("text, status, window", RANGES)
def test_range(raw, ten, text, status, window):
    whole = b"0123456789"
    answer = raw.request("GET", ten, headers={"Range": text})
    head = raw.request("HEAD", ten, headers={"Range": text})
    assert answer.status == head.status == status
    expected = {206: f"bytes {window}/10", 416: "bytes */10", 200: None}
    assert answer.headers["Content-Range"] == expected[status]
    if status == 416:
        assert answer.error == (416, "InvalidRange")
        assert answer.text("ActualObjectSize") == "10"
    else:
        first, last = map(int, window.split("-")) if window else (0, 9)
        assert answer.body == whole[first:last + 1]
        assert head.headers["Content-Length"] == str(last - first + 1)


def test_range_of_nothing(raw, ten):
    raw.put("/ten/empty")
    for text in ("bytes=0-0", "bytes=0-", "bytes=-1"):
        answer = raw.request("GET", "/ten/empty", headers={"Range": text})
        assert answer.error == (416, "InvalidRange")
    assert raw.get("/ten/empty").status == 200


@pytest.mark.parametrize("query, headers, expected", [
    ("partNumber=0", {}, (400, "InvalidArgument")),
    ("partNumber=10001", {}, (400, "InvalidArgument")),
    ("partNumber=x", {}, (400, "InvalidArgument")),
    ("partNumber=2", {}, (416, "InvalidPartNumber")),
    ("partNumber=1", {"Range": "bytes=0-1"}, (400, "InvalidRequest")),
    ("versionId=", {}, (400, "InvalidArgument")),
    ("versionId=nobody", {}, (400, "InvalidArgument")),
    ("versionId=" + "a" * 32, {}, (404, "NoSuchVersion")),
    ("response-content-type=a%0Ab", {}, (400, "InvalidArgument"))])
def test_get_refused(raw, ten, query, headers, expected):
    answer = raw.request("GET", f"{ten}?{query}", headers=headers)
    assert answer.error == expected
    head = raw.request("HEAD", f"{ten}?{query}", headers=headers)
    assert (head.status, head.body) == (expected[0], b"")


def test_part_of_a_plain_object(raw, ten):
    answer = raw.get(f"{ten}?partNumber=1")
    assert (answer.status, answer.body) == (206, b"0123456789")
    assert answer.headers["x-amz-mp-parts-count"] is None
    assert raw.get(f"{ten}?versionId=null").body == b"0123456789"


def test_response_headers(s3, ten):
    asked = {"ResponseCacheControl": "no-cache",
             "ResponseContentDisposition": "bla",
             "ResponseContentEncoding": "aaa",
             "ResponseContentLanguage": "esperanto",
             "ResponseContentType": "foo/bar"}
    got = s3.get_object(Bucket="ten", Key="k", **asked)
    assert {name: got[name[8:]] for name in asked} == asked
    head = s3.head_object(Bucket="ten", Key="k", **asked)
    assert {name: head[name[8:]] for name in asked} == asked


def test_anybody_may_not_choose_headers(s3, raw):
    """Only who signs may: the answer is not what the owner published."""
    s3.create_bucket(Bucket="public")
    s3.put_object(Bucket="public", Key="k", Body=b"x")
    s3.delete_public_access_block(Bucket="public")
    s3.put_bucket_policy(Bucket="public", Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::public/*"}]}))
    assert raw.request("GET", "/public/k", sign=False).body == b"x"
    answer = raw.request("GET", "/public/k?response-content-type=text%2Fhtml",
                         sign=False)
    assert answer.error == (400, "InvalidRequest")


def test_get_missing(s3, raw, ten):
    assert refused(s3.get_object, Bucket="ten", Key="none") == (
        404, "NoSuchKey")
    answer = raw.get("/ten/none?versionId=null")
    assert answer.error == (404, "NoSuchVersion")
    answer = raw.head("/ten/none")
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["x-amz-request-id"]


# --- DeleteObject, DeleteObjects
def test_delete_again(s3, ten):
    s3.put_object(Bucket="ten", Key="gone", Body=b"x")
    for _ in range(2):
        answer = s3.delete_object(Bucket="ten", Key="gone")
        assert status_of(answer) == 204
        assert "VersionId" not in answer and "DeleteMarker" not in answer
    assert status_of(s3.delete_object(Bucket="ten", Key="gone",
                                      VersionId="null")) == 204
    assert refused(s3.delete_object, Bucket="ten", Key="gone",
                   VersionId="nobody") == (400, "InvalidArgument")


def delete(raw, document, **headers):
    digest = base64.b64encode(hashlib.md5(document).digest()).decode()
    headers = {"Content-MD5": digest, **headers}
    headers = {name: value for name, value in headers.items() if value}
    return raw.request("POST", "/ten?delete", document, headers)


def entries(*keys):
    return b"<Delete>" + b"".join(
        b"<Object><Key>%s</Key></Object>" % key for key in keys) + b"</Delete>"


@pytest.mark.parametrize("document", [
    b"", b"<Delete", b"<Delete/>", b"<Other/>", b"<Delete><Object/></Delete>",
    entries(b""), b"<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key>"
    b"</Object></Delete>", entries(*[b"%d" % i for i in range(1001)])])
def test_bad_delete_documents(raw, ten, document):
    assert delete(raw, document).error == (400, "MalformedXML")


def test_delete_needs_a_digest(raw, ten):
    for headers, expected in (
            ({"Content-MD5": None}, (400, "InvalidRequest")),
            ({"Content-MD5": "x"}, (400, "InvalidDigest")),
            ({"Content-MD5": None, "x-amz-checksum-crc32": "AAAAAA=="},
             (400, "BadDigest"))):
        assert delete(raw, entries(b"k"), **headers).error == expected
    assert raw.head("/ten/k").status == 200


def test_delete_a_thousand(s3, ten):
    keys = [{"Key": f"many/{i}"} for i in range(1000)]
    for key in keys[::100]:
        s3.put_object(Bucket="ten", Body=b"x", **key)
    for _ in range(2):
        answer = s3.delete_objects(Bucket="ten", Delete={"Objects": keys})
        assert answer["Deleted"] == keys
        assert "Errors" not in answer
    assert s3.list_objects_v2(Bucket="ten", Prefix="many/")["KeyCount"] == 0


def test_delete_tells_each_key_its_error(s3, ten):
    s3.put_object(Bucket="ten", Key="is", Body=b"x")
    wanted = [{"Key": "is", "ETag": '"other"'},
              {"Key": "not", "ETag": '"other"'}, {"Key": "k" * 1025},
              {"Key": "is", "VersionId": "nobody"}, {"Key": "not"}]
    answer = s3.delete_objects(Bucket="ten",
                               Delete={"Objects": wanted, "Quiet": True})
    assert [(e["Key"][:3], e["Code"]) for e in answer["Errors"]] == [
        ("is", "PreconditionFailed"), ("not", "NoSuchKey"),
        ("kkk", "KeyTooLongError"), ("is", "NoSuchVersion")]
    assert all(e["Message"] for e in answer["Errors"])
    assert "Deleted" not in answer
    assert status_of(s3.head_object(Bucket="ten", Key="is")) == 200


# --- GetObjectAttributes
@pytest.mark.parametrize("key, headers, expected", [
    ("k", {}, (400, "InvalidRequest")),
    ("k", {"x-amz-object-attributes": ""}, (400, "InvalidRequest")),
    ("k", {"x-amz-object-attributes": "Colour"}, (400, "InvalidArgument")),
    ("k", {"x-amz-object-attributes": "ETag", "x-amz-max-parts": "x"},
     (400, "InvalidArgument")),
    ("k", {"x-amz-object-attributes": "ETag",
           "x-amz-part-number-marker": "-1"}, (400, "InvalidArgument")),
    ("none", {"x-amz-object-attributes": "ETag"}, (404, "NoSuchKey")),
    ("k?versionId=" + "a" * 32, {"x-amz-object-attributes": "ETag"},
     (404, "NoSuchVersion"))])
def test_attributes_refused(raw, ten, key, headers, expected):
    target = f"/ten/{key}{'&' if '?' in key else '?'}attributes"
    assert raw.request("GET", target, headers=headers).error == expected


def test_attributes(s3, ten):
    found = s3.get_object_attributes(
        Bucket="ten", Key="k", ObjectAttributes=[
            "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"])
    assert found["ETag"] == hashlib.md5(b"0123456789").hexdigest()
    assert (found["ObjectSize"], found["StorageClass"]) == (10, "STANDARD")
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    assert "ObjectParts" not in found
    only = s3.get_object_attributes(Bucket="ten", Key="k",
                                    ObjectAttributes=["ObjectSize"])
    assert "ETag" not in only and "Checksum" not in only


def test_delete_versions_of_one_key(s3, ten):
    """Whatever shares a commit: each entry sees those before it."""
    s3.create_bucket(Bucket="history")
    s3.put_bucket_versioning(Bucket="history",
                             VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="history", Key="k", Body=b"x")["VersionId"]
           for _ in range(70)]
    first = {"Key": "k", "VersionId": ids[0]}
    wanted = [first, {**first, "ETag": '"x"'}, {"Key": "k"}, {"Key": "k"}]
    wanted += [{"Key": "k", "VersionId": i} for i in ids[1:]]
    answer = s3.delete_objects(Bucket="history", Delete={"Objects": wanted})
    assert [e["Code"] for e in answer["Errors"]] == ["NoSuchKey"]
    assert len(answer["Deleted"]) == len(wanted) - 1
    left = s3.list_object_versions(Bucket="history")
    assert "Versions" not in left
    assert [m["VersionId"] for m in left["DeleteMarkers"]] == [
        d["DeleteMarkerVersionId"] for d in answer["Deleted"][2:0:-1]]
