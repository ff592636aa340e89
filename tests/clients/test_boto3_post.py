"""Uploads with the forms that boto3's generate_presigned_post makes."""

import hashlib
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

import boto3
import pytest
from botocore.config import Config
from stack import pattern

BOUNDARY = "a-boundary-of-the-tests"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def encode(fields, data, filename):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        f"\r\n\r\n{value}\r\n".encode() for name, value in fields.items()]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{filename}"\r\n\r\n'.encode())
    return b"".join([*parts, data, f"\r\n--{BOUNDARY}--\r\n".encode()])


def send(post, data, filename="file.bin", **changes):
    """Sends a form; returns status, headers and body."""
    fields = {**post["fields"], **changes}
    request = urllib.request.Request(
        post["url"], encode(fields, data, filename), method="POST", headers={
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    try:
        answer = OPENER.open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read()


def error_of(answer):
    status, _, body = answer
    document = xml.etree.ElementTree.fromstring(body)
    return status, document.findtext("Code"), document.findtext("Message")


@pytest.fixture
def s3(stack):
    """Signs with version 4: of forms, boto3 does not by itself."""
    return stack.client(signature_version="s3v4")


def test_upload(s3, bucket):
    post = s3.generate_presigned_post(bucket, "dir/${filename}")
    status, headers, body = send(post, b"hello", "my file ä.txt")
    assert status == 204 and body == b""
    assert headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="dir/my file ä.txt")
    assert got["Body"].read() == b"hello"


@pytest.mark.parametrize("size", [0, 1, (8 << 20) - 1, 8 << 20, (21 << 20) + 7])
def test_sizes(s3, bucket, size):
    data = pattern(size)
    post = s3.generate_presigned_post(
        bucket, "k", Conditions=[["content-length-range", size, size]])
    assert send(post, data)[0] == 204
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == size
    assert got["Body"].read() == data
    assert got["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    if size > 0:
        copy = s3.copy_object(Bucket=bucket, Key="copy",
                              CopySource={"Bucket": bucket, "Key": "k"})
        assert copy["CopyObjectResult"]["ETag"] == got["ETag"]
        attributes = s3.get_object_attributes(
            Bucket=bucket, Key="copy",
            ObjectAttributes=["ObjectSize", "ObjectParts"])
        assert attributes["ObjectSize"] == size
        assert "ObjectParts" not in attributes
    assert error_of(send(post, data + b"x"))[:2] == (400, "EntityTooLarge")
    if size > 0:
        assert error_of(send(post, data[1:]))[:2] == (400, "EntityTooSmall")


def test_fields(s3, bucket):
    fields = {
        "Content-Type": "image/png", "Cache-Control": "no-store",
        "x-amz-meta-Name": "value", "x-amz-storage-class": "STANDARD_IA",
        "acl": "private", "success_action_status": "201",
        "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag>"
                   "</TagSet></Tagging>"}
    post = s3.generate_presigned_post(
        bucket, "k", Fields=fields,
        Conditions=[{name: value} for name, value in fields.items()])
    status, headers, body = send(post, b"x")
    assert status == 201
    document = xml.etree.ElementTree.fromstring(body)
    assert document.tag == "PostResponse"
    assert document.findtext("Bucket") == bucket
    assert document.findtext("Key") == "k"
    assert document.findtext("ETag") == headers["ETag"]
    assert document.findtext("Location") == headers["Location"]
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentType"] == "image/png"
    assert head["CacheControl"] == "no-store"
    assert head["Metadata"] == {"name": "value"}
    assert head["StorageClass"] == "STANDARD_IA"
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "b"}]


def test_redirect(s3, bucket):
    page = "http://example.com/done"
    post = s3.generate_presigned_post(
        bucket, "a b/c", Fields={"success_action_redirect": page},
        Conditions=[["eq", "$success_action_redirect", page]])
    status, headers, _ = send(post, b"x")
    assert status == 303
    url = urllib.parse.urlsplit(headers["Location"])
    assert headers["Location"].startswith(page + "?")
    assert urllib.parse.parse_qs(url.query) == {
        "bucket": [bucket], "key": ["a b/c"],
        "etag": [f'"{hashlib.md5(b"x").hexdigest()}"']}


def test_refusals(s3, bucket):
    post = s3.generate_presigned_post(bucket, "user/${filename}")
    assert error_of(send(post, b"x", key="other")) == (
        403, "AccessDenied", "Invalid according to Policy: Policy Condition "
        'failed: ["starts-with", "$key", "user/"]')
    assert error_of(send(post, b"x", **{"x-amz-meta-a": "1"})) == (
        403, "AccessDenied",
        "Invalid according to Policy: Extra input fields: x-amz-meta-a")
    assert error_of(send(post, b"x", policy=post["fields"]["policy"][:-4]))[
        :2] == (403, "SignatureDoesNotMatch")
    brief = s3.generate_presigned_post(bucket, "k", ExpiresIn=1)
    time.sleep(1.1)
    assert error_of(send(brief, b"x")) == (
        403, "AccessDenied", "Invalid according to Policy: Policy expired.")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_user_of_another(s3, stack, bucket):
    """Whoever signs the policy must own the bucket."""
    user = stack.ctl("account", "add", "poster")
    other = boto3.client(
        "s3", endpoint_url=stack.endpoint, region_name="us-east-1",
        aws_access_key_id=user["access_key"],
        aws_secret_access_key=user["secret_key"],
        config=Config(signature_version="s3v4"))
    post = other.generate_presigned_post(bucket, "k")
    assert error_of(send(post, b"x")) == (403, "AccessDenied", "Access Denied")


def test_signature_version_2(stack, bucket):
    post = stack.client(signature_version="s3").generate_presigned_post(
        bucket, "k")
    assert error_of(send(post, b"x")) == (
        400, "InvalidRequest", "The authorization mechanism you have provided "
        "is not supported. Please use AWS4-HMAC-SHA256.")
