"""Versions: ids in every answer, markers, the null version, suspension."""

import pytest
from conformance import Raw, refused, status_of


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


def switch(s3, bucket, status):
    for _ in range(2):  # again: the same
        answer = s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": status})
        assert status_of(answer) == 200
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


@pytest.fixture
def versioned(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    switch(s3, bucket, "Enabled")
    return bucket


def complete(s3, bucket, key):
    where = {"Bucket": bucket, "Key": key}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    etag = s3.upload_part(**where, PartNumber=1, Body=b"mp")["ETag"]
    return s3.complete_multipart_upload(**where, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": etag}]})


def history(s3, bucket, key="k"):
    page = s3.list_object_versions(Bucket=bucket, Prefix=key)
    both = page.get("Versions", []) + page.get("DeleteMarkers", [])
    return {entry["VersionId"]: "ETag" in entry for entry in both}


def test_every_write_tells_its_version(s3, versioned):
    put = s3.put_object(Bucket=versioned, Key="k", Body=b"1")
    copy = s3.copy_object(Bucket=versioned, Key="k",
                          CopySource=f"{versioned}/k",
                          MetadataDirective="REPLACE")
    upload = complete(s3, versioned, "k")
    marker = s3.delete_object(Bucket=versioned, Key="k")
    ids = [a["VersionId"] for a in (put, copy, upload, marker)]
    assert len(set(ids)) == 4
    assert copy["CopySourceVersionId"] == ids[0]
    assert marker["DeleteMarker"] is True
    assert history(s3, versioned) == {
        ids[0]: True, ids[1]: True, ids[2]: True, ids[3]: False}
    where = {"Bucket": versioned, "Key": "k", "VersionId": ids[0]}
    for call, more in ((s3.get_object, {}), (s3.head_object, {}),
                       (s3.get_object_tagging, {}),
                       (s3.put_object_tagging, {"Tagging": {"TagSet": []}}),
                       (s3.delete_object_tagging, {}),
                       (s3.get_object_attributes,
                        {"ObjectAttributes": ["ETag"]})):
        assert call(**where, **more)["VersionId"] == ids[0]


def test_a_marker_is_there_and_not_there(s3, raw, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"1")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    target = f"/{versioned}/k"
    for method in ("GET", "HEAD"):
        answer = raw.request(method, target)
        assert answer.status == 404
        assert answer.headers["x-amz-delete-marker"] == "true"
        assert answer.headers["x-amz-version-id"] == marker
        answer = raw.request(method, f"{target}?versionId={marker}")
        assert answer.status == 405
        assert answer.headers["x-amz-delete-marker"] == "true"
        assert answer.headers["Allow"] == "DELETE"
        assert answer.headers["Last-Modified"]
    assert raw.get(target).error == (404, "NoSuchKey")
    assert raw.get(f"{target}?versionId={marker}").error == (
        405, "MethodNotAllowed")
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    # without it the object is back, and the marker is gone for good
    for _ in range(2):
        gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
        assert (status_of(gone), gone["VersionId"]) == (204, marker)
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"1"
    assert refused(s3.get_object, Bucket=versioned, Key="k",
                   VersionId=marker) == (404, "NoSuchVersion")


def test_each_delete_adds_a_marker(s3, versioned):
    ids = [s3.delete_object(Bucket=versioned, Key="never")["VersionId"]
           for _ in range(3)]
    assert history(s3, versioned, "never") == dict.fromkeys(ids, False)


def test_removing_the_newest_shows_the_one_before(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="k",
                         Body=b"%d" % i)["VersionId"] for i in range(5)]
    for i in range(4, 0, -1):
        s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[i])
        got = s3.get_object(Bucket=versioned, Key="k")
        assert (got["Body"].read(), got["VersionId"]) == (
            b"%d" % (i - 1), ids[i - 1])
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[0])
    assert refused(s3.get_object, Bucket=versioned, Key="k") == (
        404, "NoSuchKey")
    assert history(s3, versioned) == {}


def test_what_was_there_before_is_the_null_version(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    switch(s3, bucket, "Enabled")
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"new")["VersionId"]
    old = s3.get_object(Bucket=bucket, Key="k", VersionId="null")
    assert (old["Body"].read(), old["VersionId"]) == (b"old", "null")
    assert history(s3, bucket) == {"null": True, new: True}
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert history(s3, bucket) == {new: True}


def test_suspended(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    switch(s3, versioned, "Suspended")
    for body in (b"1", b"2"):  # the null version is replaced
        put = s3.put_object(Bucket=versioned, Key="k", Body=body)
        assert "VersionId" not in put
        got = s3.get_object(Bucket=versioned, Key="k")
        assert (got["Body"].read(), got["VersionId"]) == (body, "null")
        assert history(s3, versioned) == {kept: True, "null": True}
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert (marker["VersionId"], marker["DeleteMarker"]) == ("null", True)
    assert history(s3, versioned) == {kept: True, "null": False}
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId="null")
    assert (gone["VersionId"], gone["DeleteMarker"]) == ("null", True)
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == kept
    for write in (lambda: s3.copy_object(Bucket=versioned, Key="k",
                                         CopySource=f"{versioned}/k",
                                         MetadataDirective="REPLACE"),
                  lambda: complete(s3, versioned, "k")):
        assert "VersionId" not in write()
        assert history(s3, versioned) == {kept: True, "null": True}
    switch(s3, versioned, "Enabled")
    again = s3.put_object(Bucket=versioned, Key="k", Body=b"3")["VersionId"]
    assert history(s3, versioned) == {kept: True, "null": True, again: True}


def test_order_of_versions(s3, raw, versioned):
    """Newest first within a key; times never rise towards the old."""
    for key in ("b", "a", "b", "a", "b"):
        s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    s3.delete_object(Bucket=versioned, Key="b")
    found, marker = [], ""
    while True:
        page = raw.get(f"/{versioned}?versions&max-keys=2{marker}")
        found += zip(page.texts("Key"), page.texts("LastModified"),
                     page.texts("IsLatest"))
        if page.text("IsTruncated") == "false":
            break
        marker = (f"&key-marker={page.text('NextKeyMarker')}"
                  f"&version-id-marker={page.text('NextVersionIdMarker')}")
    assert [(key, latest) for key, _, latest in found] == [
        ("a", "true"), ("a", "false"),
        ("b", "true"), ("b", "false"), ("b", "false"), ("b", "false")]
    for key in "ab":
        times = [time for name, time, _ in found if name == key]
        assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("version, expected", [
    ("", (400, "InvalidArgument")), ("nobody", (400, "InvalidArgument")),
    ("a" * 32, (404, "NoSuchVersion")), ("null", (404, "NoSuchVersion"))])
def test_versions_that_are_not_there(s3, raw, versioned, version, expected):
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    target = f"/{versioned}/k?versionId={version}"
    assert raw.get(target).error == expected
    assert raw.get(f"{target}&tagging").error == expected
    deleted = raw.delete(target)
    if expected[0] == 404:  # as S3: nothing to delete is deleted
        assert deleted.status == 204
    else:
        assert deleted.error == expected
