"""Uploads from forms: every kind of condition, held and broken; policies that
are none; what the success fields do."""

import base64
import datetime
import hmac
import json
import uuid

import pytest
from conformance import Raw, now


@pytest.fixture(scope="module")
def raw(stack):
    stack.client().create_bucket(Bucket="forms")
    return Raw(stack)


ALL = [{"bucket": "forms"}, ["starts-with", "$key", ""]]


class Form:
    """A signed form for the bucket `forms`, to be changed and sent."""

    def __init__(self, raw, conditions=ALL, policy=None, expires=3600,
                 **fields):
        self.raw = raw
        stack, date = raw.stack, now().strftime("%Y%m%d")
        scope = [date, "us-east-1", "s3", "aws4_request"]
        self.fields = {
            "key": "posted", "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "/".join([stack.access_key, *scope]),
            "x-amz-date": f"{date}T000000Z", **fields}
        signing = [["starts-with", f"${name}", ""] for name in self.fields
                   if name.startswith("x-amz-") and name[6:] in (
                       "algorithm", "credential", "date")]
        if policy is None:
            until = now() + datetime.timedelta(seconds=expires)
            policy = {"expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                      "conditions": conditions + signing}
        text = policy if isinstance(policy, str) else json.dumps(policy)
        encoded = base64.b64encode(text.encode()).decode()
        key = ("AWS4" + stack.secret_key).encode()
        for word in scope:
            key = hmac.digest(key, word.encode(), "sha256")
        self.fields["policy"] = encoded
        self.fields["x-amz-signature"] = hmac.digest(
            key, encoded.encode(), "sha256").hex()

    def send(self, body=b"hello", **change):
        fields = {**self.fields,
                  **{n.replace("_", "-"): v for n, v in change.items()}}
        line = uuid.uuid4().hex
        parts = "".join(
            f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n'
            f"\r\n{value}\r\n" for name, value in fields.items()
            if value is not None).encode()
        parts += (f'--{line}\r\nContent-Disposition: form-data; name="file"; '
                  f'filename="f.txt"\r\n\r\n').encode()
        return self.raw.request(
            "POST", "/forms", parts + body + f"\r\n--{line}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={line}"},
            sign=False)


def test_plain(raw):
    answer = Form(raw).send()
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert answer.headers["Location"].endswith("/forms/posted")
    assert raw.get("/forms/posted").body == b"hello"
    assert Form(raw).send().status == 204  # again


KEY = ["starts-with", "$key", ""]
BUCKET = {"bucket": "forms"}
# conditions, fields, status
CONDITIONS = [
    ([BUCKET, {"key": "posted"}], {}, 204),
    ([BUCKET, ["eq", "$key", "posted"]], {}, 204),
    ([BUCKET, ["EQ", "$Key", "posted"]], {}, 204),
    ([BUCKET, ["starts-with", "$key", "po"]], {}, 204),
    ([BUCKET, ["starts-with", "$key", "other"]], {}, 403),
    ([BUCKET, {"key": "other"}], {}, 403),
    ([BUCKET], {}, 403),                     # of the key nothing is said
    ([KEY], {}, 403),                        # nor of the bucket
    ([{"bucket": "other"}, KEY], {}, 403),
    (ALL, {"acl": "private"}, 403),          # a field that is not named
    (ALL, {"x-ignore-a": "b"}, 204),         # but this kind may be
    ([*ALL, {"acl": "private"}], {"acl": "private"}, 204),
    ([*ALL, {"acl": "private"}], {}, 403),   # named, and not there
    ([*ALL, ["starts-with", "$Content-Type", "text/"]],
     {"Content-Type": "text/plain"}, 204),
    ([*ALL, ["starts-with", "$Content-Type", "text/"]],
     {"Content-Type": "image/png"}, 403),
    ([*ALL, ["starts-with", "$Content-Type", "text/"]],
     {"Content-Type": "text/plain,text/html"}, 204),
    ([*ALL, {"x-amz-meta-a": "b"}], {"x-amz-meta-a": "b"}, 204),
    ([*ALL, {"x-amz-meta-a": "b"}], {"x-amz-meta-a": "c"}, 403),
    ([*ALL, ["content-length-range", 1, 5]], {}, 204),
    ([*ALL, ["content-length-range", 5, 5]], {}, 204),
    ([*ALL, ["content-length-range", 6, 9]], {}, 400),
    ([*ALL, ["content-length-range", 0, 4]], {}, 400),
    ([*ALL, ["content-length-range", "1", "5"]], {}, 204),
]


