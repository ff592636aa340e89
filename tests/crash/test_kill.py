"""kill -9 of s3d amid concurrent writes: what was acknowledged is there."""

import random
import threading

from botocore.exceptions import BotoCoreError, ClientError

from stack import pattern

KILLS = 50
WRITERS = 6
SIZES = [0, 1, 100, 4096, 65536, 65537, 300_000, 2_000_000]


def body(key, generation, size):
    return pattern(size, f"{key}/{generation}")


class Writer(threading.Thread):
    """Overwrites its own keys, and remembers what was promised.

    history[key] = (acknowledged body or None, [bodies that may be there])
    """

    def __init__(self, stack, number, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.client = stack.client(
            retries={"total_max_attempts": 1}, connect_timeout=2,
            read_timeout=20)
        self.keys = [f"writer{number}/key{i}" for i in range(8)]
        self.history = {key: (None, []) for key in self.keys}
        self.generation = 0
        self.stopping = threading.Event()
        self.writes = 0
        self.acknowledged = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            self.step()

    def step(self):
        key = self.random.choice(self.keys)
        self.generation += 1
        acknowledged, perhaps = self.history[key]
        delete = self.random.random() < 0.15
        data = None if delete else body(
            key, self.generation, self.random.choice(SIZES))
        self.history[key] = (acknowledged, perhaps + [data])
        try:
            if delete:
                self.client.delete_object(Bucket="kill", Key=key)
            elif self.random.random() < 0.2 and data:
                self.multipart(key, data)
            else:
                self.client.put_object(Bucket="kill", Key=key, Body=data)
        except (BotoCoreError, ClientError):
            return
        self.history[key] = (data, [])
        self.writes += 1
        self.acknowledged.set()

    def multipart(self, key, data):
        upload = self.client.create_multipart_upload(Bucket="kill", Key=key)
        part = self.client.upload_part(
            Bucket="kill", Key=key, UploadId=upload["UploadId"], PartNumber=1,
            Body=data)
        self.client.complete_multipart_upload(
            Bucket="kill", Key=key, UploadId=upload["UploadId"],
            MultipartUpload={"Parts": [
                {"PartNumber": 1, "ETag": part["ETag"],
                 "ChecksumCRC32": part["ChecksumCRC32"]}]})


def read(client, key):
    try:
        return client.get_object(Bucket="kill", Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None


def check(client, histories):
    listed = set()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="kill"):
        listed |= {item["Key"] for item in page.get("Contents", [])}

    for history in histories:
        for key, (acknowledged, perhaps) in history.items():
            found = read(client, key)
            allowed = [acknowledged] + perhaps
            assert any(found == data for data in allowed), (
                f"{key}: {len(found) if found is not None else None} bytes, "
                f"allowed {[None if d is None else len(d) for d in allowed]}")
            assert (key in listed) == (found is not None), key
            # What is read once is read again: the choice is made.
            history[key] = (found, [])


def test_every_acknowledged_write_survives_kill_9(fresh_stack):
    stack = fresh_stack().start()
    client = stack.client()
    client.create_bucket(Bucket="kill")
    histories = [Writer(stack, n, 0).history for n in range(WRITERS)]
    total = 0
    chance = random.Random(1)

    for round_number in range(KILLS):
        writers = [Writer(stack, n, round_number * 100 + n)
                   for n in range(WRITERS)]
        for writer, history in zip(writers, histories):
            writer.history = history
            writer.generation = round_number * 1_000_000
            writer.start()
        # At least one write is through; then at a random moment.
        for writer in writers:
            assert writer.acknowledged.wait(30)
        threading.Event().wait(chance.random() * 0.3)
        stack.kill_s3d()
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
            total += writer.writes
        stack.start_s3d()
        check(client, histories)

    assert total >= KILLS * WRITERS
    print(f"{KILLS} kills, {total} acknowledged writes, none lost")
