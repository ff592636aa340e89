// What a bucket holds, counted by its lists when it is asked for. The exact
// numbers and the quotas that s3d keeps are told by s3ctl alone.

import {everything, listVersions} from "./s3.js";
import {attempt, button, el, fill} from "./dom.js";
import {bytes, count} from "./format.js";

export function usage(bucket, signal) {
    const figures = el("dl", {class: "details", role: "status"});
    let stop = null;
    const show = (sums, state) => fill(figures, [
        ["state", state],
        ["objects", `${count(sums.objects)}, ${bytes(sums.bytes)}`],
        ["older versions", `${count(sums.old)}, ${bytes(sums.oldBytes)}`],
        ["delete markers", count(sums.markers)],
    ].map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

    const add = (sums, {deleted, latest, size}) => {
        if (deleted) {
            sums.markers++;
        } else if (latest) {
            sums.objects++;
            sums.bytes += size;
        } else {
            sums.old++;
            sums.oldBytes += size;
        }
    };
    const work = async () => {
        const sums = {objects: 0, bytes: 0, old: 0, oldBytes: 0, markers: 0};
        stop = new AbortController();
        start.textContent = "Stop";
        await attempt(async () => {
            for await (const page of everything(listVersions, bucket, "",
                AbortSignal.any([signal, stop.signal]))) {
                page.forEach(object => add(sums, object));
                show(sums, "counting …");
            }
            show(sums, "all counted");
        });
        stop = null;
        start.textContent = "Count";
    };
    const start = button("Count", () => stop ? stop.abort() : work(), "primary");
    return el("div", {}, el("p", {class: "dim"}, "The console counts what the "
        + "lists of versions tell; parts of uploads that have not ended are "
        + "not among it. What s3d itself keeps of usage, and the quotas, no "
        + "request over HTTP can ask for: the operator has s3ctl usage and "
        + "s3ctl quota."), figures, el("div", {class: "actions"}, start));
}
