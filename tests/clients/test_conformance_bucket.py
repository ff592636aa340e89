"""Buckets: names, regions, owners, lists, and what they may be asked for.

Beside each table stands what Amazon S3 answers; where its page says nothing,
its answer as MinIO and Ceph give it.
"""

import pytest
from conformance import Raw, refused, status_of


@pytest.fixture
def s3(stack):
    return stack.client()


@pytest.fixture
def raw(stack):
    return Raw(stack)


GOOD_NAMES = ["abc", "a" * 63, "1bucket", "with-dash", "with.dot", "a.b.c",
              "192.168.5.256.7", "0-0"]
BAD_NAMES = ["ab", "a" * 64, "Upper", "under_score", "-front", "back-",
             "dot.", "two..dots", "dot.-dash", "dash-.dot", "192.168.5.123",
             "xn--label", "sthree-x", "amzn-s3-demo-x", "x-s3alias", "x--ol-s3",
             "x.mrap", "x--x-s3", "x--table-s3", "b%C3%BCcher", "ex!", ".abc"]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_name(s3, name):
    answer = s3.create_bucket(Bucket=name)
    assert (status_of(answer), answer["Location"]) == (200, f"/{name}")
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_name(raw, name):
    assert raw.put(f"/{name}").error == (400, "InvalidBucketName")


