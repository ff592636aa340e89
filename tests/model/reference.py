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

from awscrt.checksums import crc64nvme

MIN_PART = 5 << 20
NULL = "null"
DIGESTS = {
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "CRC64NVME": lambda body: crc64nvme(body).to_bytes(8, "big"),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}


class Refused(Exception):
    """marker: the delete marker that stands in the way."""

    def __init__(self, code, marker=None):
        super().__init__(code)
        self.code = code
        self.marker = marker


def md5(body):
    return hashlib.md5(body).digest()


def etag_of(body):
    return f'"{md5(body).hex()}"'


def encoded(digest):
    return base64.b64encode(digest).decode()


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Entity tags ("*": any) and dates; None: not given."""
    match: str = None
    none_match: str = None
    since: object = None
    not_since: object = None

    def check(self, version):
        """Of a read: a tag that decides silences the date beside it."""
        if self.match:
            if self.match not in ("*", version.etag):
                raise Refused("PreconditionFailed")
        elif self.not_since and version.modified > self.not_since:
            raise Refused("PreconditionFailed")
        if self.none_match:
            if self.none_match in ("*", version.etag):
                raise Refused("NotModified")
        elif self.since and version.modified <= self.since:
            raise Refused("NotModified")

    def check_strictly(self, version):
        """Of what is more than a read: nothing is done either way."""
        try:
            self.check(version)
        except Refused:
            raise Refused("PreconditionFailed") from None


ALWAYS = Conditions()


@dataclasses.dataclass(eq=False)
class Version:
    body: bytes = b""
    etag: str = ""
    algorithm: str = "CRC32"
    checksum: str = ""      # base64; "...-N" for one of parts' checksums
    parts: tuple = ()       # Versions: what it was put together from
    numbers: tuple = ()     # that they were uploaded under
    metadata: dict = dataclasses.field(default_factory=dict)
    tags: dict = dataclasses.field(default_factory=dict)
    marker: bool = False
    mode: str = None        # Object Lock: GOVERNANCE, COMPLIANCE
    until: object = None
    hold: str = None        # ON, OFF; None: never set
    renamed: tuple = None   # (token, source) of the rename that made it
    id: str = None
    modified: object = None  # whole seconds; None: not seen yet

    @staticmethod
    def of(body, algorithm="CRC32", **more):
        return Version(body, etag_of(body), algorithm,
                       encoded(DIGESTS[algorithm](body)), **more)

    @staticmethod
    def of_parts(parts, numbers, etag, algorithm, composite, **more):
        body = b"".join(part.body for part in parts)
        digest = DIGESTS[algorithm]
        checksum = encoded(digest(body))
        if composite:
            whole = digest(b"".join(digest(part.body) for part in parts))
            checksum = f"{encoded(whole)}-{len(parts)}"
        return Version(body, f'"{etag.hex()}-{len(parts)}"', algorithm,
                       checksum, tuple(parts), tuple(numbers), **more)

    @property
    def composite(self):
        return "-" in self.checksum

    def appended(self, body):
        """With a part more, and all it had besides. The tags of parts are
        not all known, so its own is chained. Without parts, it is the
        first."""
        parts, numbers = (self.parts, self.numbers) if self.parts else \
            ((Version.of(self.body, self.algorithm),), (1,))
        return Version.of_parts(
            parts + (Version.of(body, self.algorithm),),
            numbers + (numbers[-1] + 1,),
            md5(bytes.fromhex(self.etag[1:33]) + md5(body)), self.algorithm,
            self.composite or self.algorithm == "SHA256",
            metadata=dict(self.metadata), tags=dict(self.tags))

    def protected(self, bypass):
        """No date here comes while a test runs."""
        return self.hold == "ON" or self.mode == "COMPLIANCE" or (
            self.mode == "GOVERNANCE" and not bypass)


@dataclasses.dataclass
class Upload:
    key: str
    tags: dict
    algorithm: str = "CRC32"
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

    def live(self, key):
        """What a plain read finds, or None."""
        newest = self.find(key)
        return None if newest is None or newest.marker else newest

    def read(self, key, version=None, conditions=ALWAYS):
        found = self.find(key, version)
        if found is None:
            raise Refused("NoSuchVersion" if version else "NoSuchKey")
        if found.marker:
            raise Refused("MethodNotAllowed" if version else "NoSuchKey", found)
        conditions.check(found)
        return found

    def copy_source(self, key, version=None, conditions=ALWAYS):
        found = self.find(key, version)
        if found is not None and found.marker:
            raise Refused("InvalidRequest" if version else "NoSuchKey")
        found = self.read(key, version)
        conditions.check_strictly(found)
        return found

    # --- writing -----------------------------------------------------------

    def check(self, key, if_match=None, if_absent=False):
        """Conditions of a write look at what a plain read finds."""
        newest = self.live(key)
        if if_absent and newest:
            raise Refused("PreconditionFailed")
        if if_match and not newest:
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

    def post(self, key, version, limits, summed):
        """limits: the policy's, of the size; summed: it has a checksum."""
        if self.default and not summed:
            raise Refused("InvalidRequest")
        if len(version.body) > limits[1]:
            raise Refused("EntityTooLarge")
        if len(version.body) < limits[0]:
            raise Refused("EntityTooSmall")
        return self.add(key, version)

    def copy(self, source, source_version, key, metadata=None, tags=None,
             algorithm=None, conditions=ALWAYS, **written):
        """metadata, tags: what replaces the source's."""
        found = self.copy_source(source, source_version, conditions)
        if source == key and source_version is None and metadata is None and \
                algorithm in (None, found.algorithm):
            raise Refused("InvalidRequest")
        self.check(key, **written)
        return self.add(key, Version.of(
            found.body, algorithm or found.algorithm,
            metadata=dict(found.metadata if metadata is None else metadata),
            tags=dict(found.tags if tags is None else tags)))

    def append(self, key, body, offset, metadata, algorithm, **conditions):
        """Metadata and tags stay; `metadata` and `algorithm` are of an object
        that begins."""
        self.check(key, **conditions)
        current = self.live(key)
        if offset != len(current.body if current else b""):
            raise Refused("InvalidWriteOffset")
        if current is None:
            return self.add(key, Version.of(body, algorithm,
                                            metadata=metadata))
        if not body:
            return current
        if not current.body:
            return self.add(key, Version.of(
                body, current.algorithm, metadata=dict(current.metadata),
                tags=dict(current.tags)))
        return self.add(key, current.appended(body))

    def rename(self, source, key, token, of_source=ALWAYS, of_key=ALWAYS):
        if source == key:
            raise Refused("InvalidRequest")
        if self.versioning:
            raise Refused("NotImplemented")
        found, there = self.find(source), self.find(key)
        if there and there.renamed and there.renamed[0] == token:
            if there.renamed[1] != source:
                raise Refused("IdempotencyParameterMismatch")
            return there
        if found is None:
            raise Refused("NoSuchKey")
        of_source.check_strictly(found)
        if there:
            of_key.check_strictly(there)
            self._remove(key, there)
        elif of_key.match or of_key.since:
            raise Refused("PreconditionFailed")
        self._remove(source, found)
        self.keys[key] = [found]
        found.renamed = (token, source)
        return found

    def delete(self, key, version=None, bypass=False, if_match=None, size=None,
               modified=None):
        """(the version that went, or None; the marker that came, or None)"""
        found = self.find(key, version)
        there = found is not None and not found.marker
        if if_match and not there:
            raise Refused("NoSuchKey")
        if there or (found and version):
            if (if_match not in (None, "*", found.etag) or
                    size not in (None, len(found.body)) or
                    modified not in (None, found.modified)):
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

    def repeated(self, identity, listed):
        """The version that this very request made before, or None."""
        found = self.uploads.get(identity)
        if found is not None and found.listed == listed:
            return found.version
        return None

    def complete(self, identity, listed, size=None, **conditions):
        """listed: (number, ETag) as the request has them. A repeat answers
        what was answered. size: that the client expects."""
        before = self.repeated(identity, listed)
        if before is not None:
            return before
        found = self.upload(identity)
        numbers = [number for number, _ in listed]
        if numbers != sorted(set(numbers)):
            raise Refused("InvalidPartOrder")
        parts = []
        for number, etag in listed:
            part = found.parts.get(number)
            if part is None or part.etag != etag:
                raise Refused("InvalidPart")
            parts.append(part)
        if any(len(part.body) < MIN_PART for part in parts[:-1]):
            raise Refused("EntityTooSmall")
        if size not in (None, sum(len(part.body) for part in parts)):
            raise Refused("InvalidRequest")
        self.check(found.key, **conditions)
        version = Version.of_parts(
            parts, numbers, md5(b"".join(md5(part.body) for part in parts)),
            found.algorithm, found.algorithm != "CRC64NVME",
            tags=dict(found.tags))
        found.listed, found.version, found.parts = listed, version, {}
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
        there = {key: self.live(key) for key in self.keys if self.live(key)}
        names, common = self._rolled_up(there, prefix, delimiter)
        return [(name, there[name]) for name in names], common

    def list_versions(self, prefix="", delimiter=""):
        """([(key, version, is latest)], common prefixes)"""
        names, common = self._rolled_up(self.keys, prefix, delimiter)
        return [(name, version, version is self.keys[name][0])
                for name in names for version in self.keys[name]], common

    def list_uploads(self, prefix="", delimiter=""):
        """([(key, id)], common prefixes): those in progress."""
        there = {}
        for identity in sorted(self.uploads):
            if self.uploads[identity].version is None:
                there.setdefault(self.uploads[identity].key,
                                 []).append(identity)
        names, common = self._rolled_up(there, prefix, delimiter)
        return [(name, identity) for name in names
                for identity in there[name]], common
