"""Deliberate faults of the reference. Each must be found by the histories,
so that the histories are known to be able to find the like in s3d.

A mutant is a machine to find it, and what it does wrong: a function that
replaces one of the reference. Those of CHEAP are found soon and are looked
for in every run.
"""

import contextlib
from unittest import mock

import documents
import reference
from machine_settings import AllSettings
from machines import Locks, Plain, Versions
from reference import NULL, Bucket, Refused, Version

MUTANTS = {}
CHEAP = ["marker_is_there", "null_version_stays", "rename_keeps_source",
         "complete_forgets_deleted", "cors_ignores_methods"]


def mutant(machine, owner, name):
    def accept(fault):
        original = getattr(owner, name)

        def replaced(*words, **options):
            return fault(original, *words, **options)

        MUTANTS[fault.__name__] = (machine, owner, name, replaced)
        return fault
    return accept


@contextlib.contextmanager
def planted(name):
    _, owner, attribute, replaced = MUTANTS[name]
    with mock.patch.object(owner, attribute, replaced):
        yield


# --- versions --------------------------------------------------------------

@mutant(Versions, Bucket, "live")
def marker_is_there(original, bucket, key):
    return bucket.find(key)


@mutant(Versions, Bucket, "add")
def null_version_stays(original, bucket, key, version):
    """Suspended writes do not replace the null version."""
    if bucket.versioning == "Suspended":
        version.id = NULL
        bucket.keys.setdefault(key, []).insert(0, version)
        return version
    return original(bucket, key, version)


@mutant(Versions, Bucket, "shown")
def suspended_shows_no_id(original, bucket, version):
    return version.id if bucket.versioning == "Enabled" else None


@mutant(Versions, Bucket, "delete")
def suspended_delete_removes(original, bucket, key, version=None, *more, **if_):
    """In the place of adding a marker."""
    if bucket.versioning == "Suspended" and version is None and key in \
            bucket.keys and not if_:
        bucket._remove(key, bucket.find(key))
        return None, None
    return original(bucket, key, version, *more, **if_)


@mutant(Versions, Bucket, "copy")
def copy_forgets_tags(original, bucket, *words, **options):
    words = list(words)
    words[4] = words[4] or {}
    return original(bucket, *words, **options)


# --- uploads ---------------------------------------------------------------

@mutant(Versions, Bucket, "repeated")
def complete_forgets_deleted(original, bucket, identity, listed):
    """A repeated Complete after its version was deleted."""
    version = original(bucket, identity, listed)
    if version is not None and not any(
            version in versions for versions in bucket.keys.values()):
        return None
    return version


@mutant(Plain, Bucket, "repeated")
def complete_is_not_repeated(original, bucket, identity, listed):
    return None


@mutant(Plain, Version, "of_parts")
def checksum_of_the_whole(original, parts, numbers, etag, algorithm, composite,
                          **more):
    return original(parts, numbers, etag, algorithm, False, **more)


@mutant(Plain, reference.Conditions, "check")
def date_counts_beside_a_tag(original, conditions, version):
    original(conditions, version)
    if conditions.not_since and version.modified > conditions.not_since:
        raise Refused("PreconditionFailed")


# --- listings --------------------------------------------------------------

@mutant(Plain, Bucket, "_rolled_up")
def last_delimiter_counts(original, bucket, names, prefix, delimiter):
    if not delimiter:
        return original(bucket, names, prefix, delimiter)
    shown, common = original(bucket, names, prefix, delimiter)
    longest = {name[:name.rindex(delimiter) + len(delimiter)]
               for name in names if name.startswith(prefix)
               and delimiter in name[len(prefix):]}
    return shown, sorted(longest, key=str.encode)


# --- locks -----------------------------------------------------------------

@mutant(Locks, Version, "protected")
def bypass_frees_compliance(original, version, bypass):
    return version.hold == "ON" or bool(version.mode and not bypass)


@mutant(Locks, Version, "protected")
def hold_is_bypassed(original, version, bypass):
    return not bypass and original(version, bypass)


@mutant(Locks, Bucket, "retain")
def retention_may_be_shortened(original, bucket, key, version, mode, until,
                               bypass):
    return original(bucket, key, version, mode, until, True)


# --- extensions ------------------------------------------------------------

@mutant(Plain, Bucket, "rename")
def rename_keeps_source(original, bucket, source, key, *more):
    found = original(bucket, source, key, *more)
    bucket.keys.setdefault(source, [found])
    return found


@mutant(Plain, Bucket, "rename")
def token_is_not_known_again(original, bucket, source, key, token, *more):
    return original(bucket, source, key, object(), *more)


@mutant(Plain, Version, "appended")
def append_forgets_metadata(original, version, body):
    found = original(version, body)
    found.metadata = {}
    return found


@mutant(Plain, Bucket, "delete")
def size_of_nothing_counts(original, bucket, key, version=None, *more,
                           size=None, **if_):
    if size is not None and bucket.live(key) is None:
        raise Refused("PreconditionFailed")
    return original(bucket, key, version, *more, size=size, **if_)


# --- settings --------------------------------------------------------------

@mutant(AllSettings, documents, "allows")
def cors_takes_patterns_literally(original, patterns, text):
    return text in patterns or "*" in patterns


@mutant(AllSettings, documents, "cors_rule")
def cors_ignores_methods(original, rules, origin, method, headers):
    return original(rules and [{**rule, "AllowedMethods": [method]}
                               for rule in rules], origin, method, headers)
