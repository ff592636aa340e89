// The uploads that are under way, and their list: what waits, is paused, has
// failed, and how far all of it is.

import {attempt, button, describe, el, fill} from "./dom.js";
import {bytes, count} from "./format.js";
import {Transfer} from "./transfer.js";

const FILES_AT_ONCE = 2;
const PAUSED = "paused", CANCELLED = "cancelled";

const panel = document.getElementById("tasks");
const summary = el("span", {class: "name"});
const rows = el("ul", {class: "plain"});
const waiting = []; // tasks, in their order
const shown = new Set(); // tasks that have begun and are not there yet
const totals = {files: 0, done: 0, bytes: 0};
let running = 0;

/** Whether closing the page would lose an upload. */
export function uploading() {
    return waiting.length > 0 || [...shown].some(task => !task.failed);
}

function show() {
    panel.hidden = !waiting.length && !shown.size;
    if (panel.hidden) {
        Object.assign(totals, {files: 0, done: 0, bytes: 0});
    }
    summary.textContent = `${count(totals.done)} of ${count(totals.files)} `
        + `files, ${bytes(totals.bytes)}`;
}

function advance() {
    while (running < FILES_AT_ONCE && waiting.length) {
        running++;
        waiting.shift().run().finally(() => {
            running--;
            advance();
        });
    }
    show();
}

/** A file that is to be there; it has a row once it has begun. */
class Task {
    constructor(bucket, key, file) {
        Object.assign(this, {bucket, key, file, row: null, failed: false,
            stop: null}); // while it runs: its reason is what it stops for
    }

    build() {
        const {bucket, key, file} = this;
        this.progress = el("progress", {max: Math.max(file.size, 1), value: 0,
            "aria-label": `Upload of ${key}`});
        this.state = el("span", {class: "dim"});
        this.buttons = el("span", {class: "buttons"});
        this.row = el("li", {class: "task"}, el("span",
            {class: "name", title: key}, key), this.state, this.buttons,
        this.progress);
        this.transfer = new Transfer(bucket, key, file, sent => {
            this.progress.value = sent;
            this.state.textContent = `${bytes(sent)} of ${bytes(file.size)}`;
        });
        rows.append(this.row);
        shown.add(this);
    }

    /** What its row says of it, and what may be done about it. */
    become(state, actions, failed = false) {
        this.failed = failed;
        this.row.classList.toggle("bad", failed);
        this.state.textContent = state;
        fill(this.buttons, actions.map(([label, act]) => button(label, act,
            "quiet", {"aria-label": `${label}: ${this.key}`})));
        show();
    }

    async run() {
        if (!this.row) {
            this.build();
        }
        this.stop = new AbortController();
        const {signal} = this.stop;
        this.become("starts", [["Pause", () => this.stop.abort(PAUSED)],
            ["Cancel", () => this.cancel()]]);
        try {
            await this.transfer.run(signal);
            totals.done++;
            totals.bytes += this.file.size;
            this.leave();
            document.dispatchEvent(new CustomEvent("uploaded",
                {detail: {bucket: this.bucket}}));
        } catch (error) {
            this.stop = null;
            this.halt(signal.aborted ? signal.reason : error);
        }
    }

    halt(reason) {
        const again = () => {
            waiting.unshift(this);
            this.become("waits", [["Cancel", () => this.cancel()]]);
            advance();
        };
        if (reason === CANCELLED) {
            this.cancel();
        } else if (reason === PAUSED) {
            this.become("paused",
                [["Resume", again], ["Cancel", () => this.cancel()]]);
        } else {
            this.become(describe(reason),
                [["Try again", again], ["Dismiss", () => this.cancel()]], true);
        }
    }

    /** It is given up, and what the server has of it is deleted. */
    cancel() {
        if (this.stop) {
            this.stop.abort(CANCELLED);
            return;
        }
        totals.files--;
        waiting.splice(0, waiting.length,
            ...waiting.filter(task => task !== this));
        this.leave();
        attempt(() => this.transfer.abort());
    }

    leave() {
        this.row.remove();
        shown.delete(this);
        show();
    }
}

function cancelAll() {
    totals.files -= waiting.filter(({row}) => !row).length;
    waiting.length = 0;
    shown.forEach(task => task.cancel());
    show();
}

fill(panel, el("div", {class: "task"}, summary,
    button("Cancel all", cancelAll, "quiet")), rows);

/** Queues [{path, file}] below a prefix of a bucket. */
export function enqueue(bucket, prefix, files) {
    for (const {path, file} of files) {
        waiting.push(new Task(bucket, prefix + path, file));
    }
    totals.files += files.length;
    advance();
}
