"""What the state machines share: calls, contents, coverage, the budget.

A machine drives random histories and compares every answer with reference.py
or documents.py. They are:

  Plain     a bucket that never had versions, with renames
  Versions  versioning switched at any time
  Locks     Object Lock, where the same goes on and locks come in between
  Settings  buckets themselves, and all that is set on them
  Logs      access logs, compared with the calls that were made

Of objects: PUT, POST, append, rename, copy, delete (one, many), GET, HEAD,
ranges, parts, attributes, tags, retention, legal hold, uploads and every
listing, with versions and with conditions. coverage.py holds what must have
been answered with success after one run; a machine's tour is a fixed history
that sees to it. mutants.py proves that histories find faults.

Budget: S3D_MODEL_EXAMPLES histories (each machine has its own number) of
S3D_MODEL_STEPS (50) steps:

  S3D_MODEL_EXAMPLES=2000 build/venv/bin/python -m pytest tests/model

A failure prints the seed, and the shortest failing history that Hypothesis
finds; S3D_MODEL_SEED=N runs the same histories again.
"""

import hashlib
import http.client
import os
import random
import urllib.parse

from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

SEED = int(os.environ.get("S3D_MODEL_SEED", random.getrandbits(32)))


class Code(str):
    """An error's code, with the headers of its answer."""
    headers = {}


def content(size, seed_):
    block = hashlib.shake_256(repr(seed_).encode()).digest(min(size, 4096) or 1)
    return (block * (size // len(block) + 1))[:size]


def given(**arguments):
    """Those that are."""
    return {name: value for name, value in arguments.items()
            if value is not None}


def tag_set(tags):
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


class Machine(RuleBasedStateMachine):
    examples = 30   # histories of a run
    steps = 50
    stack = None    # set by run()
    client = None
    count = 0
    used = {}       # operation: arguments that were answered with success

    def new_name(self):
        Machine.count += 1
        return f"model-{os.getpid()}-{Machine.count}"

    def make_bucket(self, **options):
        self.bucket = self.new_name()
        self.client.create_bucket(Bucket=self.bucket, **options)
        self.serial = 0

    def call(self, name, bucket=None, **arguments):
        """The answer, or the error's code."""
        operation = self.client.meta.method_to_api_mapping[name]
        try:
            answer = getattr(self.client, name)(
                Bucket=bucket or self.bucket, **arguments)
        except ClientError as error:
            code = Code(error.response["Error"]["Code"])
            code.headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            return code
        self.note(operation, *arguments)
        return answer

    @staticmethod
    def note(operation, *arguments):
        Machine.used.setdefault(operation, set()).update(arguments)

    def send(self, method, url, body=None, headers={}):
        """What boto3 does not: (status, headers in lower case, body)"""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.request(method, parts._replace(
                scheme="", netloc="").geturl(), body, headers)
            answer = connection.getresponse()
            return answer.status, {
                name.lower(): value for name, value in answer.getheaders()
            }, answer.read()
        finally:
            connection.close()

    def fresh(self, size):
        self.serial += 1
        return content(size, self.serial)

    def restart_s3d(self, hard):
        if hard:
            self.stack.kill_s3d()
            self.stack.start_s3d()
        else:
            self.stack.restart_s3d()


def tour(machine, stack):
    """One fixed history, of what chance may leave out."""
    prepare(stack)
    fixed = machine()
    fixed.tour()
    fixed.teardown()


def prepare(stack):
    Machine.stack = stack
    Machine.client = stack.client(signature_version="s3v4",
                                  retries={"total_max_attempts": 1})


def run(machine, stack, number=SEED, phases=tuple(Phase)):
    """Raises what the first history to fail raises, once it is short."""
    prepare(stack)
    print(f"S3D_MODEL_SEED={number}")
    run_state_machine_as_test(seed(number)(machine), settings=settings(
        max_examples=int(os.environ.get("S3D_MODEL_EXAMPLES",
                                        machine.examples)),
        stateful_step_count=int(os.environ.get("S3D_MODEL_STEPS",
                                               machine.steps)),
        deadline=None, print_blob=True, database=None, phases=phases,
        suppress_health_check=list(HealthCheck)))
