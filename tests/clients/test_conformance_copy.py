"""CopyObject and UploadPartCopy: sources, directives, versions, ranges."""

import pytest
from conformance import MIN_PART, Raw, refused, status_of
from stack import pattern


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module")
def source(s3):
    s3.create_bucket(Bucket="from")
    s3.put_object(Bucket="from", Key="k", Body=b"0123456789",
                  Metadata={"a": "1"}, ContentType="text/x-a",
                  CacheControl="no-cache", Tagging="t=1",
                  StorageClass="STANDARD_IA")
    return {"Bucket": "from", "Key": "k"}


def copy(raw, text, key="to", **headers):
    headers = {name.replace("_", "-"): value
               for name, value in headers.items()}
    return raw.request("PUT", f"/from/{key}", b"",
                       {"x-amz-copy-source": text, **headers})


SOURCES = [
    ("from/k", (200, None)), ("/from/k", (200, None)),
    ("%2Ffrom%2Fk", (200, None)), ("from/%6b", (200, None)),
    ("from/k?versionId=null", (200, None)),
    ("from/none", (404, "NoSuchKey")), ("nowhere/k", (404, "NoSuchBucket")),
    ("from/k?versionId=" + "a" * 32, (404, "NoSuchVersion")),
    ("from/k?versionId=nobody", (400, "InvalidArgument")),
    ("from/k?versionId=", (400, "InvalidArgument")),
    ("from", (400, "InvalidArgument")), ("from/", (400, "InvalidArgument")),
    ("/", (400, "InvalidArgument")), ("", (400, "InvalidArgument")),
    ("from/%zz", (400, "InvalidArgument")),
    ("from/%FF", (400, "InvalidArgument")),
]


@pytest.mark.parametrize("text, expected", SOURCES)
def test_source(raw, source, text, expected):
    assert copy(raw, text).error == expected


REFUSED = [
    ({"x-amz-metadata-directive": "MERGE"}, (400, "InvalidArgument")),
    ({"x-amz-tagging-directive": "MERGE"}, (400, "InvalidArgument")),
    ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "a=1&a=2"},
     (400, "InvalidArgument")),
    ({"x-amz-storage-class": "NOWHERE"}, (400, "InvalidStorageClass")),
    ({"x-amz-checksum-algorithm": "MD4"}, (400, "InvalidRequest")),
    ({"x-amz-source-expected-bucket-owner": "1" * 12}, (403, "AccessDenied")),
    ({"x-amz-expected-bucket-owner": "1" * 12}, (403, "AccessDenied")),
    ({"x-amz-source-expected-bucket-owner": "1"},
     (400, "InvalidBucketOwnerAWSAccountID")),
    ({"x-amz-expected-bucket-owner": "1"},
     (400, "InvalidBucketOwnerAWSAccountID")),
    ({"x-amz-copy-source-range": "bytes=0-1"}, (501, "NotImplemented")),
    ({"Range": "bytes=0-1"}, (501, "NotImplemented")),
    ({"x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "x" * 2048},
     (400, "MetadataTooLarge")),
]


@pytest.mark.parametrize("headers, expected", REFUSED)
def test_refused(raw, source, headers, expected):
    answer = raw.request("PUT", "/from/never", b"",
                         {"x-amz-copy-source": "from/k", **headers})
    assert answer.error == expected
    assert raw.head("/from/never").status == 404


@pytest.mark.parametrize("headers, expected", [
    ({}, (400, "InvalidRequest")),
    ({"x-amz-metadata-directive": "COPY"}, (400, "InvalidRequest")),
    ({"x-amz-metadata-directive": "REPLACE"}, (200, None)),
    ({"x-amz-storage-class": "STANDARD_IA"}, (200, None))])
def test_to_itself(s3, raw, source, headers, expected):
    s3.put_object(Bucket="from", Key="self", Body=b"x")
    answer = raw.request("PUT", "/from/self", b"",
                         {"x-amz-copy-source": "from/self", **headers})
    assert answer.error == expected


def test_a_source_with_a_body(raw, source):
    """A copy takes no body; what was sent is not stored."""
    answer = raw.request("PUT", "/from/body", b"body",
                         {"x-amz-copy-source": "from/k"})
    assert answer.status == 200
    assert raw.get("/from/body").body == b"0123456789"


def test_all_is_copied(s3, source):
    answer = s3.copy_object(Bucket="from", Key="same", CopySource=source)
    got = s3.get_object(Bucket="from", Key="same")
    assert answer["CopyObjectResult"]["ETag"] == got["ETag"]
    assert (got["Metadata"], got["ContentType"], got["CacheControl"],
            got["TagCount"]) == ({"a": "1"}, "text/x-a", "no-cache", 1)
    assert "StorageClass" not in got  # the class is the target's


def test_all_is_replaced(s3, source):
    s3.copy_object(Bucket="from", Key="other", CopySource=source,
                   MetadataDirective="REPLACE", Metadata={"b": "2"},
                   TaggingDirective="REPLACE", Tagging="u=2&v=3")
    got = s3.get_object(Bucket="from", Key="other")
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == (
        {"b": "2"}, "binary/octet-stream", 2)
    assert "CacheControl" not in got
    s3.copy_object(Bucket="from", Key="other", CopySource=source,
                   TaggingDirective="REPLACE")
    assert s3.get_object_tagging(Bucket="from", Key="other")["TagSet"] == []


