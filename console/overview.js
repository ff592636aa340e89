// The cluster at a glance: whether all is well, and what is going on.

import {chart} from "./charts.js";
import {button, el, fill, loading} from "./dom.js";
import {drivePicture} from "./drives.js";
import {bytes, count, percent, rate, seconds, traffic} from "./format.js";
import {concerns, drives, redundancy, samples, total, value}
    from "./metrics.js";
import {changes, status, watch} from "./status.js";

const TITLES = {good: "All is well", warn: "Needs attention", bad: "In danger"};

function health(metrics) {
    const found = concerns(metrics);
    const level = found.some(concern => concern.level === "bad") ? "bad"
        : found.length ? "warn" : "good";
    return el("section", {class: `card health ${level}`},
        el("div", {class: "lamp", "aria-hidden": "true"}),
        el("div", {}, el("h1", {}, TITLES[level]), found.length
            ? el("ul", {}, found.map(({text}) => el("li", {}, text)))
            : el("p", {}, "Every object is fully redundant, every drive and "
                + "every metadata mirror is in use.")));
}

function tile(label, figure, note) {
    return el("div", {class: "card tile"}, el("span", {class: "dim"}, label),
        el("strong", {}, figure), el("small", {class: "dim"}, note));
}

function tiles(metrics, latest) {
    const all = drives(metrics).filter(drive => drive.ok);
    const size = all.reduce((sum, drive) => sum + drive.size, 0);
    const free = all.reduce((sum, drive) => sum + drive.free, 0);
    const hits = value(metrics, "s3_hot_index_requests_total", {result: "hit"})
        ?? 0;
    const asked = total(metrics, "s3_hot_index_requests_total");
    const requests = latest
        ? latest.good + latest.refused + latest.failed : null;
    return [
        tile("Requests", requests === null ? "–" : `${rate(requests)}/s`,
            `${count(total(metrics, "s3_requests_total"))} since nginx started`),
        tile("Failed", latest ? `${rate(latest.failed)}/s` : "–",
            `${count(total(metrics, "s3_requests_total",
                ({code}) => code.startsWith("5")))} in all`),
        tile("Space", percent(size - free, size),
            `${bytes(free)} free of ${bytes(size)}`),
        tile("Hot index", percent(hits, asked), "answered from memory"),
        tile("Under way",
            count(value(metrics, "s3d_requests_in_flight") ?? 0),
            `${count(value(metrics, "s3d_threads_waiting") ?? 0)} wait`),
        tile("Up", seconds(value(metrics, "s3d_uptime_seconds") ?? 0),
            `s3d ${samples(metrics, "s3d_info")[0]?.labels.version ?? "–"}, `
            + bytes(value(metrics, "s3d_resident_memory_bytes") ?? 0)),
    ];
}

function progress(label, part, whole, note, level = "") {
    return el("div", {class: `progress ${level}`}, el("div", {class: "between"},
        el("span", {}, label), el("span", {class: "dim"}, note)),
    el("progress", {max: Math.max(whole, 1), value: Math.min(part, whole),
        "aria-label": label}));
}

function ledger(metrics) {
    const {full, queued, healed, waiting, remaining, unreadable, reduced}
        = redundancy(metrics);
    const worst = Math.max(1, ...reduced.map(({blobs}) => blobs), unreadable);
    return el("section", {class: "card"}, el("h2", {}, "Redundancy"),
        full && el("p", {class: "good"}, "✓ Proven: all shards are there."),
        !full && queued === 0 && el("p", {class: "dim"},
            "Being counted; nothing is known to be missing."),
        reduced.map(({left, blobs}) => progress(
            left === 0 ? "bear no more loss" : left === 1
                ? "bear one more loss" : `bear ${left} more losses`, blobs,
            worst, `${count(blobs)} blobs`, left === 0 ? "bad" : "")),
        unreadable > 0 && progress("cannot be read", unreadable, worst,
            `${count(unreadable)} blobs`, "bad"),
        queued > 0 && progress("Heal", healed, healed + queued,
            `${count(healed)} of ${count(healed + queued)}`
            + (remaining > 0 ? `, ${seconds(remaining)} left` : "")
            + (waiting > 0 ? `; ${count(waiting)} wait for a drive` : "")));
}

