"""What a bucket is: the specification, readable on its own.

A key has versions, newest first; one may be the null version, one may be a
delete marker. Nothing here knows HTTP: an operation answers a value or raises
Refused with S3's code. Ids are the server's choice: whoever compares gives a
new version the id it was answered (None until then).
"""

import base64
import dataclasses
import hashlib
import zlib

MIN_PART = 5 << 20
NULL = "null"


class Refused(Exception):
    """marker: the delete marker that stands in the way."""

    def __init__(self, code, marker=None):
        super().__init__(code)
        self.code = code
        self.marker = marker


def etag_of(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def crc32(body):
    return zlib.crc32(body).to_bytes(4, "big")


@dataclasses.dataclass(eq=False)
class Version:
    body: bytes = b""
    etag: str = ""
    checksum: str = ""  # base64 of the CRC32; "...-N" for one of parts
    parts: tuple = ()   # sizes of a multipart object's parts
    metadata: dict = dataclasses.field(default_factory=dict)
    tags: dict = dataclasses.field(default_factory=dict)
    marker: bool = False
    mode: str = None    # Object Lock: GOVERNANCE, COMPLIANCE
    until: object = None
    hold: str = None    # ON, OFF; None: never set
    id: str = None

    @staticmethod
    def of(body, **more):
        return Version(body, etag_of(body),
                       base64.b64encode(crc32(body)).decode(), **more)

    def protected(self, bypass):
        """No date here comes while a test runs."""
        return self.hold == "ON" or self.mode == "COMPLIANCE" or (
            self.mode == "GOVERNANCE" and not bypass)


@dataclasses.dataclass
class Upload:
    key: str
    tags: dict
    parts: dict = dataclasses.field(default_factory=dict)  # number: Version
    listed: list = None     # of the request that completed it
    version: Version = None  # that it became


class Bucket:
    def __init__(self, locked=False):
        self.versioning = "Enabled" if locked else ""  # "", Enabled, Suspended
        self.locked = locked
        self.default = None  # mode of new versions; the machine knows the days
        self.keys = {}       # key: versions, newest first; never empty
        self.uploads = {}    # id: Upload, in progress or completed

    # --- looking -----------------------------------------------------------

    def find(self, key, version=None):
        """The version, markers included, or None."""
        for found in self.keys.get(key, []):
            if version in (None, found.id):
                return found
        return None

    def shown(self, version):
        """The id as headers have it: of none where versions never were."""
        return version.id if self.versioning else None

    def read(self, key, version=None):
        found = self.find(key, version)
        if found is None:
            raise Refused("NoSuchVersion" if version else "NoSuchKey")
        if found.marker:
            raise Refused("MethodNotAllowed" if version else "NoSuchKey", found)
        return found

    def copy_source(self, key, version=None):
        found = self.find(key, version)
        if found is not None and found.marker:
            raise Refused("InvalidRequest" if version else "NoSuchKey")
        return self.read(key, version)

    # --- writing -----------------------------------------------------------

    def check(self, key, if_match=None, if_absent=False):
        """Conditions of a write look at what a plain read finds."""
        newest = self.find(key)
        there = newest is not None and not newest.marker
        if if_absent and there:
            raise Refused("PreconditionFailed")
        if if_match and not there:
            raise Refused("NoSuchKey")
        if if_match and if_match not in ("*", newest.etag):
            raise Refused("PreconditionFailed")

    def _remove(self, key, version):
        self.keys[key].remove(version)
        if not self.keys[key]:
            del self.keys[key]

    def add(self, key, version):
        """On top; but for Enabled, in the place of the null version."""
        if self.versioning != "Enabled":
            null = self.find(key, NULL)
            if null is not None:
                self._remove(key, null)
            version.id = NULL
        if self.default and not version.marker and not version.mode:
            version.mode = self.default
        self.keys.setdefault(key, []).insert(0, version)
        return version

    def put(self, key, version, **conditions):
        self.check(key, **conditions)
        return self.add(key, version)

    def copy(self, source, source_version, key, metadata=None, tags=None):
        """metadata, tags: what replaces the source's."""
        found = self.copy_source(source, source_version)
        if source == key and source_version is None and metadata is None:
            raise Refused("InvalidRequest")
        return self.add(key, Version.of(
            found.body,
            metadata=dict(found.metadata if metadata is None else metadata),
            tags=dict(found.tags if tags is None else tags)))

    def delete(self, key, version=None, bypass=False, if_match=None):
        """(the version that went, or None; the marker that came, or None)"""
        found = self.find(key, version)
        if if_match:
            if found is None or found.marker:
                raise Refused("NoSuchKey")
            if if_match not in ("*", found.etag):
                raise Refused("PreconditionFailed")
        if self.versioning and version is None:
            return None, self.add(key, Version(marker=True))
        if found is None:
            return None, None
        if found.protected(bypass):
            raise Refused("AccessDenied")
        self._remove(key, found)
        return found, None

    def set_versioning(self, status):
        if self.locked and status != "Enabled":
            raise Refused("InvalidBucketState")
        self.versioning = status

    # --- Object Lock -------------------------------------------------------

    def lock_target(self, key, version):
        if not self.locked:
            raise Refused("InvalidRequest")
        return self.read(key, version)

    def retain(self, key, version, mode, until, bypass):
        """mode None: take the retention away."""
        found = self.lock_target(key, version)
        longer = found.mode == mode and mode and until >= found.until
        if found.mode and not longer and not (
                found.mode == "GOVERNANCE" and bypass):
            raise Refused("AccessDenied")
        found.mode, found.until = mode, until

    def retention(self, key, version):
        found = self.lock_target(key, version)
        if not found.mode:
            raise Refused("NoSuchObjectLockConfiguration")
        return found

    def hold(self, key, version):
        found = self.lock_target(key, version)
        if not found.hold:
            raise Refused("NoSuchObjectLockConfiguration")
        return found

    # --- uploads -----------------------------------------------------------

    def upload(self, identity):
        """In progress."""
        found = self.uploads.get(identity)
        if found is None or found.version is not None:
            raise Refused("NoSuchUpload")
        return found

    def complete(self, identity, listed, **conditions):
        """listed: (number, ETag) as the request has them. A repeat answers
        what was answered."""
        found = self.uploads.get(identity)
        if found is not None and found.version is not None and \
                found.listed == listed:
            return found.version
        found = self.upload(identity)
        parts = []
        for number, etag in listed:
            part = found.parts.get(number)
            if part is None or part.etag != etag:
                raise Refused("InvalidPart")
            parts.append(part)
        if any(len(part.body) < MIN_PART for part in parts[:-1]):
            raise Refused("EntityTooSmall")
        self.check(found.key, **conditions)
        md5s = b"".join(hashlib.md5(part.body).digest() for part in parts)
        crcs = b"".join(crc32(part.body) for part in parts)
        version = Version(
            b"".join(part.body for part in parts),
            f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"',
            f"{base64.b64encode(crc32(crcs)).decode()}-{len(parts)}",
            tuple(len(part.body) for part in parts), tags=dict(found.tags))
        found.listed, found.version = listed, version
        found.parts = {}
        return self.add(found.key, version)

    def abort(self, identity):
        self.upload(identity)
        del self.uploads[identity]

    # --- lists -------------------------------------------------------------

    def _rolled_up(self, names, prefix, delimiter):
        """(names shown as they are, common prefixes), in byte order."""
        shown, common = [], []
        for name in sorted(names, key=str.encode):
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix):]
            if delimiter and delimiter in rest:
                group = prefix + rest[:rest.index(delimiter)] + delimiter
                if group not in common:
                    common.append(group)
            else:
                shown.append(name)
        return shown, common

    def list(self, prefix="", delimiter=""):
        """([(key, version)], common prefixes): what plain reads find."""
        there = {key: versions[0] for key, versions in self.keys.items()
                 if not versions[0].marker}
        names, common = self._rolled_up(there, prefix, delimiter)
        return [(name, there[name]) for name in names], common

    def list_versions(self, prefix="", delimiter=""):
        """([(key, version, is latest)], common prefixes)"""
        names, common = self._rolled_up(self.keys, prefix, delimiter)
        return [(name, version, version is self.keys[name][0])
                for name in names for version in self.keys[name]], common
