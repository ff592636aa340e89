"""What the state machines share: calls, contents, the budget.

Budget: S3D_MODEL_EXAMPLES (30) histories of S3D_MODEL_STEPS (50) steps.
Hypothesis prints the shortest failing history and how to replay it.
"""

import hashlib
import os

from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


class Code(str):
    """An error's code, with the headers of its answer."""
    headers = {}


def content(size, seed):
    block = hashlib.shake_256(repr(seed).encode()).digest(min(size, 4096) or 1)
    return (block * (size // len(block) + 1))[:size]


class Machine(RuleBasedStateMachine):
    stack = None   # set by run()
    client = None
    count = 0

    def make_bucket(self, **options):
        Machine.count += 1
        self.bucket = f"model-{os.getpid()}-{Machine.count}"
        self.client.create_bucket(Bucket=self.bucket, **options)
        self.serial = 0

    def call(self, name, **arguments):
        """The answer, or the error's code."""
        try:
            return getattr(self.client, name)(Bucket=self.bucket, **arguments)
        except ClientError as error:
            code = Code(error.response["Error"]["Code"])
            code.headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            return code

    def fresh(self, size):
        self.serial += 1
        return content(size, self.serial)

    def restart_s3d(self, hard):
        if hard:
            self.stack.kill_s3d()
            self.stack.start_s3d()
        else:
            self.stack.restart_s3d()


def run(machine, stack):
    Machine.stack = stack
    Machine.client = stack.client()
    examples = int(os.environ.get("S3D_MODEL_EXAMPLES", 30))
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples,
        stateful_step_count=int(os.environ.get("S3D_MODEL_STEPS", 50)),
        deadline=None, print_blob=True,
        suppress_health_check=list(HealthCheck)))