def test_create_again(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert status_of(s3.create_bucket(Bucket=bucket)) == 200  # us-east-1
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def constraint(text):
    return (b"<CreateBucketConfiguration><LocationConstraint>%s"
            b"</LocationConstraint></CreateBucketConfiguration>" % text)


CREATIONS = {
    "another region": (constraint(b"eu-west-1"), {},
                       (400, "IllegalLocationConstraintException")),
    "no region": (constraint(b"no region"), {},
                  (400, "InvalidLocationConstraint")),
    "the null region": (constraint(b"us-east-1"), {},
                        (400, "InvalidLocationConstraint")),
    "a directory bucket": (
        b"<CreateBucketConfiguration><Location><Name>az1</Name>"
        b"<Type>AvailabilityZone</Type></Location>"
        b"</CreateBucketConfiguration>", {}, (400, "MalformedXML")),
    "half a document": (b"<CreateBucketConf", {}, (400, "MalformedXML")),
    "another document": (b"<Delete/>", {}, (400, "MalformedXML")),
    "unknown element": (b"<CreateBucketConfiguration><X>1</X>"
                        b"</CreateBucketConfiguration>", {},
                        (400, "MalformedXML")),
    "canned ACL": (b"", {"x-amz-acl": "nobody"}, (400, "InvalidArgument")),
    "ownership": (b"", {"x-amz-object-ownership": "Nobody"},
                  (400, "InvalidArgument")),
    "lock": (b"", {"x-amz-bucket-object-lock-enabled": "perhaps"},
             (400, "InvalidArgument")),
}


@pytest.mark.parametrize("what", CREATIONS)
def test_creation_refused(raw, what):
    body, headers, expected = CREATIONS[what]
    answer = raw.request("PUT", "/not-created", body, headers)
    assert answer.error == expected
    assert raw.head("/not-created").status == 404


def test_delete(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="k")
    assert status_of(s3.delete_bucket(Bucket=bucket)) == 204
    assert refused(s3.delete_bucket, Bucket=bucket) == (404, "NoSuchBucket")


def test_delete_takes_uploads_along(s3, bucket):
    s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert status_of(s3.delete_bucket(Bucket=bucket)) == 204
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_versions_keep_a_bucket(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket,
                             VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=bucket, Key="only-a-marker")
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")


def test_head(s3, raw, bucket):
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    answer = raw.head("/not-there")
    assert (answer.status, answer.body) == (404, b"")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


# The owner that the client expects, on a bucket and on its objects.
@pytest.mark.parametrize("method, target", [
    ("GET", ""), ("GET", "?versioning"), ("GET", "?uploads"), ("DELETE", ""),
    ("HEAD", ""), ("PUT", "/k"), ("GET", "/k"), ("DELETE", "/k"),
    ("POST", "/k?uploads")])
def test_expected_owner(raw, bucket, method, target):
    answer = raw.request(method, f"/{bucket}{target}",
                         headers={"x-amz-expected-bucket-owner": "1" * 12})
    assert answer.error == (403, None if method == "HEAD" else "AccessDenied")


# Every operation on a bucket that is not there.
NO_BUCKET = [
    ("GET", ""), ("DELETE", ""), ("GET", "?list-type=2"), ("GET", "?versions"),
    ("GET", "?uploads"), ("GET", "?location"), ("GET", "?versioning"),
    ("GET", "?tagging"), ("GET", "?cors"), ("GET", "?lifecycle"),
    ("GET", "?object-lock"), ("GET", "?logging"), ("GET", "?notification"),
    ("GET", "?ownershipControls"), ("GET", "?requestPayment"),
    ("GET", "?website"), ("GET", "?replication"), ("GET", "?accelerate"),
    ("PUT", "?versioning"), ("PUT", "?tagging"), ("PUT", "?cors"),
    ("PUT", "?object-lock"), ("PUT", "?logging"), ("PUT", "?notification"),
    ("PUT", "?ownershipControls"), ("PUT", "?requestPayment"),
    ("PUT", "?website"),
    ("DELETE", "?tagging"), ("DELETE", "?cors"), ("POST", "?delete"),
    ("PUT", "/k"), ("GET", "/k"), ("DELETE", "/k"), ("POST", "/k?uploads"),
    ("GET", "/k?tagging"), ("PUT", "/k?tagging"), ("GET", "/k?attributes"),
    ("GET", "/k?retention"), ("GET", "/k?legal-hold"),
    ("GET", "/k?uploadId=1"), ("PUT", "/k?uploadId=1&partNumber=1"),
    ("POST", "/k?uploadId=1"), ("DELETE", "/k?uploadId=1")]


@pytest.mark.parametrize("method, target", NO_BUCKET)
def test_no_such_bucket(raw, method, target):
    answer = raw.request(method, f"/not-there{target}")
    assert answer.error == (404, "NoSuchBucket")
    assert answer.text("BucketName") == "not-there"


# What was never set: an error of its own, or the state that S3 begins with.
UNSET = {
    "cors": (404, "NoSuchCORSConfiguration"),
    "lifecycle": (404, "NoSuchLifecycleConfiguration"),
    "object-lock": (404, "ObjectLockConfigurationNotFoundError"),
    "replication": (404, "ReplicationConfigurationNotFoundError"),
    "tagging": (404, "NoSuchTagSet"),
    "website": (404, "NoSuchWebsiteConfiguration"),
    "accelerate": (200, None),
    "logging": (200, None),
    "notification": (200, None),
    "ownershipControls": (200, None),
    "requestPayment": (200, None),
    "versioning": (200, None),
}


@pytest.mark.parametrize("name", UNSET)
def test_never_set(raw, bucket, name):
    assert raw.get(f"/{bucket}?{name}").error == UNSET[name]


@pytest.mark.parametrize("name", ["analytics", "intelligent-tiering",
                                  "inventory", "metrics"])
def test_kinds_of_which_there_are_none(raw, bucket, name):
    answer = raw.get(f"/{bucket}?{name}")
    assert (answer.status, answer.text("IsTruncated")) == (200, "false")
    assert raw.get(f"/{bucket}?id=a&{name}").error == (
        404, "NoSuchConfiguration")


@pytest.mark.parametrize("name", ["cors", "lifecycle", "replication",
                                  "tagging", "website", "ownershipControls"])
def test_delete_what_was_never_set(raw, bucket, name):
    for _ in range(2):
        assert raw.delete(f"/{bucket}?{name}").status == 204


# What S3 has and this server has not is said, never stored and ignored.
@pytest.mark.parametrize("method, target", [
    ("PUT", "?accelerate"), ("PUT", "?analytics&id=a"),
    ("PUT", "?intelligent-tiering&id=a"), ("PUT", "?inventory&id=a"),
    ("PUT", "?metrics&id=a"), ("POST", "/k?restore"),
    ("POST", "/k?select&select-type=2"), ("GET", "/k?torrent"),
    ("GET", "?metadataConfiguration"), ("GET", "?session")])
def test_not_implemented(raw, bucket, method, target):
    answer = raw.request(method, f"/{bucket}{target}", b"<X/>")
    assert answer.error == (501, "NotImplemented")


@pytest.mark.parametrize("method, target, expected", [
    ("PATCH", "", (405, "MethodNotAllowed")),
    ("DELETE", "?versioning", (405, "MethodNotAllowed")),
    ("DELETE", "?logging", (405, "MethodNotAllowed")),
    ("POST", "?cors", (405, "MethodNotAllowed")),
    ("PUT", "?uploads", (405, "MethodNotAllowed")),
    ("GET", "?delete", (405, "MethodNotAllowed")),
    ("GET", "?cors&tagging", (400, "InvalidArgument")),
    ("GET", "?versionId=1", (400, "InvalidArgument")),
    ("GET", "?list-type=3", (400, "InvalidArgument")),
    ("GET", "?attributes", (400, "InvalidRequest"))])
def test_wrong_method_or_query(raw, bucket, method, target, expected):
    assert raw.request(method, f"/{bucket}{target}").error == expected


@pytest.mark.parametrize("method, target, argument", [
    ("PUT", "/k?versionId=%3Cv", ("versionId", "&lt;v")),
    ("PUT", "/k?partNumber=1", ("partNumber", "partNumber")),
    ("GET", "?list-type=3", ("list-type", "3")),
    ("GET", "?tagging&cors", ("ResourceType", "cors"))])
def test_which_argument_is_wrong(raw, bucket, method, target, argument):
    answer = raw.request(method, f"/{bucket}{target}", b"")
    assert answer.error == (400, "InvalidArgument")
    assert (answer.text("ArgumentName"),
            answer.text("ArgumentValue")) == argument


DOCUMENTS = {
    "versioning": {
        b"<VersioningConfiguration/>":
            (400, "IllegalVersioningConfigurationException"),
        b"<VersioningConfiguration><Status>On</Status>"
        b"</VersioningConfiguration>": (400, "MalformedXML"),
        b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled"
        b"</MfaDelete></VersioningConfiguration>": (403, "AccessDenied"),
    },
    "requestPayment": {
        b"<RequestPaymentConfiguration/>": (400, "MalformedXML"),
        b"<RequestPaymentConfiguration><Payer>Nobody</Payer>"
        b"</RequestPaymentConfiguration>": (400, "MalformedXML"),
    },
    "ownershipControls": {
        b"<OwnershipControls/>": (400, "MalformedXML"),
        b"<OwnershipControls><Rule><ObjectOwnership>Nobody</ObjectOwnership>"
        b"</Rule></OwnershipControls>": (400, "MalformedXML"),
    },
    "notification": {
        b"<NotificationConfiguration><X/></NotificationConfiguration>":
            (400, "MalformedXML"),
    },
    "logging": {
        b"<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>":
            (400, "MalformedXML"),
        b"<BucketLoggingStatus><LoggingEnabled><TargetBucket>not-there"
        b"</TargetBucket><TargetPrefix/></LoggingEnabled>"
        b"</BucketLoggingStatus>": (400, "InvalidTargetBucketForLogging"),
    },
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_bad_document(raw, bucket, name):
    before = raw.get(f"/{bucket}?{name}").body
    cases = {b"": (400, "MissingRequestBodyError"),
             b"<X": (400, "MalformedXML"), b"<X/>": (400, "MalformedXML"),
             **DOCUMENTS[name]}
    for document, expected in cases.items():
        answer = raw.put(f"/{bucket}?{name}", document)
        assert (document, answer.error) == (document, expected)
    assert raw.get(f"/{bucket}?{name}").body == before


# --- ListBuckets
@pytest.fixture(scope="module")
def listed(stack):
    names = [f"listed-{c}" for c in "abcd"]
    for name in names:
        stack.client().create_bucket(Bucket=name)
    return names


def test_list_pages(s3, listed):
    found, arguments = [], {"Prefix": "listed-", "MaxBuckets": 2}
    while True:
        page = s3.list_buckets(**arguments)
        assert page["Prefix"] == "listed-"
        assert all(b["BucketRegion"] == "us-east-1" for b in page["Buckets"])
        found.append([b["Name"] for b in page["Buckets"]])
        if "ContinuationToken" not in page:
            break
        arguments["ContinuationToken"] = page["ContinuationToken"]
    assert found == [listed[:2], listed[2:]]


def test_list_by_region(s3, listed):
    def names(region):
        return [b["Name"] for b in s3.list_buckets(
            Prefix="listed-", BucketRegion=region)["Buckets"]]
    assert (names("us-east-1"), names("eu-west-1")) == (listed, [])


@pytest.mark.parametrize("query", [
    "max-buckets=0", "max-buckets=10001", "max-buckets=x", "max-buckets=-1",
    "continuation-token=x"])
def test_list_refused(raw, query):
    answer = raw.get(f"/?{query}")
    assert answer.error == (400, "InvalidArgument")
    assert answer.text("ArgumentName") == query.split("=")[0]
    assert answer.text("ArgumentValue") == query.split("=")[1]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_service_methods(raw, method):
    assert raw.request(method, "/").error == (405, "MethodNotAllowed")
