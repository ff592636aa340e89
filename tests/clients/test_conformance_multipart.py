"""Multipart uploads: parts, completion, its order and sizes, aborts, and the
same request again."""

import hashlib
import io

import pytest
from conformance import MIN_PART, Raw, refused, status_of
from stack import pattern


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture
def upload(s3, bucket):
    """Of the key k, with one part of five bytes."""
    made = s3.create_multipart_upload(Bucket=bucket, Key="k",
                                      ContentType="text/x-a",
                                      Metadata={"a": "1"}, Tagging="t=1")
    assert (made["Bucket"], made["Key"]) == (bucket, "k")
    where = {"Bucket": bucket, "Key": "k", "UploadId": made["UploadId"]}
    s3.upload_part(**where, PartNumber=1, Body=b"12345")
    return where


ETAG = f'"{hashlib.md5(b"12345").hexdigest()}"'


def target(upload, **more):
    query = "".join(f"&{name}={value}" for name, value in more.items())
    return f"/{upload['Bucket']}/{upload['Key']}?uploadId=" \
        f"{upload['UploadId']}{query}"


# --- CreateMultipartUpload
@pytest.mark.parametrize("headers, expected", [
    ({"x-amz-storage-class": "NOWHERE"}, (400, "InvalidStorageClass")),
    ({"x-amz-acl": "nobody"}, (400, "InvalidArgument")),
    ({"x-amz-tagging": "a=1&a=2"}, (400, "InvalidArgument")),
    ({"x-amz-meta-a": "x" * 2048}, (400, "MetadataTooLarge")),
    ({"x-amz-object-lock-legal-hold": "ON"}, (400, "InvalidRequest"))])
def test_create_refused(raw, bucket, headers, expected):
    answer = raw.request("POST", f"/{bucket}/k?uploads", headers=headers)
    assert answer.error == expected
    assert raw.get(f"/{bucket}?uploads").texts("Key") == []


def test_create_twice_makes_two(s3, upload):
    again = s3.create_multipart_upload(Bucket=upload["Bucket"], Key="k")
    assert again["UploadId"] != upload["UploadId"]


# --- UploadPart
@pytest.mark.parametrize("query, expected", [
    ("partNumber=0", (400, "InvalidArgument")),
    ("partNumber=10001", (400, "InvalidArgument")),
    ("partNumber=-1", (400, "InvalidArgument")),
    ("partNumber=one", (400, "InvalidArgument")),
    ("partNumber=", (400, "InvalidArgument")),
    ("partNumber=10000", (200, None))])
def test_part_number(raw, upload, query, expected):
    answer = raw.put(f"{target(upload)}&{query}", b"x")
    assert answer.error == expected
    if expected[0] == 400:
        assert answer.text("Message") == (
            "Part number must be an integer between 1 and 10000, inclusive")
        assert answer.text("ArgumentName") == "partNumber"


