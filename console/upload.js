// Uploads: small files in one request, larger ones in parts, some at once;
// every byte is covered by a signature. XMLHttpRequest tells of progress,
// which fetch does not.

import {failure, prepare, send, sendXml, S3Error} from "./s3.js";
import {sha256} from "./sign.js";
import {escape, text} from "./xml.js";
import {button, describe, el} from "./dom.js";
import {bytes} from "./format.js";

const MIB = 1 << 20;
const WHOLE_MAX = 16 * MIB;
const PART = 8 * MIB;
const PARTS_MAX = 10000;
const PARTS_AT_ONCE = 3;
const FILES_AT_ONCE = 2;
const ATTEMPTS = 3;

/** Bytes of each part but the last: whole MiB, and no more than 10,000. */
export function partSize(size) {
    return Math.max(PART, Math.ceil(size / PARTS_MAX / MIB) * MIB);
}

function transmit({url, headers}, body, signal, onprogress) {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        const abort = () => request.abort();
        request.open("PUT", url);
        Object.entries(headers).forEach(
            ([name, value]) => request.setRequestHeader(name, value));
        request.upload.onprogress = event => onprogress(event.loaded);
        request.onload = () => resolve(new Response(
            request.responseText || null, {status: request.status,
                headers: {etag: request.getResponseHeader("etag") ?? ""}}));
        request.onerror = () => reject(
            new S3Error(0, "", "The connection was lost."));
        request.onabort = () => reject(signal.reason);
        request.onloadend = () => signal.removeEventListener("abort", abort);
        signal.addEventListener("abort", abort);
        signal.throwIfAborted();
        request.send(body);
    });
}

/** Sends one request's bytes, again where that can help. Returns the ETag. */
async function put(request, blob, signal, onprogress) {
    const body = await blob.arrayBuffer();
    const payload = await sha256(body);
    for (let attempt = 1; ; attempt++) {
        let error;
        try {
            const answer = await transmit(
                await prepare("PUT", {...request, payload}), body, signal,
                onprogress);
            if (answer.ok) {
                onprogress(blob.size);
                return answer.headers.get("etag");
            }
            error = await failure(answer);
        } catch (failed) {
            error = failed;
        }
        const again = error.status === 0 || error.status >= 500;
        if (!again || error.status === 501 || attempt === ATTEMPTS) {
            throw error;
        }
        onprogress(0);
    }
}

/** Sends all parts, some at once; returns their ETags in order. */
async function putParts(request, file, signal, onprogress) {
    const size = partSize(file.size);
    const count = Math.ceil(file.size / size);
    const sent = new Array(count).fill(0);
    const etags = new Array(count);
    let next = 0;

    const work = async () => {
        while (next < count) {
            const part = next++;
            etags[part] = await put(
                {...request, query: {...request.query,
                    partNumber: String(part + 1)}},
                file.slice(part * size, (part + 1) * size), signal, loaded => {
                    sent[part] = loaded;
                    onprogress(sent.reduce((sum, value) => sum + value, 0));
                });
        }
    };
    await Promise.all(Array.from({length: PARTS_AT_ONCE}, work));
    return etags;
}

async function multipart(bucket, key, file, controller, onprogress) {
    const headers = {"content-type": file.type || "application/octet-stream"};
    const root = await sendXml("POST",
        {bucket, key, headers, query: {uploads: ""}});
    const request = {bucket, key, query: {uploadId: text(root, "UploadId")}};
    try {
        const etags = await putParts(request, file, controller.signal,
            onprogress);
        const body = "<CompleteMultipartUpload>" + etags.map((etag, i) =>
            `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escape(etag)}`
            + "</ETag></Part>").join("") + "</CompleteMultipartUpload>";
        const done = await sendXml("POST", {...request, body});
        if (done.localName === "Error") { // it comes with status 200
            throw new S3Error(200, text(done, "Code"), text(done, "Message"));
        }
    } catch (error) {
        controller.abort(); // the parts that are still under way
        await send("DELETE", request).catch(() => {});
        throw error;
    }
}

async function upload(bucket, key, file, controller, onprogress) {
    if (file.size > WHOLE_MAX) {
        return multipart(bucket, key, file, controller, onprogress);
    }
    const headers = {"content-type": file.type || "application/octet-stream"};
    return put({bucket, key, headers}, file, controller.signal, onprogress);
}

// --- the list of what is under way ------------------------------------------

const waiting = [];
let running = 0;

function start() {
    while (running < FILES_AT_ONCE && waiting.length) {
        running++;
        waiting.shift()().finally(() => {
            running--;
            start();
        });
    }
}

/** Queues a file; shows it until it is there, or until it is dismissed. */
export function enqueue(bucket, key, file) {
    const panel = document.getElementById("tasks");
    const controller = new AbortController();
    const progress = el("progress", {max: Math.max(file.size, 1), value: 0,
        "aria-label": `Upload of ${key}`});
    const state = el("span", {class: "dim"}, "waits");
    const dismiss = () => {
        row.remove();
        panel.hidden = panel.childElementCount === 0;
    };
    const stop = button("Cancel", () => controller.abort(
        new DOMException("The upload was cancelled.", "AbortError")), "quiet");
    const row = el("div", {class: "task"},
        el("span", {class: "name"}, key), state, stop, progress);
    panel.append(row);
    panel.hidden = false;

    waiting.push(async () => {
        try {
            controller.signal.throwIfAborted();
            await upload(bucket, key, file, controller, sent => {
                progress.value = sent;
                state.textContent = `${bytes(sent)} of ${bytes(file.size)}`;
            });
            dismiss();
            document.dispatchEvent(
                new CustomEvent("uploaded", {detail: {bucket, key}}));
        } catch (error) {
            state.textContent = describe(error);
            row.classList.add("bad");
            stop.replaceWith(button("Dismiss", dismiss, "quiet"));
        }
    });
    start();
}

/** Files of a drop, those of directories with their paths: [{path, file}]. */
export async function dropped(items) {
    const found = [];
    const read = async (entry, path) => {
        if (entry.isFile) {
            const file = await new Promise(
                (resolve, reject) => entry.file(resolve, reject));
            found.push({path: path + entry.name, file});
            return;
        }
        const reader = entry.createReader();
        for (;;) {
            const entries = await new Promise(
                (resolve, reject) => reader.readEntries(resolve, reject));
            if (!entries.length) {
                return;
            }
            for (const inner of entries) {
                await read(inner, `${path}${entry.name}/`);
            }
        }
    };
    // All at once: the list is empty when this function is left.
    const entries = [...items].map(item => item.webkitGetAsEntry())
        .filter(entry => entry);
    for (const entry of entries) {
        await read(entry, "");
    }
    return found;
}
