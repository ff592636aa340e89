"""Buckets come and go, and what can be set on them is set and read."""

import documents
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine import Code, Machine, given, tag_set

NAMES = st.integers(0, 3)
OWNERSHIP = st.sampled_from(["BucketOwnerEnforced", "BucketOwnerPreferred",
                             "ObjectWriter"])
FORMATS = st.sampled_from([
    None, {"SimplePrefix": {}},
    {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
    {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}}])
RULES = st.lists(st.fixed_dictionaries({
    "AllowedOrigins": st.sampled_from([
        ["*"], ["http://a.example"], ["http://*.example", "*"],
        ["http://b.example", "http://*.example"]]),
    "AllowedMethods": st.sampled_from([["GET"], ["PUT", "GET"], ["HEAD"]]),
}, optional={
    "ID": st.just("one"),
    "AllowedHeaders": st.sampled_from([["*"], ["x-amz-*"], ["Content-Type"]]),
    "ExposeHeaders": st.sampled_from([["ETag"], ["ETag", "x-amz-id-2"]]),
    "MaxAgeSeconds": st.sampled_from([0, 3000]),
}), min_size=1, max_size=3)
ORIGINS = st.sampled_from(["http://a.example", "http://b.example",
                           "http://other"])
HEADERS = st.sampled_from([[], ["x-amz-date"], ["Content-Type", "x-amz-acl"],
                           ["other"]])

# What no machine sets: (what looks at it, its answer; what removes it).
UNSET = [
    ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError",
     "delete_bucket_encryption"),
    ("get_bucket_website", "NoSuchWebsiteConfiguration",
     "delete_bucket_website"),
    ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration",
     "delete_bucket_lifecycle"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError",
     "delete_bucket_replication"),
    ("get_bucket_policy", "NoSuchBucketPolicy", "delete_bucket_policy"),
    ("get_bucket_policy_status", "NoSuchBucketPolicy", None),
]


class Buckets(Machine):
    """All rules name a bucket by number; it may not be there."""
    examples = 15

    @initialize()
    def begin(self):
        self.names = [self.new_name() for _ in range(4)]
        self.there = {}  # name: Settings
        self.serial = 0
        for name in self.names[:2]:
            self.create_named(name)

    def on(self, number, name, _code=None, **arguments):
        """(settings, answer); None: the bucket is not there, as answered.
        _code: the refusal that is expected of one that is."""
        bucket = self.names[number]
        answer = self.call(name, bucket, **arguments)
        if bucket not in self.there:
            assert answer == ("404" if name == "head_bucket"
                              else "NoSuchBucket")
            return None, answer
        if _code is not None:
            assert answer == _code
        else:
            assert not isinstance(answer, Code), answer
        return self.there[bucket], answer

    def known(self, number):
        return self.there.get(self.names[number], documents.Settings())

    # --- buckets -----------------------------------------------------------

    def create_named(self, name, locked=False, ownership=None, **options):
        answer = self.call(
            "create_bucket", name, ObjectLockEnabledForBucket=locked,
            **given(ObjectOwnership=ownership), **options)
        assert answer["Location"] == "/" + name
        self.there.setdefault(name, documents.Settings(locked, ownership))

    @rule(number=NAMES, locked=st.booleans(),
          ownership=st.one_of(st.none(), OWNERSHIP))
    def create(self, number, locked, ownership):
        """In us-east-1 a repeat is granted and changes nothing."""
        self.create_named(self.names[number], locked, ownership)

    @rule(number=NAMES, often=st.integers(0, 2))
    def delete(self, number, often):
        if often == 2:
            full = self.known(number).full
            self.on(number, "delete_bucket", "BucketNotEmpty" if full else None)
            if not full:
                self.there.pop(self.names[number], None)

    @rule(number=NAMES)
    def head(self, number):
        there, answer = self.on(number, "head_bucket")
        if there:
            assert answer["BucketRegion"] == "us-east-1"
            location = self.on(number, "get_bucket_location")[1]
            assert location["LocationConstraint"] is None

    @rule(number=NAMES)
    def fill(self, number):
        """One object; in a bucket with versions its end is not a delete."""
        there = self.known(number)
        if there.full:
            options = {} if not there.versioning else {
                "VersionId": there.full, "BypassGovernanceRetention": True}
            answer = self.call("delete_object", self.names[number], Key="k",
                               **options)
            locked = there.kept == "COMPLIANCE"
            assert (answer == "AccessDenied") == locked
            there.full = there.full if locked else None
            return
        there, answer = self.on(number, "put_object", Key="k", Body=b"x")
        if there:
            there.full = answer.get("VersionId", "null")
            there.kept = there.default and there.default[0]

    @rule(page=st.integers(1, 3), region=st.sampled_from(
        [None, None, "us-east-1", "eu-west-1"]))
    def list(self, page, region):
        prefix = self.names[0].rpartition("-")[0] + "-"
        found, token = [], None
        while True:
            answer = self.client.list_buckets(
                Prefix=prefix, MaxBuckets=page,
                **given(ContinuationToken=token, BucketRegion=region))
            self.note("ListBuckets", "Prefix", "MaxBuckets", *given(
                ContinuationToken=token, BucketRegion=region))
            assert len(answer["Buckets"]) <= page
            found += [bucket["Name"] for bucket in answer["Buckets"]]
            token = answer.get("ContinuationToken")
            if token is None:
                break
        mine = [name for name in found if name in self.names]
        assert mine == (sorted(self.there) if region != "eu-west-1" else [])
        assert found == sorted(found)


