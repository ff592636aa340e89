// Reads s3_status again and again, and remembers what it said for an hour. The
// operator decides who may: by nginx's own means, in the location "status"
// beside this page.

import {point} from "./metrics.js";

const PERIOD = 5000; // milliseconds
const FIRST = 1000; // until the second reading
const POINTS = 3600000 / PERIOD;
const URL = "status?format=json";

/** error: a string for people; denied: nothing more is asked until told to. */
export const status = {metrics: null, points: [], error: "", denied: false};
export const changes = new EventTarget();

let before = null; // {metrics, time}
let timer = 0;
let watching = false;

function take(metrics) {
    const time = Date.now();
    if (before && time > before.time) {
        const next = point(before.metrics, metrics, time,
            (time - before.time) / 1000);
        if (next) {
            status.points.push(next);
            status.points.splice(0, status.points.length - POINTS);
        }
    }
    before = {metrics, time};
    Object.assign(status, {metrics, error: "", denied: false});
}

async function read() {
    const first = before === null;
    try {
        const answer = await fetch(URL,
            {cache: "no-store", signal: AbortSignal.timeout(20000)});
        if (!answer.ok) {
            status.denied = answer.status < 500;
            throw new Error(`The status answers ${answer.status}.`);
        }
        take(await answer.json());
    } catch (error) {
        status.error = error.message;
    }
    changes.dispatchEvent(new Event("change"));
    watching = !status.denied;
    if (watching) {
        timer = setTimeout(read, first ? FIRST : PERIOD);
    }
}

/** Begins, or tries again what was denied. */
export function watch() {
    if (!watching) {
        watching = true;
        clearTimeout(timer);
        read();
    }
}
