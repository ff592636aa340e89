"""IAM and STS with boto3 and awscli: identities, their rights, credentials."""

import json
import pathlib
import sys
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

AWS = pathlib.Path(sys.executable).parent / "aws"
ASSUME = "sts:AssumeRole"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions, resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def refused(code, status, call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    got = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
    assert got == (code, status), answer
    assert answer["ResponseMetadata"]["RequestId"]
    return answer["Error"]["Message"]


@pytest.fixture(scope="module")
def connect(stack):
    """Clients of a service by an access key, root's unless one is given."""

    def make(service, key=None):
        key = key or {"AccessKeyId": stack.access_key,
                      "SecretAccessKey": stack.secret_key}
        return boto3.client(
            service, endpoint_url=stack.endpoint, region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"),
            config=Config(signature_version="s3v4" if service == "s3" else None,
                          retries={"max_attempts": 1},
                          parameter_validation=False))

    return make


@pytest.fixture
def iam(connect):
    return connect("iam")


@pytest.fixture
def user(iam, request):
    """A user named after the test, and a key of the user's."""
    name = request.node.name[:60]
    iam.create_user(UserName=name)
    return name, iam.create_access_key(UserName=name)["AccessKey"]


def grant(iam, name, *statements):
    iam.put_user_policy(UserName=name, PolicyName="granted",
                        PolicyDocument=json.dumps(document(*statements)))


# --- users ----------------------------------------------------------------------

def test_users(iam, stack):
    made = iam.create_user(UserName="bob", Path="/sales/")["User"]
    account = made["Arn"].split(":")[4]
    assert made["Arn"] == f"arn:aws:iam::{account}:user/sales/bob"
    assert made["UserId"].startswith("AIDA") and made["Path"] == "/sales/"
    assert iam.get_user(UserName="bob")["User"] == made
    assert refused("EntityAlreadyExists", 409, iam.create_user,
                   UserName="BOB") == "User with name BOB already exists."
    iam.update_user(UserName="bob", NewUserName="robert", NewPath="/")
    assert refused("NoSuchEntity", 404, iam.get_user, UserName="bob") == (
        "The user with name bob cannot be found.")
    assert iam.get_user(UserName="robert")["User"]["UserId"] == made["UserId"]
    refused("ValidationError", 400, iam.create_user, UserName="a b")
    refused("ValidationError", 400, iam.create_user, UserName="x", Path="y")
    iam.create_access_key(UserName="robert")
    refused("DeleteConflict", 409, iam.delete_user, UserName="robert")
    key = iam.list_access_keys(UserName="robert")["AccessKeyMetadata"][0]
    iam.delete_access_key(UserName="robert", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="robert")
    refused("NoSuchEntity", 404, iam.delete_user, UserName="robert")


def test_root_is_a_user_too(iam, connect):
    root = iam.get_user()["User"]
    assert root["Arn"] == f"arn:aws:iam::{root['UserId']}:root"
    who = connect("sts").get_caller_identity()
    assert (who["Arn"], who["UserId"], who["Account"]) == (
        root["Arn"], root["UserId"], root["UserId"])


def test_users_are_listed_by_pages(iam):
    names = [f"page{i:02}" for i in range(7)]
    for name in names:
        iam.create_user(UserName=name, Path="/pages/")
    pages = list(iam.get_paginator("list_users").paginate(
        PathPrefix="/pages/", PaginationConfig={"PageSize": 3}))
    assert [[u["UserName"] for u in page["Users"]] for page in pages] == [
        names[0:3], names[3:6], names[6:]]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    refused("ValidationError", 400, iam.list_users, MaxItems=0)


# --- access keys ----------------------------------------------------------------

def test_access_keys(iam, connect, stack):
    iam.create_user(UserName="keys")
    made = [iam.create_access_key(UserName="keys")["AccessKey"]
            for _ in range(2)]
    assert all(k["AccessKeyId"].startswith("AKIA") and k["Status"] == "Active"
               and len(k["SecretAccessKey"]) == 40 for k in made)
    refused("LimitExceeded", 409, iam.create_access_key, UserName="keys")
    listed = iam.list_access_keys(UserName="keys")["AccessKeyMetadata"]
    assert {k["AccessKeyId"] for k in listed} == {
        k["AccessKeyId"] for k in made}
    assert not any("SecretAccessKey" in k for k in listed)

    first = made[0]
    s3 = connect("s3", first)
    refused("AccessDenied", 403, s3.list_buckets)
    iam.attach_user_policy(UserName="keys",
                           PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    s3.list_buckets()
    iam.update_access_key(UserName="keys", AccessKeyId=first["AccessKeyId"],
                          Status="Inactive")
    refused("InvalidAccessKeyId", 403, s3.list_buckets)
    refused("InvalidClientTokenId", 403,
            connect("sts", first).get_caller_identity)
    iam.update_access_key(UserName="keys", AccessKeyId=first["AccessKeyId"],
                          Status="Active")
    s3.list_buckets()
    refused("ValidationError", 400, iam.update_access_key, UserName="keys",
            AccessKeyId=first["AccessKeyId"], Status="Asleep")
    used = iam.get_access_key_last_used(AccessKeyId=first["AccessKeyId"])
    assert used["UserName"] == "keys"
    assert used["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    refused("NoSuchEntity", 404, iam.delete_access_key, UserName="keys",
            AccessKeyId=stack.access_key)
    iam.delete_access_key(UserName="keys", AccessKeyId=first["AccessKeyId"])
    refused("NoSuchEntity", 404, iam.delete_access_key, UserName="keys",
            AccessKeyId=first["AccessKeyId"])
    # a key that has gone is remembered by the workers for a moment only
    refused("InvalidAccessKeyId", 403, s3.list_buckets)


def test_users_manage_what_they_may(iam, connect, user):
    name, key = user
    mine = connect("iam", key)
    text = refused("AccessDenied", 403, mine.create_user, UserName="child")
    assert text == (
        f"User: {iam.get_user(UserName=name)['User']['Arn']} is not authorized "
        "to perform: iam:CreateUser on resource: "
        f"arn:aws:iam::{iam.get_user()['User']['UserId']}:user/child")
    refused("AccessDenied", 403, mine.get_user)
    # who may not ask does not learn what is there
    refused("AccessDenied", 403, mine.get_user, UserName="nobody")
    grant(iam, name, allow(["iam:*AccessKey*", "iam:GetUser"],
                           "arn:aws:iam::*:user/${aws:username}"))
    assert mine.get_user()["User"]["UserName"] == name
    assert [k["UserName"] for k in mine.list_access_keys()["AccessKeyMetadata"]
            ] == [name]
    second = mine.create_access_key()["AccessKey"]
    assert second["UserName"] == name
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])
    refused("AccessDenied", 403, mine.create_access_key, UserName="other")
    refused("AccessDenied", 403, mine.list_users)
    grant(iam, name, allow("iam:*", "arn:aws:iam::*:user/dev/*"))
    mine.create_user(UserName="child", Path="/dev/")
    refused("AccessDenied", 403, mine.create_user, UserName="grown")
    # nor can what is theirs be moved out of their reach, or in
    refused("AccessDenied", 403, mine.update_user, UserName="child",
            NewPath="/")
    refused("AccessDenied", 403, mine.update_user, UserName=name,
            NewPath="/dev/")