class BucketSettings(Buckets):

    @rule(number=NAMES, tags=st.sampled_from(
        [None, {}, {"x": "1"}, {"aws:x": "1"}, {"x": "2", "y z": "é+/"}]))
    def tag(self, number, tags):
        if tags is None:
            there, _ = self.on(number, "delete_bucket_tagging")
        else:
            reserved = "InvalidTag" if "aws:x" in tags else None
            there, _ = self.on(number, "put_bucket_tagging", reserved,
                               Tagging={"TagSet": tag_set(tags)})
            if reserved:
                return
        if there:
            there.tags = tags
        self.look_at_tags(number)

    def look_at_tags(self, number):
        known = self.known(number)
        _, answer = self.on(number, "get_bucket_tagging",
                            None if known.tags else "NoSuchTagSet")
        if known.tags:
            assert answer["TagSet"] == tag_set(known.tags)

    @rule(number=NAMES)
    def look(self, number):
        """At all of it."""
        known = self.known(number)
        self.look_at_tags(number)
        there, answer = self.on(
            number, "get_bucket_ownership_controls", None if known.ownership
            else "OwnershipControlsNotFoundError")
        if there and known.ownership:
            assert answer["OwnershipControls"]["Rules"] == [
                {"ObjectOwnership": known.ownership}]
        there, answer = self.on(number, "get_bucket_request_payment")
        if not there:
            return
        assert answer["Payer"] == there.payer
        answer = self.on(number, "get_bucket_versioning")[1]
        assert answer.get("Status") == there.versioning
        answer = self.on(number, "get_bucket_logging")[1]
        assert answer.get("LoggingEnabled") == there.logging
        for name in ("get_bucket_notification_configuration",
                     "get_bucket_accelerate_configuration"):
            answer = self.on(number, name)[1]
            assert set(answer) == {"ResponseMetadata"}
        _, answer = self.on(
            number, "get_object_lock_configuration", None if there.locked
            else "ObjectLockConfigurationNotFoundError")
        if there.locked:
            found = answer["ObjectLockConfiguration"]
            assert found.get("Rule") == (there.default and {
                "DefaultRetention": {"Mode": there.default[0],
                                     there.default[1]: there.default[2]}})

    @rule(number=NAMES, value=st.one_of(st.none(), OWNERSHIP))
    def own(self, number, value):
        if value is None:
            there, _ = self.on(number, "delete_bucket_ownership_controls")
        else:
            there, _ = self.on(
                number, "put_bucket_ownership_controls", OwnershipControls={
                    "Rules": [{"ObjectOwnership": value}]})
        if there:
            there.ownership = value

    @rule(number=NAMES, payer=st.sampled_from(["Requester", "BucketOwner"]))
    def pay(self, number, payer):
        there, _ = self.on(number, "put_bucket_request_payment",
                           RequestPaymentConfiguration={"Payer": payer})
        if there:
            there.payer = payer

    @rule(number=NAMES, status=st.sampled_from(["Enabled", "Suspended"]))
    def switch(self, number, status):
        """Where the object of `fill` is not: its version stays as it is."""
        known = self.known(number)
        if not known.full:
            refused = known.locked and status != "Enabled"
            there, _ = self.on(
                number, "put_bucket_versioning",
                "InvalidBucketState" if refused else None,
                VersioningConfiguration={"Status": status})
            if there and not refused:
                there.versioning = status

    @rule(number=NAMES, rule_=st.sampled_from(
        [None, ("GOVERNANCE", "Days", 3), ("COMPLIANCE", "Years", 1)]))
    def lock(self, number, rule_):
        refused = self.known(number).versioning != "Enabled"
        there, _ = self.on(
            number, "put_object_lock_configuration",
            "InvalidBucketState" if refused else None,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", **(
                {"Rule": {"DefaultRetention": {"Mode": rule_[0],
                                               rule_[1]: rule_[2]}}}
                if rule_ else {})})
        if there and not refused:
            there.locked, there.default = True, rule_

    @rule(number=NAMES, to=st.one_of(st.none(), NAMES), form=FORMATS,
          prefix=st.sampled_from(["", "log/"]))
    def log(self, number, to, form, prefix):
        wanted, refused = None, False
        if to is not None:
            wanted = {"TargetBucket": self.names[to],
                      "TargetPrefix": prefix,
                      **given(TargetObjectKeyFormat=form)}
            of = self.there.get(self.names[to])
            refused = of is None or of.default or of.payer == "Requester"
        there, _ = self.on(
            number, "put_bucket_logging",
            "InvalidTargetBucketForLogging" if refused else None,
            BucketLoggingStatus=given(LoggingEnabled=wanted))
        if there and not refused:
            there.logging = wanted

    @rule(number=NAMES, what=st.sampled_from(UNSET))
    def unset(self, number, what):
        look, code, remove = what
        there, _ = self.on(number, look, code)
        if there:
            self.note(self.client.meta.method_to_api_mapping[look])
        if remove:
            self.on(number, remove)

    @rule(number=NAMES, some=st.booleans())
    def notify(self, number, some):
        configuration = {"TopicConfigurations": [{
            "TopicArn": "arn:aws:sns:us-east-1:1:t",
            "Events": ["s3:ObjectCreated:*"]}]} if some else {}
        self.on(number, "put_bucket_notification_configuration",
                "InvalidArgument" if some else None,  # no such target
                NotificationConfiguration=configuration)