function scrub(metrics) {
    const read = value(metrics, "s3d_scrub_pass_bytes") ?? 0;
    const last = value(metrics, "s3d_scrub_last_bytes") ?? 0;
    const ended = value(metrics, "s3d_scrub_last_completed_time_seconds") ?? 0;
    const whole = last || value(metrics, "s3d_live_bytes") || read;
    const bad = (value(metrics, "s3d_scrub_pass_bad_shards") ?? 0)
        + (value(metrics, "s3d_scrub_last_bad_shards") ?? 0);
    return el("section", {class: "card"}, el("h2", {}, "Scrub"),
        value(metrics, "s3d_scrub_running") === 1
            ? progress("Pass under way", read, whole,
                `${bytes(read)} of about ${bytes(whole)}`)
            : el("p", {class: "dim"}, "Waits for its next pass."),
        el("p", {class: "dim"}, ended ? "The last whole pass ended "
            + `${seconds(Date.now() / 1000 - ended)} ago, over ${bytes(last)}.`
            : "No pass has ended yet."),
        el("p", {class: bad ? "" : "dim"}, bad
            ? `${count(bad)} bad shards were found and queued for healing.`
            : "No bad shard was found."));
}

function services(metrics) {
    const mirrors = samples(metrics, "s3d_metadata_mirror_ok");
    const targets = samples(metrics, "s3d_events_target_up");
    const line = (name, good, note) => el("li", {},
        el("span", {class: good ? "badge good" : "badge bad"},
            good ? "up" : "away"), " ", name,
        note && el("span", {class: "dim"}, ` ${note}`));
    return el("section", {class: "card"}, el("h2", {}, "Metadata and events"),
        el("ul", {class: "plain"},
            mirrors.map(({labels, value: ok}) => line(labels.mirror, ok === 1)),
            targets.map(({labels, value: up}) => line(labels.target, up === 1,
                `${count(value(metrics, "s3d_events_backlog", labels) ?? 0)}`
                + " events wait"))),
        !targets.length && el("p", {class: "dim"},
            "No target of events is configured."));
}

/** The operator has not let this browser see the status, or it is away. */
function closed() {
    return el("section", {class: "card"}, el("h1", {}, "Cluster"),
        el("p", {}, "The state of the cluster is not open to you here. ",
            el("span", {class: "dim"}, status.error)),
        el("p", {class: "dim"}, "Who may see it is nginx's decision, in the "
            + "location beside this page:"),
        el("pre", {}, `location = ${location.pathname}status {\n`
            + "    s3_status s3d;\n    allow 10.0.0.0/8;\n    deny all;\n}"),
        button("Try again", watch));
}

export function showOverview(main, parameters, signal) {
    const charts = [
        chart("Requests per second", [
            {label: "good", kind: "one", read: point => point.good},
            {label: "refused", kind: "two", read: point => point.refused},
            {label: "failed", kind: "three", read: point => point.failed},
        ], rate),
        chart("Latency", [
            {label: "median", kind: "one", read: point => point.median},
            {label: "99 %", kind: "two", read: point => point.slowest},
        ], seconds),
        chart("Traffic", [
            {label: "sent", kind: "one", read: point => point.sent},
            {label: "received", kind: "two", read: point => point.received},
        ], traffic),
    ];
    const picture = drivePicture();
    const top = el("div"), figures = el("div", {class: "tiles"});
    const bottom = el("div", {class: "columns"});
    const all = [top, figures,
        el("div", {class: "columns"}, charts.map(({node}) => node)),
        picture.node, bottom];

    const draw = () => {
        const {metrics, points, error} = status;
        if (!metrics) {
            fill(main, error ? closed() : loading());
            return;
        }
        if (top.parentNode !== main) {
            fill(main, all);
        }
        fill(top, error && el("p", {class: "problem"},
            `${error} What is shown is old.`), health(metrics));
        fill(figures, tiles(metrics, points.at(-1)));
        charts.forEach(({update}) => update(points));
        picture.update(drives(metrics));
        fill(bottom, ledger(metrics), scrub(metrics), services(metrics));
    };
    changes.addEventListener("change", draw, {signal});
    draw();
    watch();
}
