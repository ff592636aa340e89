"""The newest boto3, its defaults untouched."""

import base64
import hashlib
import io
import urllib.request
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from stack import pattern


def status(error):
    return (error.value.response["ResponseMetadata"]["HTTPStatusCode"],
            error.value.response["Error"]["Code"])


def test_put_get_head_delete(stack, bucket):
    client = stack.client()
    data = pattern(100_000)
    put = client.put_object(Bucket=bucket, Key="k", Body=data,
                            ContentType="text/plain",
                            Metadata={"Colour": "blue", "n": "1"})
    md5 = f'"{hashlib.md5(data).hexdigest()}"'
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    assert put["ETag"] == md5
    assert put["ChecksumCRC32"] == crc
    assert put["ChecksumType"] == "FULL_OBJECT"

    got = client.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data  # the SDK checks the checksum itself
    assert got["ChecksumCRC32"] == crc
    assert got["ETag"] == md5
    assert got["ContentLength"] == len(data)
    assert got["ContentType"] == "text/plain"
    assert got["Metadata"] == {"colour": "blue", "n": "1"}
    assert got["AcceptRanges"] == "bytes"

    head = client.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == len(data)
    assert head["LastModified"] == got["LastModified"]

    assert client.delete_object(Bucket=bucket, Key="k")[
        "ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket=bucket, Key="k")
    assert status(error) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as error:
        client.head_object(Bucket=bucket, Key="k")
    assert status(error) == (404, "404")


@pytest.mark.parametrize("algorithm",
                         ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksum_algorithms(stack, bucket, algorithm):
    pytest.importorskip("awscrt")
    client = stack.client()
    data = pattern(200_000, algorithm)
    put = client.put_object(Bucket=bucket, Key="k", Body=data,
                            ChecksumAlgorithm=algorithm)
    got = client.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


def test_stream_without_known_hash(stack, bucket):
    """A stream is sent aws-chunked with a trailer."""
    client = stack.client()
    data = pattern(3_000_000)
    client.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(data))
    got = client.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data
    assert "ContentEncoding" not in got


def test_multipart_upload_and_download(stack, bucket):
    client = stack.client()
    data = pattern((23 << 20) + 5)
    client.upload_fileobj(io.BytesIO(data), bucket, "k",
                          Config=TransferConfig(multipart_chunksize=5 << 20))
    head = client.head_object(Bucket=bucket, Key="k")
    parts = [data[i:i + (5 << 20)] for i in range(0, len(data), 5 << 20)]
    etag = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts))
    assert head["ETag"] == f'"{etag.hexdigest()}-5"'
    out = io.BytesIO()
    client.download_fileobj(bucket, "k", out)
    assert out.getvalue() == data
    part = client.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert part["Body"].read() == parts[1]
    assert part["PartsCount"] == 5


def test_keys_of_all_kinds(stack, bucket):
    client = stack.client()
    keys = ["a//b", "/lead", "trail/", "a/../b", "./c", "..", "sp ace",
            "plus+", "per%cent", "per%25cent", "q?m#h", "ünï", "日本", "😀",
            "tab\t", "new\nline", "ctl\x01", "&<>\"'", "=;,:@$", "k" * 1024]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    listed = [o["Key"] for o in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(keys, key=lambda k: k.encode())
    listed = [o["Key"] for o in client.list_objects(Bucket=bucket)["Contents"]]
    assert listed == sorted(keys, key=lambda k: k.encode())
    for key in keys:
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() \
            == key.encode()
    # XML 1.0 cannot hold this one, so DeleteObjects cannot name it.
    client.delete_object(Bucket=bucket, Key="ctl\x01")
    keys.remove("ctl\x01")
    answer = client.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert {d["Key"] for d in answer["Deleted"]} == set(keys)
    assert "Errors" not in answer
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_copy(stack, bucket):
    client = stack.client()
    data = pattern(1_000_000)
    client.put_object(Bucket=bucket, Key="sp ace/é+", Body=data,
                      Metadata={"a": "1"})
    client.copy_object(Bucket=bucket, Key="to",
                       CopySource={"Bucket": bucket, "Key": "sp ace/é+"})
    got = client.get_object(Bucket=bucket, Key="to")
    assert got["Body"].read() == data
    assert got["Metadata"] == {"a": "1"}


def test_presigned_urls(stack, bucket):
    client = stack.client(signature_version="s3v4")
    url = client.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "k é"})
    request = urllib.request.Request(url, data=b"by link", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    url = client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k é"})
    assert urllib.request.urlopen(url).read() == b"by link"


def test_conditional_writes(stack, bucket):
    client = stack.client()
    client.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert status(error) == (412, "PreconditionFailed")


def test_what_is_missing_says_so(stack, bucket):
    client = stack.client()
    for call, arguments in (
            (client.put_bucket_accelerate_configuration,
             {"AccelerateConfiguration": {"Status": "Enabled"}}),):
        with pytest.raises(ClientError) as error:
            call(Bucket=bucket, **arguments)
        assert status(error) == (501, "NotImplemented")


def test_virtual_hosts_and_list_buckets(stack, bucket):
    names = [b["Name"] for b in stack.client().list_buckets()["Buckets"]]
    assert bucket in names
    assert names == sorted(names)
