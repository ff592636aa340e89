// Requests to the S3 API of this server, signed by the session's keys.

import {canonicalQuery, digest, presign, sha256, signHeaders,
    uriEncode} from "./sign.js";
import {now, session} from "./session.js";
import {parse, all, children, escape, fitsXml, text} from "./xml.js";

const DELETE_MAX = 1000; // keys in one request
const PAGE = 1000; // objects of a list that is not shown
const SKEW_MIN = 60000; // milliseconds; S3 bears 15 minutes
const PASSING = ["RequestTimeout", "InternalError", "SlowDown"];

/** What S3 has said no with; of status 0: nothing was heard of it. */
export class S3Error extends Error {
    constructor(status, code, message, region = "") {
        super(message || `HTTP ${status}`);
        this.status = status;
        this.code = code || (status ? `HTTP ${status}` : "");
        this.region = region; // that the server wants, if it says so
    }

    /** Whether the same request may do better a little later. */
    get passing() {
        return this.status === 0 || this.status === 429
            || this.status >= 500 && this.status !== 501
            || PASSING.includes(this.code);
    }
}

/** A browser takes "." and ".." in a path for directories: slashes beside them
 * are encoded, and where there are none nothing can be done. */
function pathOf(bucket, key, sent) {
    if (!bucket) {
        return "/";
    }
    if ([bucket, key].some(name => name === "." || name === "..")) {
        throw new Error("Browsers cannot ask for what is named "
            + `“${key || bucket}”.`);
    }
    const dots = /(^|\/)\.\.?(\/|$)/.test(key);
    return `/${uriEncode(bucket)}${key === "" ? "" : "/"}`
        + uriEncode(key, !(sent && dots));
}

function pairs(query) {
    return Object.entries(query).filter(([, value]) => value != null);
}

async function failure(answer) {
    const body = await answer.text().catch(() => "");
    let root = null;
    try {
        root = parse(body);
    } catch {
        return new S3Error(answer.status, "", "");
    }
    return new S3Error(answer.status, text(root, "Code"),
        text(root, "Message"), text(root, "Region"));
}

/** The time is the server's, as any answer tells it. */
function learnTime(who, answer) {
    const skew = Date.parse(answer.headers.get("date")) - Date.now();
    if (Math.abs(skew - who.skew) > SKEW_MIN) {
        who.skew = skew;
    }
}

function learnRegion(who, {code, region}) {
    if (code === "AuthorizationHeaderMalformed" && region) {
        who.region = region;
    }
}

/** {url, headers} of a signed request. */
async function prepare(method, {bucket = "", key = "", query = {},
    headers = {}, payload, service = "s3"}) {
    const request = {method, path: pathOf(bucket, key, false),
        query: pairs(query), headers: {...headers, host: location.host},
        payload};
    const signed = await signHeaders(session(), service, request, now());
    delete signed.host;
    const search = canonicalQuery(request.query);
    return {url: pathOf(bucket, key, true) + (search ? `?${search}` : ""),
        headers: signed};
}

async function byFetch(url, options) {
    try {
        return await fetch(url,
            {...options, cache: "no-store", redirect: "error"});
    } catch {
        options.signal?.throwIfAborted();
        throw new S3Error(0, "", "The server cannot be reached.");
    }
}

/** The answer of a request, if it went well; throws an S3Error. Once, what was
 * signed for another time or region than the server's is signed anew.
 * `transport` sends it: as fetch does. */
export async function send(method,
    {body = "", signal, transport = byFetch, ...request} = {}) {
    const payload = await sha256(body);
    const who = session();
    for (let again = false; ; again = true) {
        const {skew, region} = who;
        const {url, headers} = await prepare(method, {...request, payload});
        const answer = await transport(url, {method, headers, signal,
            body: body === "" ? undefined : body});
        learnTime(who, answer);
        if (answer.ok) {
            return answer;
        }
        const error = await failure(answer);
        learnRegion(who, error);
        // The code does not tell: to STS, skew is a signature that is wrong.
        const late = error.status === 403 && who.skew !== skew;
        if (again || !(late || who.region !== region)) {
            throw error;
        }
    }
}

export async function sendXml(method, request) {
    return parse(await (await send(method, request)).text());
}

/** A link that works for whoever has it. */
export async function link(bucket, key, seconds, {query = {},
    base = location.origin, method = "GET"} = {}) {
    const request = {method, path: pathOf(bucket, key, false),
        query: pairs(query), host: new URL(base).host};
    return new URL(base).origin + pathOf(bucket, key, true) + "?"
        + await presign(session(), request, seconds, now());
}

/** The checksum that documents and lists of deletions come with. */
export async function checksum(body) {
    return {"x-amz-checksum-sha256":
        btoa(String.fromCharCode(...new Uint8Array(await digest(body))))};
}

// --- buckets ----------------------------------------------------------------

export async function listBuckets(signal) {
    const root = await sendXml("GET", {signal});
    return all(root, "Bucket").map(bucket => ({
        name: text(bucket, "Name"), created: text(bucket, "CreationDate")}));
}

