"""Tells a CDN to forget what was replaced or removed.

    REDIS=redis://127.0.0.1:6379 python purge.py s3events https://cdn.example.org
"""

import json
import os
import sys
import time
import urllib.request

import redis

CURSOR = "purge:last"
stream, cdn = sys.argv[1:]
r = redis.Redis.from_url(os.environ["REDIS"], socket_timeout=None)


def purge(path):
    request = urllib.request.Request(cdn + path, method="PURGE")
    urllib.request.urlopen(request, timeout=10).close()


def follow():
    last = r.get(CURSOR) or "0-0"
    while True:
        [(_, entries)] = r.xread({stream: last}, count=100, block=0)
        paths = {f"/{record['s3']['bucket']['name']}/"
                 # It is url-encoded, but for the blank.
                 + record["s3"]["object"]["key"].replace("+", "%20")
                 for _, fields in entries
                 for record in json.loads(fields[b"event"]).get("Records", [])}
        for path in sorted(paths):
            purge(path)
        last = entries[-1][0]
        r.set(CURSOR, last)          # only now: a purge is repeated, not missed


while True:
    try:
        follow()
    except (redis.RedisError, OSError) as error:
        print(error, file=sys.stderr)
        time.sleep(1)
