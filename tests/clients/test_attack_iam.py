"""Ways to more rights than one has, through IAM and STS."""

import json

import pytest
from test_iam import (allow, connect, document, grant,  # noqa: F401
                      iam, refused, user)

BUILT_IN = "arn:aws:iam::aws:policy/AdministratorAccess"


def trust(principal, **more):
    return json.dumps(document({"Effect": "Allow", "Principal": principal,
                                "Action": "sts:AssumeRole", **more}))


def make_role(iam, name, principal, **more):
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(
        principal, **more))["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn=BUILT_IN)
    return role["Arn"]


def test_a_role_is_whose_its_trust_policy_says(iam, connect, user):
    """An identity policy alone, even an administrator's, opens no role."""
    name, key = user
    iam.create_user(UserName="trusted")
    account = iam.get_user()["User"]["UserId"]
    sts = connect("sts", key)
    asks = {"RoleSessionName": "session"}
    roles = [
        make_role(iam, "of-another", {"AWS": f"arn:aws:iam::{account}:user/trusted"}),
        make_role(iam, "of-a-service", {"Service": "ec2.amazonaws.com"}),
        make_role(iam, "with-a-secret", {"AWS": account}, Condition={
            "StringEquals": {"sts:ExternalId": "secret"}}),
    ]
    iam.attach_user_policy(UserName=name, PolicyArn=BUILT_IN)
    for role in roles:
        refused("AccessDenied", 403, sts.assume_role, RoleArn=role, **asks)
    refused("AccessDenied", 403, sts.assume_role, RoleArn=roles[2],
            ExternalId="Secret", **asks)
    sts.assume_role(RoleArn=roles[2], ExternalId="secret", **asks)
    iam.detach_user_policy(UserName=name, PolicyArn=BUILT_IN)
    refused("AccessDenied", 403, sts.assume_role, RoleArn=roles[2],
            ExternalId="secret", **asks)


def test_what_narrows_a_session_is_taken_or_refused(iam, connect, user):
    """Nothing that asks for less gives more."""
    name, key = user
    grant(iam, name, allow("sts:AssumeRole"))
    account = iam.get_user()["User"]["UserId"]
    role = make_role(iam, "narrowed", {"AWS": account})
    asks = {"RoleArn": role, "RoleSessionName": "session"}
    sts = connect("sts", key)
    sts.assume_role(**asks)
    refused("MalformedPolicyDocument", 400, sts.assume_role, **asks, Policy="")
    refused("MalformedPolicyDocument", 400, sts.assume_role, **asks, Policy=" ")
    refused("ValidationError", 400, sts.assume_role, **asks,
            PolicyArns=[{}, {"arn": BUILT_IN}])
    refused("ValidationError", 400, sts.assume_role, **asks,
            PolicyArns=[{"arn": ""}])


def test_sessions_make_nothing_that_outlives_them(iam, connect, user):
    name, key = user
    iam.attach_user_policy(UserName=name, PolicyArn=BUILT_IN)
    session = connect("sts", key).get_session_token()["Credentials"]
    theirs = connect("iam", session)
    for call, more in ((theirs.create_access_key, {}),
                       (theirs.create_access_key, {"UserName": name}),
                       (theirs.create_user, {"UserName": "outlives"}),
                       (theirs.get_user, {})):
        refused("InvalidClientTokenId", 403, call, **more)
    refused("AccessDenied", 403, connect("sts", session).get_session_token)
    stolen = dict(session, SessionToken=None)
    refused("InvalidClientTokenId", 403, connect("sts", stolen).get_caller_identity)
    swapped = dict(session, SessionToken=session["SessionToken"][::-1])
    refused("InvalidClientTokenId", 403, connect("sts", swapped).get_caller_identity)
    iam.detach_user_policy(UserName=name, PolicyArn=BUILT_IN)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)
    refused("InvalidClientTokenId", 403, connect("sts", session).get_caller_identity)


def test_what_is_everybodys_is_nobodys_to_change(iam):
    deny = json.dumps(document({"Effect": "Deny", "Action": "*",
                                "Resource": "*"}))
    before = iam.get_policy(PolicyArn=BUILT_IN)["Policy"]
    for call, more in ((iam.create_policy_version,
                        {"PolicyDocument": deny, "SetAsDefault": True}),
                       (iam.delete_policy, {})):
        with pytest.raises(Exception):
            call(PolicyArn=BUILT_IN, **more)
    assert iam.get_policy(PolicyArn=BUILT_IN)["Policy"] == before


def test_another_accounts_are_not_ones_own(iam, connect, stack):
    """Names and ARNs of another account, from its own root's point of view."""
    iam.create_user(UserName="victim")
    account = iam.get_user()["User"]["UserId"]
    victim = iam.create_access_key(UserName="victim")["AccessKey"]
    policy = iam.create_policy(PolicyName="victims", PolicyDocument=json.dumps(
        document(allow("s3:*"))))["Policy"]["Arn"]
    role = make_role(iam, "victims", {"AWS": account})
    made = stack.ctl("account", "add", "attacker")
    key = {"AccessKeyId": made["access_key"],
           "SecretAccessKey": made["secret_key"]}
    theirs = connect("iam", key)
    theirs.create_user(UserName="mine")
    mine = theirs.create_access_key(UserName="mine")["AccessKey"]
    for call, more in (
            (theirs.get_user, {"UserName": "victim"}),
            (theirs.create_access_key, {"UserName": "victim"}),
            (theirs.delete_access_key, {"UserName": "mine",
                                        "AccessKeyId": victim["AccessKeyId"]}),
            (theirs.update_access_key, {"UserName": "mine", "Status": "Inactive",
                                        "AccessKeyId": victim["AccessKeyId"]}),
            (theirs.get_access_key_last_used,
             {"AccessKeyId": victim["AccessKeyId"]}),
            (theirs.get_policy, {"PolicyArn": policy}),
            (theirs.delete_policy, {"PolicyArn": policy}),
            (theirs.create_policy_version, {
                "PolicyArn": policy, "SetAsDefault": True, "PolicyDocument":
                json.dumps(document(allow("*")))}),
            (theirs.attach_user_policy, {"UserName": "mine",
                                         "PolicyArn": policy}),
            (theirs.get_role, {"RoleName": "victims"}),
            (theirs.update_assume_role_policy, {
                "RoleName": "victims", "PolicyDocument": trust("*")})):
        refused("NoSuchEntity", 404, call, **more)
    theirs.attach_user_policy(UserName="mine", PolicyArn=BUILT_IN)
    refused("AccessDenied", 403, connect("sts", mine).assume_role, RoleArn=role,
            RoleSessionName="session")
    assert connect("sts", victim).get_caller_identity()["Account"] == account
