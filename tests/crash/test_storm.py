"""Six drives at 4+2 under a mixed load, while drives are removed, wiped,
corrupted and returned, mirrors of the metadata with them, and s3d is killed.

Every answer is checked when it comes: an object is what was acknowledged last,
or what an unanswered write may have made of it. Before the next round all is
verified and healed, under the load; at the end everything is there, and with
two drives away still. S3D_LONG_RUN=10: ten times as many rounds.

One answer may be wrong: of a body that is rotted in the instant between s3d's
check and nginx's sending it from the file. Drives rot below the page cache,
this test above it; such an answer must differ by that rot alone.
"""

import itertools
import os
import random
import shutil
import statistics
import threading
import time

from caller import Caller, Unclear
from stack import pattern, wait_for
from test_heal import ROT, rot, status, verified
from test_mirrors import wait_for_members

LONG = int(os.environ.get("S3D_LONG_RUN", 1))
CLIENTS = 8 if LONG > 1 else 4
KEYS = 20              # of each client
SIZES = [1, 700, 5000, 20_000, 65536, 65537, 200_000]
CARE = """
scrub = { rate = "1G"; };
heal = { workers = 2; rate = "1G"; };
"""


class Client(Caller):
    """It alone writes its keys: what an answer must be is known."""

    def __init__(self, stack, number, storm):
        super().__init__(stack, number)
        self.storm = storm
        self.there = {f"{number}/{i}": [None] for i in range(KEYS)}
        self.stopping = threading.Event()
        self.writes = self.operations = self.failures = self.rotten = 0

    def work(self):
        while not self.stopping.is_set():
            self.step()

    def request(self, *question, **more):
        """(status, body); (None, None): there was no answer, or a 5xx."""
        try:
            status, _, body = self.ask(*question, **more)
        except Unclear:
            self.failures += 1
            time.sleep(0.01)
            return None, None
        self.operations += 1
        return status, body

    def step(self):
        key = self.random.choice(list(self.there))
        which = self.random.random()
        if which < 0.5:
            self.read(key)
        elif which < 0.55:
            self.list()
        elif which < 0.65:
            self.delete(key)
        else:
            self.put(key)

    def put(self, key):
        self.writes += 1
        value = (f"{self.number}/{self.writes}", self.random.choice(SIZES))
        if self.random.random() < 0.02:
            value = (value[0], 3_000_000)
        self.there[key].append(value)
        answer, text = self.request("PUT", f"/bkt/{key}", pattern(value[1], value[0]))
        assert answer in (None, 200), (answer, text)
        if answer == 200:
            self.there[key] = [value]

    def delete(self, key):
        self.there[key].append(None)
        answer, text = self.request("DELETE", f"/bkt/{key}")
        assert answer in (None, 204), (answer, text)
        if answer == 204:
            self.there[key] = [None]

    def read(self, key, whole=False):
        """All of it, or a range; True if there was an answer."""
        start, end = 0, 1 << 40
        began = time.monotonic()
        whole = whole or self.random.random() < 0.7
        if not whole:
            start = self.random.randrange(5000)
            end = start + self.random.randrange(100_000)
        answer, body = self.request(
            "GET", f"/bkt/{key}",
            headers={} if whole else {"Range": f"bytes={start}-{end - 1}"})
        if answer is None:
            return False
        if any(self.fits(value, start, end, answer, body)
               for value in self.there[key]):
            return True
        assert self.storm.rotted_since(began) and any(
            self.is_rotten(value, start, end, body)
            for value in self.there[key]), (
            key, answer, len(body), start, end, self.there[key])
        self.rotten += 1
        return True

    @staticmethod
    def is_rotten(value, start, end, body):
        if value is None:
            return False
        good = pattern(value[1], value[0])[start:end]
        return len(body) == len(good) and all(
            a ^ b in (0, ROT) for a, b in zip(body, good))

    @staticmethod
    def fits(value, start, end, answer, body):
        if value is None:
            return answer == 404
        if start >= value[1]:
            return answer == 416
        return answer in (200, 206) and body == pattern(value[1], value[0])[start:end]

    def list(self):
        answer, body = self.request("GET", "/bkt")
        if answer is None:
            return
        assert answer == 200, (answer, body)
        for key, values in self.there.items():
            there = f"<Key>{key}</Key>".encode() in body
            assert any((value is not None) == there for value in values), key


