"""Objects come, are copied and go: what every machine of objects does."""

import datetime
import re
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine import Code, Machine, given, tag_set
from reference import ALWAYS, NULL, Bucket, Conditions, Refused, Version

# Few: what happens to a key must happen to it again.
KEYS = st.sampled_from(["a", "a/", "a/b", "a//b", "é", "x+ %2F", ".."])
BODIES = st.sampled_from([0, 1, 5, 65537])
# A key with no version named, one that it has had or a stranger's; or, by
# number, one of the versions that there are.
TARGETS = st.one_of(
    st.integers(0, 30), st.integers(0, 30),
    st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 5))))
TAGS = st.sampled_from([{}, {"x": "1"}, {"x": "2", "y z": "é+/"}])
ALGORITHMS = st.sampled_from(["CRC32", "CRC32", "CRC64NVME", "SHA256"])
CONDITIONS = st.sampled_from(
    ["none"] * 6 + ["match", "any", "stale", "same", "other", "since",
                    "before", "not_since", "not_before", "match_not_before",
                    "other_since"])
WRITE_CONDITIONS = st.sampled_from(
    ["none"] * 8 + ["absent", "match", "any", "stale"])
DELETE_CONDITIONS = st.sampled_from(
    ["none"] * 8 + ["match", "any", "stale", "size", "wrong size", "time",
                    "wrong time", "all"])
ABSENT_ID = "0" * 32
SECOND = datetime.timedelta(seconds=1)
LONG_AGO = datetime.datetime(2015, 1, 1, tzinfo=datetime.timezone.utc)
HEAD_CODES = {"NoSuchKey": "404", "NoSuchVersion": "404",
              "MethodNotAllowed": "405", "PreconditionFailed": "412",
              "InvalidRange": "416", "InvalidPartNumber": "416"}
DEFAULT_DAYS = 400
BOUNDARY = "a-boundary-of-the-model"


def tag_header(tags):
    return {"Tagging": urlencode(tags)} if tags else {}


def arguments(conditions, prefix=""):
    return given(**{
        prefix + "IfMatch": conditions.match,
        prefix + "IfNoneMatch": conditions.none_match,
        prefix + "IfModifiedSince": conditions.since,
        prefix + "IfUnmodifiedSince": conditions.not_since})


def encode_form(fields, data, filename):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        f"\r\n\r\n{value}\r\n".encode() for name, value in fields.items()]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{filename}"\r\n\r\n'.encode())
    return b"".join([*parts, data, f"\r\n--{BOUNDARY}--\r\n".encode()])


