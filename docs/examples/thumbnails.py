"""Makes thumbnails of the images that come into any bucket that tells a stream.

    REDIS=redis://127.0.0.1:6379 AWS_ENDPOINT_URL=https://s3.example.org \
        python thumbnails.py s3events worker-1

Any number of these share the work, each under a name of its own.
"""

import io
import json
import os
import sys
import time
import urllib.parse

import boto3
import redis
from PIL import Image, UnidentifiedImageError

GROUP = THUMBS = "thumbs"
stream, worker = sys.argv[1:]
r = redis.Redis.from_url(os.environ["REDIS"], socket_timeout=None)
s3 = boto3.client("s3")


def handle(record):
    bucket = record["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
    if bucket == THUMBS or not record["eventName"].startswith("ObjectCreated:"):
        return
    small = io.BytesIO()
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        image = Image.open(io.BytesIO(body))
        image.thumbnail((128, 128))
        image.save(small, "PNG")
    except (s3.exceptions.NoSuchKey, UnidentifiedImageError):
        return                       # deleted meanwhile, or no image
    s3.put_object(Bucket=THUMBS, Key=f"{bucket}/{key}.png",
                  Body=small.getvalue(), ContentType="image/png")


def work():
    try:
        r.xgroup_create(stream, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    pending = "0"                    # first what it took and did not finish
    while True:
        [(_, entries)] = r.xreadgroup(GROUP, worker, {stream: pending},
                                      count=10, block=0)
        for entry, fields in entries:
            for record in json.loads(fields[b"event"]).get("Records", []):
                handle(record)
            r.xack(stream, GROUP, entry)
        if not entries:
            pending = ">"


while True:
    try:
        work()
    except redis.RedisError as error:  # it went away; the group may be gone too
        print(error, file=sys.stderr)
        time.sleep(1)