# --- groups and policies ----------------------------------------------------------

def test_groups(iam, connect, user):
    name, key = user
    group = iam.create_group(GroupName="readers", Path="/g/")["Group"]
    assert group["Arn"].endswith(":group/g/readers")
    refused("EntityAlreadyExists", 409, iam.create_group, GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName=name)
    refused("NoSuchEntity", 404, iam.add_user_to_group, GroupName="readers",
            UserName="nobody")
    iam.attach_group_policy(
        GroupName="readers",
        PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    connect("s3", key).list_buckets()
    refused("AccessDenied", 403, connect("s3", key).create_bucket,
            Bucket="not-mine")
    got = iam.get_group(GroupName="readers")
    assert [u["UserName"] for u in got["Users"]] == [name]
    assert [g["GroupName"] for g in iam.list_groups_for_user(
        UserName=name)["Groups"]] == ["readers"]
    assert "readers" in [g["GroupName"] for g in iam.list_groups()["Groups"]]
    refused("DeleteConflict", 409, iam.delete_group, GroupName="readers")
    iam.remove_user_from_group(GroupName="readers", UserName=name)
    refused("AccessDenied", 403, connect("s3", key).list_buckets)
    iam.detach_group_policy(
        GroupName="readers",
        PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    iam.delete_group(GroupName="readers")


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_inline_policies(iam, kind):
    who = {f"{kind.capitalize()}Name": f"inline-{kind}"}
    more = {"AssumeRolePolicyDocument": json.dumps(document(
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ASSUME}))
            } if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**who, **more)
    put = getattr(iam, f"put_{kind}_policy")
    get = getattr(iam, f"get_{kind}_policy")
    names = getattr(iam, f"list_{kind}_policies")
    delete = getattr(iam, f"delete_{kind}_policy")
    text = document(allow("s3:Get*", ["arn:aws:s3:::b/*", "arn:aws:s3:::b+c"]))
    for name in ("two", "one"):
        put(**who, PolicyName=name, PolicyDocument=json.dumps(text))
    got = get(**who, PolicyName="one")
    assert got["PolicyDocument"] == text and got["PolicyName"] == "one"
    assert names(**who)["PolicyNames"] == ["one", "two"]
    first = names(**who, MaxItems=1)
    assert (first["PolicyNames"], first["IsTruncated"]) == (["one"], True)
    assert names(**who, Marker=first["Marker"])["PolicyNames"] == ["two"]
    message = refused("MalformedPolicyDocument", 400, put, **who,
                      PolicyName="bad", PolicyDocument='{"Version":"2012-10-17"')
    assert message
    refused("LimitExceeded", 409, put, **who, PolicyName="big",
            PolicyDocument=json.dumps(document(
                allow("s3:Get*", [f"arn:aws:s3:::{i:060}" for i in range(200)]))))
    refused("DeleteConflict", 409, getattr(iam, f"delete_{kind}"), **who)
    for name in ("one", "two"):
        delete(**who, PolicyName=name)
    assert refused("NoSuchEntity", 404, get, **who, PolicyName="one") == (
        "The policy with name one cannot be found.")
    refused("NoSuchEntity", 404, delete, **who, PolicyName="one")
    getattr(iam, f"delete_{kind}")(**who)
    refused("NoSuchEntity", 404, names, **who)


