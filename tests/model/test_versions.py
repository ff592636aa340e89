"""Random histories of versions, tags, uploads and locks, compared answer by
answer with the specification in reference.py.

Two machines: a bucket whose versioning is switched at any time, and one with
Object Lock, where the same goes on and locks come in between.
"""

import datetime
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, rule

from machine import Code, Machine, run
from reference import MIN_PART, NULL, Bucket, Refused, Upload, Version, etag_of

KEYS = st.sampled_from(["a", "a/", "a/b", "a/b/c", "b", "é"])
BODIES = st.sampled_from([0, 1, 5, 65537])
PREFIXES = st.sampled_from(["", "a", "a/", "a/b", "é", "zz"])
DELIMITERS = st.sampled_from(["", "/", "b"])
# A key with no version named, one that it has had or a stranger's; or, by
# number, one of the versions that there are.
TARGETS = st.one_of(
    st.integers(0, 30), st.integers(0, 30),
    st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 5))))
PARTS = st.sampled_from([[], [10], [MIN_PART, 10]])
READS = ["get", "get_range", "head", "get_part", "attributes", "get_tags",
         "get_retention", "get_hold"]
TAGS = st.sampled_from([{}, {"x": "1"}, {"x": "2", "y z": "é+/"}])
ABSENT_ID = "0" * 32
SOON = datetime.datetime(2098, 1, 1, tzinfo=datetime.timezone.utc)
LATE = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
DEFAULT_DAYS = 400


def tag_set(tags):
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def tag_header(tags):
    return {"Tagging": urlencode(tags)} if tags else {}


def given(**arguments):
    """Those that are."""
    return {name: value for name, value in arguments.items()
            if value is not None}