class Objects(Machine):
    locked = False

    @initialize(keys=st.lists(KEYS, min_size=2, max_size=6))
    def begin(self, keys):
        self.make_bucket(ObjectLockEnabledForBucket=self.locked)
        self.model = Bucket(self.locked)
        self.ids = {}  # key: version ids that it has had, oldest first
        for key in keys:
            self.put_first(key)

    def put_first(self, key):
        self.put_object(key, Version.of(self.fresh(5), metadata={"n": "1"},
                                        tags={"x": "1"}))

    # --- comparing ---------------------------------------------------------

    def expect(self, answer, operation, *words, head=False, **options):
        """What the model answers; None after comparing that both refuse."""
        try:
            expected = operation(*words, **options)
        except Refused as refused:
            code = refused.code if not head else HEAD_CODES.get(
                refused.code, refused.code)
            assert answer == ("304" if code == "NotModified" else code)
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
        self.head(key, version.id)

    def settle(self, key, version):
        """The bucket's default retention counts from the version's date."""
        if version.mode and version.until is None:
            head = self.call("head_object", Key=key, VersionId=version.id)
            version.until = head["ObjectLockRetainUntilDate"]
            age = version.until - head["LastModified"]
            assert age // datetime.timedelta(days=1) == DEFAULT_DAYS

    def dated(self, version, modified):
        """A version's date never changes."""
        modified = modified.replace(microsecond=0)
        if version.modified is None:
            version.modified = modified
        assert version.modified == modified

    def seen(self, key, version):
        if version.modified is None:
            self.dated(version, self.call("head_object", Key=key,
                                          VersionId=version.id)["LastModified"])
        return version.modified

    def aim(self, target):
        """(key, version id or None)"""
        if isinstance(target, int):
            there = self.model.list_versions()[0]
            if not there:
                self.put_first("a")
                there = self.model.list_versions()[0]
            key, version, _ = there[target % len(there)]
            return key, version.id
        key, pick = target
        if pick is None:
            return key, None
        known = [ABSENT_ID, NULL] + self.ids.get(key, [])
        return key, known[-1 - pick % len(known)]

    # --- conditions --------------------------------------------------------

    def conditions(self, kind, key, found):
        """What one who has seen the version may ask, or a stranger."""
        if kind == "none":
            return ALWAYS
        etag, when = '"x"', LONG_AGO
        if found is not None and not found.marker:
            etag, when = found.etag, self.seen(key, found)
        return {
            "match": Conditions(match=etag),
            "any": Conditions(match="*"),
            "stale": Conditions(match='"0"'),
            "same": Conditions(none_match=etag),
            "other": Conditions(none_match='"0"'),
            "since": Conditions(since=when),
            "before": Conditions(since=when - SECOND),
            "not_since": Conditions(not_since=when),
            "not_before": Conditions(not_since=when - SECOND),
            "match_not_before": Conditions(match=etag,
                                           not_since=when - SECOND),
            "other_since": Conditions(none_match='"0"', since=when),
        }[kind]

    def write_conditions(self, key, condition):
        """The request's arguments, the model's words."""
        newest = self.model.find(key)
        etag = newest.etag if newest is not None and newest.etag else '"x"'
        return {
            "none": ({}, {}),
            "absent": ({"IfNoneMatch": "*"}, {"if_absent": True}),
            "match": ({"IfMatch": etag}, {"if_match": etag}),
            "any": ({"IfMatch": "*"}, {"if_match": "*"}),
            "stale": ({"IfMatch": '"0"'}, {"if_match": '"0"'}),
        }[condition]

    def delete_conditions(self, key, version, kind):
        """The model's words."""
        found = self.model.find(key, version)
        etag, size, when = '"x"', 0, LONG_AGO
        if found is not None and not found.marker:
            etag, size = found.etag, len(found.body)
            if kind in ("time", "all"):
                when = self.seen(key, found)
        return {
            "none": {}, "match": {"if_match": etag}, "any": {"if_match": "*"},
            "stale": {"if_match": '"0"'}, "size": {"size": size},
            "wrong size": {"size": size + 1}, "time": {"modified": when},
            "wrong time": {"modified": LONG_AGO - SECOND},
            "all": {"if_match": etag, "size": size, "modified": when},
        }[kind]

    # --- writing -----------------------------------------------------------

    def put_object(self, key, version, condition="none", **options):
        headers, words = self.write_conditions(key, condition)
        answer = self.call(
            "put_object", Key=key, Body=version.body,
            Metadata=version.metadata, ChecksumAlgorithm=version.algorithm,
            **headers, **tag_header(version.tags), **options)
        if self.expect(answer, self.model.put, key, version, **words):
            assert answer["Checksum" + version.algorithm] == version.checksum
            self.written(key, version, answer)

    @rule(key=KEYS, size=BODIES, tags=TAGS, algorithm=ALGORITHMS,
          condition=WRITE_CONDITIONS)
    def put(self, key, size, tags, algorithm, condition):
        body = self.fresh(size)
        self.put_object(key, Version.of(
            body, algorithm, metadata={"n": str(self.serial)}, tags=tags),
            condition)

    @rule(key=KEYS, size=BODIES, tags=TAGS, by_name=st.booleans(),
          status=st.sampled_from(["200", "201", "204"]), summed=st.booleans(),
          limits=st.sampled_from([(0, 1 << 20), (0, 1 << 20), (2, 1000)]))
    def post(self, key, size, tags, by_name, status, summed, limits):
        """A browser's form; by_name: the file's name is the key's end."""
        body = self.fresh(size)
        version = Version.of(body, "SHA256" if summed else "CRC64NVME",
                             metadata={"n": str(self.serial)}, tags=dict(tags))
        cut = key.rindex("/") + 1 if "/" in key else 0
        by_name = by_name and key[cut:] not in ("", "..")
        fields = {"x-amz-meta-n": str(self.serial),
                  "success_action_status": status}
        if summed:
            fields["x-amz-checksum-sha256"] = version.checksum
        if tags:
            fields["tagging"] = "<Tagging><TagSet>" + "".join(
                f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>"
                for k, v in tags.items()) + "</TagSet></Tagging>"
        form = self.client.generate_presigned_post(
            self.bucket, key[:cut] + "${filename}" if by_name else key, fields,
            [{name: value} for name, value in fields.items()]
            + [["content-length-range", *limits]])
        if not by_name:
            form["fields"]["key"] = key
        code, headers, text = self.send(
            "POST", form["url"],
            encode_form(form["fields"], body, key[cut:] if by_name else "f"),
            {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        answer = given(ETag=headers.get("etag"),
                       VersionId=headers.get("x-amz-version-id"))
        if code >= 400:
            answer = Code(re.search(b"<Code>(.*)</Code>", text)[1].decode())
        if self.expect(answer, self.model.post, key, version, limits, summed):
            assert code == int(status)
            self.note("PostObject", *given(tagging=tags or None))
            self.written(key, version, answer)

    @rule(key=KEYS, size=BODIES, wrong=st.sampled_from([0, 0, 0, 1, -1]),
          condition=WRITE_CONDITIONS, algorithm=ALGORITHMS)
    def append(self, key, size, wrong, condition, algorithm):
        before = self.model.live(key)
        offset = max(0, (len(before.body) if before else 0) + wrong)
        body = self.fresh(size)
        headers, words = self.write_conditions(key, condition)
        answer = self.call("put_object", Key=key, Body=body,
                           Metadata={"first": "1"}, WriteOffsetBytes=offset,
                           ChecksumAlgorithm=algorithm, **headers)
        version = self.expect(answer, self.model.append, key, body, offset,
                              {"first": "1"}, algorithm, **words)
        if not version:
            return
        assert answer["Size"] == len(version.body)
        assert answer["Checksum" + version.algorithm] == version.checksum
        if version is before:  # nothing was to be done
            assert answer["ETag"] == version.etag
        else:
            self.written(key, version, answer)

    @rule(aimed=TARGETS, to=KEYS, kind=CONDITIONS, condition=WRITE_CONDITIONS,
          metadata=st.sampled_from([None, {}, {"r": "1"}]),
          tags=st.one_of(st.none(), TAGS),
          algorithm=st.sampled_from([None, None, "CRC32", "SHA256"]))
    def copy(self, aimed, to, kind, condition, metadata, tags, algorithm):
        source, version = self.aim(aimed)
        found = self.model.find(source, version)
        conditions = self.conditions(kind, source, found)
        headers, words = self.write_conditions(to, condition)
        options = given(ChecksumAlgorithm=algorithm)
        if metadata is not None:
            options.update(MetadataDirective="REPLACE", Metadata=metadata)
        if tags is not None:
            options.update(TaggingDirective="REPLACE", **tag_header(tags))
        answer = self.call("copy_object", Key=to, CopySource={
            "Bucket": self.bucket, "Key": source, **given(VersionId=version)},
            **options, **headers, **arguments(conditions, "CopySource"))
        added = self.expect(
            answer, self.model.copy, source, version, to, metadata, tags,
            algorithm, conditions, **words)
        if added:
            assert answer.get("CopySourceVersionId") == self.model.shown(found)
            result = answer["CopyObjectResult"]
            assert result["Checksum" + added.algorithm] == added.checksum
            self.dated(added, result["LastModified"])
            self.written(to, added, {**result, **given(
                VersionId=answer.get("VersionId"))})

    # --- deleting ----------------------------------------------------------

    @rule(aimed=TARGETS, bypass=st.booleans(), kind=DELETE_CONDITIONS)
    def delete(self, aimed, bypass, kind):
        self.delete_object(*self.aim(aimed), bypass, kind)

    def delete_object(self, key, version, bypass=False, kind="none"):
        words = self.delete_conditions(key, version, kind)
        options = given(
            VersionId=version, IfMatch=words.get("if_match"),
            IfMatchSize=words.get("size"),
            IfMatchLastModifiedTime=words.get("modified"),
            BypassGovernanceRetention=True if bypass else None)
        answer = self.call("delete_object", Key=key, **options)
        done = self.expect(answer, self.model.delete, key, version, bypass,
                           **words)
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

    @rule(doomed=st.lists(st.tuples(TARGETS, DELETE_CONDITIONS), min_size=1,
                          max_size=4),
          bypass=st.booleans(), quiet=st.sampled_from([False, False, True]))
    def delete_many(self, doomed, bypass, quiet):
        named = [(*self.aim(aimed), kind) for aimed, kind in doomed]
        # Quietly made markers are looked up: each must be its key's newest.
        quiet = quiet and len({key for key, _, _ in named}) == len(named)
        words = [self.delete_conditions(*entry) for entry in named]
        answer = self.call(
            "delete_objects", BypassGovernanceRetention=bypass, Delete={
                "Quiet": quiet,
                "Objects": [{"Key": key, **given(
                    VersionId=version, ETag=word.get("if_match"),
                    Size=word.get("size"),
                    LastModifiedTime=word.get("modified"))}
                    for (key, version, _), word in zip(named, words)]})
        deleted = iter(answer.get("Deleted", []))
        errors = iter(answer.get("Errors", []))
        for (key, version, _), word in zip(named, words):
            try:
                gone, marker = self.model.delete(key, version, bypass, **word)
            except Refused as refused:
                error = next(errors)
                assert (error["Key"], error.get("VersionId"), error["Code"]) \
                    == (key, version, refused.code)
                continue
            if quiet:
                self.learn_marker(key, marker)
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

    def learn_marker(self, key, marker):
        """Of which a quiet answer said nothing."""
        if marker is not None:
            listed = self.call("list_object_versions", Prefix=key)
            self.learn(key, marker, next(
                entry["VersionId"] for entry in listed["DeleteMarkers"]
                if entry["Key"] == key))

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

    # --- the whole ---------------------------------------------------------

    @rule(hard=st.booleans(), often=st.integers(0, 4))
    def restart(self, hard, often):
        if often == 3:  # each costs as much as twenty other steps
            self.restart_s3d(hard)
            self.check_all()

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
