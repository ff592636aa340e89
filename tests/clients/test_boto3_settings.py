"""Tags, CORS and attributes with boto3."""

import urllib.request

import pytest
from botocore.exceptions import ClientError

MIN_PART = 5 << 20


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def s3(stack):
    return stack.client()


def by_key(tags):
    return {tag["Key"]: tag["Value"] for tag in tags}


def tag_set(**tags):
    return {"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]}


def test_object_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=%C3%A9+2")
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert by_key(tags) == {"a": "1", "b": "é 2"}
    before = s3.head_object(Bucket=bucket, Key="k")
    assert before["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tag_set(c="3"))
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert by_key(tags) == {"c": "3"}
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="other", CopySource=source,
                   TaggingDirective="REPLACE", Tagging="d=4")
    assert [by_key(s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])
            for key in ("same", "other")] == [{"c": "3"}, {"d": "4"}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    after = s3.head_object(Bucket=bucket, Key="k")
    assert "TagCount" not in after
    assert (after["ETag"], after["LastModified"]) == (
        before["ETag"], before["LastModified"])
    eleven = tag_set(**{f"k{i}": "v" for i in range(11)})
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging=eleven) == "BadRequest"
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging={"TagSet": tag_set(a="1")["TagSet"] * 2}) \
        == "InvalidTag"


def test_bucket_tags(s3, bucket):
    assert code_of(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tag_set(team="é", cost="7"))
    tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert by_key(tags) == {"team": "é", "cost": "7"}
    s3.delete_bucket_tagging(Bucket=bucket)
    assert code_of(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"


def test_cors(stack, s3, bucket):
    assert code_of(s3.get_bucket_cors, Bucket=bucket) \
        == "NoSuchCORSConfiguration"
    rules = [{"ID": "one", "AllowedOrigins": ["http://*.example.com"],
              "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-*"],
              "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = stack.client(signature_version="s3v4").generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"})
    for origin, allowed in (("http://a.example.com", "http://a.example.com"),
                            ("http://example.org", None)):
        request = urllib.request.Request(url, headers={"Origin": origin})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == allowed
    s3.delete_bucket_cors(Bucket=bucket)
    assert code_of(s3.get_bucket_cors, Bucket=bucket) \
        == "NoSuchCORSConfiguration"


def test_attributes(s3, bucket):
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    parts = []
    for number, size in ((1, MIN_PART), (2, MIN_PART), (3, 7)):
        part = s3.upload_part(**where, PartNumber=number, Body=b"x" * size,
                              ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"],
                      "ChecksumSHA256": part["ChecksumSHA256"]})
    done = s3.complete_multipart_upload(**where,
                                        MultipartUpload={"Parts": parts})
    found = s3.get_object_attributes(
        Bucket=bucket, Key="k", MaxParts=2,
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
    assert f'"{found["ETag"]}"' == done["ETag"]
    assert found["Checksum"] == {"ChecksumSHA256": done["ChecksumSHA256"],
                                 "ChecksumType": "COMPOSITE"}
    assert found["ObjectSize"] == 2 * MIN_PART + 7
    listed = found["ObjectParts"]
    assert (listed["TotalPartsCount"], listed["IsTruncated"]) == (3, True)
    assert [p["ChecksumSHA256"] for p in listed["Parts"]] == [
        p["ChecksumSHA256"] for p in parts[:2]]
    rest = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"],
        PartNumberMarker=listed["NextPartNumberMarker"])["ObjectParts"]
    assert [(p["PartNumber"], p["Size"]) for p in rest["Parts"]] == [(3, 7)]
    assert code_of(s3.get_object_attributes, Bucket=bucket, Key="none",
                   ObjectAttributes=["ETag"]) == "NoSuchKey"


def test_website(s3, bucket):
    assert code_of(s3.get_bucket_website,
                   Bucket=bucket) == "NoSuchWebsiteConfiguration"
    site = {
        "IndexDocument": {"Suffix": "index.html"},
        "ErrorDocument": {"Key": "error.html"},
        "RoutingRules": [
            {"Condition": {"KeyPrefixEquals": "docs/",
                           "HttpErrorCodeReturnedEquals": "404"},
             "Redirect": {"HostName": "example.com", "Protocol": "https",
                          "HttpRedirectCode": "307",
                          "ReplaceKeyPrefixWith": "documents/"}},
            {"Redirect": {"ReplaceKeyWith": "moved.html"}},
        ],
    }
    everything = {"RedirectAllRequestsTo": {"HostName": "example.com",
                                            "Protocol": "https"}}
    for wanted in (site, everything):
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=wanted)
        got = s3.get_bucket_website(Bucket=bucket)
        got.pop("ResponseMetadata")
        assert got == wanted
    assert code_of(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "a/b"}}) == "InvalidArgument"
    assert code_of(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration={
        **site, **everything}) == "InvalidArgument"
    s3.delete_bucket_website(Bucket=bucket)
    assert code_of(s3.get_bucket_website,
                   Bucket=bucket) == "NoSuchWebsiteConfiguration"
