"""The notification configuration of buckets with boto3 and awscli."""

import json
import pathlib
import sys

import boto3
import pytest
from botocore.exceptions import ClientError

from stack import Stack

AWS = pathlib.Path(sys.executable).parent / "aws"
CREATED = ["s3:ObjectCreated:*"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("notifications")
    target = ('{{ name = "{}"; kind = "{}"; redis = "unix:{}/none"; '
              'key = "events"; }}')
    targets = ", ".join(target.format(name, kind, directory) for name, kind in (
        ("stream", "stream"), ("topic", "pubsub"), ("hash", "namespace"),
        ("eventbridge", "stream")))
    stack = Stack(directory, drives=2,
                  s3d_extra=f"events = {{ targets = ( {targets} ); }};")
    stack.start()
    yield stack
    stack.stop()
    stack.check_logs()


@pytest.fixture
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def account(stack):
    return stack.ctl("account", "list")["accounts"][0]["number"]


def arn(account, service, name):
    return f"arn:aws:{service}:us-east-1:{account}:{name}"


def told(s3, bucket):
    answer = s3.get_bucket_notification_configuration(Bucket=bucket)
    del answer["ResponseMetadata"]
    return answer


def put(s3, bucket, **configuration):
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration)


def refusal(s3, bucket, **configuration):
    with pytest.raises(ClientError) as caught:
        put(s3, bucket, **configuration)
    error = dict(caught.value.response["Error"])
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    for name in ("Resource", "RequestId", "HostId", "Type"):
        error.pop(name, None)
    return status, error


def test_as_put(s3, bucket, account):
    configuration = {
        "TopicConfigurations": [{
            "Id": "topic", "TopicArn": arn(account, "sns", "topic"),
            "Events": ["s3:ObjectRemoved:Delete", "s3:ObjectTagging:*"]}],
        "QueueConfigurations": [{
            "Id": "stream", "QueueArn": arn(account, "sqs", "stream"),
            "Events": CREATED, "Filter": {"Key": {"FilterRules": [
                {"Name": "prefix", "Value": "photos/ü &"},
                {"Name": "suffix", "Value": ".jpg"}]}}}, {
            "Id": "hash", "QueueArn": arn(account, "sqs", "hash"),
            "Events": CREATED, "Filter": {"Key": {"FilterRules": [
                {"Name": "Prefix", "Value": "text/"}]}}}],
    }
    put(s3, bucket, **configuration)
    rules = configuration["QueueConfigurations"][0]["Filter"]["Key"][
        "FilterRules"]
    rules[0]["Name"], rules[1]["Name"] = "Prefix", "Suffix"  # as S3 tells them
    assert told(s3, bucket) == configuration
    put(s3, bucket)
    assert told(s3, bucket) == {}


def test_kept_over_a_restart(stack, s3, bucket, account):
    rule = {"Id": "1", "QueueArn": arn(account, "sqs", "stream"),
            "Events": CREATED}
    put(s3, bucket, QueueConfigurations=[rule])
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    stack.restart_s3d()
    assert told(s3, bucket) == {"QueueConfigurations": [rule]}
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")


def test_unknown_targets(s3, bucket, account):
    missing = arn(account, "sqs", "missing")
    other = arn("000000000000", "sns", "topic")
    status, error = refusal(s3, bucket, QueueConfigurations=[
        {"QueueArn": missing, "Events": CREATED}], TopicConfigurations=[
            {"TopicArn": other, "Events": ["s3:ObjectAcl:Put"]}])
    assert (status, error["Code"]) == (400, "InvalidArgument")
    assert error["Message"] == (
        "Unable to validate the following destination configurations")
    assert {error["ArgumentName1"]: error["ArgumentValue1"],
            error["ArgumentName2"]: error["ArgumentValue2"]} == {
        missing: "The destination queue does not exist",
        other: "The destination topic does not exist"}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, SkipDestinationValidation=True,
        NotificationConfiguration={"QueueConfigurations": [
            {"Id": "1", "QueueArn": missing, "Events": CREATED}]})
    assert told(s3, bucket)["QueueConfigurations"][0]["QueueArn"] == missing


