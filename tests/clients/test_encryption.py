"""Encryption at rest with boto3, over TLS: every mode through its API."""

import base64
import hashlib
import io
import os
import ssl
import subprocess
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from stack import Stack, free_port, memory_holds, pattern

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
SOURCE = {"CopySourceSSECustomerAlgorithm": "AES256",
          "CopySourceSSECustomerKey": KEY}
PART = 5 << 20

MODES = {
    "plain": ({}, {}, {}),
    "s3": ({"ServerSideEncryption": "AES256"}, {}, {}),
    "kms": ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}, {}, {}),
    "customer": (CUSTOMER, CUSTOMER, SOURCE),
}


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its tls_endpoint is one where customers' keys may be sent."""
    directory = tmp_path_factory.mktemp("encryption")
    cert, key, port = directory / "cert.pem", directory / "key.pem", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    server = Stack(directory / "stack", http_extra=f"""
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{ s3_pass s3d; }}
    }}""").start()
    server.ctl("kms", "key", "add", "k")
    server.tls_endpoint, server.cert = f"https://127.0.0.1:{port}", str(cert)
    yield server
    server.stop()
    server.check_logs()


@pytest.fixture(scope="module")
def s3(server):
    client = boto3.client(
        "s3", endpoint_url=server.tls_endpoint, verify=server.cert,
        region_name="us-east-1", aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(signature_version="s3v4"))
    client.create_bucket(Bucket="bkt")
    return client


def tells(answer, mode):
    assert answer.get("ServerSideEncryption") == {
        "s3": "AES256", "kms": "aws:kms"}.get(mode)
    assert answer.get("SSEKMSKeyId") == ("k" if mode == "kms" else None)
    assert answer.get("SSECustomerAlgorithm") == (
        "AES256" if mode == "customer" else None)
    assert ("SSECustomerKeyMD5" in answer) == (mode == "customer")


def read(s3, key, mode):
    answer = s3.get_object(Bucket="bkt", Key=key, **MODES[mode][1])
    tells(answer, mode)
    return answer["Body"].read()


@pytest.mark.parametrize("mode", MODES)
def test_objects(s3, mode):
    body = pattern(300_000)
    writing, reading, _ = MODES[mode]
    tells(s3.put_object(Bucket="bkt", Key=mode, Body=body, **writing), mode)
    tells(s3.head_object(Bucket="bkt", Key=mode, **reading), mode)
    assert read(s3, mode, mode) == body
    answer = s3.get_object(Bucket="bkt", Key=mode, Range="bytes=100-70000",
                           **reading)
    assert answer["Body"].read() == body[100:70001]
    if mode != "customer":  # boto3 does not encode the key here
        attributes = s3.get_object_attributes(
            Bucket="bkt", Key=mode, ObjectAttributes=["ObjectSize"])
        assert attributes["ObjectSize"] == 300_000


@pytest.mark.parametrize("to", MODES)
@pytest.mark.parametrize("source", MODES)
def test_copies(s3, source, to):
    body = pattern(PART + 100)
    where = {"Bucket": "bkt", "Key": f"from-{source}"}
    s3.put_object(Body=body, **where, **MODES[source][0])
    key = f"{source}-{to}"
    tells(s3.copy_object(Bucket="bkt", Key=key, CopySource=where,
                         **MODES[source][2], **MODES[to][0]), to)
    assert read(s3, key, to) == body
    upload = s3.create_multipart_upload(Bucket="bkt", Key=key, **MODES[to][0])
    tells(upload, to)
    same = {"Bucket": "bkt", "Key": key, "UploadId": upload["UploadId"]}
    etags = []
    for number, part in enumerate((f"0-{PART - 1}", f"{PART}-{PART + 99}"), 1):
        answer = s3.upload_part_copy(
            PartNumber=number, CopySource=where,
            CopySourceRange=f"bytes={part}", **same, **MODES[source][2],
            **MODES[to][1])
        tells(answer, to)
        etags.append(answer["CopyPartResult"]["ETag"])
    s3.complete_multipart_upload(MultipartUpload={"Parts": [
        {"PartNumber": number, "ETag": etag}
        for number, etag in enumerate(etags, 1)]}, **same)
    assert read(s3, key, to) == body


@pytest.mark.parametrize("mode", MODES)
def test_transfers(s3, mode, tmp_path):
    """boto3's own uploads in parts, and downloads in ranges."""
    body = pattern((17 << 20) + 5)
    writing, reading, _ = MODES[mode]
    s3.upload_fileobj(io.BytesIO(body), "bkt", "large", ExtraArgs=writing)
    path = tmp_path / "large"
    s3.download_file("bkt", "large", str(path), ExtraArgs=reading)
    assert path.read_bytes() == body


