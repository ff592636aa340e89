"""Object Lock: configuration, retention, legal hold; what they refuse."""

import base64
import datetime
import hashlib

import pytest
from conformance import Raw, now, refused, status_of

FUTURE = "2099-01-01T00:00:00Z"
LATER = "2099-06-01T00:00:00Z"
SOONER = "2098-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module")
def plain(s3):
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="k", Body=b"x")
    return "plain"


@pytest.fixture(scope="module")
def locked(s3):
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return "locked"


@pytest.fixture
def key(s3, locked, request):
    """A key of the test's own, and its version."""
    name = request.node.name
    put = s3.put_object(Bucket=locked, Key=name, Body=b"x")
    return {"Bucket": locked, "Key": name}, put["VersionId"]


def put(raw, target, document, **headers):
    digest = base64.b64encode(hashlib.md5(document).digest()).decode()
    return raw.request("PUT", target, document,
                       {"Content-MD5": digest, **headers})


def rule(inside):
    return (b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
            b"</ObjectLockEnabled><Rule><DefaultRetention>%s"
            b"</DefaultRetention></Rule></ObjectLockConfiguration>" % inside)


# --- the bucket's configuration
@pytest.mark.parametrize("document, expected", [
    (rule(b"<Mode>GOVERNANCE</Mode><Days>0</Days>"), "InvalidArgument"),
    (rule(b"<Mode>GOVERNANCE</Mode><Years>-1</Years>"), "InvalidArgument"),
    (rule(b"<Mode>GOVERNANCE</Mode><Days>36501</Days>"), "InvalidArgument"),
    (rule(b"<Mode>GOVERNANCE</Mode><Years>101</Years>"), "InvalidArgument"),
    (rule(b"<Mode>governance</Mode><Days>1</Days>"), "MalformedXML"),
    (rule(b"<Mode>GOVERNANCE</Mode><Days>one</Days>"), "MalformedXML"),
    (rule(b"<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"),
     "MalformedXML"),
    (rule(b"<Mode>GOVERNANCE</Mode>"), "MalformedXML"),
    (rule(b"<Days>1</Days>"), "MalformedXML"),
    (b"<ObjectLockConfiguration><ObjectLockEnabled>Disabled"
     b"</ObjectLockEnabled></ObjectLockConfiguration>", "MalformedXML"),
    (b"<ObjectLockConfiguration/>", "MalformedXML"), (b"<X", "MalformedXML")])
def test_bad_configuration(raw, locked, document, expected):
    answer = put(raw, f"/{locked}?object-lock", document)
    assert answer.error == (400, expected)
    assert b"<Rule>" not in raw.get(f"/{locked}?object-lock").body


def test_configuration(s3, raw):
    s3.create_bucket(Bucket="configured")
    set_lock = {"Bucket": "configured", "ObjectLockConfiguration": {
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {
            "Mode": "COMPLIANCE", "Years": 1}}}}
    assert refused(s3.put_object_lock_configuration, **set_lock) == (
        409, "InvalidBucketState")
    s3.put_bucket_versioning(Bucket="configured",
                             VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        answer = s3.put_object_lock_configuration(**set_lock)
        assert status_of(answer) == 200
    got = s3.get_object_lock_configuration(Bucket="configured")
    assert got["ObjectLockConfiguration"] == (
        set_lock["ObjectLockConfiguration"])
    assert refused(s3.put_bucket_versioning, Bucket="configured",
                   VersioningConfiguration={"Status": "Suspended"}) == (
        409, "InvalidBucketState")
    version = s3.put_object(Bucket="configured", Key="k",
                            Body=b"x")["VersionId"]
    head = s3.head_object(Bucket="configured", Key="k")
    assert head["ObjectLockMode"] == "COMPLIANCE"
    days = (head["ObjectLockRetainUntilDate"] - now()).days
    assert 363 <= days <= 366
    assert refused(s3.delete_object, Bucket="configured", Key="k",
                   VersionId=version, BypassGovernanceRetention=True) == (
        403, "AccessDenied")


# --- where there is no lock
@pytest.mark.parametrize("method, query, document", [
    ("GET", "retention", b""), ("GET", "legal-hold", b""),
    ("PUT", "retention", b"<Retention><Mode>GOVERNANCE</Mode>"
     b"<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>"),
    ("PUT", "legal-hold", b"<LegalHold><Status>ON</Status></LegalHold>")])
def test_bucket_without_lock(raw, plain, method, query, document):
    if method == "PUT":
        answer = put(raw, f"/{plain}/k?{query}", document)
    else:
        answer = raw.get(f"/{plain}/k?{query}")
    assert answer.error == (400, "InvalidRequest")


def test_nothing_set(raw, locked, key):
    where, version = key
    target = f"/{locked}/{where['Key']}"
    for query in ("retention", "legal-hold"):
        assert raw.get(f"{target}?{query}").error == (
            404, "NoSuchObjectLockConfiguration")
        assert raw.get(f"/{locked}/none?{query}").error == (404, "NoSuchKey")
        assert raw.get(f"{target}?{query}&versionId={'a' * 32}").error == (
            404, "NoSuchVersion")


# --- retention
def retention(mode, until):
    return (f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}"
            "</RetainUntilDate></Retention>").encode()


