"""Access control lists with boto3, between two accounts and nobody."""

import urllib.error
import urllib.request

import boto3
import pytest
from conformance import refused, status_of

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def friend(stack):
    made = stack.ctl("account", "add", "acl-friend")
    return boto3.client(
        "s3", endpoint_url=stack.endpoint, region_name="us-east-1",
        aws_access_key_id=made["access_key"],
        aws_secret_access_key=made["secret_key"])


def id_of(client):
    return client.list_buckets()["Owner"]["ID"]


@pytest.fixture
def shared(s3, bucket):
    """A bucket in which lists count, public ones too."""
    s3.put_bucket_ownership_controls(
        Bucket=bucket,
        OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.delete_public_access_block(Bucket=bucket)
    return bucket


def grants_of(acl):
    """(who, permission) of each grant, in the order told."""
    return [(g["Grantee"].get("ID", g["Grantee"].get("URI")), g["Permission"])
            for g in acl["Grants"]]


def fetch(stack, path):
    """Status of an unsigned GET."""
    try:
        with urllib.request.urlopen(stack.endpoint + path) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_canned_lists_of_a_bucket(s3, shared):
    me = id_of(s3)
    for name, others in (
            ("private", []),
            ("public-read", [(ALL_USERS, "READ")]),
            ("public-read-write", [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
            ("private", [])):
        assert status_of(s3.put_bucket_acl(Bucket=shared, ACL=name)) == 200
        acl = s3.get_bucket_acl(Bucket=shared)
        assert acl["Owner"]["ID"] == me
        assert grants_of(acl) == [(me, "FULL_CONTROL")] + others


def test_a_list_that_was_read_can_be_put(s3, friend, shared):
    them = id_of(friend)
    s3.put_object(Bucket=shared, Key="k", Body=b"x")
    acl = s3.get_object_acl(Bucket=shared, Key="k")
    policy = {"Owner": acl["Owner"], "Grants": acl["Grants"] + [
        {"Grantee": {"Type": "CanonicalUser", "ID": them},
         "Permission": "READ"},
        {"Grantee": {"Type": "Group", "URI": ALL_USERS},
         "Permission": "READ_ACP"}]}
    s3.put_object_acl(Bucket=shared, Key="k", AccessControlPolicy=policy)
    told = s3.get_object_acl(Bucket=shared, Key="k")
    assert grants_of(told) == grants_of(acl) + [
        (them, "READ"), (ALL_USERS, "READ_ACP")]
    assert told["Grants"][1]["Grantee"]["DisplayName"] == "acl-friend"
    assert friend.get_object(Bucket=shared, Key="k")["Body"].read() == b"x"


def test_grants_in_headers(s3, friend, shared):
    them = id_of(friend)
    s3.put_object(Bucket=shared, Key="k", Body=b"x",
                  GrantFullControl=f"id={them}",
                  GrantRead=f'uri="{ALL_USERS}"')
    assert sorted(grants_of(s3.get_object_acl(Bucket=shared, Key="k"))) == [
        (them, "FULL_CONTROL"), (ALL_USERS, "READ")]
    assert refused(s3.put_object, Bucket=shared, Key="k", Body=b"x",
                   ACL="private", GrantRead=f"id={them}") == (
                       400, "InvalidRequest")
    assert refused(s3.put_bucket_acl, Bucket=shared, GrantRead="id=1") == (
        400, "InvalidArgument")
    assert refused(s3.put_bucket_acl, Bucket=shared,
                   GrantWrite="emailAddress=a@example.com") == (
                       400, "UnresolvableGrantByEmailAddress")


def test_public_objects(stack, s3, shared):
    s3.put_object(Bucket=shared, Key="open", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=shared, Key="closed", Body=b"x")
    assert fetch(stack, f"/{shared}/open") == 200
    assert fetch(stack, f"/{shared}/closed") == 403
    assert fetch(stack, f"/{shared}/none") == 403
    assert fetch(stack, f"/{shared}") == 403
    s3.copy_object(Bucket=shared, Key="copy",
                   CopySource={"Bucket": shared, "Key": "open"})
    assert fetch(stack, f"/{shared}/copy") == 403
    s3.put_bucket_acl(Bucket=shared, ACL="public-read")
    assert fetch(stack, f"/{shared}") == 200
    assert fetch(stack, f"/{shared}/none") == 404
    s3.put_public_access_block(
        Bucket=shared, PublicAccessBlockConfiguration={
            "IgnorePublicAcls": True, "BlockPublicAcls": True})
    assert fetch(stack, f"/{shared}/open") == 403
    assert fetch(stack, f"/{shared}") == 403
    assert refused(s3.put_object_acl, Bucket=shared, Key="closed",
                   ACL="public-read") == (403, "AccessDenied")


def test_an_upload_in_parts_brings_its_list(stack, s3, shared):
    upload = s3.create_multipart_upload(Bucket=shared, Key="big",
                                        ACL="public-read")["UploadId"]
    part = s3.upload_part(Bucket=shared, Key="big", UploadId=upload,
                          PartNumber=1, Body=b"x")
    assert fetch(stack, f"/{shared}/big") == 403
    s3.complete_multipart_upload(
        Bucket=shared, Key="big", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert fetch(stack, f"/{shared}/big") == 200


def test_writers_own_what_they_write(s3, friend, shared):
    me, them = id_of(s3), id_of(friend)
    assert refused(friend.put_object, Bucket=shared, Key="k", Body=b"x") == (
        403, "AccessDenied")
    s3.put_bucket_acl(Bucket=shared, GrantWrite=f"id={them}")
    friend.put_object(Bucket=shared, Key="k", Body=b"x",
                      ACL="bucket-owner-read")
    acl = friend.get_object_acl(Bucket=shared, Key="k")
    assert acl["Owner"]["ID"] == them
    assert grants_of(acl) == [(them, "FULL_CONTROL"), (me, "READ")]
    assert refused(friend.list_objects_v2, Bucket=shared) == (
        403, "AccessDenied")
    s3.put_bucket_ownership_controls(
        Bucket=shared,
        OwnershipControls={"Rules": [
            {"ObjectOwnership": "BucketOwnerPreferred"}]})
    friend.put_object(Bucket=shared, Key="gift", Body=b"x",
                      ACL="bucket-owner-full-control")
    assert refused(friend.get_object, Bucket=shared, Key="gift") == (
        403, "AccessDenied")
    assert s3.get_object_acl(Bucket=shared, Key="gift")["Owner"]["ID"] == me


def test_no_lists_by_default(s3, bucket):
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == (
        400, "AccessControlListNotSupported")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x",
                   ACL="public-read") == (400, "AccessControlListNotSupported")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x",
                  ACL="bucket-owner-full-control")
    me = id_of(s3)
    assert grants_of(s3.get_object_acl(Bucket=bucket, Key="k")) == [
        (me, "FULL_CONTROL")]
    assert refused(s3.create_bucket, Bucket=bucket + "-public",
                   ACL="public-read") == (
                       400, "InvalidBucketAclWithObjectOwnership")


def test_a_bucket_that_is_shared_keeps_its_lists(s3, friend, shared):
    s3.put_bucket_acl(Bucket=shared, GrantRead=f"id={id_of(friend)}")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert refused(s3.put_bucket_ownership_controls, Bucket=shared,
                   OwnershipControls=enforced) == (
                       400, "InvalidBucketAclWithObjectOwnership")
    assert friend.list_objects_v2(Bucket=shared)["KeyCount"] == 0
    s3.put_bucket_acl(Bucket=shared, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=shared,
                                     OwnershipControls=enforced)
