"""The newest awscli: sync, copies, pipes, listings."""

import json
import pathlib
import sys

from stack import same_tree

AWS = pathlib.Path(sys.executable).parent / "aws"


def test_sync_there_and_back(run, bucket, tree, tmp_path):
    run(AWS, "s3", "sync", "--quiet", tree, f"s3://{bucket}/tree/")
    again = run(AWS, "s3", "sync", tree, f"s3://{bucket}/tree/")
    assert again.stdout == b"", "nothing is left to do"
    back = tmp_path / "back"
    run(AWS, "s3", "sync", "--quiet", f"s3://{bucket}/tree/", back)
    same_tree(tree, back)
    run(AWS, "s3", "rm", "--recursive", "--quiet", f"s3://{bucket}/tree/")
    left = json.loads(run(AWS, "s3api", "list-objects-v2", "--bucket",
                          bucket).stdout or b"{}")
    assert left.get("KeyCount", 0) == 0 and "Contents" not in left


def test_pipe_and_copy_and_move(run, bucket):
    run(AWS, "s3", "cp", "-", f"s3://{bucket}/piped", input=b"from a pipe")
    run(AWS, "s3", "cp", f"s3://{bucket}/piped", f"s3://{bucket}/copied")
    run(AWS, "s3", "mv", f"s3://{bucket}/copied", f"s3://{bucket}/moved")
    got = run(AWS, "s3", "cp", f"s3://{bucket}/moved", "-")
    assert got.stdout == b"from a pipe"
    listing = run(AWS, "s3", "ls", f"s3://{bucket}/").stdout.decode()
    assert [line.split()[-1] for line in listing.splitlines()] == [
        "moved", "piped"]


def test_buckets(run):
    run(AWS, "s3", "mb", "s3://cli-made")
    assert b"cli-made" in run(AWS, "s3", "ls").stdout
    where = json.loads(run(AWS, "s3api", "get-bucket-location", "--bucket",
                           "cli-made").stdout)
    assert where == {"LocationConstraint": None}
    run(AWS, "s3", "rb", "s3://cli-made")
    gone = run(AWS, "s3", "ls", "s3://cli-made", ok=False)
    assert gone.returncode != 0
    assert b"NoSuchBucket" in gone.stderr


def test_presign(run, bucket):
    run(AWS, "s3", "cp", "-", f"s3://{bucket}/k", input=b"signed")
    url = run(AWS, "s3", "presign", f"s3://{bucket}/k").stdout.decode().strip()
    assert run("curl", "-sSf", url).stdout == b"signed"