def test_other_kinds(s3, bucket):
    status, error = refusal(s3, bucket, LambdaFunctionConfigurations=[
        {"LambdaFunctionArn": "arn:aws:lambda:us-east-1:1:function:f",
         "Events": CREATED}])
    assert (status, error["Code"]) == (400, "InvalidArgument")
    assert told(s3, bucket) == {}


def test_event_bridge(s3, bucket):
    put(s3, bucket, EventBridgeConfiguration={})
    assert told(s3, bucket) == {"EventBridgeConfiguration": {}}
    put(s3, bucket)
    assert told(s3, bucket) == {}


REFUSED = {
    "unknown event": (
        [("stream", ["s3:ObjectCreated:Putt"], [])],
        {"ArgumentName": "Event", "ArgumentValue": "s3:ObjectCreated:Putt",
         "Message": "The event is not supported for notifications"}),
    "unknown filter": (
        [("stream", CREATED, [("infix", "x")])],
        {"ArgumentName": "FilterRule.Name", "ArgumentValue": "infix",
         "Message": "filter rule name must be either prefix or suffix"}),
    "overlap": (
        [("stream", CREATED, []), ("hash", ["s3:ObjectCreated:Copy"], [])],
        {"ArgumentName": "Event",
         "ArgumentValue": "s3:ObjectCreated:*, s3:ObjectCreated:Copy",
         "Message": "Configurations overlap. Configurations on the same bucket "
                    "cannot share a common event type."}),
    "filters overlap": (
        [("stream", CREATED, [("prefix", "a")]),
         ("hash", CREATED, [("prefix", "ab"), ("suffix", ".c")])],
        {"ArgumentName": "Event",
         "ArgumentValue": "s3:ObjectCreated:*, s3:ObjectCreated:*",
         "Message": "Configuration is ambiguously defined. Cannot have "
                    "overlapping suffixes in two rules if the prefixes are "
                    "overlapping for the same event type."}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(s3, bucket, account, name):
    rules, expected = REFUSED[name]
    status, error = refusal(s3, bucket, QueueConfigurations=[
        {"QueueArn": arn(account, "sqs", target), "Events": events,
         "Filter": {"Key": {"FilterRules": [
             {"Name": key, "Value": value} for key, value in filters]}}}
        for target, events, filters in rules])
    assert status == 400
    assert error == {"Code": "InvalidArgument", **expected}
    assert told(s3, bucket) == {}


def test_who_may(stack, s3, bucket, account, tmp_path):
    made = stack.ctl("user", "add", "notifier")
    user = boto3.client(
        "s3", endpoint_url=stack.endpoint, region_name="us-east-1",
        aws_access_key_id=made["access_key"],
        aws_secret_access_key=made["secret_key"])

    def may(*actions):
        path = tmp_path / "policy.json"
        path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": list(actions),
            "Resource": f"arn:aws:s3:::{bucket}"}]}))
        stack.ctl("user", "put-policy", "notifier", "rights", path)

    rule = {"Id": "1", "QueueArn": arn(account, "sqs", "stream"),
            "Events": CREATED}
    may("s3:GetBucketNotification")
    assert told(user, bucket) == {}
    assert refusal(user, bucket, QueueConfigurations=[rule])[1]["Code"] == (
        "AccessDenied")
    may("s3:PutBucketNotification")
    put(user, bucket, QueueConfigurations=[rule])
    with pytest.raises(ClientError, match="AccessDenied"):
        told(user, bucket)
    assert told(s3, bucket) == {"QueueConfigurations": [rule]}


def test_awscli(run, bucket, account):
    rule = {"Id": "1", "QueueArn": arn(account, "sqs", "stream"),
            "Events": CREATED}
    words = ["--bucket", bucket, "--notification-configuration"]
    run(AWS, "s3api", "put-bucket-notification-configuration", *words,
        json.dumps({"QueueConfigurations": [rule]}))
    got = run(AWS, "s3api", "get-bucket-notification-configuration",
              "--bucket", bucket)
    assert json.loads(got.stdout) == {"QueueConfigurations": [rule]}
    rule["QueueArn"] = "stream"
    failed = run(AWS, "s3api", "put-bucket-notification-configuration", *words,
                 json.dumps({"QueueConfigurations": [rule]}), ok=False)
    assert failed.returncode != 0
    assert b"(InvalidArgument)" in failed.stderr
    assert b"The ARN could not be parsed" in failed.stderr