class Storm:
    """What befalls the drives; at most two at once."""

    def __init__(self, stack):
        self.stack = stack
        self.healed = []     # seconds that it took
        self.rot_ended = 0   # monotonic
        self.random = random.Random(7)

    def kill(self):
        self.stack.kill_s3d()
        self.stack.start_s3d()

    def rotted_since(self, when):
        return self.rot_ended >= when

    def pair(self):
        """A drive with a mirror of the metadata and one without."""
        return self.random.randrange(3), self.random.randrange(3, 6)

    def wait_until_lost(self, count):
        wait_for(lambda: status(self.stack)["drives_ok"] == 6 - count,
                 "drives lost", 60)

    def corrupt(self):
        self.rot_ended = float("inf")
        for i in self.pair():
            rot(self.stack.drives[i])
        self.rot_ended = time.monotonic()
        time.sleep(self.random.random())
        self.kill()

    def wipe(self):
        """Two blank drives in their place."""
        pair = self.pair()
        for i in pair:
            gone = self.stack.drives[i].with_name("gone")
            self.stack.drives[i].rename(gone)
            self.stack.drives[i].mkdir()
            shutil.rmtree(gone)
        self.wait_until_lost(2)
        time.sleep(self.random.random())
        for i in pair:
            self.stack.ctl("drive", "replace", str(i), "--yes")
        self.kill()

    def unplug(self):
        """Two drives go and come back as they were, s3d being killed."""
        pair = self.pair()
        for i in pair:
            self.stack.drives[i].rename(
                self.stack.drives[i].with_name(f"away{i}"))
        self.wait_until_lost(2)
        time.sleep(self.random.random())
        self.stack.kill_s3d()
        for i in pair:
            shutil.rmtree(self.stack.drives[i], ignore_errors=True)
            self.stack.drives[i].with_name(f"away{i}").rename(
                self.stack.drives[i])
        self.stack.start_s3d()

    def heal(self):
        wait_for(lambda: status(self.stack)["drives_ok"] == 6, "drives", 60)
        wait_for_members(self.stack)
        began = time.monotonic()
        verified(self.stack)
        self.healed.append(time.monotonic() - began)


def read_everything(clients):
    for client in clients:
        for key in client.there:
            assert client.read(key, whole=True), key
        client.list()


def check_with_two_away(stack, clients, pairs):
    for pair in pairs:
        stack.stop_s3d()
        away = [(stack.drives[i], stack.drives[i].with_name(f"away{i}"))
                for i in pair]
        for drive, other in away:
            drive.rename(other)
        stack.start_s3d()
        read_everything(clients)
        stack.stop_s3d()
        for drive, other in away:
            shutil.rmtree(drive, ignore_errors=True)
            other.rename(drive)
        stack.start_s3d()
        wait_for_members(stack)


def test_nothing_is_lost_in_a_storm(fresh_stack):
    stack = fresh_stack(s3d_extra=CARE).start()
    stack.client().create_bucket(Bucket="bkt")
    storm = Storm(stack)
    clients = [Client(stack, n, storm) for n in range(CLIENTS)]
    began = time.monotonic()
    for client in clients:
        client.start()
    try:
        for kind in [storm.corrupt, storm.wipe, storm.unplug] * LONG:
            time.sleep(3)
            kind()
            storm.heal()
            assert [c.error for c in clients if c.error] == []
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    seconds = time.monotonic() - began
    assert [client.error for client in clients if client.error] == []

    verified(stack)
    read_everything(clients)
    pairs = list(itertools.product(range(3), range(3, 6)))
    check_with_two_away(stack, clients, pairs if LONG > 1 else pairs[4:5])
    operations = sum(client.operations for client in clients)
    failures = sum(client.failures for client in clients)
    rotten = sum(client.rotten for client in clients)
    assert rotten <= 2 * LONG
    print(f"{seconds:.0f} s, {operations / seconds:.0f} operations a second, "
          f"{failures} without an answer, none lost, {rotten} rotted while "
          f"they were sent; verified and healed in "
          f"{statistics.median(storm.healed):.0f} s, at most "
          f"{max(storm.healed):.0f}")
    assert operations > 20 * CLIENTS
    if LONG >= 10: # on a machine of its own
        assert seconds > 180
        assert operations / seconds > 200