@pytest.mark.parametrize("document, expected", [
    (retention("governance", FUTURE), (400, "MalformedXML")),
    (retention("NONE", FUTURE), (400, "MalformedXML")),
    (retention("GOVERNANCE", "tomorrow"), (400, "MalformedXML")),
    (retention("GOVERNANCE", "2000-01-01T00:00:00Z"),
     (400, "InvalidArgument")),
    (b"<Retention><Mode>GOVERNANCE</Mode></Retention>",
     (400, "MalformedXML")),
    (b"<Retention><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"
     b"</Retention>", (400, "MalformedXML")), (b"<X/>", (400, "MalformedXML"))])
def test_bad_retention(raw, locked, document, expected):
    raw.put(f"/{locked}/bad", b"x")
    assert put(raw, f"/{locked}/bad?retention", document).error == expected
    assert put(raw, f"/{locked}/none?retention",
               retention("GOVERNANCE", FUTURE)).error == (404, "NoSuchKey")


# (was, becomes, bypass): may it?
CHANGES = [
    (("GOVERNANCE", FUTURE), ("GOVERNANCE", LATER), False, True),
    (("GOVERNANCE", FUTURE), ("GOVERNANCE", FUTURE), False, True),
    (("GOVERNANCE", FUTURE), ("GOVERNANCE", SOONER), False, False),
    (("GOVERNANCE", FUTURE), ("COMPLIANCE", FUTURE), False, False),
    (("GOVERNANCE", FUTURE), ("GOVERNANCE", SOONER), True, True),
    (("GOVERNANCE", FUTURE), ("COMPLIANCE", SOONER), True, True),
    (("GOVERNANCE", FUTURE), None, False, False),
    (("GOVERNANCE", FUTURE), None, True, True),
    (("COMPLIANCE", FUTURE), ("COMPLIANCE", LATER), False, True),
    (("COMPLIANCE", FUTURE), ("COMPLIANCE", SOONER), True, False),
    (("COMPLIANCE", FUTURE), ("GOVERNANCE", LATER), True, False),
    (("COMPLIANCE", FUTURE), None, True, False),
]


@pytest.mark.parametrize("was, becomes, bypass, allowed", CHANGES)
def test_change(s3, raw, locked, was, becomes, bypass, allowed):
    version = s3.put_object(Bucket=locked, Key="change",
                            Body=b"x")["VersionId"]
    target = f"/{locked}/change?retention&versionId={version}"
    assert put(raw, target, retention(*was)).status == 200
    document = retention(*becomes) if becomes else b"<Retention/>"
    headers = {"x-amz-bypass-governance-retention": "true"} if bypass else {}
    answer = put(raw, target, document, **headers)
    assert answer.error == ((200, None) if allowed else
                            (403, "AccessDenied"))
    now_is = raw.get(target)
    if allowed and becomes is None:
        assert now_is.error == (404, "NoSuchObjectLockConfiguration")
    else:
        mode, until = becomes if allowed else was
        assert now_is.text("Mode") == mode
        assert now_is.text("RetainUntilDate").startswith(until[:19])


