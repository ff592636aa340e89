"""Tags, CORS, access logs, attributes of settings: what is taken, what is
refused, and what browsers are told."""

import base64
import hashlib

import pytest
from conformance import Raw, refused, status_of


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client()


@pytest.fixture(scope="module")
def raw(stack):
    return Raw(stack)


@pytest.fixture(scope="module")
def home(s3):
    s3.create_bucket(Bucket="home")
    s3.put_object(Bucket="home", Key="k", Body=b"x")
    return "home"


def put(raw, target, document):
    digest = base64.b64encode(hashlib.md5(document).digest()).decode()
    return raw.request("PUT", target, document, {"Content-MD5": digest})


# --- tags
def tagging(*tags):
    return b"<Tagging><TagSet>%s</TagSet></Tagging>" % b"".join(
        b"<Tag><Key>%s</Key><Value>%s</Value></Tag>" % (
            key.encode(), value.encode()) for key, value in tags)


def numbered(count):
    return tagging(*[(f"k{i}", "v") for i in range(count)])


TAGS = [
    (tagging(("a", "1")), None), (tagging(("a", "")), None),
    (tagging(("k" * 128, "v" * 256)), None),
    (tagging(("Ключ é", "値 +-=._:/@")), None), (numbered(10), None),
    (numbered(51), "BadRequest"),
    (tagging(("a", "1"), ("a", "2")), "InvalidTag"),
    (tagging(("A", "2"), ("a", "1")), None),
    (tagging(("", "1")), "InvalidTag"),
    (tagging(("k" * 129, "1")), "InvalidTag"),
    (tagging(("a", "v" * 257)), "InvalidTag"),
    (tagging(("aws:a", "1")), "InvalidTag"),
    (tagging(("a!", "1")), "InvalidTag"),
    (tagging(("a", "1{}")), "InvalidTag"),
    (b"<Tagging/>", "MalformedXML"), (b"<X/>", "MalformedXML"),
    (b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
     "MalformedXML"), (b"", "MissingRequestBodyError")]


@pytest.mark.parametrize("document, code", TAGS)
@pytest.mark.parametrize("target, status", [("/home?tagging", 204),
                                            ("/home/k?tagging", 200)])
def test_tags(raw, home, document, code, target, status):
    put(raw, target, tagging(("before", "1")))
    answer = put(raw, target, document)
    got = raw.get(target)
    if code is None:
        assert answer.status == status
        assert tagging(*zip(got.texts("Key"), got.texts("Value"))) == document
        again = put(raw, target, document)
        assert again.status == status
    else:
        assert answer.error == (400, code)
        assert got.texts("Key") == ["before"]


def test_how_many_tags(raw, home):
    """Ten on an object, fifty on a bucket."""
    assert put(raw, "/home?tagging", numbered(50)).status == 204
    answer = put(raw, "/home/k?tagging", numbered(11))
    assert answer.error == (400, "BadRequest")
    assert answer.text("Message") == "Object tags cannot be greater than 10"


def test_no_tags(s3, raw, home):
    for _ in range(2):
        assert status_of(s3.delete_bucket_tagging(Bucket=home)) == 204
        assert status_of(s3.delete_object_tagging(Bucket=home, Key="k")) == 204
    assert refused(s3.get_bucket_tagging, Bucket=home) == (404, "NoSuchTagSet")
    assert s3.get_object_tagging(Bucket=home, Key="k")["TagSet"] == []
    for method in ("GET", "DELETE"):
        answer = raw.request(method, "/home/none?tagging")
        assert answer.error == (404, "NoSuchKey")
    assert put(raw, "/home/none?tagging", tagging()).error == (
        404, "NoSuchKey")
    unsigned = raw.request("PUT", "/home/k?tagging", tagging(("a", "1")))
    assert unsigned.error == (400, "InvalidRequest")  # no digest


# --- CORS
def rules(*inside):
    return b"<CORSConfiguration>%s</CORSConfiguration>" % b"".join(
        b"<CORSRule>%s</CORSRule>" % rule for rule in inside)


