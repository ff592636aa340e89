"""Policies, public access blocks and anonymous requests with boto3."""

import json
import urllib.error
import urllib.request

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource, principal="*", **more):
    return {"Effect": "Allow", "Principal": principal, "Action": action,
            "Resource": f"arn:aws:s3:::{resource}", **more}


def client_of(stack, **options):
    return boto3.client("s3", endpoint_url=stack.endpoint,
                        region_name="us-east-1", **options)


@pytest.fixture
def s3(stack):
    return stack.client()


@pytest.fixture
def user(stack, tmp_path, request):
    """A user of the owner's account, and a function that gives it rights."""
    name = request.node.name
    made = stack.ctl("user", "add", name)
    client = client_of(stack, aws_access_key_id=made["access_key"],
                       aws_secret_access_key=made["secret_key"])

    def put(*statements):
        path = tmp_path / "policy.json"
        path.write_text(policy(*(
            {k: v for k, v in s.items() if k != "Principal"}
            for s in statements)))
        stack.ctl("user", "put-policy", name, "rights", path)

    return made["arn"], client, put


def test_policy_is_kept(s3, bucket):
    text = policy(allow("s3:GetObject", f"{bucket}/*", {"AWS": "*"},
                        Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    status = s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]
    assert status == {"IsPublic": False}
    s3.delete_bucket_policy(Bucket=bucket)
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == (
        404, "NoSuchBucketPolicy")
    assert code_of(s3.put_bucket_policy, Bucket=bucket, Policy="{}") == (
        400, "MalformedPolicy")


def test_public_access_block(s3, bucket):
    every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy",
             "RestrictPublicBuckets")

    def block():
        return s3.get_public_access_block(
            Bucket=bucket)["PublicAccessBlockConfiguration"]

    assert block() == dict.fromkeys(every, True)
    public = policy(allow("s3:GetObject", f"{bucket}/*"))
    assert code_of(s3.put_bucket_policy, Bucket=bucket, Policy=public) == (
        403, "AccessDenied")
    wanted = dict.fromkeys(every, False) | {"IgnorePublicAcls": True}
    s3.put_public_access_block(Bucket=bucket,
                               PublicAccessBlockConfiguration=wanted)
    assert block() == wanted
    s3.put_bucket_policy(Bucket=bucket, Policy=public)
    s3.delete_public_access_block(Bucket=bucket)
    assert code_of(s3.get_public_access_block, Bucket=bucket) == (
        404, "NoSuchPublicAccessBlockConfiguration")


def test_a_static_site(stack, s3, bucket):
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="site/index.html", Body=b"<p>hello</p>",
                  ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="private", Body=b"secret")
    url = f"{stack.endpoint}/{bucket}/"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url + "site/index.html")
    assert error.value.code == 403
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(
        allow("s3:GetObject", f"{bucket}/site/*")))
    with urllib.request.urlopen(url + "site/index.html") as page:
        assert page.read() == b"<p>hello</p>"
        assert page.headers["Content-Type"] == "text/html"
    unsigned = client_of(stack, config=Config(
        signature_version=botocore.UNSIGNED))
    got = unsigned.get_object(Bucket=bucket, Key="site/index.html")
    assert got["Body"].read() == b"<p>hello</p>"
    for call, arguments in (
            (unsigned.get_object, {"Key": "private"}),
            (unsigned.get_object, {"Key": "site/none"}),
            (unsigned.put_object, {"Key": "site/new", "Body": b"x"}),
            (unsigned.list_objects_v2, {}),
            (unsigned.delete_object, {"Key": "site/index.html"})):
        assert code_of(call, Bucket=bucket, **arguments) == (
            403, "AccessDenied")


def test_a_user_with_a_home(s3, bucket, user):
    arn, client, put = user
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    assert code_of(client.list_buckets) == (403, "AccessDenied")
    assert code_of(client.put_object, Bucket=bucket, Key="home/k") == (
        403, "AccessDenied")
    put(allow(["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
              f"{bucket}/home/*"),
        allow("s3:ListBucket", bucket,
              Condition={"StringLike": {"s3:prefix": "home/*"}}))
    client.put_object(Bucket=bucket, Key="home/k", Body=b"mine")
    assert client.get_object(Bucket=bucket, Key="home/k")["Body"].read() == b"mine"
    listed = client.list_objects_v2(Bucket=bucket, Prefix="home/")
    assert [o["Key"] for o in listed["Contents"]] == ["home/k"]
    assert code_of(client.list_objects_v2, Bucket=bucket) == (
        403, "AccessDenied")
    assert code_of(client.get_object, Bucket=bucket, Key="other") == (
        403, "AccessDenied")
    assert code_of(client.put_object, Bucket=bucket, Key="home/k",
                   Tagging="a=b") == (403, "AccessDenied")
    answer = client.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": "home/k"}, {"Key": "other"}]})
    assert {(e["Key"], e["Code"]) for e in answer["Errors"]} == {
        ("home/k", "AccessDenied"), ("other", "AccessDenied")}
    upload = client.create_multipart_upload(Bucket=bucket, Key="home/big")
    client.abort_multipart_upload(Bucket=bucket, Key="home/big",
                                  UploadId=upload["UploadId"])


def test_tags_open_objects(s3, bucket, user):
    arn, client, put = user
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(
        allow("s3:GetObject", f"{bucket}/*", {"AWS": arn}, Condition={
            "StringEquals": {"s3:ExistingObjectTag/public": "yes"}})))
    for name, tagging in (("open", "public=yes"), ("shut", "public=no")):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x", Tagging=tagging)
    assert client.get_object(Bucket=bucket, Key="open")["TagCount"] == 1
    assert code_of(client.get_object, Bucket=bucket, Key="shut") == (
        403, "AccessDenied")
    s3.put_object_tagging(Bucket=bucket, Key="open", Tagging={
        "TagSet": [{"Key": "public", "Value": "no"}]})
    assert code_of(client.get_object, Bucket=bucket, Key="open") == (
        403, "AccessDenied")