class Versions(Machine):
    locked = False
    uploads = Bundle("uploads")

    @initialize(status=st.sampled_from(["", "Suspended", "Enabled", "Enabled"]),
                keys=st.lists(KEYS, min_size=2, max_size=6))
    def begin(self, status, keys):
        self.make_bucket(ObjectLockEnabledForBucket=self.locked)
        self.model = Bucket(self.locked)
        self.ids = {}  # key: version ids that it has had, oldest first
        if status:
            self.switch(status)
        for key in keys:
            self.put_object(key, Version.of(self.fresh(5)))

    # --- comparing ---------------------------------------------------------

    def expect(self, answer, operation, *words, head=False, **options):
        """What the model answers; None after comparing that both refuse."""
        try:
            expected = operation(*words, **options)
        except Refused as refused:
            code = refused.code
            if head:
                code = {"NoSuchKey": "404", "NoSuchVersion": "404",
                        "MethodNotAllowed": "405"}[code]
            assert answer == code
            if refused.marker is not None:
                assert answer.headers["x-amz-delete-marker"] == "true"
                assert answer.headers.get("x-amz-version-id") == \
                    self.model.shown(refused.marker)
            return None
        assert not isinstance(answer, Code), answer
        return True if expected is None else expected

    def learn(self, key, version, answered):
        """The server names a new version: null, or as nothing before."""
        if version.id is None:
            assert answered is not None
            assert all(answered not in ids for ids in self.ids.values())
            version.id = answered
        else:
            assert answered in (None, NULL)
        if version.id not in self.ids.setdefault(key, []):
            self.ids[key].append(version.id)

    def written(self, key, version, answer):
        assert answer["ETag"] == version.etag
        shown = answer.get("VersionId")
        assert (shown is not None) == (self.model.versioning == "Enabled")
        self.learn(key, version, shown)
        self.settle(key, version)

    def settle(self, key, version):
        """The bucket's default retention counts from the version's date."""
        if version.mode and version.until is None:
            head = self.call("head_object", Key=key, VersionId=version.id)
            version.until = head["ObjectLockRetainUntilDate"]
            age = version.until - head["LastModified"]
            assert age // datetime.timedelta(days=1) == DEFAULT_DAYS

    def aim(self, target):
        """(key, version id or None)"""
        if isinstance(target, int):
            there = self.model.list_versions()[0]
            if not there:
                return "a", None
            key, version, _ = there[target % len(there)]
            return key, version.id
        key, pick = target
        if pick is None:
            return key, None
        known = [ABSENT_ID, NULL] + self.ids.get(key, [])
        return key, known[-1 - pick % len(known)]

    def check_headers(self, key, version, answer):
        assert answer["ETag"] == version.etag
        assert answer.get("VersionId") == self.model.shown(version)
        assert answer["Metadata"] == version.metadata
        assert answer.get("TagCount", 0) == len(version.tags)
        assert answer.get("ObjectLockMode") == version.mode
        assert answer.get("ObjectLockRetainUntilDate") == version.until
        assert answer.get("ObjectLockLegalHoldStatus") == version.hold

    # --- writing -----------------------------------------------------------

    @rule(status=st.sampled_from(["Enabled", "Enabled", "Suspended"]))
    def switch(self, status):
        answer = self.call("put_bucket_versioning",
                           VersioningConfiguration={"Status": status})
        self.expect(answer, self.model.set_versioning, status)
        found = self.call("get_bucket_versioning")
        assert found.get("Status", "") == self.model.versioning

    def conditions(self, key, condition):
        """The request's headers, the model's words."""
        newest = self.model.find(key)
        etag = newest.etag if newest is not None and newest.etag else '"x"'
        return {
            "none": ({}, {}),
            "absent": ({"IfNoneMatch": "*"}, {"if_absent": True}),
            "match": ({"IfMatch": etag}, {"if_match": etag}),
            "any": ({"IfMatch": "*"}, {"if_match": "*"}),
            "stale": ({"IfMatch": '"0"'}, {"if_match": '"0"'}),
        }[condition]

    def put_object(self, key, version, condition="none", **options):
        headers, words = self.conditions(key, condition)
        answer = self.call("put_object", Key=key, Body=version.body,
                           Metadata=version.metadata, **headers,
                           **tag_header(version.tags), **options)
        if self.expect(answer, self.model.put, key, version, **words):
            self.written(key, version, answer)

    @rule(key=KEYS, size=BODIES, tags=TAGS, condition=st.sampled_from(
        ["none"] * 8 + ["absent", "match", "any", "stale"]))
    def put(self, key, size, tags, condition):
        body = self.fresh(size)
        self.put_object(key, Version.of(
            body, metadata={"n": str(self.serial)}, tags=tags), condition)

    @rule(aimed=TARGETS, to=KEYS,
          metadata=st.sampled_from([None, {}, {"r": "1"}]),
          tags=st.one_of(st.none(), TAGS))
    def copy(self, aimed, to, metadata, tags):
        source, version = self.aim(aimed)
        options = {}
        if metadata is not None:
            options.update(MetadataDirective="REPLACE", Metadata=metadata)
        if tags is not None:
            options.update(TaggingDirective="REPLACE", **tag_header(tags))
        answer = self.call("copy_object", Key=to, CopySource={
            "Bucket": self.bucket, "Key": source, **given(VersionId=version)},
            **options)
        found = self.model.find(source, version)
        added = self.expect(answer, self.model.copy, source, version, to,
                            metadata, tags)
        if added:
            assert answer.get("CopySourceVersionId") == self.model.shown(found)
            self.written(to, added, {**answer["CopyObjectResult"],
                                     **given(VersionId=answer.get("VersionId"))})

    # --- deleting ----------------------------------------------------------

    @rule(aimed=TARGETS, bypass=st.booleans(),
          condition=st.sampled_from(["none"] * 8 + ["match", "stale"]))
    def delete(self, aimed, bypass, condition):
        key, version = self.aim(aimed)
        found = self.model.find(key, version)
        etag = {"none": None, "stale": '"0"',
                "match": found.etag if found and found.etag else '"x"'}[condition]
        options = given(VersionId=version, IfMatch=etag)
        if bypass:
            options["BypassGovernanceRetention"] = True
        answer = self.call("delete_object", Key=key, **options)
        done = self.expect(answer, self.model.delete, key, version, bypass, etag)
        if not done:
            return
        gone, marker = done
        if marker is not None:
            assert answer["DeleteMarker"] is True
            self.learn(key, marker, answer["VersionId"])
        else:
            assert answer.get("DeleteMarker", False) == \
                (gone is not None and gone.marker)
            assert answer.get("VersionId") == version

    @rule(doomed=st.lists(TARGETS, min_size=1, max_size=4),
          bypass=st.booleans())
    def delete_many(self, doomed, bypass):
        named = [self.aim(aimed) for aimed in doomed]
        answer = self.call(
            "delete_objects", BypassGovernanceRetention=bypass,
            Delete={"Objects": [{"Key": key, **given(VersionId=version)}
                                for key, version in named]})
        deleted = iter(answer.get("Deleted", []))
        errors = iter(answer.get("Errors", []))
        for key, version in named:
            try:
                gone, marker = self.model.delete(key, version, bypass)
            except Refused as refused:
                error = next(errors)
                assert (error["Key"], error.get("VersionId"), error["Code"]) \
                    == (key, version, refused.code)
                continue
            entry = next(deleted)
            expected = {"Key": key, **given(VersionId=version)}
            if marker is not None:
                self.learn(key, marker, entry["DeleteMarkerVersionId"])
                expected.update(DeleteMarker=True,
                                DeleteMarkerVersionId=marker.id)
            elif gone is not None and gone.marker:
                expected.update(DeleteMarker=True,
                                DeleteMarkerVersionId=gone.id)
            assert entry == expected
        assert next(deleted, None) is None and next(errors, None) is None

    # --- reading -----------------------------------------------------------

    @rule(aimed=TARGETS, number=st.integers(0, 99))
    def look(self, aimed, number):
        self.number = number
        for read in READS:
            getattr(self, read)(*self.aim(aimed))

    def get(self, key, version):
        answer = self.call("get_object", Key=key, **given(VersionId=version))
        found = self.expect(answer, self.model.read, key, version)
        if found:
            assert answer["Body"].read() == found.body
            self.check_headers(key, found, answer)

    def get_range(self, key, version):
        start, length = self.number * 700, self.number * 91 + 1
        answer = self.call("get_object", Key=key, **given(VersionId=version),
                           Range=f"bytes={start}-{start + length - 1}")

        def read():
            found = self.model.read(key, version)
            if start >= len(found.body):
                raise Refused("InvalidRange")
            return found

        found = self.expect(answer, read)
        if found:
            assert answer["Body"].read() == found.body[start:start + length]

    def head(self, key, version):
        answer = self.call("head_object", Key=key, ChecksumMode="ENABLED",
                           **given(VersionId=version))
        found = self.expect(answer, self.model.read, key, version, head=True)
        if found:
            assert answer["ContentLength"] == len(found.body)
            assert answer["ChecksumCRC32"] == found.checksum
            self.check_headers(key, found, answer)

    def get_part(self, key, version):
        number = self.number % 3 + 1
        answer = self.call("get_object", Key=key, PartNumber=number,
                           **given(VersionId=version))

        def read():
            found = self.model.read(key, version)
            if number > (len(found.parts) or 1):
                raise Refused("InvalidPartNumber")
            return found

        found = self.expect(answer, read)
        if found:
            sizes = found.parts or (len(found.body),)
            start = sum(sizes[:number - 1])
            assert answer["Body"].read() == \
                found.body[start:start + sizes[number - 1]]
            assert answer.get("PartsCount") == (len(found.parts) or None)

    def attributes(self, key, version):
        answer = self.call(
            "get_object_attributes", Key=key, **given(VersionId=version),
            ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize",
                              "StorageClass"])
        found = self.expect(answer, self.model.read, key, version)
        if not found:
            return
        assert f'"{answer["ETag"]}"' == found.etag
        assert answer.get("VersionId") == self.model.shown(found)
        assert answer["Checksum"] == {
            "ChecksumCRC32": found.checksum,
            "ChecksumType": "COMPOSITE" if found.parts else "FULL_OBJECT"}
        assert answer["ObjectSize"] == len(found.body)
        assert answer["StorageClass"] == "STANDARD"
        parts = answer.get("ObjectParts", {})
        assert parts.get("TotalPartsCount", 0) == len(found.parts)
        assert tuple(p["Size"] for p in parts.get("Parts", [])) == found.parts

    def get_tags(self, key, version):
        answer = self.call("get_object_tagging", Key=key,
                           **given(VersionId=version))
        found = self.expect(answer, self.model.read, key, version)
        if found:
            assert sorted(answer["TagSet"], key=lambda t: t["Key"]) == \
                tag_set(found.tags)

    def get_retention(self, key, version):
        answer = self.call("get_object_retention", Key=key,
                           **given(VersionId=version))
        found = self.expect(answer, self.model.retention, key, version)
        if found:
            assert answer["Retention"] == {"Mode": found.mode,
                                           "RetainUntilDate": found.until}

    def get_hold(self, key, version):
        answer = self.call("get_object_legal_hold", Key=key,
                           **given(VersionId=version))
        found = self.expect(answer, self.model.hold, key, version)
        if found:
            assert answer["LegalHold"]["Status"] == found.hold

    # --- tags --------------------------------------------------------------

    @rule(aimed=TARGETS, tags=TAGS)
    def tag(self, aimed, tags):
        key, version = self.aim(aimed)
        if tags:
            answer = self.call("put_object_tagging", Key=key,
                               Tagging={"TagSet": tag_set(tags)},
                               **given(VersionId=version))
        else:
            answer = self.call("delete_object_tagging", Key=key,
                               **given(VersionId=version))
        found = self.expect(answer, self.model.read, key, version)
        if found:
            found.tags = tags
            assert answer.get("VersionId") == self.model.shown(found)

    # --- uploads -----------------------------------------------------------

    @rule(target=uploads, key=KEYS, tags=TAGS, sizes=PARTS,
          whole=st.booleans())
    def create_upload(self, key, tags, sizes, whole):
        identity = self.call("create_multipart_upload", Key=key,
                             ChecksumAlgorithm="CRC32",
                             **tag_header(tags))["UploadId"]
        self.model.uploads[identity] = Upload(key, tags)
        for number, size in enumerate(sizes, 1):
            self.upload_part((key, identity), number, size)
        if whole:
            self.complete_upload((key, identity), "none")
        return (key, identity)

    @rule(upload=uploads, number=st.sampled_from([1, 2, 7]),
          size=st.sampled_from([10, MIN_PART]))
    def another_part(self, upload, number, size):
        self.upload_part(upload, number, size)

    def upload_part(self, upload, number, size):
        key, identity = upload
        body = self.fresh(size)
        answer = self.call("upload_part", Key=key, UploadId=identity,
                           PartNumber=number, Body=body)
        found = self.expect(answer, self.model.upload, identity)
        if found:
            assert answer["ETag"] == etag_of(body)
            found.parts[number] = Version.of(body)

    @rule(upload=uploads, number=st.sampled_from([1, 2, 7]), aimed=TARGETS)
    def copy_part(self, upload, number, aimed):
        key, identity = upload
        source, version = self.aim(aimed)
        answer = self.call("upload_part_copy", Key=key, UploadId=identity,
                           PartNumber=number, CopySource={
                               "Bucket": self.bucket, "Key": source,
                               **given(VersionId=version)})

        def copy():
            found = self.model.upload(identity)
            return found, self.model.copy_source(source, version)

        done = self.expect(answer, copy)
        if done:
            found, copied = done
            assert answer["CopyPartResult"]["ETag"] == etag_of(copied.body)
            assert answer.get("CopySourceVersionId") == \
                self.model.shown(copied)
            found.parts[number] = Version.of(copied.body)

    @rule(upload=uploads, condition=st.sampled_from(
        ["none"] * 3 + ["absent", "match", "stale"]))
    def complete(self, upload, condition):
        self.complete_upload(upload, condition)

    def complete_upload(self, upload, condition):
        """Repeated: the same answer, whatever became of the version."""
        key, identity = upload
        found = self.model.uploads.get(identity)
        if found is None or found.version is not None:
            condition = "none"
        headers, words = self.conditions(key, condition)
        if found is None:
            listed = [(1, '"x"')]
        elif found.version is not None:
            listed = found.listed
        else:
            listed = [(n, found.parts[n].etag) for n in sorted(found.parts)]
        if not listed:
            return
        parts = []
        for number, etag in listed:
            part = found and found.parts.get(number)
            parts.append({"PartNumber": number, "ETag": etag,
                          **given(ChecksumCRC32=part and part.checksum)})
        repeated = found is not None and found.version is not None
        answer = self.call("complete_multipart_upload", Key=key,
                           UploadId=identity, **headers,
                           MultipartUpload={"Parts": parts})
        version = self.expect(answer, self.model.complete, identity, listed,
                              **words)
        if version and repeated:
            assert answer["ETag"] == version.etag
            assert answer.get("VersionId", NULL) == version.id
        elif version:
            self.written(key, version, answer)

    @rule(upload=consumes(uploads))
    def abort(self, upload):
        key, identity = upload
        answer = self.call("abort_multipart_upload", Key=key, UploadId=identity)
        self.expect(answer, self.model.abort, identity)

    # --- lists -------------------------------------------------------------

    @rule(prefix=PREFIXES, delimiter=DELIMITERS, page=st.integers(1, 5),
          what=st.sampled_from(["list", "list_versions", "list_versions"]))
    def look_through(self, prefix, delimiter, page, what):
        getattr(self, what)(prefix, delimiter, page)

    def list(self, prefix, delimiter, page):
        found, common = [], []
        for answer in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter=delimiter,
                PaginationConfig={"PageSize": page}):
            contents = answer.get("Contents", [])
            groups = answer.get("CommonPrefixes", [])
            assert len(contents) + len(groups) <= page
            found += [(o["Key"], o["ETag"], o["Size"]) for o in contents]
            common += [group["Prefix"] for group in groups]
        expected, groups = self.model.list(prefix, delimiter)
        assert found == [(key, v.etag, len(v.body)) for key, v in expected]
        assert common == groups

    def entries(self, answer):
        """In the order of the answer, which boto3 splits in two."""
        entries = [
            (e["Key"], e["VersionId"], e["IsLatest"], e.get("ETag", ""),
             e.get("Size", 0), e["LastModified"])
            for e in answer.get("Versions", []) + answer.get("DeleteMarkers", [])]
        place = {(key, version.id): at for at, (key, version, _) in
                 enumerate(self.model.list_versions()[0])}
        return sorted(entries, key=lambda e: place[e[:2]])

    def check_versions(self, found, expected):
        assert [e[:5] for e in found] == [
            (key, v.id, latest, v.etag, len(v.body))
            for key, v, latest in expected]
        for newer, older in zip(found, found[1:]):
            assert newer[0] != older[0] or newer[5] >= older[5]

    def list_versions(self, prefix, delimiter, page):
        found, common = [], []
        for answer in self.client.get_paginator(
                "list_object_versions").paginate(
                    Bucket=self.bucket, Prefix=prefix, Delimiter=delimiter,
                    PaginationConfig={"PageSize": page}):
            groups = answer.get("CommonPrefixes", [])
            entries = self.entries(answer)
            assert len(entries) + len(groups) <= page
            found += entries
            common += [group["Prefix"] for group in groups]
        expected, groups = self.model.list_versions(prefix, delimiter)
        self.check_versions(found, expected)
        assert common == groups

    def list_uploads(self):
        answer = self.call("list_multipart_uploads")
        assert {u["UploadId"] for u in answer.get("Uploads", [])} == {
            identity for identity, upload in self.model.uploads.items()
            if upload.version is None}

    # --- the whole ---------------------------------------------------------

    @rule(hard=st.booleans(), often=st.integers(0, 4))
    def restart(self, hard, often):
        if often == 3:  # each costs as much as twenty other steps
            self.restart_s3d(hard)
            self.check_all()

    @rule()
    def check_all(self):
        self.list_uploads()
        self.list_versions("", "", 1000)
        self.list("", "", 1000)

    def teardown(self):
        """Bytes that another reference freed would show here."""
        if not hasattr(self, "model"):
            return
        self.check_all()
        for key, version, _ in self.model.list_versions()[0]:
            if not version.marker:
                answer = self.call("get_object", Key=key, VersionId=version.id)
                assert answer["Body"].read() == version.body
                self.check_headers(key, version, answer)


