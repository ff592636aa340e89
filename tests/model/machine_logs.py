"""Access logs: s3d stores them as objects when it ends, and they are compared
with the calls that were made. Delivery is best effort where it can fail;
nothing fails here, so every line must be there once."""

import re
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine import Machine

KEYS = st.sampled_from(["a", "a b/é", "%"])
LINE = re.compile(
    r'(\w+) (\S+) \[[^]]+\] (\S+) (\S+) (\w+) (\S+) (\S+) "([^"]*)" (\d+) '
    r'(\S+) (\S+) (\S+) \d+ \S+ "[^"]*" "[^"]*" (\S+) ')


class Logs(Machine):
    examples = 6
    steps = 20

    @initialize(partitioned=st.booleans())
    def begin(self, partitioned):
        self.make_bucket()
        self.logs = self.new_name()
        self.client.create_bucket(Bucket=self.logs)
        form = {"TargetObjectKeyFormat": {"PartitionedPrefix": {
            "PartitionDateSource": "EventTime"}}} if partitioned else {}
        self.client.put_bucket_logging(Bucket=self.bucket, BucketLoggingStatus={
            "LoggingEnabled": {"TargetBucket": self.logs,
                               "TargetPrefix": "log-", **form}})
        self.objects = {}   # key: bytes
        self.expected = {}  # request id: (operation, key, status, code, size)
        self.put("a", 1)
        self.get("a")
        self.head("a")
        self.list()
        self.delete("a")

    def ask(self, name, what, key=None, size="-", **arguments):
        """One call, of which a line is expected."""
        if key is not None:
            arguments["Key"] = key
        answer = self.call(name, **arguments)
        status = 200 if name != "delete_object" else 204
        if isinstance(answer, str):
            status, code = 404, "NoSuchKey"
            identity = answer.headers["x-amz-request-id"]
        else:
            code = "-"
            identity = answer["ResponseMetadata"]["RequestId"]
        self.expected[identity] = (f"REST.{what}", quote(key) if key else "-",
                                   str(status), code, str(size))
        return answer

    @rule(key=KEYS, size=st.sampled_from([0, 1, 70000]))
    def put(self, key, size):
        self.objects[key] = self.fresh(size)
        self.ask("put_object", "PUT.OBJECT", key, size, Body=self.objects[key])

    @rule(key=KEYS)
    def get(self, key):
        there = key in self.objects
        answer = self.ask("get_object", "GET.OBJECT", key,
                          len(self.objects[key]) if there else "-")
        if there:
            assert answer["Body"].read() == self.objects[key]

    @rule(key=KEYS)
    def head(self, key):
        there = key in self.objects
        self.ask("head_object", "HEAD.OBJECT", key,
                 len(self.objects[key]) if there else "-")

    @rule(key=KEYS)
    def delete(self, key):
        self.ask("delete_object", "DELETE.OBJECT", key)
        self.objects.pop(key, None)

    @rule()
    def list(self):
        self.ask("list_objects_v2", "GET.BUCKET")

    @rule()
    def deliver(self):
        """What is delivered already must not come again."""
        self.restart_s3d(False)

    def lines(self):
        for log in self.client.list_objects_v2(
                Bucket=self.logs).get("Contents", []):
            assert log["Key"].startswith("log-")
            body = self.client.get_object(Bucket=self.logs, Key=log["Key"])
            yield from body["Body"].read().decode().splitlines()

    def teardown(self):
        if not hasattr(self, "expected"):
            return
        self.restart_s3d(False)
        found = {}
        for line in self.lines():
            (_, bucket, _, _, identity, operation, key, _, status, code, _,
             size, _) = LINE.match(line).groups()
            assert bucket == self.bucket and identity not in found
            found[identity] = (operation, key, status, code, size)
        wrong = [(found.get(i), self.expected[i]) for i in self.expected
                 if found.get(i) != self.expected[i]]
        assert wrong == []
        self.note("AccessLog", *{line[0] for line in found.values()})
