// AWS Signature Version 4, with WebCrypto. Pure: no state, no network.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
//
// Credentials are {accessKey, secretKey, token, region}; secretKey comes from
// importSecret(): a key that signs, and whose bytes no script can read back.

const ALGORITHM = "AWS4-HMAC-SHA256";
const HMAC = {name: "HMAC", hash: "SHA-256"};
const encoder = new TextEncoder();

const UNSIGNED = "UNSIGNED-PAYLOAD";

export function importSecret(secret) {
    return hmacKey(encoder.encode("AWS4" + secret));
}

function hmacKey(bytes) {
    return crypto.subtle.importKey("raw", bytes, HMAC, false, ["sign"]);
}

function hmac(key, text) {
    return crypto.subtle.sign("HMAC", key, encoder.encode(text));
}

function hex(buffer) {
    return Array.from(new Uint8Array(buffer),
        byte => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 of a string or of bytes, as a buffer. */
export function digest(data) {
    return crypto.subtle.digest("SHA-256",
        typeof data === "string" ? encoder.encode(data) : data);
}

export async function sha256(data) {
    return hex(await digest(data));
}

/** RFC 3986, as S3 wants it; keepSlash: for paths. */
export function uriEncode(text, keepSlash = false) {
    const encoded = encodeURIComponent(text).replace(/[!'()*]/g,
        c => "%" + c.charCodeAt(0).toString(16).toUpperCase());
    return keepSlash ? encoded.replaceAll("%2F", "/") : encoded;
}

/** [[name, value], ...] as it is signed and sent. */
export function canonicalQuery(query) {
    const order = (a, b) => a < b ? -1 : a > b ? 1 : 0;
    return query.map(([name, value]) => [uriEncode(name), uriEncode(value)])
        .sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
        .map(pair => pair.join("=")).join("&");
}

/** "20130524T000000Z" */
function timestamp(when) {
    return when.toISOString().replace(/[-:]|\.\d{3}/g, "");
}

function sortedHeaders(headers) {
    return Object.entries(headers)
        .map(([name, value]) =>
            [name.toLowerCase(), String(value).trim().replace(/ +/g, " ")])
        .sort((a, b) => a[0] < b[0] ? -1 : 1);
}

/** request: {method, path (encoded), query, headers, payload (its hash)} */
function canonicalRequest({method, path, query, headers, payload}) {
    const sorted = sortedHeaders(headers);
    return [method, path, canonicalQuery(query),
        ...sorted.map(pair => pair.join(":")), "",
        sorted.map(pair => pair[0]).join(";"), payload].join("\n");
}

function scopeOf({region, service, stamp}) {
    return `${stamp.slice(0, 8)}/${region}/${service}/aws4_request`;
}

/** The signature of a request; context: {region, service, stamp}. */
export async function signature(secretKey, context, request) {
    const scope = scopeOf(context);
    let key = secretKey;
    for (const word of scope.split("/")) {
        key = await hmacKey(await hmac(key, word));
    }
    return hex(await hmac(key, [ALGORITHM, context.stamp, scope,
        await sha256(canonicalRequest(request))].join("\n")));
}

/** The headers of a signed request, "host" among them, which a browser sets. */
export async function signHeaders(credentials, service, request, when) {
    const {accessKey, secretKey, token, region} = credentials;
    const context = {region, service, stamp: timestamp(when)};
    const headers = {...request.headers, "x-amz-date": context.stamp,
        "x-amz-content-sha256": request.payload};
    if (token) {
        headers["x-amz-security-token"] = token;
    }
    const sign = await signature(secretKey, context, {...request, headers});
    const names = sortedHeaders(headers).map(pair => pair[0]).join(";");
    headers.authorization = `${ALGORITHM} Credential=${accessKey}/`
        + `${scopeOf(context)}, SignedHeaders=${names}, Signature=${sign}`;
    return headers;
}

/** The query of a pre-signed request: {method, path, query, host}. */
export async function presign(credentials, request, seconds, when) {
    const {accessKey, secretKey, token, region} = credentials;
    const context = {region, service: "s3", stamp: timestamp(when)};
    const query = [...request.query,
        ["X-Amz-Algorithm", ALGORITHM],
        ["X-Amz-Credential", `${accessKey}/${scopeOf(context)}`],
        ["X-Amz-Date", context.stamp],
        ["X-Amz-Expires", String(seconds)],
        ["X-Amz-SignedHeaders", "host"]];
    if (token) {
        query.push(["X-Amz-Security-Token", token]);
    }
    const sign = await signature(secretKey, context, {...request, query,
        headers: {host: request.host}, payload: UNSIGNED});
    return `${canonicalQuery(query)}&X-Amz-Signature=${sign}`;
}
