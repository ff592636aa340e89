"""Metadata mirrors lost under load, alone or with s3d: nothing acknowledged is.

Three mirrors on the first three drives (docs/mirrors.md). Each round takes one
of them away, with or without killing s3d at that moment, and then waits until
it has been rebuilt.
"""

import random
import shutil
import time

from test_kill import WRITERS, Writer, check

ROUNDS = 12
PATIENCE_S = 60


def mirrors(stack):
    return stack.ctl("status")["metadata"]["mirrors"]


def wait_for_members(stack):
    deadline = time.monotonic() + PATIENCE_S
    while any(mirror["state"] != "member" for mirror in mirrors(stack)):
        assert time.monotonic() < deadline, mirrors(stack)
        time.sleep(0.05)


def wait_for_writes(writers):
    for writer in writers:
        writer.acknowledged.clear()
    for writer in writers:
        assert writer.acknowledged.wait(30)


def take_away(stack, number, kill):
    directory = stack.drives[number] / "metadata"
    if kill:
        stack.kill_s3d()
        shutil.rmtree(directory)
        stack.start_s3d()
        return
    epoch = stack.ctl("status")["metadata"]["epoch"]
    # Moved first: s3d may make files while they are being removed.
    directory.rename(directory.with_name("gone"))
    shutil.rmtree(directory.with_name("gone"))
    deadline = time.monotonic() + PATIENCE_S
    while stack.ctl("status")["metadata"]["epoch"] == epoch:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_any_mirror_may_go_at_any_time(fresh_stack):
    stack = fresh_stack().start()
    client = stack.client()
    client.create_bucket(Bucket="kill")
    histories = [Writer(stack, n, 0).history for n in range(WRITERS)]
    chance = random.Random(2)
    total = 0

    for round_number in range(ROUNDS):
        writers = [Writer(stack, n, round_number * 100 + n)
                   for n in range(WRITERS)]
        for writer, history in zip(writers, histories):
            writer.history = history
            writer.generation = round_number * 1_000_000
            writer.start()
        wait_for_writes(writers)
        take_away(stack, round_number % 3, kill=round_number // 3 % 2 == 1)
        wait_for_writes(writers)
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
            total += writer.writes
        if chance.random() < 0.5:
            stack.kill_s3d()
            stack.start_s3d()
        check(client, histories)
        wait_for_members(stack)
        check(client, histories)

    print(f"{ROUNDS} mirrors lost, {total} acknowledged writes, none lost")


def test_stale_mirrors_are_not_believed(fresh_stack, tmp_path):
    """A mirror that was away comes back as it was."""
    stack = fresh_stack().start()
    client = stack.client()
    client.create_bucket(Bucket="bkt")
    client.put_object(Bucket="bkt", Key="old", Body=b"1")
    stack.stop_s3d()
    first = stack.drives[0] / "metadata"
    shutil.copytree(first, tmp_path / "stale")
    shutil.rmtree(first)
    stack.start_s3d()
    client.put_object(Bucket="bkt", Key="new", Body=b"2")
    client.delete_object(Bucket="bkt", Key="old")
    stack.stop_s3d()
    shutil.rmtree(first, ignore_errors=True)
    shutil.copytree(tmp_path / "stale", first)
    stack.start_s3d()
    keys = [o["Key"] for o in client.list_objects_v2(Bucket="bkt")["Contents"]]
    assert keys == ["new"]
    wait_for_members(stack)
    # Alone with another one it still knows.
    stack.stop_s3d()
    shutil.rmtree(stack.drives[1] / "metadata")
    stack.start_s3d()
    keys = [o["Key"] for o in client.list_objects_v2(Bucket="bkt")["Contents"]]
    assert keys == ["new"]