@pytest.mark.parametrize("change", [{"UploadId": "nobody"}, {"Key": "other"}])
def test_other_uploads(s3, upload, change):
    where = {**upload, **change}
    missing = (404, "NoSuchUpload")
    assert refused(s3.upload_part, **where, PartNumber=1, Body=b"x") == missing
    assert refused(s3.list_parts, **where) == missing
    assert refused(s3.abort_multipart_upload, **where) == missing
    assert refused(s3.complete_multipart_upload, **where, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": ETAG}]}) == missing


@pytest.mark.parametrize("method, query", [
    ("PUT", "partNumber=1"), ("GET", "uploadId=1&partNumber=1"),
    ("POST", "partNumber=1"), ("DELETE", "partNumber=1")])
def test_half_a_query(raw, bucket, method, query):
    answer = raw.request(method, f"/{bucket}/k?{query}", b"x")
    assert answer.error == (400, "InvalidArgument")


def test_put_of_an_upload(raw, bucket):
    answer = raw.request("PUT", f"/{bucket}/k?uploadId=1", b"x")
    assert answer.error == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, POST, DELETE"


@pytest.mark.parametrize("headers, expected", [
    ({"Content-MD5": "x"}, (400, "InvalidDigest")),
    ({"Content-MD5": "MDAwMDAwMDAwMDAwMDAwMA=="}, (400, "BadDigest"))])
def test_part_refused(raw, upload, headers, expected):
    answer = raw.request("PUT", target(upload, partNumber=1), b"x", headers)
    assert answer.error == expected
    assert raw.get(target(upload)).texts("ETag") == [
        ETAG.replace('"', "&quot;")]


def test_part_again_replaces(s3, upload):
    s3.upload_part(**upload, PartNumber=1, Body=b"67890!")
    parts = s3.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in parts] == [(1, 6)]
    assert refused(s3.complete_multipart_upload, **upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": ETAG}]}) == (400, "InvalidPart")


# --- CompleteMultipartUpload
def document(*parts):
    return b"<CompleteMultipartUpload>%s</CompleteMultipartUpload>" % b"".join(
        b"<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>"
        % (number, etag.encode()) for number, etag in parts)


@pytest.mark.parametrize("body, expected", [
    (b"", (400, "MalformedXML")), (b"<Complete", (400, "MalformedXML")),
    (document(), (400, "MalformedXML")),
    (b"<Other/>", (400, "MalformedXML")),
    (b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>"
     b"</CompleteMultipartUpload>", (400, "MalformedXML")),
    (b"<CompleteMultipartUpload><Part><ETag>x</ETag></Part>"
     b"</CompleteMultipartUpload>", (400, "MalformedXML")),
    (document((b"0", ETAG)), (400, "MalformedXML")),
    (document((b"10001", ETAG)), (400, "MalformedXML")),
    (document((b"x", ETAG)), (400, "MalformedXML")),
    (document((b"1", '"other"')), (400, "InvalidPart")),
    (document((b"2", ETAG)), (400, "InvalidPart")),
    (document((b"1", ETAG), (b"2", ETAG)), (400, "InvalidPart")),
    (document((b"1", ETAG), (b"1", ETAG)), (400, "InvalidPartOrder")),
    (document((b"2", ETAG), (b"1", ETAG)), (400, "InvalidPartOrder"))])
def test_complete_refused(raw, upload, body, expected):
    answer = raw.post(target(upload), body)
    assert answer.error == expected
    if expected[1] == "InvalidPart":
        assert answer.text("UploadId") == upload["UploadId"]
        assert answer.text("PartNumber") and answer.text("ETag")
    assert raw.get(target(upload)).texts("PartNumber") == ["1"]
    assert raw.get(f"/{upload['Bucket']}/k").error == (404, "NoSuchKey")


def test_too_small(s3, upload):
    s3.upload_part(**upload, PartNumber=2, Body=b"12345")
    parts = {"Parts": [{"PartNumber": n, "ETag": ETAG} for n in (1, 2)]}
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    error = caught.value.response["Error"]
    assert error["Code"] == "EntityTooSmall"
    assert (error["PartNumber"], error["ProposedSize"],
            error["MinSizeAllowed"]) == ("1", "5", str(MIN_PART))
    assert status_of(s3.abort_multipart_upload(**upload)) == 204


def test_complete(s3, raw, upload):
    parts = {"Parts": [{"PartNumber": 1, "ETag": ETAG}]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    whole = hashlib.md5(hashlib.md5(b"12345").digest()).hexdigest()
    assert done["ETag"] == f'"{whole}-1"'
    assert done["Location"].endswith(f"/{upload['Bucket']}/k")
    got = s3.get_object(Bucket=upload["Bucket"], Key="k")
    assert got["Body"].read() == b"12345"
    assert (got["ETag"], got["ContentType"], got["Metadata"],
            got["TagCount"]) == (done["ETag"], "text/x-a", {"a": "1"}, 1)
    # again: the same answer, and other parts are another request
    again = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert again["ETag"] == done["ETag"]
    assert raw.post(target(upload), document((b"2", ETAG))).error == (
        404, "NoSuchUpload")
    # and the upload is gone for all else
    for call, more in ((s3.list_parts, {}), (s3.abort_multipart_upload, {}),
                       (s3.upload_part, {"PartNumber": 1, "Body": b"late"})):
        assert refused(call, **upload, **more) == (404, "NoSuchUpload")
    assert s3.get_object(Bucket=upload["Bucket"], Key="k")[
        "Body"].read() == b"12345"


def test_gaps_and_left_out_parts(s3, upload):
    """Numbers may leave gaps; what is not named is dropped."""
    first, last = pattern(MIN_PART, 3), b"end"
    parts = [{"PartNumber": number,
              "ETag": s3.upload_part(**upload, PartNumber=number,
                                     Body=body)["ETag"]}
             for number, body in ((3, first), (5, b"left out"),
                                  (10000, last))]
    s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [parts[0], parts[2]]})
    got = s3.get_object(Bucket=upload["Bucket"], Key="k")
    assert got["Body"].read() == first + last
    for number, body, size in ((1, first, MIN_PART), (2, last, 3)):
        part = s3.get_object(Bucket=upload["Bucket"], Key="k",
                             PartNumber=number)
        assert (part["Body"].read(), part["PartsCount"]) == (body, 2)
        assert part["ContentLength"] == size
        assert status_of(part) == 206
    assert refused(s3.get_object, Bucket=upload["Bucket"], Key="k",
                   PartNumber=3) == (416, "InvalidPartNumber")


def test_size_of_the_whole(s3, upload):
    parts = {"Parts": [{"PartNumber": 1, "ETag": ETAG}]}
    assert refused(s3.complete_multipart_upload, **upload, MpuObjectSize=6,
                   MultipartUpload=parts) == (400, "InvalidRequest")
    assert status_of(s3.complete_multipart_upload(
        **upload, MpuObjectSize=5, MultipartUpload=parts)) == 200


# --- AbortMultipartUpload
def test_abort(s3, upload):
    assert status_of(s3.abort_multipart_upload(**upload)) == 204
    assert refused(s3.abort_multipart_upload, **upload) == (
        404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=upload["Bucket"])


def test_overwrite_through_uploads(s3, bucket):
    """Each of several uploads of a key is whole; the last completed stays."""
    bodies = [pattern(MIN_PART + n, n) for n in (1, 2)]
    for body in bodies + bodies[:1]:
        s3.upload_fileobj(io.BytesIO(body), bucket, "k")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
