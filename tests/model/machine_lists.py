"""Listings, page by page, with all their parameters.

The pages are asked for here, not by boto3's paginators, which lack some
markers; what a page must hold is computed from the whole.
"""

import urllib.parse

from hypothesis import strategies as st
from hypothesis.stateful import rule

from machine import given
from machine_objects import KEYS
from machine_uploads import UPLOADS

PREFIXES = st.sampled_from(["", "", "a", "a/", "a/b", "é", "zz"])
DELIMITERS = st.sampled_from(["", "", "/", "b", "//"])
LISTS = ["list", "list_v2", "list_versions", "list_uploads"]


def decode(answer):
    """boto3 decodes names by itself only where it asked for the encoding,
    and not the prefix of ListObjects."""
    for name in ("NextMarker", "NextKeyMarker"):
        if name in answer:
            answer[name] = urllib.parse.unquote(answer[name])
    for entries, name in (("Contents", "Key"), ("Versions", "Key"),
                          ("DeleteMarkers", "Key"), ("Uploads", "Key"),
                          ("CommonPrefixes", "Prefix")):
        for entry in answer.get(entries, []):
            entry[name] = urllib.parse.unquote(entry[name])


def entries_of(answer):
    return [entry for name in ("Contents", "Versions", "DeleteMarkers",
                               "Uploads") for entry in answer.get(name, [])]


# --- how a page says where the next one begins -----------------------------

def after_marker(answer):
    """Without a delimiter, ListObjects names no next marker."""
    if "Delimiter" in answer:
        return {"Marker": answer["NextMarker"]}
    assert "NextMarker" not in answer
    return {"Marker": answer["Contents"][-1]["Key"]}


def after_token(answer):
    return {"ContinuationToken": answer["NextContinuationToken"]}


def after_version(answer):
    return {"KeyMarker": answer["NextKeyMarker"],
            "VersionIdMarker": answer.get("NextVersionIdMarker", "")}


def after_upload(answer):
    return {"KeyMarker": answer["NextKeyMarker"],
            "UploadIdMarker": answer.get("NextUploadIdMarker", "")}


def beyond(names, after):
    return [name for name in names if name.encode() > after.encode()]


