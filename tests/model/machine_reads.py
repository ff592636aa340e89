"""Objects are read, in every way that there is."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from machine import given, tag_set
from machine_objects import CONDITIONS, KEYS, TARGETS, arguments
from reference import Refused

READS = ["get", "get_range", "head", "get_part", "attributes", "get_tags",
         "get_retention", "get_hold"]


class Reads:
    """Of a machine of objects."""

    @rule(aimed=TARGETS, number=st.integers(0, 99))
    def look(self, aimed, number):
        self.number = number
        for read in READS:
            getattr(self, read)(*self.aim(aimed))

    @rule(aimed=TARGETS, kind=CONDITIONS, kind_of_head=CONDITIONS)
    def look_again(self, aimed, kind, kind_of_head):
        self.get(*self.aim(aimed), kind)
        self.head(*self.aim(aimed), kind_of_head)

    @rule(key=KEYS)
    def look_at(self, key):
        self.get(key, None)

    def check_headers(self, key, version, answer):
        assert answer["ETag"] == version.etag
        assert answer.get("VersionId") == self.model.shown(version)
        assert answer["Metadata"] == version.metadata
        assert answer.get("TagCount", 0) == len(version.tags)
        assert answer.get("ObjectLockMode") == version.mode
        assert answer.get("ObjectLockRetainUntilDate") == version.until
        assert answer.get("ObjectLockLegalHoldStatus") == version.hold
        self.dated(version, answer["LastModified"])

    def asked(self, key, version, kind):
        """(the request's arguments, what the model is asked)"""
        conditions = self.conditions(kind, key, self.model.find(key, version))
        return {"Key": key, **given(VersionId=version),
                **arguments(conditions)}, (key, version, conditions)

    def get(self, key, version, kind="none"):
        options, words = self.asked(key, version, kind)
        answer = self.call("get_object", **options)
        found = self.expect(answer, self.model.read, *words)
        if found:
            assert answer["Body"].read() == found.body
            assert answer["ContentLength"] == len(found.body)
            self.check_headers(key, found, answer)

    def head(self, key, version, kind="none"):
        options, words = self.asked(key, version, kind)
        answer = self.call("head_object", ChecksumMode="ENABLED", **options)
        found = self.expect(answer, self.model.read, *words, head=True)
        if found:
            assert answer["ContentLength"] == len(found.body)
            assert answer["Checksum" + found.algorithm] == found.checksum
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
            size = len(found.body)
            end = min(start + length, size) - 1
            assert answer["Body"].read() == found.body[start:end + 1]
            assert answer["ContentRange"] == f"bytes {start}-{end}/{size}"

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
            part = (found.parts or (found,))[number - 1]
            assert answer["Body"].read() == part.body
            assert answer.get("PartsCount") == (len(found.parts) or None)

    def attributes(self, key, version):
        page, after = self.number % 3 + 1, self.number // 3 % 3
        answer = self.call(
            "get_object_attributes", Key=key, **given(VersionId=version),
            MaxParts=page, PartNumberMarker=after, ObjectAttributes=[
                "ETag", "Checksum", "ObjectParts", "ObjectSize",
                "StorageClass"])
        found = self.expect(answer, self.model.read, key, version)
        if not found:
            return
        assert f'"{answer["ETag"]}"' == found.etag
        assert answer.get("VersionId") == self.model.shown(found)
        assert answer["Checksum"] == {
            "Checksum" + found.algorithm: found.checksum,
            "ChecksumType": "COMPOSITE" if found.composite else "FULL_OBJECT"}
        assert answer["ObjectSize"] == len(found.body)
        assert answer["StorageClass"] == "STANDARD"
        self.dated(found, answer["LastModified"])
        self.check_parts(answer.get("ObjectParts", {}), found, page, after)

    def check_parts(self, answer, found, page, after):
        """Listed where the client chose their checksum."""
        assert answer.get("TotalPartsCount", 0) == len(found.parts)
        name = "Checksum" + found.algorithm
        expected = [(number, len(part.body), part.checksum)
                    for number, part in zip(found.numbers, found.parts)
                    if number > after and found.algorithm != "CRC64NVME"]
        assert [(p["PartNumber"], p["Size"], p[name])
                for p in answer.get("Parts", [])] == expected[:page]
        assert answer.get("IsTruncated", False) == (len(expected) > page)

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
