"""SSE-KMS with Vault's transit engine (fake_vault.py) through nginx."""

import base64
import json
import pathlib
import subprocess
import sys
import urllib.request

import pytest
from botocore.exceptions import ClientError

from stack import TOP, Stack, pattern

PART = 5 << 20
BODY = pattern(200_000)
KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "master"}
BUCKET_KEY = {**KMS, "BucketKeyEnabled": True}


class Vault:
    """The fake, and the file with the token that s3d shows it."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, TOP / "tests/fake_vault.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.token_file = directory / "token"
        self.give_token("s.test-token")

    def give_token(self, token):
        new = pathlib.Path(f"{self.token_file}.new")
        new.touch(mode=0o600)
        new.write_text(token)
        new.rename(self.token_file)

    def tell(self, **wish):
        request = urllib.request.Request(
            f"{self.url}/test", json.dumps(wish).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def asked(self):
        return self.tell()["asked"]

    def settings(self, cache):
        return (f'vault = {{ url = "{self.url}"; key = "master"; timeout = "1s";'
                f' token_file = "{self.token_file}"; cache = "{cache}"; }};')

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    vault = Vault(tmp_path_factory.mktemp("vault"))
    yield vault
    vault.stop()


def serve(directory, vault, cache):
    server = Stack(directory, s3d_extra=vault.settings(cache)).start()
    client = server.client(retries={"total_max_attempts": 1})
    client.create_bucket(Bucket="bkt")
    return server, client


def no_key_in_logs(server, vault):
    logs = b"".join((server.directory / name).read_bytes()
                    for name in ("s3d.log", "error.log", "access.log"))
    keys = vault.tell(plaintexts=True)["plaintexts"]
    assert keys and logs
    for key in keys:
        raw = base64.b64decode(key)
        for form in (raw, key.encode(), raw.hex().encode()):
            assert form not in logs


@pytest.fixture(scope="module")
def s3(tmp_path_factory, vault):
    """Each question is asked."""
    server, client = serve(tmp_path_factory.mktemp("kms"), vault, "0s")
    yield client
    server.stop()
    server.check_logs()
    no_key_in_logs(server, vault)


@pytest.fixture
def caching(tmp_path, vault):
    server, client = serve(tmp_path, vault, "1h")
    yield server, client
    server.stop()
    server.check_logs()
    no_key_in_logs(server, vault)


def failed(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(Bucket="bkt", **arguments)
    answer = caught.value.response
    return (answer["ResponseMetadata"]["HTTPStatusCode"],
            answer["Error"]["Code"])


def read(s3, key):
    answer = s3.get_object(Bucket="bkt", Key=key)
    assert answer["ServerSideEncryption"] == "aws:kms"
    return answer["Body"].read()


@pytest.mark.parametrize("wish", [KMS, BUCKET_KEY], ids=["key", "bucket-key"])
def test_objects(s3, wish):
    answer = s3.put_object(Bucket="bkt", Key="k", Body=BODY, **wish)
    assert answer["SSEKMSKeyId"] == "master"
    assert answer.get("BucketKeyEnabled", False) == ("BucketKeyEnabled" in wish)
    assert read(s3, "k") == BODY
    head = s3.head_object(Bucket="bkt", Key="k")
    assert head["ContentLength"] == len(BODY)
    assert head.get("BucketKeyEnabled", False) == ("BucketKeyEnabled" in wish)
    ranged = s3.get_object(Bucket="bkt", Key="k", Range="bytes=65530-65550")
    assert ranged["Body"].read() == BODY[65530:65551]


@pytest.mark.parametrize("wish", [KMS, BUCKET_KEY], ids=["key", "bucket-key"])
def test_multipart_and_copies(s3, wish):
    parts = [pattern(PART, 1), pattern(70_000, 2)]
    upload = s3.create_multipart_upload(Bucket="bkt", Key="m", **wish)["UploadId"]
    tags = [s3.upload_part(Bucket="bkt", Key="m", UploadId=upload, PartNumber=n,
                           Body=part)["ETag"]
            for n, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(
        Bucket="bkt", Key="m", UploadId=upload, MultipartUpload={"Parts": [
            {"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]})
    assert read(s3, "m") == b"".join(parts)
    for to in (KMS, BUCKET_KEY):
        answer = s3.copy_object(Bucket="bkt", Key="c", CopySource="bkt/m", **to)
        assert answer["SSEKMSKeyId"] == "master"
        assert answer.get("BucketKeyEnabled", False) == ("BucketKeyEnabled" in to)
        assert read(s3, "c") == b"".join(parts)
    s3.copy_object(Bucket="bkt", Key="c", CopySource="bkt/c",
                   ServerSideEncryption="AES256")
    assert s3.get_object(
        Bucket="bkt", Key="c")["Body"].read() == b"".join(parts)


@pytest.mark.parametrize(
    "mode", ["sealed", "silent", "garbage", "other", "huge", "cut", "redirect"])
def test_vault_fails(s3, vault, mode):
    """Late, garbled or no answers: 503, nothing is stored, nothing is lost."""
    s3.put_object(Bucket="bkt", Key="there", Body=BODY, **KMS)
    s3.delete_object(Bucket="bkt", Key="new")
    vault.tell(mode=mode)
    later = (503, "KMS.DependencyTimeoutException")
    try:
        for wish in (KMS, BUCKET_KEY):
            assert failed(s3.put_object, Key="new", Body=BODY, **wish) == later
            assert failed(s3.put_object, Key="there", Body=b"x", **wish) == later
        assert failed(s3.create_multipart_upload, Key="new", **KMS) == later
        if mode != "other":  # to it the plaintext is not one of a key
            assert failed(s3.get_object, Key="there") == later
        s3.head_object(Bucket="bkt", Key="there")
        s3.put_object(Bucket="bkt", Key="plain", Body=b"served")
    finally:
        vault.tell(mode="ok")
    assert failed(s3.head_object, Key="new")[0] == 404
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="bkt")
    assert read(s3, "there") == BODY
    s3.put_object(Bucket="bkt", Key="new", Body=BODY, **KMS)
    assert read(s3, "new") == BODY


def test_keys_that_are_not_there(s3):
    for name, status in (("none", (400, "KMS.NotFoundException")),
                         ("../sys", (400, "KMS.NotFoundException")),
                         ("signing", (400, "KMS.DisabledException"))):
        for more in ({}, {"BucketKeyEnabled": True}):
            assert failed(s3.put_object, Key="no", Body=b"x",
                          ServerSideEncryption="aws:kms", SSEKMSKeyId=name,
                          **more) == status
    assert failed(s3.head_object, Key="no")[0] == 404


def test_token_is_replaced(s3, vault):
    s3.put_object(Bucket="bkt", Key="k", Body=BODY, **KMS)
    vault.tell(token="s.another")
    try:
        assert failed(s3.get_object, Key="k") == (400, "KMS.DisabledException")
        vault.give_token("s.another")
        assert read(s3, "k") == BODY
    finally:
        vault.tell(token="s.test-token")
        vault.give_token("s.test-token")
    assert read(s3, "k") == BODY


def test_one_question_for_many(caching, vault):
    """Of a bucket key; and after a restart one more."""
    server, s3 = caching
    before = vault.asked()
    for n in range(40):
        s3.put_object(Bucket="bkt", Key=str(n), Body=BODY, **BUCKET_KEY)
    assert vault.asked() == before + 1
    server.restart_s3d()
    for n in range(40):
        assert read(s3, str(n)) == BODY
    assert vault.asked() == before + 2


def test_rewrap(caching, vault):
    """After it, the old version of the master key can be retired."""
    server, s3 = caching
    s3.put_object(Bucket="bkt", Key="key", Body=BODY, **KMS)
    s3.put_object(Bucket="bkt", Key="bucket-key", Body=BODY, **BUCKET_KEY)
    upload = s3.create_multipart_upload(
        Bucket="bkt", Key="m", **BUCKET_KEY)["UploadId"]
    tag = s3.upload_part(Bucket="bkt", Key="m", UploadId=upload, PartNumber=1,
                         Body=BODY)["ETag"]
    with pytest.raises(subprocess.CalledProcessError):
        server.ctl("kms", "rewrap", "status")
    vault.tell(rotate="master")
    server.ctl("kms", "rewrap")
    state = {"state": ""}
    while state["state"] != "done":
        state = server.ctl("kms", "rewrap", "status")
        assert state["failed"] == 0
    assert (state["examined"], state["rewrapped"]) == (3, 3)
    vault.tell(retire="master")
    server.restart_s3d()  # nothing is left in memory
    assert server.ctl("kms", "rewrap", "status")["state"] == "done"
    assert read(s3, "key") == read(s3, "bucket-key") == BODY
    s3.complete_multipart_upload(
        Bucket="bkt", Key="m", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert read(s3, "m") == BODY