# --- what is protected
@pytest.mark.parametrize("mode, hold, bypass, status", [
    ("GOVERNANCE", "OFF", False, 403), ("GOVERNANCE", "OFF", True, 204),
    ("GOVERNANCE", "ON", True, 403), ("COMPLIANCE", "OFF", True, 403),
    (None, "ON", False, 403), (None, "ON", True, 403),
    (None, "OFF", False, 204)])
def test_delete(s3, raw, locked, mode, hold, bypass, status):
    options = {"ObjectLockLegalHoldStatus": hold}
    if mode:
        options.update(ObjectLockMode=mode,
                       ObjectLockRetainUntilDate=datetime.datetime(
                           2099, 1, 1, tzinfo=datetime.timezone.utc))
    version = s3.put_object(Bucket=locked, Key="kept", Body=b"x",
                            **options)["VersionId"]
    where = {"Bucket": locked, "Key": "kept", "VersionId": version}
    head = s3.head_object(**where)
    assert head["ObjectLockLegalHoldStatus"] == hold
    assert head.get("ObjectLockMode") == mode
    many = s3.delete_objects(
        Bucket=locked, BypassGovernanceRetention=False,
        Delete={"Objects": [{"Key": "kept", "VersionId": version}]})
    if status == 204 and not bypass:
        assert "Errors" not in many
        return
    assert many["Errors"][0]["Code"] == "AccessDenied"
    headers = {"x-amz-bypass-governance-retention": "true"} if bypass else {}
    answer = raw.request("DELETE", f"/{locked}/kept?versionId={version}",
                         headers=headers)
    assert answer.status == status
    # the key itself can always be hidden
    assert s3.delete_object(Bucket=locked, Key="kept")["DeleteMarker"]


@pytest.mark.parametrize("headers", [
    {"mode": "GOVERNANCE"}, {"retain-until-date": FUTURE},
    {"mode": "NONE", "retain-until-date": FUTURE},
    {"mode": "GOVERNANCE", "retain-until-date": "tomorrow"},
    {"mode": "GOVERNANCE", "retain-until-date": "2000-01-01T00:00:00Z"},
    {"legal-hold": "MAYBE"}])
def test_bad_headers(raw, locked, headers):
    headers = {f"x-amz-object-lock-{n}": v for n, v in headers.items()}
    for method, target in (("PUT", f"/{locked}/never"),
                           ("POST", f"/{locked}/never?uploads")):
        answer = raw.request(method, target, b"", headers)
        assert answer.error == (400, "InvalidArgument")


def test_lock_needs_a_digest(raw, locked):
    """Content-MD5 or a checksum must come with what is to be kept."""
    answer = raw.request("PUT", f"/{locked}/never", b"x", {
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": FUTURE})
    assert answer.error == (400, "InvalidRequest")


def test_legal_hold(s3, raw, locked, key):
    where, _ = key
    target = f"/{locked}/{where['Key']}?legal-hold"
    for status in ("ON", "ON", "OFF", "OFF"):
        answer = s3.put_object_legal_hold(**where,
                                          LegalHold={"Status": status})
        assert status_of(answer) == 200
        assert s3.get_object_legal_hold(**where)["LegalHold"] == {
            "Status": status}
    for document in (b"<LegalHold/>", b"<LegalHold><Status>MAYBE</Status>"
                     b"</LegalHold>", b"<X/>"):
        assert put(raw, target, document).error == (400, "MalformedXML")
    assert put(raw, f"/{locked}/none?legal-hold",
               b"<LegalHold><Status>ON</Status></LegalHold>").error == (
        404, "NoSuchKey")


def test_uploads_and_copies_take_the_lock(s3, locked):
    until = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    where = {"Bucket": locked, "Key": "upload"}
    upload = s3.create_multipart_upload(**where, **lock)["UploadId"]
    etag = s3.upload_part(**where, UploadId=upload, PartNumber=1,
                          Body=b"x")["ETag"]
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object_retention(**where)["Retention"] == {
        "Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.copy_object(Bucket=locked, Key="bare", CopySource=f"{locked}/upload")
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="bare")
    s3.copy_object(Bucket=locked, Key="kept", CopySource=f"{locked}/upload",
                   **lock)
    head = s3.head_object(Bucket=locked, Key="kept")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == (
        "GOVERNANCE", until)
