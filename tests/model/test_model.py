"""Random histories of S3 operations in a bucket without versions, compared
answer by answer with a reference model: a dictionary.
"""

import hashlib

from hypothesis import strategies as st
from hypothesis.stateful import (Bundle, consumes, initialize, invariant,
                                 rule)

from machine import Machine, run

KEYS = st.sampled_from(
    ["a", "a/", "a/b", "a//b", "a/b/c", "a0", "b", "é", "A", "a b", "~", "%2F",
     "..", "x+y"])
BODIES = st.sampled_from([0, 1, 5, 65536, 65537, 300_001])
PREFIXES = st.sampled_from(["", "a", "a/", "a/b", "b", "é", "zz"])
DELIMITERS = st.sampled_from(["", "/", "b", "//"])
MIN_PART = 5 << 20


def order(key):
    return key.encode()


class Model(Machine):
    uploads = Bundle("uploads")

    @initialize()
    def begin(self):
        self.make_bucket()
        self.objects = {}   # key: (body, etag, metadata)
        self.parts = {}     # upload id: {number: (body, etag, crc)}

    # --- objects ---------------------------------------------------------

    @rule(key=KEYS, size=BODIES, meta=st.booleans())
    def put(self, key, size, meta):
        body = self.fresh(size)
        metadata = {"n": str(self.serial)} if meta else {}
        answer = self.call("put_object", Key=key, Body=body, Metadata=metadata)
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        assert answer["ETag"] == etag
        self.objects[key] = (body, etag, metadata)

    @rule(key=KEYS, size=BODIES)
    def put_if_absent(self, key, size):
        body = self.fresh(size)
        answer = self.call("put_object", Key=key, Body=body, IfNoneMatch="*")
        if key in self.objects:
            assert answer == "PreconditionFailed"
        else:
            assert answer["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
            self.objects[key] = (body, answer["ETag"], {})

    @rule(key=KEYS, stale=st.booleans())
    def put_if_match(self, key, stale):
        body = self.fresh(3)
        known = self.objects.get(key, (b"", '"x"', {}))[1]
        etag = '"00000000000000000000000000000000"' if stale else known
        answer = self.call("put_object", Key=key, Body=body, IfMatch=etag)
        if key not in self.objects:
            assert answer == "NoSuchKey"
        elif stale:
            assert answer == "PreconditionFailed"
        else:
            self.objects[key] = (body, answer["ETag"], {})

    @rule(key=KEYS)
    def get(self, key):
        answer = self.call("get_object", Key=key)
        if key not in self.objects:
            assert answer == "NoSuchKey"
            return
        body, etag, metadata = self.objects[key]
        assert answer["Body"].read() == body
        assert answer["ETag"] == etag
        assert answer["Metadata"] == metadata
        assert answer["ContentLength"] == len(body)

    @rule(key=KEYS, start=st.integers(0, 400_000), length=st.integers(1, 99_999))
    def get_range(self, key, start, length):
        answer = self.call("get_object", Key=key,
                           Range=f"bytes={start}-{start + length - 1}")
        if key not in self.objects:
            assert answer == "NoSuchKey"
        elif start >= len(self.objects[key][0]):
            assert answer == "InvalidRange"
        else:
            body = self.objects[key][0]
            assert answer["Body"].read() == body[start:start + length]
            end = min(start + length, len(body)) - 1
            assert answer["ContentRange"] == f"bytes {start}-{end}/{len(body)}"

    @rule(key=KEYS)
    def delete(self, key):
        answer = self.call("delete_object", Key=key)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        self.objects.pop(key, None)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=5, unique=True))
    def delete_many(self, keys):
        answer = self.call(
            "delete_objects", Delete={"Objects": [{"Key": k} for k in keys]})
        assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(keys)
        for key in keys:
            self.objects.pop(key, None)

    @rule(source=KEYS, to=KEYS, replace=st.booleans())
    def copy(self, source, to, replace):
        extra = {"MetadataDirective": "REPLACE", "Metadata": {"r": "1"}} \
            if replace else {}
        answer = self.call(
            "copy_object", Key=to,
            CopySource={"Bucket": self.bucket, "Key": source}, **extra)
        if source not in self.objects:
            assert answer == "NoSuchKey"
        elif source == to and not replace:
            assert answer == "InvalidRequest"
        else:
            body, _, metadata = self.objects[source]
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            assert answer["CopyObjectResult"]["ETag"] == etag
            self.objects[to] = (body, etag, {"r": "1"} if replace else metadata)

    # --- lists -----------------------------------------------------------

    @rule(prefix=PREFIXES, delimiter=DELIMITERS, page=st.integers(1, 4),
          version=st.sampled_from(["list_objects", "list_objects_v2"]))
    def list(self, prefix, delimiter, page, version):
        keys, prefixes = [], []
        for key in sorted(self.objects, key=order):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix):]
            if delimiter and delimiter in rest:
                common = prefix + rest[:rest.index(delimiter) + len(delimiter)]
                if common not in prefixes:
                    prefixes.append(common)
            else:
                keys.append(key)
        options = {"Prefix": prefix, "PaginationConfig": {"PageSize": page}}
        if delimiter:
            options["Delimiter"] = delimiter
        found, common = [], []
        for answer in self.client.get_paginator(version).paginate(
                Bucket=self.bucket, **options):
            contents = answer.get("Contents", [])
            groups = answer.get("CommonPrefixes", [])
            assert len(contents) + len(groups) <= page
            for item in contents:
                found.append(item["Key"])
                body, etag, _ = self.objects[item["Key"]]
                assert (item["Size"], item["ETag"]) == (len(body), etag)
            common += [item["Prefix"] for item in groups]
        assert found == keys
        assert common == sorted(prefixes, key=order)

    # --- multipart ---------------------------------------------------------

    @rule(target=uploads, key=KEYS)
    def create_upload(self, key):
        upload = self.call("create_multipart_upload", Key=key)["UploadId"]
        self.parts[upload] = {}
        return (key, upload)

    @rule(upload=uploads, number=st.sampled_from([1, 2, 7]),
          size=st.sampled_from([10, MIN_PART]))
    def upload_part(self, upload, number, size):
        key, identity = upload
        body = self.fresh(size)
        answer = self.call("upload_part", Key=key, UploadId=identity,
                           PartNumber=number, Body=body)
        if identity not in self.parts:
            assert answer == "NoSuchUpload"
            return
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        assert answer["ETag"] == etag
        self.parts[identity][number] = (body, etag, answer["ChecksumCRC32"])

    @rule(upload=uploads)
    def complete(self, upload):
        key, identity = upload
        parts = self.parts.get(identity, {})
        listed = [{"PartNumber": n, "ETag": parts[n][1],
                   "ChecksumCRC32": parts[n][2]} for n in sorted(parts)]
        if not listed and identity in self.parts:
            return
        if identity not in self.parts:
            listed = [{"PartNumber": 1, "ETag": '"x"'}]
        answer = self.call("complete_multipart_upload", Key=key,
                           UploadId=identity, MultipartUpload={"Parts": listed})
        if identity not in self.parts:
            assert answer == "NoSuchUpload"
            return
        bodies = [parts[n][0] for n in sorted(parts)]
        if any(len(body) < MIN_PART for body in bodies[:-1]):
            assert answer == "EntityTooSmall"
            return
        digest = hashlib.md5(b"".join(hashlib.md5(b).digest() for b in bodies))
        etag = f'"{digest.hexdigest()}-{len(bodies)}"'
        assert answer["ETag"] == etag
        self.objects[key] = (b"".join(bodies), etag, {})
        del self.parts[identity]

    @rule(upload=consumes(uploads))
    def abort(self, upload):
        key, identity = upload
        answer = self.call("abort_multipart_upload", Key=key, UploadId=identity)
        if identity not in self.parts:
            assert answer == "NoSuchUpload"
        else:
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
            del self.parts[identity]

    @rule()
    def list_uploads(self):
        answer = self.call("list_multipart_uploads")
        found = {u["UploadId"] for u in answer.get("Uploads", [])}
        assert found == set(self.parts)

    # --- the whole ---------------------------------------------------------

    @rule(hard=st.booleans())
    def restart(self, hard):
        self.restart_s3d(hard)

    @invariant()
    def every_key_is_listed(self):
        if not hasattr(self, "objects"):
            return
        answer = self.call("list_objects_v2")
        assert [o["Key"] for o in answer.get("Contents", [])] == sorted(
            self.objects, key=order)


def test_histories(stack):
    run(Model, stack)
