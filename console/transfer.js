// One file on its way to a bucket: a small one in one request, a larger one in
// parts, some at once; every byte is covered by a signature. What fails and may
// pass is sent again, later each time. A transfer that was stopped goes on
// where it was.

import {S3Error, send, sendXml} from "./s3.js";
import {escape, text} from "./xml.js";
import {backOff, pause} from "./wait.js";

const MIB = 1 << 20;
const WHOLE_MAX = 16 * MIB;
const PART = 8 * MIB;
const PARTS_MAX = 10000;
const PARTS_AT_ONCE = 3;
const ATTEMPTS = 6;

/** Bytes of each part but the last: whole MiB, and no more than 10,000. */
function partSize(size) {
    return Math.max(PART, Math.ceil(size / PARTS_MAX / MIB) * MIB);
}

/** As fetch, by XMLHttpRequest, which tells of progress. */
function byXhr(onprogress) {
    return (url, {method, headers, body, signal}) => new Promise(
        (resolve, reject) => {
            const request = new XMLHttpRequest();
            const abort = () => request.abort();
            request.open(method, url);
            Object.entries(headers).forEach(
                ([name, value]) => request.setRequestHeader(name, value));
            request.upload.onprogress = event => onprogress(event.loaded);
            request.onload = () => resolve(new Response(
                request.responseText || null, {status: request.status, headers:
                    ["etag", "date"].map(name =>
                        [name, request.getResponseHeader(name) ?? ""])}));
            request.onerror = () => reject(
                new S3Error(0, "", "The connection was lost."));
            request.onabort = () => reject(signal.reason);
            request.onloadend = () => signal.removeEventListener("abort", abort);
            signal.addEventListener("abort", abort);
            signal.throwIfAborted();
            request.send(body);
        });
}

async function persist(action, signal) {
    for (let failed = 1; ; failed++) {
        try {
            return await action();
        } catch (error) {
            if (!error.passing || failed === ATTEMPTS) {
                throw error;
            }
        }
        await pause(backOff(failed), signal);
    }
}

export class Transfer {
    constructor(bucket, key, file, onprogress) {
        Object.assign(this, {bucket, key, file, onprogress});
        this.id = null; // of the upload in parts
        this.etags = []; // of the parts that are there
        this.sent = []; // bytes of each part
    }

    /** Sends what is not there yet; rejects with the signal's reason. */
    async run(signal) {
        const {file} = this;
        this.sent.fill(0);
        if (file.size <= WHOLE_MAX) {
            await this.put(file, 0, {headers: this.headers()}, signal);
            return;
        }
        const size = partSize(file.size);
        const count = Math.ceil(file.size / size);
        const part = i => file.slice(i * size, (i + 1) * size);
        try {
            await this.begin();
            this.etags.forEach((etag, i) => this.tell(i, part(i).size));
            await this.putParts(count, part, signal);
            await persist(() => this.complete(), signal);
        } catch (error) {
            if (error.code === "NoSuchUpload") {
                this.id = null; // somebody has aborted it
            }
            throw error;
        }
    }

    /** The server forgets the parts that it has. */
    async abort() {
        const {bucket, key, id} = this;
        if (id) {
            this.id = null;
            await send("DELETE", {bucket, key, query: {uploadId: id}});
        }
    }

    headers() {
        return {"content-type": this.file.type || "application/octet-stream"};
    }

    tell(part, bytes) {
        this.sent[part] = bytes;
        this.onprogress(this.sent.reduce((sum, value) => sum + value, 0));
    }

    /** Sends some bytes as a request; returns their ETag. */
    put(blob, part, request, signal) {
        return persist(async () => {
            this.tell(part, 0);
            const answer = await send("PUT", {bucket: this.bucket,
                key: this.key, body: await blob.arrayBuffer(), signal,
                transport: byXhr(bytes => this.tell(part, bytes)), ...request});
            this.tell(part, blob.size);
            return answer.headers.get("etag");
        }, signal);
    }

    /** Nothing stops this one: else nobody would know the upload's id. */
    async begin() {
        if (!this.id) {
            this.etags = [];
            const root = await persist(() => sendXml("POST",
                {bucket: this.bucket, key: this.key, headers: this.headers(),
                    query: {uploads: ""}}));
            this.id = text(root, "UploadId");
        }
    }

    async putParts(count, part, signal) {
        const failure = new AbortController();
        const either = AbortSignal.any([signal, failure.signal]);
        let next = 0;
        const work = async () => {
            while (next < count) {
                either.throwIfAborted();
                const i = next++;
                this.etags[i] ??= await this.put(part(i), i, {query:
                    {partNumber: String(i + 1), uploadId: this.id}}, either);
            }
        };
        try {
            await Promise.all(Array.from({length: PARTS_AT_ONCE}, work));
        } catch (error) {
            failure.abort(error); // the parts that are still under way
            throw error;
        }
    }

    async complete() {
        const body = "<CompleteMultipartUpload>" + this.etags.map((etag, i) =>
            `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escape(etag)}`
            + "</ETag></Part>").join("") + "</CompleteMultipartUpload>";
        const done = await sendXml("POST", {bucket: this.bucket, key: this.key,
            query: {uploadId: this.id}, body});
        if (done.localName === "Error") { // it comes with status 200
            throw new S3Error(200, text(done, "Code"), text(done, "Message"));
        }
        this.id = null;
    }
}
