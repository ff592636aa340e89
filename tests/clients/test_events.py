"""Every event from its real operation, as Redis gets it, field by field."""

import json
import re
import urllib.request
import uuid
from datetime import datetime, timezone

import boto3
import pytest

from redis_server import INSTALLED
from stack import Stack, pattern, wait_for

pytestmark = pytest.mark.skipif(
    not INSTALLED, reason="redis-server is not installed")

HELLO = "5d41402abc4b2a76b9719d911017c592"
NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*",
          "s3:ObjectAcl:Put"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory, redis):
    stack = Stack(
        tmp_path_factory.mktemp("events"),
        s3d_extra='extensions = true; events = { targets = ( { name = "t"; '
                  f'redis = "unix:{redis.socket}"; key = "events"; }} ); }};')
    stack.start()
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.fixture(scope="module")
def account(stack):
    return stack.ctl("account", "list")["accounts"][0]


def entries(redis):
    """The messages of the stream, oldest first."""
    return [json.loads(fields[1])
            for _, fields in redis.ask("XRANGE", "events", "-", "+")]


class Told:
    """A bucket that tells all, and what it has told."""

    def __init__(self, stack, redis, account):
        self.redis = redis
        self.account = account
        self.s3 = stack.client()
        self.bucket = f"b{uuid.uuid4().hex}"
        self.seen = 0
        self.sequences = {}
        self.s3.create_bucket(
            Bucket=self.bucket, ObjectOwnership="BucketOwnerPreferred")
        answer = self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={
                "QueueConfigurations": [{
                    "Id": "all", "Events": EVENTS, "QueueArn":
                        f"arn:aws:sqs:us-east-1:{account['number']}:t"}]})
        test = self.messages(1)[0]
        assert set(test) == {"Service", "Event", "Time", "Bucket", "RequestId",
                             "HostId"}
        assert (test["Service"], test["Event"], test["RequestId"]) == (
            "Amazon S3", "s3:TestEvent",
            answer["ResponseMetadata"]["RequestId"])

    def messages(self, count):
        """The next ones; no more than these may come."""
        def mine():
            return [m for m in entries(self.redis) if self.bucket == (
                m["Bucket"] if "Bucket" in m
                else m["Records"][0]["s3"]["bucket"]["name"])]

        wait_for(lambda: len(mine()) >= self.seen + count, "events")
        new = mine()[self.seen:]
        assert len(new) == count, new
        self.seen += count
        return new

    def expect(self, answer, name, *objects, version="2.1", who=None):
        """What the request with this answer has told: one record for each."""
        now = datetime.now(timezone.utc).timestamp()
        request = answer["ResponseMetadata"]["RequestId"]
        for message, wanted in zip(self.messages(len(objects)), objects):
            assert list(message) == ["Records"] and len(message["Records"]) == 1
            record = message["Records"][0]
            at = datetime.fromisoformat(record.pop("eventTime"))
            assert abs(at.timestamp() - now) < 120
            thing = record["s3"]["object"]
            if "sequencer" in wanted:
                sequence = thing.pop("sequencer")
                assert re.fullmatch("[0-9A-F]{16}", sequence)
                assert sequence > self.sequences.get(thing["key"], "")
                self.sequences[thing["key"]] = sequence
            assert record == {
                "eventVersion": version, "eventSource": "aws:s3",
                "awsRegion": "us-east-1", "eventName": name,
                "userIdentity": {
                    "principalId": who or f"AWS:{self.account['number']}"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {
                    "x-amz-request-id": request, "x-amz-id-2": request},
                "s3": {"s3SchemaVersion": "1.0", "configurationId": "all",
                       "bucket": {
                           "name": self.bucket,
                           "ownerIdentity": {"principalId": self.owner()},
                           "arn": f"arn:aws:s3:::{self.bucket}"},
                       "object": {k: v for k, v in wanted.items()
                                  if k != "sequencer"}},
            }

    def owner(self):
        return self.s3.list_buckets()["Owner"]["ID"]


@pytest.fixture
def told(stack, redis, account):
    return Told(stack, redis, account)


def whole(key, size=5, etag=HELLO, **more):
    return {"key": key, "size": size, "eTag": etag, "sequencer": True, **more}


def test_put_and_copy(told):
    s3, bucket = told.s3, told.bucket
    answer = s3.put_object(Bucket=bucket, Key="ü b+c/100%.txt", Body=b"hello",
                           Tagging="a=1", ACL="private")
    key = "%C3%BC+b%2Bc/100%25.txt"
    told.expect(answer, "ObjectCreated:Put", whole(key))
    told.expect(s3.put_object(Bucket=bucket, Key="ü b+c/100%.txt"),
                "ObjectCreated:Put", whole(key, 0, NOTHING))
    s3.get_object(Bucket=bucket, Key="ü b+c/100%.txt")
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    told.messages(1)
    answer = s3.copy_object(Bucket=bucket, Key="copy",
                            CopySource=f"{bucket}/k")
    told.expect(answer, "ObjectCreated:Copy", whole("copy"))


def test_upload(told):
    on = {"Bucket": told.bucket, "Key": "m"}
    upload = told.s3.create_multipart_upload(**on)["UploadId"]
    parts = [{"PartNumber": n, "ETag": told.s3.upload_part(
        **on, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in ((1, pattern(5 << 20)), (2, b"end"))]
    answer = told.s3.complete_multipart_upload(
        **on, UploadId=upload, MultipartUpload={"Parts": parts})
    told.expect(answer, "ObjectCreated:CompleteMultipartUpload",
                whole("m", (5 << 20) + 3, answer["ETag"].strip('"')))


def test_form(stack, told):
    signer = stack.client(signature_version="s3v4")
    form = signer.generate_presigned_post(told.bucket, "form")
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        f"{value}\r\n" for name, value in {
            **form["fields"], "file": "hello"}.items()) + "--x--\r\n"
    with urllib.request.urlopen(urllib.request.Request(
            form["url"], body.encode(), method="POST", headers={
                "Content-Type": "multipart/form-data; boundary=x"})) as answer:
        request = answer.headers["x-amz-request-id"]
    told.expect({"ResponseMetadata": {"RequestId": request}},
                "ObjectCreated:Post", whole("form"))


def test_settings(told):
    on = {"Bucket": told.bucket, "Key": "k"}
    told.s3.put_object(**on, Body=b"hello")
    told.messages(1)
    plain = {"key": "k", "eTag": HELLO}
    told.expect(told.s3.put_object_tagging(**on, Tagging={
        "TagSet": [{"Key": "a", "Value": "1"}]}), "ObjectTagging:Put", plain,
        version="2.3")
    told.expect(told.s3.delete_object_tagging(**on), "ObjectTagging:Delete",
                plain, version="2.3")
    told.expect(told.s3.put_object_acl(**on, ACL="bucket-owner-read"),
                "ObjectAcl:Put", plain, version="2.3")


def gone(key, **more):
    return {"key": key, "sequencer": True, **more}


def test_deletes(told):
    s3, bucket = told.s3, told.bucket
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    told.messages(3)
    told.expect(s3.delete_object(Bucket=bucket, Key="a"),
                "ObjectRemoved:Delete", gone("a"))
    s3.delete_object(Bucket=bucket, Key="a")
    answer = s3.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": key} for key in "cab"]})
    told.expect(answer, "ObjectRemoved:Delete", gone("c"), gone("b"))


def test_versions(told):
    s3 = told.s3
    on = {"Bucket": told.bucket, "Key": "k"}
    s3.put_bucket_versioning(Bucket=told.bucket, VersioningConfiguration={
        "Status": "Enabled"})
    answer = s3.put_object(**on, Body=b"hello")
    version = answer["VersionId"]
    told.expect(answer, "ObjectCreated:Put", whole("k", versionId=version))
    answer = s3.delete_object(**on)
    marker = answer["VersionId"]
    told.expect(answer, "ObjectRemoved:DeleteMarkerCreated", {
        "key": "k", "eTag": NOTHING, "versionId": marker, "sequencer": True})
    for gone_id in marker, version:
        answer = s3.delete_object(**on, VersionId=gone_id)
        told.expect(answer, "ObjectRemoved:Delete",
                    gone("k", versionId=gone_id))


def test_who(stack, told, tmp_path):
    made = stack.ctl("user", "add", "teller")
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    stack.ctl("user", "put-policy", "teller", "all", path)
    keys = {"aws_access_key_id": made["access_key"],
            "aws_secret_access_key": made["secret_key"]}
    place = {"endpoint_url": stack.endpoint, "region_name": "us-east-1"}
    iam = boto3.client("iam", **place, aws_access_key_id=stack.access_key,
                       aws_secret_access_key=stack.secret_key)
    user_id = iam.get_user(UserName="teller")["User"]["UserId"]
    answer = boto3.client("s3", **place, **keys).put_object(
        Bucket=told.bucket, Key="k", Body=b"hello")
    told.expect(answer, "ObjectCreated:Put", whole("k"), who=f"AWS:{user_id}")


def test_extensions(told):
    s3, bucket = told.s3, told.bucket
    s3.put_object(Bucket=bucket, Key="old", Body=b"hel")
    told.messages(1)
    answer = s3.put_object(Bucket=bucket, Key="old", Body=b"lo",
                           WriteOffsetBytes=3)
    told.expect(answer, "ObjectCreated:Put",
                whole("old", etag=answer["ETag"].strip('"')))


def test_order_under_load(told):
    """Of one key the sequences rise as its versions do."""
    s3 = told.s3
    tags = [s3.put_object(Bucket=told.bucket, Key="k", Body=b"%d" % i)["ETag"]
            for i in range(50)]
    records = [m["Records"][0]["s3"]["object"] for m in told.messages(50)]
    assert [f'"{r["eTag"]}"' for r in records] == tags
    sequences = [r["sequencer"] for r in records]
    assert sequences == sorted(set(sequences))


def rot(drive):
    """Turns over a byte in each 64 KiB of what is stored, headers spared."""
    for path in (drive / "extents").rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                for at in range(5000, path.stat().st_size, 65536):
                    file.seek(at)
                    byte = file.read(1)[0] ^ 0x55
                    file.seek(at)
                    file.write(bytes([byte]))


def test_care(stack, told):
    """The last one: it leaves the drives damaged."""
    on = {"Bucket": told.bucket, "Key": "k"}
    told.s3.put_object(**on, Body=pattern(1 << 20))
    told.s3.put_bucket_notification_configuration(
        Bucket=told.bucket, NotificationConfiguration={
            "QueueConfigurations": [{
                "Id": "care", "QueueArn":
                    f"arn:aws:sqs:us-east-1:{told.account['number']}:t",
                "Events": ["s3d:Healing:*", "s3:ReducedRedundancyLostObject"]}]})
    told.messages(2)  # of the PUT, and the test event
    for drives, name in ((stack.drives[5:], "s3d:Healing:Completed"),
                         (stack.drives[3:], "ReducedRedundancyLostObject")):
        for drive in drives:
            rot(drive)
        stack.ctl("scrub", "start")
        record = told.messages(1)[0]["Records"][0]
        assert record["eventName"] == name
        assert record["userIdentity"]["principalId"] == "s3.amazonaws.com"
        assert record["s3"]["object"]["key"] == "k"
        assert record["s3"]["object"]["size"] == 1 << 20