def test_customers_keys(s3):
    s3.put_object(Bucket="bkt", Key="c", Body=b"secret", **CUSTOMER)
    wrong = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": OTHER}
    assert code_of(s3.get_object, Bucket="bkt", Key="c") == "InvalidRequest"
    assert code_of(s3.get_object, Bucket="bkt", Key="c", **wrong) \
        == "AccessDenied"
    assert code_of(s3.head_object, Bucket="bkt", Key="c") == "400"
    assert code_of(s3.head_object, Bucket="bkt", Key="c", **wrong) == "403"
    assert code_of(s3.put_object, Bucket="bkt", Key="x", Body=b"x",
                   SSECustomerAlgorithm="AES256", SSECustomerKey=b"short") \
        == "InvalidArgument"
    assert code_of(s3.put_object, Bucket="bkt", Key="x", Body=b"x",
                   SSECustomerAlgorithm="AES128", SSECustomerKey=KEY) \
        == "InvalidEncryptionAlgorithmError"


def test_kms(s3):
    assert code_of(s3.put_object, Bucket="bkt", Key="x", Body=b"x",
                   ServerSideEncryption="aws:kms", SSEKMSKeyId="nosuch") \
        == "KMS.NotFoundException"
    answer = s3.put_object(
        Bucket="bkt", Key="x", Body=b"x", ServerSideEncryption="aws:kms",
        SSEKMSKeyId="arn:aws:kms:us-east-1:123456789012:key/k",
        BucketKeyEnabled=True,
        SSEKMSEncryptionContext="eyJkZXBhcnRtZW50IjoiMTAifQ==")
    assert answer["BucketKeyEnabled"] is True
    assert answer["SSEKMSKeyId"].endswith(":key/k")
    assert answer["SSEKMSEncryptionContext"] == "eyJkZXBhcnRtZW50IjoiMTAifQ=="
    answer = s3.head_object(Bucket="bkt", Key="x")
    assert answer["BucketKeyEnabled"] is True


def test_bucket_default(s3):
    bucket = "defaults"
    s3.create_bucket(Bucket=bucket)
    assert code_of(s3.get_bucket_encryption, Bucket=bucket) \
        == "ServerSideEncryptionConfigurationNotFoundError"
    rule = {"ApplyServerSideEncryptionByDefault": {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
        "BucketKeyEnabled": True}
    s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    answer = s3.get_bucket_encryption(Bucket=bucket)
    assert answer["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) \
        == ("aws:kms", "k")
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(
        Bucket=bucket, Key="k", Body=b"x")


# --- a customer's key is nowhere once its request is done with
def key_fields(key):
    return {"algorithm": "AES256", "key": base64.b64encode(key).decode(),
            "key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def nothing_holds(server, key):
    forms = (key, base64.b64encode(key))
    for form in forms:
        assert memory_holds(server.s3d.pid, form) == 0
        for name in ("s3d.log", "error.log", "access.log"):
            assert form not in (server.directory / name).read_bytes()
    assert memory_holds(server.s3d.pid, b"x-amz-server-side-encryption") > 0


def test_headers_leave_no_key(server, s3):
    key, other = os.urandom(32), os.urandom(32)
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    body = pattern(300_000)
    s3.put_object(Bucket="bkt", Key="secret", Body=body, **customer)
    nothing_holds(server, key)
    got = s3.get_object(Bucket="bkt", Key="secret", **customer)
    assert got["Body"].read() == body
    nothing_holds(server, key)
    s3.copy_object(
        Bucket="bkt", Key="copy", CopySource="bkt/secret",
        CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=key,
        SSECustomerAlgorithm="AES256", SSECustomerKey=other)
    assert code_of(s3.get_object, Bucket="bkt", Key="copy",
                   **customer) == "AccessDenied"
    nothing_holds(server, key)
    nothing_holds(server, other)


def send_form(server, post, **changes):
    """Returns the status."""
    fields = {**post["fields"], **changes}
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        "\r\n" for name, value in fields.items())
    body += ('--b\r\nContent-Disposition: form-data; name="file"; filename="f"'
             "\r\n\r\nhello\r\n--b--\r\n")
    request = urllib.request.Request(
        post["url"], body.encode(), method="POST",
        headers={"Content-Type": "multipart/form-data; boundary=b"})
    try:
        with urllib.request.urlopen(
                request, timeout=60,
                context=ssl.create_default_context(cafile=server.cert)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_forms_leave_no_key(server, s3):
    for kind, status in (("forged", 403), ("good", 204)):
        key = os.urandom(32)
        fields = {f"x-amz-server-side-encryption-customer-{name}": value
                  for name, value in key_fields(key).items()}
        post = s3.generate_presigned_post(
            "bkt", "form-${filename}", Fields=fields,
            Conditions=[["starts-with", f"${name}", ""] for name in fields])
        changes = {"x-amz-signature": "0" * 64} if kind == "forged" else {}
        assert send_form(server, post, **changes) == status
        nothing_holds(server, key)
    got = s3.get_object(Bucket="bkt", Key="form-f",
                        SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    assert got["Body"].read() == b"hello"
