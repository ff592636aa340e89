// Requests to the S3 API of this server, signed by the session's keys.

import {canonicalQuery, digest, presign, sha256, signHeaders,
    uriEncode} from "./sign.js";
import {now, session} from "./session.js";
import {parse, all, children, escape, fitsXml, text} from "./xml.js";

const DELETE_MAX = 1000; // keys in one request
const SKEW_MAX = 600000; // milliseconds; S3 bears 15 minutes

/** What S3 has said no with. */
export class S3Error extends Error {
    constructor(status, code, message, details = {}) {
        super(message || `HTTP ${status}`);
        this.status = status;
        this.code = code || `HTTP ${status}`;
        this.details = details; // {region, date}: what can be put right
    }
}

/** A browser would take "." and ".." in a path for directories. */
function pathOf(bucket, key, sent) {
    if (!bucket) {
        return "/";
    }
    const dots = /(^|\/)\.\.?(\/|$)/.test(key);
    return `/${uriEncode(bucket)}${key === "" ? "" : "/"}`
        + uriEncode(key, !(sent && dots));
}

function pairs(query) {
    return Object.entries(query).filter(([, value]) => value != null);
}

export async function failure(answer) {
    const body = await answer.text().catch(() => "");
    const date = answer.headers.get("date");
    let root = null;
    try {
        root = parse(body);
    } catch {
        return new S3Error(answer.status, "", "", {date});
    }
    return new S3Error(answer.status, text(root, "Code"),
        text(root, "Message"), {region: text(root, "Region"), date});
}

/** What an error teaches: the region, the time. True: try once more. */
function learn(error) {
    const who = session();
    if (error.details.region && error.details.region !== who.region
        && error.code === "AuthorizationHeaderMalformed") {
        who.region = error.details.region;
        return true;
    }
    // The code does not tell: to STS, skew is a signature that does not match.
    const skew = Date.parse(error.details.date) - Date.now();
    if (error.status === 403 && Math.abs(skew - who.skew) > SKEW_MAX) {
        who.skew = skew;
        return true;
    }
    return false;
}

/** {url, headers} of a signed request. */
export async function prepare(method, {bucket = "", key = "", query = {},
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

/** The answer of a request, if it went well; throws an S3Error. */
export async function send(method, {body = "", signal, ...request} = {}) {
    const payload = await sha256(body);
    for (let again = false; ; again = true) {
        const {url, headers} = await prepare(method, {...request, payload});
        const answer = await fetch(url, {method, headers, signal,
            body: body === "" ? undefined : body, cache: "no-store",
            redirect: "error"});
        if (answer.ok) {
            return answer;
        }
        const error = await failure(answer);
        if (again || !learn(error)) {
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
export async function deleteObjects(bucket, objects) {
    const failed = [];
    const together = objects.filter(({key}) => fitsXml(key));
    for (let i = 0; i < together.length; i += DELETE_MAX) {
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