class AllSettings(BucketSettings):
    """With CORS, which shows in every answer."""

    def tour(self):
        """Once what chance may leave out."""
        self.begin()
        self.fill(0)
        for tags in ({"x": "1"}, None):
            self.tag(0, tags)
        for value in ("ObjectWriter", None):
            self.own(0, value)
        self.pay(1, "Requester")
        self.log(0, 0, None, "")
        self.notify(0, False)
        for what in UNSET:
            self.unset(0, what)
        for rules in ([{"AllowedOrigins": ["http://a.example"],
                        "AllowedMethods": ["PUT", "GET"],
                        "AllowedHeaders": ["*"]}], None):
            self.set_cors(0, rules)
        self.switch(1, "Enabled")
        self.lock(1, ("GOVERNANCE", "Days", 3))
        self.look(1)
        self.head(0)
        self.list(1, "us-east-1")
        self.delete(1, 2)

    @rule(number=NAMES, rules=st.one_of(st.none(), RULES, RULES, RULES))
    def set_cors(self, number, rules):
        if rules is None:
            there, _ = self.on(number, "delete_bucket_cors")
        else:
            there, _ = self.on(number, "put_bucket_cors",
                               CORSConfiguration={"CORSRules": rules})
        if there:
            there.cors = rules
        _, answer = self.on(number, "get_bucket_cors", None if rules
                            else "NoSuchCORSConfiguration")
        if there and rules:
            assert answer["CORSRules"] == rules
        for method in ("GET", "HEAD", "DELETE"):
            self.preflight(number, "http://a.example", ["x-amz-date"], method)
        self.from_a_page(number, "http://a.example", "get_object")

    @rule(number=NAMES, origin=ORIGINS, headers=HEADERS,
          method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]))
    def preflight(self, number, origin, headers, method):
        asked = {"Origin": origin, "Access-Control-Request-Method": method}
        if headers:
            asked["Access-Control-Request-Headers"] = ",".join(headers)
        status, answer, body = self.send(
            "OPTIONS", f"{self.stack.endpoint}/{self.names[number]}/k",
            headers=asked)
        found = documents.cors_rule(self.known(number).cors, origin, method, headers)
        if found is None:
            assert status == 403 and b"<Code>AccessForbidden</Code>" in body
            return
        assert status == 200
        self.note("Preflight", *given(headers=headers or None))
        self.check_cors(answer, documents.cors_headers(found, origin, headers))

    def check_cors(self, answer, expected):
        assert {name: value for name, value in answer.items()
                if name == "vary" or name.startswith("access-control-")} == \
            expected

    @rule(number=NAMES, origin=ORIGINS,
          what=st.sampled_from(["get_object", "list_objects_v2"]))
    def from_a_page(self, number, origin, what):
        """A pre-signed request that a browser sends: also a refusal tells."""
        key = {"Key": "k"} if what == "get_object" else {}
        url = self.client.generate_presigned_url(
            what, {"Bucket": self.names[number], **key})
        status, answer, body = self.send("GET", url, headers={"Origin": origin})
        there = self.there.get(self.names[number])
        assert status == (404 if there is None or (key and not there.full)
                          else 200)
        assert status != 200 or not key or body == b"x"
        found = documents.cors_rule(there and there.cors, origin, "GET", [])
        self.check_cors(answer, documents.cors_headers(found, origin, [])
                        if found else {})
        if found and status == 200:
            self.note("Preflight", "answer")
