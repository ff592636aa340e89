// Who is signed in. The secret becomes a key that can sign and cannot be read
// back; its text is kept only if the user asks for it, in this tab's
// sessionStorage, so that a reload does not sign out.

import {importSecret} from "./sign.js";

const STORE = "s3-console";
const DEFAULT_REGION = "us-east-1";

let current = null;

/** {accessKey, secretKey, token, region, skew, identity} or null. */
export function session() {
    return current;
}

/** skew: how far the server's clock is ahead of ours, milliseconds. */
export function now() {
    return new Date(Date.now() + current.skew);
}

export async function open({accessKey, secret, token, region}) {
    current = {accessKey, token, region: region || DEFAULT_REGION, skew: 0,
        secretKey: await importSecret(secret), identity: null};
}

/** Throws where a browser stores nothing. */
export function keep(secrets) {
    sessionStorage.setItem(STORE, JSON.stringify(secrets));
}

/** What keep() has been given; null, too, where a browser stores nothing. */
export function kept() {
    try {
        return JSON.parse(sessionStorage.getItem(STORE));
    } catch {
        return null;
    }
}

/** What this tab has kept; what is in memory goes with the page. */
export function forget() {
    try {
        sessionStorage.removeItem(STORE);
    } catch {
        // Nothing was kept: the browser stores nothing.
    }
}

export function close() {
    current = null;
}