class Lists:
    """Of a machine of objects."""

    @rule(prefix=PREFIXES, delimiter=DELIMITERS, page=st.integers(1, 5),
          url=st.booleans(), what=st.sampled_from(LISTS),
          start=st.one_of(st.just(""), KEYS))
    def look_through(self, prefix, delimiter, page, url, what, start):
        getattr(self, what)(start, url, Prefix=prefix, Delimiter=delimiter,
                            size=page)

    @rule(what=st.sampled_from(["list_objects", "list_objects_v2",
                                "list_object_versions"]))
    def nothing_of(self, what):
        answer = self.call(what, MaxKeys=0)
        assert not answer["IsTruncated"]
        assert not answer.get("Contents") and not answer.get("Versions")

    def pages(self, name, url, size, following, **options):
        """(entries, common prefixes) of all pages together."""
        limit = "MaxUploads" if "uploads" in name else "MaxKeys"
        prefix, truncated = options["Prefix"], True
        found, common = [], []
        while truncated:
            answer = self.call(
                name, **{limit: size}, **given(EncodingType="url" if url else
                                               None),
                **{k: v for k, v in options.items() if v != ""})
            if url:
                decode(answer)
            page = entries_of(answer)
            groups = [g["Prefix"] for g in answer.get("CommonPrefixes", [])]
            truncated = answer["IsTruncated"]
            assert answer[limit] == size
            assert urllib.parse.unquote(answer.get("Prefix", "")) == prefix
            assert answer.get("KeyCount", len(page) + len(groups)) == \
                len(page) + len(groups)
            # Full as long as more is to come.
            assert len(page) + len(groups) == size if truncated else \
                len(page) + len(groups) <= size
            found += page
            common += groups
            if truncated:
                options.update(following(answer))
        return found, common

    def check_object(self, entry, key, version):
        assert (entry["Key"], entry["ETag"], entry["Size"]) == \
            (key, version.etag, len(version.body))
        assert entry["ChecksumAlgorithm"] == [version.algorithm]
        assert entry["StorageClass"] == "STANDARD"
        self.dated(version, entry["LastModified"])

    def check_objects(self, answered, start, owners, options):
        found, common = answered
        expected, groups = self.model.list(options["Prefix"],
                                           options["Delimiter"])
        expected = [(key, v) for key, v in expected if beyond([key], start)]
        assert [entry["Key"] for entry in found] == [key for key, _ in expected]
        assert common == beyond(groups, start)
        for entry, (key, version) in zip(found, expected):
            self.check_object(entry, key, version)
            assert ("Owner" in entry) == owners

    def list(self, start, url, size, **options):
        self.check_objects(
            self.pages("list_objects", url, size, after_marker, Marker=start,
                       **options), start, True, options)

    def list_v2(self, start, url, size, **options):
        owners = size % 2 == 0
        self.check_objects(
            self.pages("list_objects_v2", url, size, after_token,
                       StartAfter=start, FetchOwner=owners, **options),
            start, owners, options)

    def list_versions(self, start, url, size, **options):
        """start: a key marker, with or without that of its first version."""
        marker = ""
        if size % 2 and start in self.model.keys:
            marker = self.model.keys[start][0].id
        found, common = self.pages(
            "list_object_versions", url, size, after_version, KeyMarker=start,
            VersionIdMarker=marker, **options)
        expected, groups = self.model.list_versions(options["Prefix"],
                                                    options["Delimiter"])
        self.check_versions(found, [
            (key, version, latest) for key, version, latest in expected
            if beyond([key], start) or
            (marker and key == start and version.id != marker)])
        assert common == beyond(groups, start)

    def check_versions(self, found, expected):
        """boto3 splits an answer's entries in two."""
        place = {(key, version.id): at
                 for at, (key, version, _) in enumerate(expected)}
        found = sorted(found, key=lambda e: place[e["Key"], e["VersionId"]])
        assert [(e["Key"], e["VersionId"], e["IsLatest"]) for e in found] == \
            [(key, version.id, latest) for key, version, latest in expected]
        for entry, (key, version, _) in zip(found, expected):
            if version.marker:
                self.dated(version, entry["LastModified"])
            else:
                self.check_object(entry, key, version)
        for newer, older in zip(found, found[1:]):
            assert newer["Key"] != older["Key"] or \
                newer["LastModified"] >= older["LastModified"]

    # --- uploads and their parts -------------------------------------------

    def list_uploads(self, start, url, size, **options):
        """start: a key marker, with or without that of its first upload."""
        expected, groups = self.model.list_uploads(options["Prefix"],
                                                   options["Delimiter"])
        marker = ""
        if size % 2:
            marker = next((i for key, i in expected if key == start), "")
        found, common = self.pages(
            "list_multipart_uploads", url, size, after_upload,
            KeyMarker=start, UploadIdMarker=marker, **options)
        assert [(u["Key"], u["UploadId"], u["ChecksumAlgorithm"])
                for u in found] == [
            (key, i, self.model.uploads[i].algorithm) for key, i in expected
            if beyond([key], start) or (marker and key == start and i > marker)]
        assert common == beyond(groups, start)

    @rule(number=UPLOADS, page=st.integers(1, 3), after=st.integers(0, 2))
    def list_parts(self, number, page, after):
        key, identity = self.pick(number, False)
        truncated = True
        while truncated:
            answer = self.call("list_parts", Key=key, UploadId=identity,
                               MaxParts=page, PartNumberMarker=after)
            upload = self.expect(answer, self.model.upload, identity)
            if not upload:
                return
            assert answer["ChecksumAlgorithm"] == upload.algorithm
            expected = [number for number in sorted(upload.parts)
                        if number > after]
            found = answer.get("Parts", [])
            assert [part["PartNumber"] for part in found] == expected[:page]
            for entry in found:
                part = upload.parts[entry["PartNumber"]]
                assert (entry["ETag"], entry["Size"],
                        entry["Checksum" + part.algorithm]) == \
                    (part.etag, len(part.body), part.checksum)
            truncated = answer["IsTruncated"]
            assert truncated == (len(expected) > page)
            after = answer["NextPartNumberMarker"]

    # --- the whole ---------------------------------------------------------

    @rule()
    def check_all(self):
        for what in LISTS:
            getattr(self, what)("", False, Prefix="", Delimiter="",
                                size=2 if what == "list_v2" else 1000)
        self.list("", False, Prefix="", Delimiter="/", size=1000)