@pytest.mark.parametrize("conditions, fields, status", CONDITIONS)
def test_conditions(raw, conditions, fields, status):
    raw.delete("/forms/posted")
    answer = Form(raw, conditions, **fields).send()
    assert answer.status == status
    assert raw.head("/forms/posted").status == (200 if status == 204 else 404)
    if status == 400:
        assert answer.text("Code") in ("EntityTooLarge", "EntityTooSmall")
    elif status == 403:
        assert answer.text("Code") == "AccessDenied"


FUTURE = "2099-01-01T00:00:00Z"
POLICIES = [
    ("not JSON", 400), ("[]", 400), ("{}", 400),
    ({"expiration": FUTURE}, 400),
    ({"conditions": ALL}, 400),
    ({"expiration": FUTURE, "CONDITIONS": ALL}, 400),
    ({"EXPIRATION": FUTURE, "conditions": ALL}, 400),
    ({"expiration": "tomorrow", "conditions": ALL}, 400),
    ({"expiration": FUTURE, "conditions": {}}, 400),
    ({"expiration": FUTURE, "conditions": [["like", "$key", "a"]]}, 400),
    ({"expiration": FUTURE, "conditions": [
        ["content-length-range", 1]]}, 400),
    ({"expiration": FUTURE, "conditions": [
        ["content-length-range", -1, 5]]}, 400),
    ({"expiration": "2000-01-01T00:00:00Z", "conditions": ALL}, 403)]


@pytest.mark.parametrize("policy, status", POLICIES)
def test_policies(raw, policy, status):
    answer = Form(raw, policy=policy).send()
    assert answer.status == status
    assert answer.text("Code") == (
        "AccessDenied" if status == 403 else "InvalidPolicyDocument")


@pytest.mark.parametrize("change, expected", [
    ({"key": None}, (400, "InvalidArgument")),
    ({"x_amz_signature": None}, (400, "InvalidArgument")),
    ({"x_amz_credential": None}, (400, "InvalidArgument")),
    ({"x_amz_date": None}, (400, "InvalidArgument")),
    ({"x_amz_signature": "0" * 64}, (403, "SignatureDoesNotMatch")),
    ({"x_amz_algorithm": "AWS4-HMAC-SHA1"}, (400, "InvalidArgument")),
    ({"policy": None}, (400, "InvalidArgument")),
    ({"key": "k" * 1025}, (400, "KeyTooLongError"))])
def test_fields(raw, change, expected):
    assert Form(raw).send(**change).error == expected


@pytest.mark.parametrize("value, status", [
    ("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)])
def test_success_status(raw, value, status):
    form = Form(raw, [*ALL, ["starts-with", "$success_action_status", ""]],
                success_action_status=value)
    answer = form.send()
    assert answer.status == status
    if status == 201:
        assert (answer.text("Bucket"), answer.text("Key")) == (
            "forms", "posted")
    else:
        assert answer.body == b""


def test_redirect(raw):
    form = Form(raw, [*ALL, ["starts-with", "$success_action_redirect", ""]],
                success_action_redirect="http://example.com/done?a=b")
    answer = form.send()
    assert answer.status == 303
    assert answer.headers["Location"].startswith(
        "http://example.com/done?a=b&bucket=forms&key=posted&etag=%22")


def test_filename_and_tags(raw):
    tags = ("<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
            "</TagSet></Tagging>")
    form = Form(raw, [*ALL, ["starts-with", "$tagging", ""]], tagging=tags)
    assert form.send(key="in/${filename}").status == 204
    assert raw.get("/forms/in/f.txt").body == b"hello"
    assert raw.get("/forms/in/f.txt?tagging").texts("Key") == ["a"]