def test_managed_policies(iam, user):
    name, _ = user
    text = document(allow("s3:List*"))
    made = iam.create_policy(PolicyName="lister", Path="/p/",
                             Description="lists",
                             PolicyDocument=json.dumps(text))["Policy"]
    arn = made["Arn"]
    assert arn.endswith(":policy/p/lister") and made["AttachmentCount"] == 0
    assert made["DefaultVersionId"] == "v1" and made["Description"] == "lists"
    refused("EntityAlreadyExists", 409, iam.create_policy, PolicyName="lister",
            PolicyDocument=json.dumps(text))
    refused("MalformedPolicyDocument", 400, iam.create_policy, PolicyName="bad",
            PolicyDocument="{}")
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    assert iam.list_attached_user_policies(UserName=name)[
        "AttachedPolicies"] == [{"PolicyName": "lister", "PolicyArn": arn}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    holders = iam.list_entities_for_policy(PolicyArn=arn)
    assert [u["UserName"] for u in holders["PolicyUsers"]] == [name]
    assert holders["PolicyGroups"] == holders["PolicyRoles"] == []
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")
    assert version["PolicyVersion"]["Document"] == text
    newer = iam.create_policy_version(
        PolicyArn=arn, SetAsDefault=True,
        PolicyDocument=json.dumps(document(allow("s3:Get*"))))["PolicyVersion"]
    assert newer["VersionId"] == "v2" and newer["IsDefaultVersion"]
    refused("NoSuchEntity", 404, iam.get_policy_version, PolicyArn=arn,
            VersionId="v1")
    assert [v["VersionId"] for v in iam.list_policy_versions(
        PolicyArn=arn)["Versions"]] == ["v2"]
    refused("NotImplemented", 501, iam.create_policy_version, PolicyArn=arn,
            PolicyDocument=json.dumps(text))
    refused("DeleteConflict", 409, iam.delete_policy, PolicyArn=arn)
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    refused("NoSuchEntity", 404, iam.detach_user_policy, UserName=name,
            PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    refused("NoSuchEntity", 404, iam.get_policy, PolicyArn=arn)
    refused("NoSuchEntity", 404, iam.attach_user_policy, UserName=name,
            PolicyArn=arn)
    built_in = "arn:aws:iam::aws:policy/AdministratorAccess"
    refused("UnmodifiableEntity", 400, iam.delete_policy, PolicyArn=built_in)
    aws = iam.list_policies(Scope="AWS")["Policies"]
    assert [p["PolicyName"] for p in aws] == [
        "AdministratorAccess", "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess"]
    assert iam.get_policy(PolicyArn=built_in)["Policy"] in aws


def test_one_account_sees_nothing_of_another(iam, connect, stack):
    made = stack.ctl("account", "add", "iam-stranger")
    other = connect("iam", {"AccessKeyId": made["access_key"],
                            "SecretAccessKey": made["secret_key"]})
    iam.create_user(UserName="hidden")
    arn = iam.create_policy(PolicyName="hidden", PolicyDocument=json.dumps(
        document(allow("s3:*"))))["Policy"]["Arn"]
    refused("NoSuchEntity", 404, other.get_user, UserName="hidden")
    assert other.list_users()["Users"] == []
    refused("NoSuchEntity", 404, other.get_policy, PolicyArn=arn)
    assert other.list_policies(Scope="Local")["Policies"] == []
    other.create_user(UserName="hidden")
    refused("NoSuchEntity", 404, other.attach_user_policy, UserName="hidden",
            PolicyArn=arn)
    refused("NoSuchEntity", 404, other.delete_access_key,
            AccessKeyId=stack.access_key)


def test_what_is_not_there(iam, connect):
    refused("NotImplemented", 501, iam.create_login_profile, UserName="x",
            Password="secret-password")
    refused("NotImplemented", 501, iam.create_user, UserName="tagged",
            Tags=[{"Key": "a", "Value": "b"}])
    refused("NotImplemented", 501, connect("sts").get_federation_token,
            Name="x1")
    assert iam.get_account_summary()["SummaryMap"]["Users"] >= 0


def test_what_nobody_can_have_is_listed_as_nothing(iam, connect, user):
    """Terraform and others ask for all of it before they delete something."""
    name, key = user
    role = make_role(iam, "has-nothing", "*")["RoleName"]
    policy = iam.create_policy(PolicyName="has-nothing", PolicyDocument=(
        json.dumps(document(allow("s3:*")))))["Policy"]["Arn"]
    mine = connect("iam", key)
    for method, element, asked, none in (
            ("list_user_tags", "Tags", {"UserName": name}, "UserName"),
            ("list_mfa_devices", "MFADevices", {"UserName": name}, "UserName"),
            ("list_ssh_public_keys", "SSHPublicKeys", {"UserName": name},
             "UserName"),
            ("list_signing_certificates", "Certificates", {"UserName": name},
             "UserName"),
            ("list_service_specific_credentials", "ServiceSpecificCredentials",
             {"UserName": name}, "UserName"),
            ("list_role_tags", "Tags", {"RoleName": role}, "RoleName"),
            ("list_instance_profiles_for_role", "InstanceProfiles",
             {"RoleName": role}, "RoleName"),
            ("list_policy_tags", "Tags", {"PolicyArn": policy}, "PolicyArn"),
            ("list_virtual_mfa_devices", "VirtualMFADevices", {}, None),
            ("list_account_aliases", "AccountAliases", {}, None)):
        got = getattr(iam, method)(**asked)
        assert got[element] == [] and got["IsTruncated"] is False, method
        refused("AccessDenied", 403, getattr(mine, method), **asked)
        if none is not None:
            missing = {none: asked[none] + "-not"}
            refused("NoSuchEntity", 404, getattr(iam, method), **missing)
    for gone in iam.get_login_profile, iam.delete_login_profile:
        assert refused("NoSuchEntity", 404, gone, UserName=name) == (
            f"Login Profile for User {name} cannot be found.")
    refused("AccessDenied", 403, mine.get_login_profile)
    grant(iam, name, allow("iam:ListMFADevices",
                           "arn:aws:iam::*:user/${aws:username}"))
    assert mine.list_mfa_devices()["MFADevices"] == []
    iam.delete_role(RoleName=role)
    iam.delete_policy(PolicyArn=policy)


# --- roles and temporary credentials ----------------------------------------------

def make_role(iam, name, principal, **more):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(
        document({"Effect": "Allow", "Principal": principal, "Action": ASSUME,
                  **more.pop("statement", {})})), **more)["Role"]


def test_roles(iam):
    trust = document({"Effect": "Allow", "Principal": {"AWS": "*"},
                      "Action": ASSUME})
    role = make_role(iam, "plain", {"AWS": "*"}, Description="a role",
                     MaxSessionDuration=7200)
    assert role["AssumeRolePolicyDocument"] == trust
    assert role["RoleId"].startswith("AROA")
    assert iam.get_role(RoleName="plain")["Role"] == role
    listed = [r for r in iam.list_roles()["Roles"] if r["RoleName"] == "plain"]
    assert listed[0]["AssumeRolePolicyDocument"] == trust
    iam.update_role(RoleName="plain", MaxSessionDuration=3600,
                    Description="other")
    again = iam.get_role(RoleName="plain")["Role"]
    assert (again["MaxSessionDuration"], again["Description"]) == (3600, "other")
    trust["Statement"][0]["Effect"] = "Deny"
    iam.update_assume_role_policy(RoleName="plain",
                                  PolicyDocument=json.dumps(trust))
    assert iam.get_role(RoleName="plain")["Role"][
        "AssumeRolePolicyDocument"] == trust
    refused("MalformedPolicyDocument", 400, iam.update_assume_role_policy,
            RoleName="plain", PolicyDocument=json.dumps(document(allow("s3:*"))))
    refused("EntityAlreadyExists", 409, make_role, iam=iam, name="plain",
            principal={"AWS": "*"})
    iam.delete_role(RoleName="plain")
    refused("NoSuchEntity", 404, iam.get_role, RoleName="plain")


def test_assume_role(iam, connect, user, bucket):
    name, key = user
    sts = connect("sts", key)
    account = sts.get_caller_identity()["Account"]
    arn = iam.get_user(UserName=name)["User"]["Arn"]
    role = make_role(iam, "reader", {"AWS": arn}, statement={
        "Condition": {"StringEquals": {"sts:ExternalId": "e-1"}}})
    iam.put_role_policy(RoleName="reader", PolicyName="p",
                        PolicyDocument=json.dumps(document(
                            allow("s3:*", [f"arn:aws:s3:::{bucket}",
                                           f"arn:aws:s3:::{bucket}/*"]))))
    asks = dict(RoleArn=role["Arn"], RoleSessionName="session-1")
    message = refused("AccessDenied", 403, sts.assume_role, **asks)
    assert message == (f"User: {arn} is not authorized to perform: "
                       f"sts:AssumeRole on resource: {role['Arn']}")
    refused("AccessDenied", 403, sts.assume_role, **asks, ExternalId="e-2")
    refused("AccessDenied", 403, sts.assume_role, ExternalId="e-1",
            RoleArn=role["Arn"] + "x", RoleSessionName="session-1")
    asks["ExternalId"] = "e-1"
    refused("ValidationError", 400, sts.assume_role, **asks,
            DurationSeconds=3601)
    refused("ValidationError", 400, sts.assume_role,
            **{**asks, "RoleSessionName": "a:b"})
    refused("MalformedPolicyDocument", 400, sts.assume_role, **asks,
            Policy='{"Version":"2012-10-17","Statement":[{}]}')
    refused("PackedPolicyTooLarge", 400, sts.assume_role, **asks,
            Policy=json.dumps(document(
                allow("s3:Get*", [f"arn:aws:s3:::{i:060}" for i in range(31)]))))
    got = sts.assume_role(**asks, DurationSeconds=900)
    assert got["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role['RoleId']}:session-1",
        "Arn": f"arn:aws:sts::{account}:assumed-role/reader/session-1"}
    temporary = got["Credentials"]
    assert temporary["AccessKeyId"].startswith("ASIA")

    who = connect("sts", temporary).get_caller_identity()
    assert who["Arn"] == got["AssumedRoleUser"]["Arn"]
    s3 = connect("s3", temporary)
    s3.put_object(Bucket=bucket, Key="k", Body=b"by a role")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"by a role"
    refused("AccessDenied", 403, s3.list_buckets)
    refused("AccessDenied", 403, connect("s3", key).get_object, Bucket=bucket,
            Key="k")
    # the secret is worth nothing without its token, or with another
    for token in (None, "x" * 64):
        refused("InvalidToken", 400,
                connect("s3", {**temporary, "SessionToken": token}).get_object,
                Bucket=bucket, Key="k")
        refused("InvalidClientTokenId", 403,
                connect("sts", {**temporary, "SessionToken": token}
                        ).get_caller_identity)
    # narrowed by a session policy, and by a managed one
    read = document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/k"))
    for narrow in ({"Policy": json.dumps(read)}, {"PolicyArns": [
            {"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]}):
        s3 = connect("s3", sts.assume_role(**asks, **narrow)["Credentials"])
        s3.get_object(Bucket=bucket, Key="k")
        refused("AccessDenied", 403, s3.put_object, Bucket=bucket, Key="k")
    refused("ValidationError", 400, sts.assume_role, **asks, PolicyArns=[
        {"arn": "arn:aws:iam::aws:policy/NoSuch"}])
    refused("AccessDenied", 403, connect("sts").assume_role, **asks)
    # who is a role may not be chained for long
    chain = make_role(iam, "chained", {"AWS": role["Arn"]},
                      MaxSessionDuration=7200)
    asks = dict(RoleArn=chain["Arn"], RoleSessionName="chain")
    refused("ValidationError", 400, connect("sts", temporary).assume_role,
            **asks, DurationSeconds=7200)
    connect("sts", temporary).assume_role(**asks)
    iam.delete_role_policy(RoleName="reader", PolicyName="p")
    iam.delete_role(RoleName="reader")
    refused("InvalidAccessKeyId", 403, connect("s3", temporary).get_object,
            Bucket=bucket, Key="k")


def test_an_account_grants_on(iam, connect, user, stack):
    """Trust in an account is its administrators' to give on."""
    name, key = user
    made = stack.ctl("account", "add", "truster")
    theirs = connect("iam", {"AccessKeyId": made["access_key"],
                             "SecretAccessKey": made["secret_key"]})
    account = iam.get_user()["User"]["UserId"]
    role = make_role(theirs, "lent", {"AWS": account})
    asks = dict(RoleArn=role["Arn"], RoleSessionName="guest")
    refused("AccessDenied", 403, connect("sts", key).assume_role, **asks)
    grant(iam, name, allow("sts:AssumeRole", role["Arn"]))
    got = connect("sts", key).assume_role(**asks)
    assert got["AssumedRoleUser"]["Arn"].startswith(
        role["Arn"].replace(":iam:", ":sts:").replace(":role/",
                                                      ":assumed-role/"))
    grant(iam, name, allow("sts:AssumeRole", role["Arn"]),
          {"Effect": "Deny", "Action": "sts:*", "Resource": "*"})
    refused("AccessDenied", 403, connect("sts", key).assume_role, **asks)


def test_session_tokens(iam, connect, user, bucket):
    name, key = user
    grant(iam, name, allow(["s3:*", "iam:*"]))
    temporary = connect("sts", key).get_session_token(
        DurationSeconds=900)["Credentials"]
    s3 = connect("s3", temporary)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert connect("sts", temporary).get_caller_identity()["Arn"] == (
        iam.get_user(UserName=name)["User"]["Arn"])
    assert refused("AccessDenied", 403,
                   connect("sts", temporary).get_session_token) == (
        "Cannot call GetSessionToken with session credentials")
    # nor does it make itself permanent
    refused("InvalidClientTokenId", 403,
            connect("iam", temporary).create_access_key)
    refused("ValidationError", 400, connect("sts", key).get_session_token,
            DurationSeconds=899)
    # a pre-signed URL with a token
    url = s3.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"x"
    # the time of issue is a condition
    grant(iam, name, allow("s3:*"), {
        "Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {
            "DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}}})
    refused("AccessDenied", 403, s3.get_object, Bucket=bucket, Key="k")
    connect("s3", key).get_object(Bucket=bucket, Key="k")


# --- what is wrong with a signature ---------------------------------------------

def test_signatures(connect, stack):
    wrong = {"AccessKeyId": stack.access_key, "SecretAccessKey": "x" * 40}
    refused("SignatureDoesNotMatch", 403,
            connect("sts", wrong).get_caller_identity)
    refused("SignatureDoesNotMatch", 403, connect("iam", wrong).list_users)
    unknown = {"AccessKeyId": "AKIANOBODY", "SecretAccessKey": "x" * 40}
    refused("InvalidClientTokenId", 403, connect("iam", unknown).list_users)


# --- awscli ------------------------------------------------------------------------

def test_awscli(run, stack):
    def aws(*words, **options):
        return json.loads(run(AWS, *words, "--output", "json", **options
                              ).stdout or b"{}")

    aws("iam", "create-user", "--user-name", "cli")
    key = aws("iam", "create-access-key", "--user-name", "cli")["AccessKey"]
    policy = json.dumps(document(allow("s3:*", "arn:aws:s3:::cli-*")))
    aws("iam", "put-user-policy", "--user-name", "cli", "--policy-name", "own",
        "--policy-document", policy)
    assert aws("iam", "get-user-policy", "--user-name", "cli", "--policy-name",
               "own")["PolicyDocument"] == json.loads(policy)
    env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"],
           "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    who = aws("sts", "get-caller-identity", env=env)
    assert who["Arn"].endswith(":user/cli")
    run(AWS, "s3", "mb", "s3://cli-bucket", env=env)
    token = aws("sts", "get-session-token", env=env)["Credentials"]
    run(AWS, "s3", "cp", "-", "s3://cli-bucket/k", input=b"1", env={
        "AWS_ACCESS_KEY_ID": token["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": token["SecretAccessKey"],
        "AWS_SESSION_TOKEN": token["SessionToken"]})
    for endpoint in ((), ("--endpoint-url", stack.endpoint)):
        assert "cli" in [u["UserName"] for u in aws(
            "iam", "list-users", *endpoint)["Users"]]
    failed = run(AWS, "iam", "get-user", "--user-name", "none", ok=False)
    assert failed.returncode != 0 and b"(NoSuchEntity)" in failed.stderr


# --- nothing is told twice -----------------------------------------------------------

def test_no_secret_in_any_log(connect, iam, stack):
    iam.create_user(UserName="quiet")
    key = iam.create_access_key(UserName="quiet")["AccessKey"]
    token = connect("sts", key).get_session_token()["Credentials"]
    connect("sts", token).get_caller_identity()
    refused("AccessDenied", 403, connect("s3", token).list_buckets)
    secrets = [key["SecretAccessKey"], token["SecretAccessKey"],
               token["SessionToken"]]
    for name in ("error.log", "access.log", "s3d.log", "s3d.out"):
        path = stack.directory / name
        text = path.read_text(errors="replace") if path.exists() else ""
        for secret in secrets:
            assert secret not in text, name
