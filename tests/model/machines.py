"""The machines of objects: what a bucket can be."""

import datetime
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine import given
from machine_lists import Lists
from machine_objects import (CONDITIONS, DEFAULT_DAYS, KEYS, TARGETS, Objects,
                             arguments)
from machine_reads import Reads
from machine_uploads import Uploads
from reference import NULL, Version

SOON = datetime.datetime(2098, 1, 1, tzinfo=datetime.timezone.utc)
LATE = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


# More of those that hold.
RENAMED = st.one_of(CONDITIONS, st.sampled_from(
    ["none", "none", "match", "other", "before", "not_since"]))


class Plain(Objects, Reads, Uploads, Lists):
    """Never with versions: only here objects are renamed."""
    examples = 14

    def tour(self):
        """Once what chance may leave out."""
        self.begin(["a", "a/b"])
        self.rename(0, "b", "match", "other", "t0", True)
        self.rename(0, "b", "before", "none", "t1", False)
        for condition in ("absent", "match"):
            self.make_upload("c", {}, [10], "CRC32", condition)
        for _ in range(2):
            self.make_upload("a", {}, [10], "SHA256", None)
        self.list_parts(0, 1, 0)
        kinds = ("match", "other", "before", "not_since")
        for kind in kinds:
            self.look_again(("c", None), kind, kind)
            self.copy(("c", None), "d", kind, "none", {}, {}, "SHA256")
            self.copy_part(0, 1, ("c", None), kind, (0, 0))
        for condition in ("match", "absent"):
            self.put("b", 5, {"x": "1"}, "CRC32", condition)
            self.copy(("c", None), "b", "none", condition, None, None, None)
            self.delete_object("b", None)
        self.append("b", 5, 0, "none", "CRC32")
        self.post("e", 5, {"x": "1"}, False, "201", False, (0, 9))
        for what in ("list", "list_v2", "list_versions", "list_uploads"):
            for delimiter in ("", "/"):
                getattr(self, what)("a", True, size=1, Prefix="",
                                    Delimiter=delimiter)
            getattr(self, what)("", False, size=1, Prefix="a", Delimiter="")
        self.copy(("c", None), "f", "none", "absent", None, None, None)
        self.look(("c", 0), 0)
        self.tag(("c", None), {"x": "1"})
        self.tag(("c", None), {})
        self.delete_many([(("d", None), "none")], False, False)
        self.delete_object("c", NULL, kind="all")
        self.abort(0)

    @rule(aimed=TARGETS, key=KEYS, of_source=RENAMED, of_key=RENAMED,
          token=st.sampled_from(["t1", "t2", "t3"]), twice=st.booleans())
    def rename(self, aimed, key, of_source, of_key, token, twice):
        source, _ = self.aim(aimed)
        found, there = self.model.find(source), self.model.find(key)
        of_source = self.conditions(of_source, source, found)
        of_key = self.conditions(of_key, key, there)
        for _ in range(1 + twice):
            answer = self.call(
                "rename_object", Key=key, ClientToken=token,
                RenameSource=quote(f"/{self.bucket}/{source}"),
                **arguments(of_source, "Source"),
                **arguments(of_key, "Destination"))
            if self.expect(answer, self.model.rename, source, key, token,
                           of_source, of_key):
                self.ids.setdefault(key, [])


class Versions(Objects, Reads, Uploads, Lists):
    """Enabled and Suspended at any time."""
    examples = 16

    @initialize(status=st.sampled_from(["", "Suspended", "Enabled", "Enabled"]),
                keys=st.lists(KEYS, min_size=2, max_size=6))
    def begin(self, status, keys):
        super().begin(keys)
        if status:
            self.switch(status)
            for key in keys:
                self.put_first(key)

    @rule(status=st.sampled_from(["Enabled", "Enabled", "Suspended"]))
    def switch(self, status):
        answer = self.call("put_bucket_versioning",
                           VersioningConfiguration={"Status": status})
        self.expect(answer, self.model.set_versioning, status)
        found = self.call("get_bucket_versioning")
        assert found.get("Status", "") == self.model.versioning


class Locks(Versions):
    """Object Lock, which needs versions."""
    examples = 14
    locked = True

    def tour(self):
        """Once what chance may leave out."""
        self.begin("Enabled", ["a", "b"])
        self.put_locked("a", "GOVERNANCE", SOON, "ON")
        self.look(("a", None), 0)
        self.put_hold(0, "OFF")
        self.retain(0, "GOVERNANCE", LATE, True)
        self.list_versions("a", True, size=1, Prefix="", Delimiter="")
        self.delete_locked(0, True)

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

    @rule(aimed=TARGETS, bypass=st.booleans())
    def delete_locked(self, aimed, bypass):
        """Aimed at a version that is there: a plain delete only hides it."""
        key, version = self.aim(aimed)
        if version:
            self.delete_object(key, version, bypass)
