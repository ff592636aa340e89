"""Terraform's AWS provider makes a bucket and its documents, a role and a user,
finds nothing to change afterwards, and removes all of it. On demand
(S3D_LONG_RUN): it takes a minute of processor time to read its own schema; and
where it is installed with its provider, as no package of Debian's has it."""

import json
import os
import pathlib
import shutil
import subprocess

import boto3
import pytest
from redis_server import INSTALLED
from stack import Stack

PLUGINS = pathlib.Path(os.environ.get("TF_PLUGINS", "/opt/tf-plugins"))
pytestmark = pytest.mark.skipif(
    not os.environ.get("S3D_LONG_RUN") or not INSTALLED
    or not shutil.which("terraform") or not PLUGINS.is_dir(),
    reason="on demand, with terraform and its AWS provider")

PROVIDER = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  region                      = "us-east-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {
    s3  = "ENDPOINT"
    iam = "ENDPOINT"
    sts = "ENDPOINT"
  }
}
"""
RESOURCES = """
resource "aws_s3_bucket" "b" {
  bucket        = "terraformed"
  force_destroy = true
  tags          = { team = "storage" }
}
resource "aws_s3_bucket_versioning" "b" {
  bucket = aws_s3_bucket.b.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_cors_configuration" "b" {
  bucket = aws_s3_bucket.b.id
  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = ["https://example.com"]
  }
}
resource "aws_s3_bucket_public_access_block" "b" {
  bucket              = aws_s3_bucket.b.id
  block_public_acls   = true
  block_public_policy = false
}
resource "aws_s3_bucket_policy" "b" {
  bucket     = aws_s3_bucket.b.id
  depends_on = [aws_s3_bucket_public_access_block.b]
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow", Principal = "*", Action = "s3:GetObject"
      Resource = "${aws_s3_bucket.b.arn}/public/*"
    }]
  })
}
resource "aws_s3_bucket_website_configuration" "b" {
  bucket = aws_s3_bucket.b.id
  index_document { suffix = "index.html" }
}
resource "aws_s3_bucket_notification" "b" {
  bucket      = aws_s3_bucket.b.id
  eventbridge = true
  queue {
    id            = "images"
    queue_arn     = "ARN"
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"]
    filter_prefix = "images/"
    filter_suffix = ".jpg"
  }
}
resource "aws_s3_object" "o" {
  bucket       = aws_s3_bucket.b.id
  key          = "images/a.jpg"
  content      = "not really"
  content_type = "image/jpeg"
  depends_on   = [aws_s3_bucket_notification.b, aws_s3_bucket_versioning.b]
}
resource "aws_iam_role" "r" {
  name = "reader"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow", Principal = { AWS = "*" }, Action = "sts:AssumeRole"
    }]
  })
}
resource "aws_iam_user" "u" {
  name          = "uploader"
  force_destroy = true
}
resource "aws_iam_access_key" "u" { user = aws_iam_user.u.name }
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory, redis):
    stack = Stack(
        tmp_path_factory.mktemp("terraform"),
        s3d_extra="events = { targets = ( %s ); };" % ", ".join(
            f'{{ name = "{name}"; redis = "unix:{redis.socket}"; '
            f'key = "{key}"; }}'
            for name, key in (("t", "events"), ("eventbridge", "bus"))))
    stack.start()
    yield stack
    stack.stop()
    stack.check_logs()


def test_all_is_made_kept_and_removed(stack, redis, tmp_path):
    [account] = stack.ctl("account", "list")["accounts"]
    arn = f"arn:aws:sqs:us-east-1:{account['number']}:t"
    (tmp_path / "main.tf").write_text(
        PROVIDER.replace("ENDPOINT", stack.endpoint)
        + RESOURCES.replace("ARN", arn))
    (tmp_path / "terraformrc").write_text(
        'provider_installation { filesystem_mirror { path = "%s" } }' % PLUGINS)
    environment = dict(stack.environment(), CHECKPOINT_DISABLE="1",
                       TF_CLI_CONFIG_FILE=str(tmp_path / "terraformrc"),
                       TF_IN_AUTOMATION="1", HOME=str(tmp_path))
    del environment["AWS_ENDPOINT_URL"]  # the provider's own names the rest

    def terraform(*words, code=0):
        done = subprocess.run(["terraform", *words, "-no-color"], cwd=tmp_path,
                              env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    terraform("init")
    terraform("apply", "-auto-approve", "-input=false")
    s3 = stack.client()
    notifications = s3.get_bucket_notification_configuration(
        Bucket="terraformed")
    assert notifications["EventBridgeConfiguration"] == {}
    [queue] = notifications["QueueConfigurations"]
    queue["Events"].sort()  # a set, to Terraform
    assert queue == {
        "Id": "images", "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
        "Filter": {"Key": {"FilterRules": [
            {"Name": "Prefix", "Value": "images/"},
            {"Name": "Suffix", "Value": ".jpg"}]}}}
    assert s3.get_object(Bucket="terraformed",
                         Key="images/a.jpg")["Body"].read() == b"not really"
    told = [json.loads(fields[1])
            for _, fields in redis.ask("XRANGE", "events", "-", "+")]
    assert told[0]["Event"] == "s3:TestEvent"

    terraform("plan", "-detailed-exitcode", "-input=false")  # 2: something to do
    iam = boto3.client("iam", endpoint_url=stack.endpoint,
                       region_name="us-east-1",
                       aws_access_key_id=stack.access_key,
                       aws_secret_access_key=stack.secret_key)
    assert {u["UserName"] for u in iam.list_users()["Users"]} == {"uploader"}
    iam.create_access_key(UserName="uploader")  # force_destroy: behind its back
    terraform("destroy", "-auto-approve", "-input=false")
    assert s3.list_buckets()["Buckets"] == []
    assert iam.list_users()["Users"] == iam.list_roles()["Roles"] == []
