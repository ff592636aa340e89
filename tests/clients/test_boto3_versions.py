"""Versions and Object Lock with boto3."""

import datetime

import pytest
from botocore.exceptions import ClientError


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def s3(stack):
    return stack.client()


@pytest.fixture
def versioned(s3):
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(
        Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    return "versions"


def empty(s3, bucket, **options):
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 3})
    found = [
        {"Key": entry["Key"], "VersionId": entry["VersionId"]}
        for page in pages
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])]
    if found:
        done = s3.delete_objects(Bucket=bucket, Delete={"Objects": found},
                                 **options)
        assert "Errors" not in done
    s3.delete_bucket(Bucket=bucket)
    return len(found)


def test_versions(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="k", Body=b"%d" % i)["VersionId"]
           for i in range(7)]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"]
    assert code_of(s3.get_object, Bucket=versioned, Key="k") == "NoSuchKey"
    for i, version in enumerate(ids):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=version)
        assert got["Body"].read() == b"%d" % i
        assert got["VersionId"] == version
    listed = s3.list_object_versions(Bucket=versioned)
    assert [v["VersionId"] for v in listed["Versions"]] == ids[::-1]
    assert not any(v["IsLatest"] for v in listed["Versions"])
    assert listed["DeleteMarkers"][0]["VersionId"] == marker["VersionId"]
    assert listed["DeleteMarkers"][0]["IsLatest"]
    s3.copy_object(Bucket=versioned, Key="k", CopySource={
        "Bucket": versioned, "Key": "k", "VersionId": ids[2]})
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"2"
    assert empty(s3, versioned) == 9


def test_object_lock(s3):
    bucket = "locked"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.datetime(2099, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}})
    found = s3.get_object_lock_configuration(Bucket=bucket)
    assert found["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Mode": "GOVERNANCE", "Days": 3}
    version = s3.put_object(
        Bucket=bucket, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=until,
        ObjectLockLegalHoldStatus="ON")["VersionId"]
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] == until
    assert head["ObjectLockLegalHoldStatus"] == "ON"
    assert s3.get_object_retention(Bucket=bucket, Key="k")["Retention"] == {
        "Mode": "GOVERNANCE", "RetainUntilDate": until}
    assert code_of(s3.delete_object, Bucket=bucket, Key="k", VersionId=version,
                   BypassGovernanceRetention=True) == "AccessDenied"
    s3.put_object_legal_hold(Bucket=bucket, Key="k",
                             LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(
        Bucket=bucket, Key="k")["LegalHold"]["Status"] == "OFF"
    assert code_of(s3.delete_object, Bucket=bucket, Key="k",
                   VersionId=version) == "AccessDenied"
    assert code_of(
        s3.put_object_retention, Bucket=bucket, Key="k",
        Retention={"Mode": "GOVERNANCE",
                   "RetainUntilDate": until - datetime.timedelta(days=1)}) \
        == "AccessDenied"
    s3.put_object_retention(
        Bucket=bucket, Key="k", BypassGovernanceRetention=True,
        Retention={"Mode": "GOVERNANCE",
                   "RetainUntilDate": until - datetime.timedelta(days=1)})
    assert empty(s3, bucket, BypassGovernanceRetention=True) == 1
