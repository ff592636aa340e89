"""64 clients on one key: every read is one of the written values, whole."""

import hashlib
import threading

CLIENTS = 64
ROUNDS = 6


def value(writer, number):
    # Sizes differ, so that a torn mix has a wrong length as well.
    size = 1000 + writer * 5000 + number * 17
    seed = f"{writer}-{number}".encode()
    return hashlib.shake_256(seed).digest(size)


def test_reads_are_whole(stack, bucket):
    written = {hashlib.sha256(value(w, n)).digest(): (w, n)
               for w in range(CLIENTS // 2) for n in range(ROUNDS)}
    client = stack.client()
    client.put_object(Bucket=bucket, Key="k", Body=value(0, 0))
    failures = []
    reads = []
    ready = threading.Barrier(CLIENTS)
    writing = threading.Semaphore(0)

    def write(number):
        mine = stack.client(max_pool_connections=1)
        ready.wait()
        try:
            for i in range(ROUNDS):
                mine.put_object(Bucket=bucket, Key="k", Body=value(number, i))
        except Exception as error:  # shown below, in the test's thread
            failures.append(repr(error))
        finally:
            writing.release()

    def read():
        mine = stack.client(max_pool_connections=1)
        ready.wait()
        try:
            for _ in range(2 * ROUNDS):
                answer = mine.get_object(Bucket=bucket, Key="k")
                data = answer["Body"].read()
                digest = hashlib.sha256(data).digest()
                if digest not in written:
                    failures.append(f"{len(data)} bytes nobody wrote")
                elif answer["ETag"] != f'"{hashlib.md5(data).hexdigest()}"':
                    failures.append("ETag of another value")
                reads.append(digest)
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=write, args=(n,))
               for n in range(CLIENTS // 2)]
    threads += [threading.Thread(target=read) for _ in range(CLIENTS // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(reads) == CLIENTS // 2 * 2 * ROUNDS
    assert len(set(reads)) > 1
    # Read-after-write: the last write of some writer is what stays.
    last = client.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert written[hashlib.sha256(last).digest()][1] == ROUNDS - 1


def test_one_creator_wins(stack, bucket):
    outcomes = []
    ready = threading.Barrier(16)

    def create(number):
        mine = stack.client(max_pool_connections=1)
        ready.wait()
        try:
            mine.put_object(Bucket=bucket, Key="once", IfNoneMatch="*",
                            Body=b"creator %d" % number)
            outcomes.append((200, number))
        except mine.exceptions.ClientError as error:
            outcomes.append(
                (error.response["ResponseMetadata"]["HTTPStatusCode"],
                 error.response["Error"]["Code"]))

    threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [who for status, who in outcomes if status == 200]
    losers = [o for o in outcomes if o[0] != 200]
    assert len(winners) == 1
    assert len(losers) == 15
    assert set(losers) <= {(412, "PreconditionFailed"),
                           (409, "ConditionalRequestConflict")}
    stored = stack.client().get_object(Bucket=bucket, Key="once")
    assert stored["Body"].read() == b"creator %d" % winners[0]