ANY = b"<AllowedOrigin>*</AllowedOrigin>"
GET = b"<AllowedMethod>GET</AllowedMethod>"
BAD_RULES = [
    (rules(), "MalformedXML"), (rules(b""), "MalformedXML"),
    (rules(ANY), "MalformedXML"), (rules(GET), "MalformedXML"),
    (rules(ANY + b"<AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest"),
    (rules(ANY + b"<AllowedMethod>get</AllowedMethod>"), "InvalidRequest"),
    (rules(b"<AllowedOrigin>*.*</AllowedOrigin>" + GET), "InvalidRequest"),
    (rules(ANY + GET + b"<AllowedHeader>*a*</AllowedHeader>"),
     "InvalidRequest"),
    (rules(ANY + GET + b"<ExposeHeader>x-*</ExposeHeader>"),
     "InvalidRequest"),
    (rules(ANY + GET + b"<MaxAgeSeconds>long</MaxAgeSeconds>"),
     "MalformedXML"),
    (rules(ANY + GET + b"<ID>%s</ID>" % (b"i" * 256)), "MalformedXML"),
    (rules(*[ANY + GET] * 101), "InvalidRequest"), (b"<X/>", "MalformedXML")]


@pytest.mark.parametrize("document, code", BAD_RULES)
def test_bad_rules(raw, home, document, code):
    assert put(raw, "/home?cors", document).error == (400, code)
    assert raw.get("/home?cors").status == 404


@pytest.fixture(scope="module")
def shared(s3):
    s3.create_bucket(Bucket="shared")
    s3.put_object(Bucket="shared", Key="k", Body=b"x")
    s3.put_bucket_cors(Bucket="shared", CORSConfiguration={"CORSRules": [
        {"AllowedOrigins": ["http://*.example.com"],
         "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-amz-*"],
         "ExposeHeaders": ["ETag", "x-amz-meta-a"], "MaxAgeSeconds": 60},
        {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
        {"AllowedOrigins": ["start*", "*end"], "AllowedMethods": ["DELETE"]},
    ]})
    return "shared"


# (origin, method, asked headers): what is allowed, or None
PREFLIGHTS = [
    ("http://a.example.com", "GET", None, "http://a.example.com"),
    ("http://a.example.com", "PUT", "x-amz-date, X-AMZ-acl",
     "http://a.example.com"),
    ("http://a.example.com", "PUT", "content-type", None),
    ("http://a.example.com", "DELETE", None, None),
    ("http://example.com", "GET", None, None),
    ("https://a.example.com", "GET", None, None),
    ("http://anywhere", "HEAD", None, "*"), ("http://anywhere", "GET", None,
                                             None),
    ("start", "DELETE", None, "start"), ("startend", "DELETE", None,
                                         "startend"),
    ("an end", "DELETE", None, "an end"), ("ends", "DELETE", None, None)]


@pytest.mark.parametrize("origin, method, headers, allowed", PREFLIGHTS)
def test_preflight(raw, shared, origin, method, headers, allowed):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    answer = raw.request("OPTIONS", "/shared/k", headers=asked, sign=False)
    if allowed is None:
        assert answer.error == (403, "AccessForbidden")
        assert answer.headers["Access-Control-Allow-Origin"] is None
        return
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == allowed
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == (
        headers.lower() if headers else None)
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("headers, expected", [
    ({}, (400, "BadRequest")), ({"Origin": "http://x"}, (400, "BadRequest")),
    ({"Origin": "http://x", "Access-Control-Request-Method": "PATCH"},
     (400, "BadRequest"))])
def test_half_a_preflight(raw, shared, headers, expected):
    answer = raw.request("OPTIONS", "/shared/k", headers=headers, sign=False)
    assert answer.error == expected


@pytest.mark.parametrize("method, target, sign, status", [
    ("GET", "/shared/k", True, 200), ("GET", "/shared/none", True, 404),
    ("GET", "/shared/k", False, 403), ("PUT", "/shared/k", False, 403),
    ("GET", "/shared/k?uploads", True, 400), ("GET", "/shared", True, 200),
    ("GET", "/shared/k?versionId=x", True, 400)])
def test_headers_on_answers(raw, shared, method, target, sign, status):
    """Refusals too: a browser would not show them otherwise."""
    for origin, allowed in (("http://a.example.com", "http://a.example.com"),
                            ("http://elsewhere", None)):
        answer = raw.request(method, target, headers={"Origin": origin},
                             sign=sign)
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == allowed
        assert answer.headers["Access-Control-Expose-Headers"] == (
            "ETag, x-amz-meta-a" if allowed else None)


# --- access logs
def logging(inside):
    return (b"<BucketLoggingStatus><LoggingEnabled>%s</LoggingEnabled>"
            b"</BucketLoggingStatus>" % inside)


@pytest.mark.parametrize("inside, expected", [
    (b"", (400, "MalformedXML")),
    (b"<TargetBucket>home</TargetBucket>", (400, "MalformedXML")),
    (b"<TargetBucket>nowhere</TargetBucket><TargetPrefix/>",
     (400, "InvalidTargetBucketForLogging")),
    (b"<TargetBucket>home</TargetBucket><TargetPrefix>l-</TargetPrefix>"
     b"<TargetGrants><Grant/></TargetGrants>", (400, "MalformedACLError")),
    (b"<TargetBucket>home</TargetBucket><TargetPrefix>l-</TargetPrefix>",
     (200, None))])
def test_logging(raw, home, inside, expected):
    answer = raw.put("/home?logging", logging(inside))
    assert answer.error == expected
    assert (b"LoggingEnabled" in raw.get("/home?logging").body) == (
        expected[0] == 200)


def test_logging_off(s3, home):
    for _ in range(2):
        assert status_of(s3.put_bucket_logging(
            Bucket=home, BucketLoggingStatus={})) == 200
        assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=home)