// --- objects ----------------------------------------------------------------

/** A list is asked for and told with keys encoded: XML cannot hold them all. */
function decode(value) {
    return decodeURIComponent(value.replaceAll("+", " "));
}

function entry(element, extra = {}) {
    return {key: decode(text(element, "Key")),
        size: Number(text(element, "Size")),
        modified: text(element, "LastModified"), etag: text(element, "ETag"),
        storageClass: text(element, "StorageClass"), ...extra};
}

function prefixes(root) {
    return children(root, "CommonPrefixes").map(
        element => decode(text(element, "Prefix")));
}

/** A page: {prefixes, objects, next}; next: for the page after it, or null. */
export async function listObjects(bucket, {prefix = "", delimiter = "/", next,
    signal, size = 200}) {
    const root = await sendXml("GET", {bucket, signal, query: {
        "list-type": "2", "encoding-type": "url", "max-keys": String(size),
        prefix, delimiter: delimiter || null,
        "continuation-token": next ?? null}});
    return {prefixes: prefixes(root),
        objects: children(root, "Contents").map(element => entry(element)),
        next: text(root, "NextContinuationToken") || null};
}

/** The same with all versions and delete markers, newest first per key. */
export async function listVersions(bucket, {prefix = "", delimiter = "/", next,
    signal, size = 200}) {
    const root = await sendXml("GET", {bucket, signal, query: {
        versions: "", "encoding-type": "url", "max-keys": String(size),
        prefix, delimiter: delimiter || null, "key-marker": next?.key ?? null,
        "version-id-marker": next?.version || null}});
    const objects = [...root.children]
        .filter(({localName}) => /^(Version|DeleteMarker)$/.test(localName))
        .map(element => entry(element, {
            version: text(element, "VersionId"),
            latest: text(element, "IsLatest") === "true",
            deleted: element.localName === "DeleteMarker"}));
    return {prefixes: prefixes(root), objects,
        next: text(root, "IsTruncated") === "true"
            ? {key: decode(text(root, "NextKeyMarker")),
                version: text(root, "NextVersionIdMarker")} : null};
}

/** All pages of one of these lists, each as its array of objects. */
export async function* everything(list, bucket, prefix, signal) {
    let next = null;
    do {
        const page = await list(bucket,
            {prefix, delimiter: "", next, signal, size: PAGE});
        yield page.objects;
        next = page.next;
    } while (next);
}

/** Uploads in parts that have not ended, by their keys. */
export async function listUploads(bucket, signal) {
    const found = [];
    let root, next = {};
    do {
        root = await sendXml("GET", {bucket, signal, query:
            {uploads: "", "encoding-type": "url", ...next}});
        found.push(...children(root, "Upload").map(upload => ({
            key: decode(text(upload, "Key")), id: text(upload, "UploadId"),
            begun: text(upload, "Initiated")})));
        next = {"key-marker": decode(text(root, "NextKeyMarker")),
            "upload-id-marker": text(root, "NextUploadIdMarker")};
    } while (text(root, "IsTruncated") === "true");
    return found;
}

/** One object, or one version of it. */
export async function deleteObject(bucket, {key, version}) {
    await send("DELETE", {bucket, key, query: {versionId: version || null}});
}

async function deleteTogether(bucket, objects) {
    const body = "<Delete><Quiet>true</Quiet>" + objects.map(
        ({key, version}) => `<Object><Key>${escape(key)}</Key>`
            + (version ? `<VersionId>${escape(version)}</VersionId>` : "")
            + "</Object>").join("") + "</Delete>";
    const root = await sendXml("POST", {bucket, query: {delete: ""}, body,
        headers: await checksum(body)});
    return all(root, "Error").map(error => ({key: text(error, "Key"),
        code: text(error, "Code"), message: text(error, "Message")}));
}

/** Deletes [{key, version}], in few requests; returns single keys' errors. */
export async function deleteObjects(bucket, objects, signal) {
    const failed = [];
    const together = objects.filter(({key}) => fitsXml(key));
    for (let i = 0; i < together.length; i += DELETE_MAX) {
        signal?.throwIfAborted();
        failed.push(...await deleteTogether(bucket,
            together.slice(i, i + DELETE_MAX)));
    }
    for (const object of objects.filter(({key}) => !fitsXml(key))) {
        await deleteObject(bucket, object).catch(({code, message}) =>
            failed.push({key: object.key, code, message}));
    }
    return failed;
}

export async function readTags(bucket, key, version) {
    const root = await sendXml("GET",
        {bucket, key, query: {tagging: "", versionId: version || null}});
    return all(root, "Tag").map(tag => [text(tag, "Key"), text(tag, "Value")]);
}

export async function writeTags(bucket, key, version, tags) {
    const body = "<Tagging><TagSet>" + tags.map(([name, value]) =>
        `<Tag><Key>${escape(name)}</Key><Value>${escape(value)}</Value></Tag>`
    ).join("") + "</TagSet></Tagging>";
    await send("PUT", {bucket, key, body, headers: await checksum(body),
        query: {tagging: "", versionId: version || null}});
}
