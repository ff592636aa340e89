// The AWS SDK for JavaScript v3, its defaults untouched: checksum trailers,
// and streams sent with Transfer-Encoding: chunked and aws-chunked.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import test from "node:test";

import {
  CreateBucketCommand, DeleteObjectsCommand, GetObjectCommand,
  HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const client = new S3Client({
  endpoint: process.env.AWS_ENDPOINT_URL,
  region: "us-east-1",
  forcePathStyle: true,
});
const Bucket = "javascript";

function pattern(size) {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + (i >> 8)) & 255;
  return bytes;
}

async function read(Key) {
  const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from(await answer.Body.transformToByteArray());
}

test("create", async () => {
  await client.send(new CreateBucketCommand({ Bucket }));
});

test("buffer", async () => {
  const Body = pattern(100000);
  const put = await client.send(
    new PutObjectCommand({ Bucket, Key: "buffer", Body }));
  const md5 = createHash("md5").update(Body).digest("hex");
  assert.equal(put.ETag, `"${md5}"`);
  assert.ok(put.ChecksumCRC32);
  assert.deepEqual(await read("buffer"), Body);
});

test("stream of known length", async () => {
  const body = pattern(1500000);
  const pieces = [];
  for (let i = 0; i < body.length; i += 9999) {
    pieces.push(body.subarray(i, i + 9999));
  }
  await client.send(new PutObjectCommand({
    Bucket, Key: "stream", Body: Readable.from(pieces),
    ContentLength: body.length,
  }));
  assert.deepEqual(await read("stream"), body);
  const head = await client.send(
    new HeadObjectCommand({ Bucket, Key: "stream" }));
  assert.equal(head.ContentLength, body.length);
  assert.equal(head.ContentEncoding, undefined);
});

test("multipart by lib-storage", async () => {
  const body = pattern((12 << 20) + 1);
  const upload = new Upload({
    client, params: { Bucket, Key: "multi", Body: Readable.from([body]) },
    partSize: 5 << 20,
  });
  const done = await upload.done();
  assert.match(done.ETag, /^"[0-9a-f]{32}-3"$/);
  assert.deepEqual(await read("multi"), body);
});

test("awkward keys, list, delete", async () => {
  const keys = ["a//b", "é 😀", "plus+ and %", "x/../y"];
  for (const Key of keys) {
    await client.send(new PutObjectCommand(
      { Bucket, Key: `odd/${Key}`, Body: Key }));
    assert.equal((await read(`odd/${Key}`)).toString(), Key);
  }
  const list = await client.send(
    new ListObjectsV2Command({ Bucket, Prefix: "odd/" }));
  assert.deepEqual(list.Contents.map((o) => o.Key).sort(),
    keys.map((k) => `odd/${k}`).sort());
  const gone = await client.send(new DeleteObjectsCommand({
    Bucket, Delete: { Objects: keys.map((k) => ({ Key: `odd/${k}` })) },
  }));
  assert.equal(gone.Deleted.length, keys.length);
});

test("pre-signed", async () => {
  const url = await getSignedUrl(
    client, new GetObjectCommand({ Bucket, Key: "buffer" }));
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), pattern(100000));
});

test("errors have their types", async () => {
  await assert.rejects(read("nosuch"), { name: "NoSuchKey" });
  await assert.rejects(
    client.send(new GetObjectCommand({ Bucket: "nosuch-bucket", Key: "k" })),
    { name: "NoSuchBucket" });
});
