"""What is set on a bucket: the specification, readable on its own."""

import fnmatch


def allows(patterns, text):
    """Each pattern may hold one "*"."""
    return any(fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
               for pattern in patterns)


def cors_rule(rules, origin, method, headers):
    """The first rule that allows all of it, or None."""
    for rule in rules or []:
        allowed = [name.lower() for name in rule.get("AllowedHeaders", [])]
        if allows(rule["AllowedOrigins"], origin) and \
                method in rule["AllowedMethods"] and \
                all(allows(allowed, name.lower()) for name in headers):
            return rule
    return None


def cors_headers(rule, origin, headers):
    """Of an answer, names in lower case."""
    first = next(pattern for pattern in rule["AllowedOrigins"]
                 if allows([pattern], origin))
    answer = {
        "access-control-allow-origin": "*" if first == "*" else origin,
        "access-control-allow-methods": ", ".join(rule["AllowedMethods"]),
        "vary": "Origin, Access-Control-Request-Headers, "
                "Access-Control-Request-Method"}
    if first != "*":
        answer["access-control-allow-credentials"] = "true"
    if headers:
        answer["access-control-allow-headers"] = ", ".join(headers).lower()
    if rule.get("ExposeHeaders"):
        answer["access-control-expose-headers"] = \
            ", ".join(rule["ExposeHeaders"])
    if "MaxAgeSeconds" in rule:
        answer["access-control-max-age"] = str(rule["MaxAgeSeconds"])
    return answer


class Settings:
    """Of one bucket. None: not set."""

    def __init__(self, locked=False, ownership=None):
        self.locked = locked
        self.versioning = "Enabled" if locked else None
        self.ownership = ownership or "BucketOwnerEnforced"
        self.tags = None
        self.cors = None
        self.payer = "BucketOwner"
        self.logging = None     # as the document has it
        self.default = None     # (mode, unit, number)
        self.full = None        # the version id of its object
        self.kept = None        # that object's mode of retention
