"""2 GiB up and down by multipart, byte-equal, in bounded memory."""

import hashlib

from boto3.s3.transfer import TransferConfig
from stack import peak_rss

SIZE = 2 << 30
BLOCK = 8 << 20
S3D_LIMIT = 256 << 20
WORKER_LIMIT = 64 << 20


class Source:
    """A readable, seekable file of SIZE bytes that are nowhere stored."""

    def __init__(self):
        self.position = 0

    def seek(self, offset, whence=0):
        base = {0: 0, 1: self.position, 2: SIZE}[whence]
        self.position = base + offset
        return self.position

    def tell(self):
        return self.position

    def read(self, size=-1):
        left = SIZE - self.position
        size = left if size < 0 else min(size, left)
        out = bytearray()
        while size:
            number, start = divmod(self.position, BLOCK)
            piece = block(number)[start:start + size]
            out += piece
            size -= len(piece)
            self.position += len(piece)
        return bytes(out)


def block(number, cache={}):
    if number not in cache:
        cache.clear()
        seed = hashlib.shake_256(str(number).encode()).digest(65536)
        cache[number] = seed * (BLOCK // 65536)
    return cache[number]


def test_two_gibibytes(stack, bucket):
    client = stack.client(max_pool_connections=16)
    expected = hashlib.sha256()
    for number in range(SIZE // BLOCK):
        expected.update(block(number))

    client.upload_fileobj(
        Source(), bucket, "large",
        Config=TransferConfig(multipart_chunksize=BLOCK, max_concurrency=10))
    head = client.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == SIZE
    assert head["ETag"].endswith(f'-{SIZE // BLOCK}"')

    got = hashlib.sha256()
    body = client.get_object(Bucket=bucket, Key="large")["Body"]
    for piece in body.iter_chunks(1 << 20):
        got.update(piece)
    assert got.digest() == expected.digest()

    s3d = peak_rss(stack.s3d.pid)
    workers = [peak_rss(pid) for pid in stack.worker_pids()]
    print(f"peak RSS: s3d {s3d >> 20} MiB, "
          f"workers {[w >> 20 for w in workers]} MiB")
    assert s3d < S3D_LIMIT
    assert all(w < WORKER_LIMIT for w in workers)
