"""Uploads in parts: created, filled, copied into, completed, aborted."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from machine import given
from machine_objects import (ABSENT_ID, ALGORITHMS, CONDITIONS, KEYS, TAGS,
                             TARGETS, WRITE_CONDITIONS, arguments, tag_header)
from reference import MIN_PART, NULL, Refused, Upload, Version, etag_of

PARTS = st.sampled_from([[], [10], [10], [MIN_PART, 10]])
NUMBERS = st.sampled_from([1, 2, 7])
# One of those there are, by number.
UPLOADS = st.integers(0, 30)
ABSENT_UPLOAD = ABSENT_ID + "0" * 12


class Uploads:
    """Of a machine of objects."""

    def pick(self, number, ended=None):
        """(key, id) of an upload; ended: in progress or completed. If there
        is none, one is made; now and then it is a stranger's."""
        there = [(found.key, identity)
                 for identity, found in self.model.uploads.items()
                 if ended in (None, found.version is not None)]
        if number == 30:
            return "a", ABSENT_UPLOAD
        return there[number % len(there)] if there else \
            self.make_upload("a", {"x": "1"}, [10], "CRC32",
                             "none" if ended else None)

    @rule(key=KEYS, tags=TAGS, sizes=PARTS, algorithm=ALGORITHMS,
          whole=st.one_of(st.none(), WRITE_CONDITIONS))
    def create_upload(self, key, tags, sizes, algorithm, whole):
        self.make_upload(key, tags, sizes, algorithm, whole)

    def make_upload(self, key, tags, sizes, algorithm, whole):
        """whole: None, or the condition that it is completed under."""
        answer = self.call("create_multipart_upload", Key=key,
                           ChecksumAlgorithm=algorithm, **tag_header(tags))
        identity = answer["UploadId"]
        assert answer["ChecksumAlgorithm"] == algorithm
        self.model.uploads[identity] = Upload(key, tags, algorithm)
        for number, size in enumerate(sizes, 1):
            self.upload_part((key, identity), number, size)
        if whole:
            self.complete_upload((key, identity), whole)
        return key, identity

    # --- parts -------------------------------------------------------------

    @rule(number=UPLOADS, part=NUMBERS, size=st.sampled_from([10, 10, MIN_PART]))
    def another_part(self, number, part, size):
        self.upload_part(self.pick(number, False), part, size)

    def algorithm(self, identity):
        found = self.model.uploads.get(identity)
        return found.algorithm if found else "CRC32"

    def upload_part(self, upload, number, size):
        key, identity = upload
        body, algorithm = self.fresh(size), self.algorithm(identity)
        answer = self.call("upload_part", Key=key, UploadId=identity,
                           PartNumber=number, Body=body,
                           ChecksumAlgorithm=algorithm)
        found = self.expect(answer, self.model.upload, identity)
        if found:
            assert answer["ETag"] == etag_of(body)
            found.parts[number] = Version.of(body, algorithm)
            assert answer["Checksum" + algorithm] == \
                found.parts[number].checksum

    @rule(number=UPLOADS, part=NUMBERS, aimed=TARGETS, kind=CONDITIONS,
          span=st.sampled_from([None, None, (0, 0), (1, 3), (0, 65536)]))
    def copy_part(self, number, part, aimed, kind, span):
        key, identity = self.pick(number, False)
        source, version = self.aim(aimed)
        conditions = self.conditions(kind, source,
                                     self.model.find(source, version))
        answer = self.call(
            "upload_part_copy", Key=key, UploadId=identity, PartNumber=part,
            CopySource={"Bucket": self.bucket, "Key": source,
                        **given(VersionId=version)},
            **given(CopySourceRange=span and f"bytes={span[0]}-{span[1]}"),
            **arguments(conditions, "CopySource"))

        def copy():
            upload = self.model.upload(identity)
            copied = self.model.copy_source(source, version, conditions)
            if span and span[1] >= len(copied.body):
                raise Refused("InvalidArgument")
            return upload, copied

        done = self.expect(answer, copy)
        if done:
            upload, copied = done
            body = copied.body[span[0]:span[1] + 1] if span else copied.body
            upload.parts[part] = Version.of(body, upload.algorithm)
            result = answer["CopyPartResult"]
            assert result["ETag"] == upload.parts[part].etag
            assert result["Checksum" + upload.algorithm] == \
                upload.parts[part].checksum
            assert answer.get("CopySourceVersionId") == \
                self.model.shown(copied)

    # --- the end -----------------------------------------------------------

    @rule(number=UPLOADS, condition=WRITE_CONDITIONS,
          fault=st.sampled_from([None] * 6 + ["order", "etag", "size"]))
    def complete(self, number, condition, fault):
        self.complete_upload(self.pick(number, False), condition, fault)

    @rule(number=UPLOADS, deleted=st.booleans())
    def complete_again(self, number, deleted):
        """The same answer, whatever became of the version."""
        upload = self.pick(number, True)
        found = self.model.uploads.get(upload[1])
        if found is not None and deleted:
            self.delete_object(found.key, found.version.id)
        self.complete_upload(upload)

    def complete_upload(self, upload, condition="none", fault=None):
        key, identity = upload
        found = self.model.uploads.get(identity)
        headers, words = self.write_conditions(key, condition)
        listed = [(1, '"x"')]
        if found is not None and found.version is not None:
            listed = found.listed
        elif found is not None and found.parts:
            listed = [(n, found.parts[n].etag) for n in sorted(found.parts)]
        if fault == "order":
            listed = listed[::-1]
        elif fault == "etag":
            listed = listed[:-1] + [(listed[-1][0], '"0"')]
        size = sum(len(found.parts[n].body) for n, _ in listed
                   if n in found.parts) if found else 0
        sizes = given(MpuObjectSize=size + (fault == "size")
                      if condition != "none" or fault == "size" else None)
        repeated = self.model.repeated(identity, listed)
        answer = self.call(
            "complete_multipart_upload", Key=key, UploadId=identity,
            MultipartUpload={"Parts": self.request(found, listed)},
            **headers, **sizes)
        version = self.expect(answer, self.model.complete, identity, listed,
                              size=sizes.get("MpuObjectSize"), **words)
        if version:
            assert answer["Checksum" + version.algorithm] == version.checksum
        if version and repeated:
            assert answer["ETag"] == version.etag
            assert answer.get("VersionId", NULL) == version.id
        elif version:
            self.written(key, version, answer)

    def request(self, found, listed):
        """A repeat names what the first named."""
        parts = []
        for number, etag in listed:
            part = found and found.parts.get(number)
            if found and found.version and number in found.version.numbers:
                part = found.version.parts[found.version.numbers.index(number)]
            checksum = {"Checksum" + part.algorithm: part.checksum} \
                if part else {}
            parts.append({"PartNumber": number, "ETag": etag, **checksum})
        return parts

    @rule(number=UPLOADS)
    def abort(self, number):
        key, identity = self.pick(number, False)
        answer = self.call("abort_multipart_upload", Key=key,
                           UploadId=identity)
        self.expect(answer, self.model.abort, identity)