def test_what_copy_does_not_read(s3, source):
    """With COPY the request's metadata and tags say nothing."""
    s3.copy_object(Bucket="from", Key="same", CopySource=source,
                   Metadata={"b": "2"}, ContentType="text/x-b", Tagging="u=2")
    got = s3.head_object(Bucket="from", Key="same")
    assert (got["Metadata"], got["ContentType"]) == ({"a": "1"}, "text/x-a")
    tags = s3.get_object_tagging(Bucket="from", Key="same")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_another_checksum(s3, source, algorithm):
    answer = s3.copy_object(Bucket="from", Key="sum", CopySource=source,
                            ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="from", Key="sum", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == (
        answer["CopyObjectResult"][f"Checksum{algorithm}"])
    put = s3.put_object(Bucket="from", Key="sum", Body=b"0123456789",
                        ChecksumAlgorithm=algorithm)
    assert put[f"Checksum{algorithm}"] == head[f"Checksum{algorithm}"]


def test_versions(s3, source):
    s3.create_bucket(Bucket="history")
    s3.put_bucket_versioning(Bucket="history",
                             VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="history", Key="k", Body=body)["VersionId"]
           for body in (b"1", b"2")]
    old = {"Bucket": "history", "Key": "k", "VersionId": ids[0]}
    back = s3.copy_object(Bucket="history", Key="k", CopySource=old)
    assert back["CopySourceVersionId"] == ids[0]
    assert back["VersionId"] not in ids
    assert s3.get_object(Bucket="history", Key="k")["Body"].read() == b"1"
    marker = s3.delete_object(Bucket="history", Key="k")["VersionId"]
    where = {"Bucket": "from", "Key": "never"}
    assert refused(s3.copy_object, **where, CopySource="history/k") == (
        404, "NoSuchKey")
    assert refused(s3.copy_object, **where,
                   CopySource={**old, "VersionId": marker}) == (
        400, "InvalidRequest")


def test_either_side_lives_alone(s3, source):
    body = pattern(300_000)
    s3.put_object(Bucket="from", Key="left", Body=body)
    s3.copy_object(Bucket="from", Key="right",
                   CopySource={"Bucket": "from", "Key": "left"})
    s3.delete_object(Bucket="from", Key="left")
    assert s3.get_object(Bucket="from", Key="right")["Body"].read() == body


# --- UploadPartCopy
@pytest.fixture
def part(s3, source):
    upload = s3.create_multipart_upload(Bucket="from", Key="parts")["UploadId"]
    return {"Bucket": "from", "Key": "parts", "UploadId": upload,
            "PartNumber": 1, "CopySource": source}


# the error, or the size of the part
RANGES = [
    ("bytes=0-9", 10), ("bytes=3-3", 1),
    ("bytes=0-10", (400, "InvalidArgument")),
    ("bytes=10-11", (400, "InvalidArgument")),
    ("bytes=4-", (400, "InvalidArgument")),
    ("bytes=-4", (400, "InvalidArgument")),
    ("bytes=5-2", (400, "InvalidArgument")),
    ("0-2", (400, "InvalidArgument")),
    ("bytes=0", (400, "InvalidArgument")),
    ("bytes=0-1,3-4", (400, "InvalidArgument")),
]


@pytest.mark.parametrize("text, expected", RANGES)
def test_part_range(s3, part, text, expected):
    where = {**part, "CopySourceRange": text}
    if isinstance(expected, int):
        assert status_of(s3.upload_part_copy(**where)) == 200
        parts = s3.list_parts(Bucket="from", Key="parts",
                              UploadId=part["UploadId"])["Parts"]
        assert parts[0]["Size"] == expected
    else:
        assert refused(s3.upload_part_copy, **where) == expected


@pytest.mark.parametrize("change, expected", [
    ({"PartNumber": 0}, (400, "InvalidArgument")),
    ({"PartNumber": 10001}, (400, "InvalidArgument")),
    ({"UploadId": "nobody"}, (404, "NoSuchUpload")),
    ({"Key": "another"}, (404, "NoSuchUpload")),
    ({"CopySource": "from/none"}, (404, "NoSuchKey")),
    ({"CopySource": "nowhere/k"}, (404, "NoSuchBucket"))])
def test_part_refused(s3, part, change, expected):
    assert refused(s3.upload_part_copy, **{**part, **change}) == expected


def test_parts_together(s3, part):
    body = pattern(MIN_PART + 100)
    s3.put_object(Bucket="from", Key="long", Body=body)
    where = {"Bucket": "from", "Key": "parts", "UploadId": part["UploadId"]}
    parts = []
    for number, text in ((1, f"bytes=0-{MIN_PART - 1}"),
                         (2, f"bytes={MIN_PART}-{MIN_PART + 99}")):
        answer = s3.upload_part_copy(
            **where, PartNumber=number, CopySource="from/long",
            CopySourceRange=text)["CopyPartResult"]
        assert answer["ETag"].startswith('"') and answer["LastModified"]
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    s3.delete_object(Bucket="from", Key="long")
    assert s3.get_object(Bucket="from", Key="parts")["Body"].read() == body
