"""A small video that browsers play and seek in, without an encoder: one VP8
key frame of one pixel, shown four times a second, in clusters that are padded
so that the file is larger than what a browser reads ahead.
https://www.matroska.org/technical/elements.html, RFC 6386
"""

import struct

FRAME = bytes.fromhex("300100 9d012a 0100 0100 0ec0fe25a4000370 00000000")


def element(name, *content):
    data = b"".join(content)
    return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(data)) + data


def number(name, value):
    return element(name, struct.pack(">Q", value))


def text(name, value):
    return element(name, value.encode())


def cluster(second, padding):
    blocks = (element("a3", b"\x81", struct.pack(">hB", offset, 0x80), FRAME)
              for offset in range(0, 1000, 250))
    return element("1f43b675", number("e7", second * 1000), *blocks,
                   element("ec", bytes(padding)))


def front(seconds, places):
    """What stands before the clusters, whose places the cues tell."""
    video = element("e0", number("b0", 1), number("ba", 1))
    cues = (element("bb", number("b3", second * 1000),
                    element("b7", number("f7", 1), number("f1", place)))
            for second, place in enumerate(places))
    return b"".join((
        element("1549a966", number("2ad7b1", 1_000_000),
                element("4489", struct.pack(">d", seconds * 1000)),
                text("4d80", "s3d"), text("5741", "s3d")),
        element("1654ae6b", element(
            "ae", number("d7", 1), number("73c5", 1), number("83", 1),
            text("86", "V_VP8"), video)),
        element("1c53bb6b", *cues)))


def webm(seconds, padding):
    """A video of so many seconds, and `padding` bytes for each of them."""
    clusters = [cluster(second, padding) for second in range(seconds)]
    start = len(front(seconds, range(seconds)))
    places = [start + second * len(clusters[0]) for second in range(seconds)]
    head = element("1a45dfa3", number("4286", 1), number("42f7", 1),
                   number("42f2", 4), number("42f3", 8), text("4282", "webm"),
                   number("4287", 2), number("4285", 2))
    return head + element("18538067", front(seconds, places), *clusters)
