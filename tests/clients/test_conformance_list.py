"""Listings of objects, versions, uploads and parts: every argument, right and
wrong, and pages that together show each name once."""

import pytest
from conformance import Raw, quote


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


KEYS = ["!", "a", "a+b", "asdf/", "boo/bar", "boo/baz/xyzzy", "cquux/thud",
        "cquux/bla", "dir//x", "e f", "per%cent", "zz", "é", "日本/1", "😀"]


@pytest.fixture(scope="module")
def full(s3):
    s3.create_bucket(Bucket="full")
    for key in KEYS:
        s3.put_object(Bucket="full", Key=key, Body=key.encode())
    return "full"


def model(keys, prefix="", delimiter="", after=None):
    """Names in the order of their bytes; (name, is a common prefix)."""
    found = {}
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key[:cut + len(delimiter)] if cut >= 0 else key
        if after is None or name.encode() > after.encode():
            found[name] = cut >= 0
    return list(found.items())


def names(page):
    """Of one page, contents and prefixes merged in order."""
    both = [(o["Key"], False) for o in page.get("Contents", [])]
    both += [(p["Prefix"], True) for p in page.get("CommonPrefixes", [])]
    return sorted(both, key=lambda name: name[0].encode())


QUERIES = [("", ""), ("", "/"), ("boo/", "/"), ("a", "s"), ("", "x"),
           ("", "foo"), ("cq", "uu"), ("dir/", "/"), ("nothing", "/"),
           ("", " "), ("日本/", ""), ("", "%"), ("boo/bar", "/"), ("/", "")]