class Locks(Versions):
    locked = True

    @rule(mode=st.sampled_from([None, "GOVERNANCE", "COMPLIANCE"]))
    def set_default(self, mode):
        rule_ = {} if mode is None else {"Rule": {"DefaultRetention": {
            "Mode": mode, "Days": DEFAULT_DAYS}}}
        self.call("put_object_lock_configuration", ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", **rule_})
        self.model.default = mode
        found = self.call("get_object_lock_configuration")
        assert found["ObjectLockConfiguration"].get("Rule") == \
            rule_.get("Rule")

    @rule(key=KEYS, mode=st.sampled_from(["GOVERNANCE", "COMPLIANCE", None]),
          until=st.sampled_from([SOON, LATE]),
          hold=st.sampled_from([None, "ON", "OFF"]))
    def put_locked(self, key, mode, until, hold):
        until = until if mode else None
        self.put_object(
            key, Version.of(self.fresh(3), mode=mode, until=until, hold=hold),
            **given(ObjectLockMode=mode, ObjectLockRetainUntilDate=until,
                    ObjectLockLegalHoldStatus=hold))

    @rule(aimed=TARGETS, until=st.sampled_from([SOON, LATE]),
          mode=st.sampled_from(["GOVERNANCE", "GOVERNANCE", "COMPLIANCE",
                                None]), bypass=st.booleans())
    def retain(self, aimed, mode, until, bypass):
        key, version = self.aim(aimed)
        until = until if mode else None
        answer = self.call(
            "put_object_retention", Key=key, BypassGovernanceRetention=bypass,
            Retention=given(Mode=mode, RetainUntilDate=until),
            **given(VersionId=version))
        self.expect(answer, self.model.retain, key, version, mode, until,
                    bypass)

    @rule(aimed=TARGETS, status=st.sampled_from(["ON", "OFF"]))
    def put_hold(self, aimed, status):
        key, version = self.aim(aimed)
        answer = self.call("put_object_legal_hold", Key=key,
                           LegalHold={"Status": status},
                           **given(VersionId=version))
        found = self.expect(answer, self.model.lock_target, key, version)
        if found:
            found.hold = status


def test_versions(stack):
    run(Versions, stack)


def test_locks(stack):
    run(Locks, stack)
