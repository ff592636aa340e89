"""AWS SDK for JavaScript, s3cmd, rclone, restic, curl."""

import os
import pathlib

import pytest
from stack import TOP, same_tree

HERE = pathlib.Path(__file__).resolve().parent


def test_javascript(run):
    modules = TOP / "build/javascript"
    assert (modules / "node_modules/@aws-sdk/client-s3").is_dir(), (
        "tools/test installs it")
    script = modules / "test.mjs"
    script.write_bytes((HERE / "javascript/test.mjs").read_bytes())
    done = run("node", "--test", script, cwd=modules)
    assert b"# fail 0" in done.stdout or "ℹ fail 0".encode() in done.stdout
    assert b"pass 7" in done.stdout


@pytest.fixture
def s3cmd(run, stack, tmp_path):
    config = tmp_path / "s3cfg"
    config.write_text(f"""[default]
access_key = {stack.access_key}
secret_key = {stack.secret_key}
host_base = 127.0.0.1:{stack.port}
host_bucket = 127.0.0.1:{stack.port}
use_https = False
""")

    def call(*words, **options):
        return run("s3cmd", "-c", config, *words, **options)
    return call


def test_s3cmd(s3cmd, tree, tmp_path):
    s3cmd("mb", "s3://s3cmd")
    s3cmd("sync", "--quiet", "--multipart-chunk-size-mb=5", f"{tree}/",
          "s3://s3cmd/tree/")
    back = tmp_path / "back"
    back.mkdir()
    s3cmd("sync", "--quiet", "s3://s3cmd/tree/", f"{back}/")
    same_tree(tree, back)
    info = s3cmd("info", "s3://s3cmd/tree/plain.txt").stdout.decode()
    assert "File size: 6" in info
    s3cmd("cp", "s3://s3cmd/tree/plain.txt", "s3://s3cmd/copy.txt")
    assert s3cmd("get", "s3://s3cmd/copy.txt", "-", "--no-progress",
                 "--quiet").stdout == b"hello\n"
    s3cmd("del", "--recursive", "--force", "--quiet", "s3://s3cmd/")
    s3cmd("rb", "s3://s3cmd")


@pytest.fixture
def rclone(run, stack):
    environment = {
        "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_S3D_TYPE": "s3",
        "RCLONE_CONFIG_S3D_PROVIDER": "Other",
        "RCLONE_CONFIG_S3D_ACCESS_KEY_ID": stack.access_key,
        "RCLONE_CONFIG_S3D_SECRET_ACCESS_KEY": stack.secret_key,
        "RCLONE_CONFIG_S3D_ENDPOINT": stack.endpoint,
        "RCLONE_CONFIG_S3D_REGION": "us-east-1",
        "RCLONE_S3_UPLOAD_CUTOFF": "5M", "RCLONE_S3_CHUNK_SIZE": "5M",
    }

    def call(*words, **options):
        return run("rclone", *words, env=environment, **options)
    return call


def test_rclone(rclone, tree, tmp_path):
    rclone("copy", tree, "s3d:rclone/tree")
    rclone("check", "--download", tree, "s3d:rclone/tree")
    rclone("check", tree, "s3d:rclone/tree")
    (tree / "plain.txt").write_text("changed\n")
    (tree / "empty").unlink()
    rclone("sync", tree, "s3d:rclone/tree")
    rclone("check", "--download", tree, "s3d:rclone/tree")
    back = tmp_path / "back"
    rclone("copy", "s3d:rclone/tree", back)
    same_tree(tree, back)
    # Modification times are kept in metadata.
    assert abs((back / "plain.txt").stat().st_mtime
               - (tree / "plain.txt").stat().st_mtime) < 0.001
    rclone("purge", "s3d:rclone/tree")
    assert rclone("lsf", "-R", "s3d:rclone").stdout == b""


def test_restic(run, stack, tree, tmp_path):
    environment = {"RESTIC_PASSWORD": "test", "RESTIC_REPOSITORY":
                   f"s3:{stack.endpoint}/restic/repo",
                   "RESTIC_CACHE_DIR": str(tmp_path / "cache")}

    def restic(*words):
        return run("restic", *words, env=environment)

    restic("init")
    restic("backup", tree)
    (tree / "second").write_bytes(os.urandom(3_000_000))
    restic("backup", tree)
    done = restic("check", "--read-data")
    assert b"no errors were found" in done.stdout
    restic("restore", "latest", "--target", tmp_path / "out")
    same_tree(tree, tmp_path / "out" / str(tree).lstrip("/"))
    restic("forget", "--keep-last", "1", "--prune")
    done = restic("check", "--read-data")
    assert b"no errors were found" in done.stdout


def test_curl_with_presigned_url(run, stack, bucket, tmp_path):
    client = stack.client(signature_version="s3v4")
    path = tmp_path / "body"
    path.write_bytes(os.urandom(2_000_000))
    put = client.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "c u/rl+é"})
    answer = run("curl", "-sS", "-o", tmp_path / "out", "-w", "%{http_code}",
                 "-T", path, put)
    assert answer.stdout == b"200"
    get = client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "c u/rl+é"})
    assert run("curl", "-sSf", get).stdout == path.read_bytes()
    part = run("curl", "-sSf", "-r", "1000-1999", "-w", "%{http_code}", get)
    assert part.stdout == path.read_bytes()[1000:2000] + b"206"


def test_curl_signs_by_itself(run, stack, bucket):
    sign = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
            f"{stack.access_key}:{stack.secret_key}"]
    payload = ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
    run("curl", "-sSf", *sign, *payload, "-X", "PUT", "--data-binary", "curl",
        f"{stack.endpoint}/{bucket}/k")
    got = run("curl", "-sSf", *sign, *payload, f"{stack.endpoint}/{bucket}/k")
    assert got.stdout == b"curl"