@pytest.mark.parametrize("prefix, delimiter", QUERIES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pages_v2(s3, full, prefix, delimiter, size):
    expected, found, token = model(KEYS, prefix, delimiter), [], {}
    while True:
        page = s3.list_objects_v2(Bucket=full, Prefix=prefix, MaxKeys=size,
                                  Delimiter=delimiter, **token)
        assert page["KeyCount"] == len(names(page)) <= size
        found += names(page)
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == expected


@pytest.mark.parametrize("prefix, delimiter", QUERIES)
def test_pages_v1(s3, full, prefix, delimiter):
    expected, found, marker = model(KEYS, prefix, delimiter), [], ""
    while True:
        page = s3.list_objects(Bucket=full, Prefix=prefix, MaxKeys=2,
                               Delimiter=delimiter, Marker=marker)
        found += names(page)
        # NextMarker stands there only with a delimiter
        assert ("NextMarker" in page) == bool(page["IsTruncated"] and delimiter)
        if not page["IsTruncated"]:
            break
        marker = page.get("NextMarker", names(page)[-1][0])
    assert found == expected


@pytest.mark.parametrize("after", ["", "a", "boo", "boo/", "boo/b", "cquux/",
                                   "nothing", "\x01", "😀", "zzz"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_after(s3, full, after, delimiter):
    expected = model(KEYS, "", delimiter, after)
    v1 = s3.list_objects(Bucket=full, Marker=after, Delimiter=delimiter)
    v2 = s3.list_objects_v2(Bucket=full, StartAfter=after, Delimiter=delimiter)
    assert names(v1) == names(v2) == expected


def test_token_wins_over_start_after(s3, full):
    first = s3.list_objects_v2(Bucket=full, MaxKeys=2)
    page = s3.list_objects_v2(
        Bucket=full, MaxKeys=1, StartAfter="zz",
        ContinuationToken=first["NextContinuationToken"])
    assert [o["Key"] for o in page["Contents"]] == [sorted(KEYS)[2]]
    assert page["ContinuationToken"] == first["NextContinuationToken"]


def test_start_after_a_name_that_is_a_prefix(s3, bucket):
    """A prefix at the marker itself is past; keys below it are not."""
    for key in ("p1", "p1/a", "p2"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="p1", Delimiter="/")
    assert names(page) == [("p1/", True), ("p2", False)]
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="p1/")
    assert names(page) == [("p1/a", False), ("p2", False)]


def test_owner(s3, full):
    def owned(**options):
        page = s3.list_objects_v2(Bucket=full, MaxKeys=1, **options)
        return "Owner" in page["Contents"][0]
    assert [owned(), owned(FetchOwner=False), owned(FetchOwner=True)] == [
        False, False, True]
    v1 = s3.list_objects(Bucket=full, MaxKeys=1)["Contents"][0]
    assert v1["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert v1["StorageClass"] == "STANDARD"
    assert v1["ETag"].startswith('"')


def test_empty_arguments_are_none(raw, full):
    plain = raw.get(f"/{full}").texts("Key")
    for name in ("prefix", "delimiter", "marker", "max-keys"):
        answer = raw.get(f"/{full}?{name}=")
        assert (answer.status, answer.texts("Key")) == (200, plain)
        assert answer.text("Delimiter") is None


@pytest.mark.parametrize("listing, argument", [
    ("", "max-keys"), ("list-type=2&", "max-keys"), ("versions&", "max-keys"),
    ("uploads&", "max-uploads")])
def test_sizes_of_pages(raw, full, listing, argument):
    for wrong in ("-1", "blah", "1.5", "2147483648", "99999999999999999999"):
        answer = raw.get(f"/{full}?{listing}{argument}={wrong}")
        assert answer.error == (400, "InvalidArgument")
        assert (answer.text("ArgumentName"), answer.text("ArgumentValue")) == (
            argument, wrong)
    none = raw.get(f"/{full}?{listing}{argument}=0")
    assert (none.status, none.text("IsTruncated")) == (200, "false")
    assert none.texts("Key") == []
    element = {"max-keys": "MaxKeys", "max-uploads": "MaxUploads"}[argument]
    capped = raw.get(f"/{full}?{listing}{argument}=1001")
    assert (capped.status, capped.text(element)) == (200, "1000")


@pytest.mark.parametrize("listing", ["", "list-type=2&", "versions&",
                                     "uploads&"])
def test_encoding(raw, full, listing):
    for wrong in ("xml", "URL", ""):
        answer = raw.get(f"/{full}?{listing}encoding-type={wrong}")
        assert answer.error == (400, "InvalidArgument")
        assert answer.text("ArgumentName") == "encoding-type"
    answer = raw.get(f"/{full}?{listing}delimiter=%2B&encoding-type=url"
                     "&prefix=%C3%A9%20%2F")
    assert answer.text("EncodingType") == "url"
    assert answer.text("Prefix") == "%C3%A9%20/"
    assert answer.text("Delimiter") == "%2B"


def test_encoded_keys(raw, full):
    answer = raw.get(f"/{full}?encoding-type=url")
    assert answer.texts("Key") == [
        quote(key).replace("%2F", "/")
        for key in sorted(KEYS, key=str.encode)]


@pytest.mark.parametrize("token", ["x", "", "AAAA", "%00", "%3D", "x" * 3000])
def test_tokens_that_nobody_gave(raw, full, token):
    answer = raw.get(f"/{full}?continuation-token={token}&list-type=2")
    assert answer.error == (400, "InvalidArgument")
    assert answer.text("ArgumentName") == "continuation-token"


@pytest.mark.parametrize("argument", ["prefix", "marker", "delimiter"])
@pytest.mark.parametrize("value", ["%FF", "%00", "%01", "%0A", "%3C%26"])
def test_odd_bytes_keep_the_page_whole(raw, full, argument, value):
    import xml.etree.ElementTree
    answer = raw.get(f"/{full}?{argument}={value}")
    assert answer.status == 200
    xml.etree.ElementTree.fromstring(answer.body)


# --- versions
@pytest.mark.parametrize("query, name", [
    ("version-id-marker=null", "version-id-marker"),
    ("key-marker=a&version-id-marker=nobody", "version-id-marker")])
def test_version_markers(raw, full, query, name):
    answer = raw.get(f"/{full}?{query}&versions")
    assert answer.error == (400, "InvalidArgument")
    assert answer.text("ArgumentName") == name


def test_versions_of_a_plain_bucket(s3, full):
    found = s3.list_object_versions(Bucket=full)["Versions"]
    assert [v["Key"] for v in found] == sorted(KEYS, key=str.encode)
    assert {(v["VersionId"], v["IsLatest"]) for v in found} == {("null", True)}


# --- uploads and parts
@pytest.fixture(scope="module")
def uploads(s3):
    s3.create_bucket(Bucket="uploads")
    keys = ["a", "a", "b/1", "b/2", "c"]
    return [(key, s3.create_multipart_upload(Bucket="uploads", Key=key)
             ["UploadId"]) for key in keys]


def test_upload_pages(s3, uploads):
    found, marker = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket="uploads", MaxUploads=2,
                                         **marker)
        found += [(u["Key"], u["UploadId"]) for u in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"],
                  "UploadIdMarker": page["NextUploadIdMarker"]}
    assert found == uploads
    assert s3.list_objects_v2(Bucket="uploads")["KeyCount"] == 0


def test_upload_arguments(s3, raw, uploads):
    page = s3.list_multipart_uploads(Bucket="uploads", Delimiter="/")
    assert [u["Key"] for u in page["Uploads"]] == ["a", "a", "c"]
    assert page["CommonPrefixes"] == [{"Prefix": "b/"}]
    page = s3.list_multipart_uploads(Bucket="uploads", Prefix="b/")
    assert [u["Key"] for u in page["Uploads"]] == ["b/1", "b/2"]
    page = s3.list_multipart_uploads(Bucket="uploads", KeyMarker="a")
    assert [u["Key"] for u in page["Uploads"]] == ["b/1", "b/2", "c"]
    # without a key's marker an upload's marker says nothing
    answer = raw.get("/uploads?upload-id-marker=zz&uploads")
    assert (answer.status, len(answer.texts("Key"))) == (200, 5)
    assert raw.get("/uploads/a?uploads").error == (400, "InvalidRequest")


def test_part_pages(s3, raw, uploads):
    key, upload = uploads[4]
    where = {"Bucket": "uploads", "Key": key, "UploadId": upload}
    for number in (1, 2, 5, 10000):
        s3.upload_part(**where, PartNumber=number, Body=b"x" * number)
    found, marker = [], 0
    while True:
        page = s3.list_parts(**where, MaxParts=3, PartNumberMarker=marker)
        found += [(p["PartNumber"], p["Size"]) for p in page["Parts"]]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert found == [(n, n) for n in (1, 2, 5, 10000)]
    target = f"/uploads/{key}?uploadId={upload}"
    for argument in ("max-parts", "part-number-marker"):
        for wrong in ("-1", "x", "2147483648"):
            answer = raw.get(f"{target}&{argument}={wrong}")
            assert answer.error == (400, "InvalidArgument")
            assert answer.text("ArgumentName") == argument
    answer = raw.get(f"{target}&max-parts=0")
    assert (answer.text("IsTruncated"), answer.texts("Part")) == ("false", [])
    assert raw.get(f"{target}&max-parts=1001").text("MaxParts") == "1000"
    answer = raw.get(f"{target}&part-number-marker=10000")
    assert (answer.status, answer.texts("PartNumber")) == (200, [])
