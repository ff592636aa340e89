"""Keeps an index of the names of objects, and searches it.

    REDIS=redis://127.0.0.1:6379 AWS_ENDPOINT_URL=https://s3.example.org \
        python search.py index.db follow s3events photos
    python search.py index.db find holiday beach
"""

import json
import os
import sqlite3
import sys
import time
import urllib.parse

import boto3
import redis

index = sqlite3.connect(sys.argv[1], isolation_level=None)
index.executescript("""
    CREATE TABLE IF NOT EXISTS objects (bucket, key, size, etag, sequencer,
                                        PRIMARY KEY (bucket, key));
    CREATE TABLE IF NOT EXISTS cursor (stream PRIMARY KEY, last);
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (name);
""")


def put(bucket, key, size, etag, sequencer):
    """`size` None: it is gone. What is older than what is known is nothing."""
    row = index.execute("""
        INSERT INTO objects VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET size = excluded.size, etag = excluded.etag,
            sequencer = excluded.sequencer
        WHERE excluded.sequencer > sequencer RETURNING rowid
        """, (bucket, key, size, etag, sequencer)).fetchone()
    if row:
        index.execute("DELETE FROM words WHERE rowid = ?", row)
        if size is not None:
            index.execute("INSERT INTO words (rowid, name) VALUES (?, ?)",
                          row + (f"{bucket} {key}",))


def apply(record):
    thing = record["s3"]["object"]
    name = (record["s3"]["bucket"]["name"],
            urllib.parse.unquote_plus(thing["key"]))
    if record["eventName"].startswith("ObjectCreated:"):
        put(*name, thing["size"], thing["eTag"], thing["sequencer"])
    elif record["eventName"].startswith("ObjectRemoved:"):
        put(*name, None, None, thing["sequencer"])


def fill(bucket):
    """What is there before the first event. No sequencer: every event knows
    better."""
    pages = boto3.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket):
        index.execute("BEGIN")
        for thing in page.get("Contents", []):
            put(bucket, thing["Key"], thing["Size"], thing["ETag"].strip('"'),
                "")
        index.execute("COMMIT")


def follow(r, stream):
    while True:
        [last] = index.execute("SELECT last FROM cursor WHERE stream = ?",
                               (stream,)).fetchone() or ["0-0"]
        [(_, entries)] = r.xread({stream: last}, count=500, block=0)
        index.execute("BEGIN")       # what was read, and how far, are one
        for _, fields in entries:
            for record in json.loads(fields[b"event"]).get("Records", []):
                apply(record)
        index.execute("REPLACE INTO cursor VALUES (?, ?)",
                      (stream, entries[-1][0].decode()))
        index.execute("COMMIT")


if sys.argv[2] == "find":
    for row in index.execute("""
            SELECT bucket, key, size FROM words
            JOIN objects ON objects.rowid = words.rowid
            WHERE words MATCH ? ORDER BY bucket, key
            """, (" ".join(f'"{word}"' for word in sys.argv[3:]),)):
        print(*row, sep="\t")
else:
    for name in sys.argv[4:]:
        fill(name)
    while True:
        try:
            follow(redis.Redis.from_url(os.environ["REDIS"],
                                        socket_timeout=None), sys.argv[3])
        except redis.RedisError as error:
            print(error, file=sys.stderr)
            time.sleep(1)
