// The objects of a bucket, by prefix, page by page.

import {deleteObjects, listObjects, listVersions, S3Error} from "./s3.js";
import {objectsLink, settingsLink} from "./buckets.js";
import {attempt, button, el, fill, problem, toast} from "./dom.js";
import {confirm} from "./dialog.js";
import {dropped, enqueue} from "./upload.js";
import {showObject} from "./object.js";
import {bytes, date} from "./format.js";

const PAGE = 1000; // objects of a list that is not shown

function crumbs(bucket, prefix) {
    const parts = prefix.split("/").slice(0, -1);
    return el("nav", {class: "crumbs", "aria-label": "Path"},
        el("a", {href: "#/buckets"}, "Buckets"), " / ",
        el("a", {href: objectsLink(bucket)}, bucket),
        parts.map((part, i) => [" / ", el("a", {href: objectsLink(bucket,
            `${parts.slice(0, i + 1).join("/")}/`)}, part || "(empty)")]));
}

/** Everything below some prefixes, and these objects, is deleted. */
async function deleteAll(bucket, objects, prefixes, versions) {
    const gather = [...objects];
    for (const prefix of prefixes) {
        let next = null;
        do {
            const page = await (versions ? listVersions : listObjects)(
                bucket, {prefix, delimiter: "", next, size: PAGE});
            gather.push(...page.objects);
            next = page.next;
        } while (next);
    }
    const failed = await deleteObjects(bucket, gather);
    if (failed.length) {
        throw new S3Error(200, failed[0].code, `${failed[0].message} `
            + `(${failed[0].key}; ${failed.length} of ${gather.length} `
            + "were not deleted)");
    }
    return gather.length;
}

class Listing {
    constructor(main, {bucket, prefix = ""}, signal) {
        Object.assign(this, {main, bucket, prefix, signal});
        this.selected = new Map(); // of checkboxes: {object} or {prefix}
        this.versions = false;
        this.filter = "";
        this.generation = 0; // of the list that is shown
        this.build();
    }

    build() {
        const chooser = el("input", {type: "file", multiple: true, id: "files",
            class: "hidden", tabindex: "-1", "aria-hidden": "true",
            onchange: () => {
                this.upload([...chooser.files].map(
                    file => ({path: file.name, file})));
                chooser.value = "";
            }});
        this.rows = el("tbody");
        this.more = el("div", {class: "more"});
        this.all = el("input", {type: "checkbox", "aria-label": "Select all",
            onchange: () => this.rows.querySelectorAll("input").forEach(box => {
                box.checked = this.all.checked;
                box.dispatchEvent(new Event("change"));
            })});
        this.remove = button("Delete", () => this.confirmDelete(), "danger");
        fill(this.main,
            el("div", {class: "title"}, crumbs(this.bucket, this.prefix),
                el("span", {class: "buttons"},
                    el("a", {class: "button", href: settingsLink(this.bucket)},
                        "Rules"), chooser,
                    button("Upload", () => chooser.click(), "primary"))),
            el("div", {class: "row"},
                el("input", {type: "search", placeholder: "Filter by prefix",
                    "aria-label": "Filter by prefix", autocomplete: "off",
                    oninput: event => this.search(event.target.value)}),
                el("label", {class: "check"}, el("input", {type: "checkbox",
                    onchange: event => {
                        this.versions = event.target.checked;
                        this.clear(); // no row is of the other list
                        this.load();
                    }}), "All versions"), this.remove),
            el("section", {class: "card drop"},
                el("div", {class: "scroll"}, el("table", {class: "objects"},
                    el("caption", {class: "hidden"},
                        `Objects of ${this.bucket}`),
                    el("thead", {}, el("tr", {},
                        el("th", {class: "tick"}, this.all),
                        el("th", {scope: "col"}, "Name"),
                        el("th", {scope: "col", class: "end"}, "Size"),
                        el("th", {scope: "col", class: "end"}, "Modified"))),
                    this.rows)), this.more));
        this.acceptDrops();
    }

    acceptDrops() {
        const {main, signal} = this;
        const over = inside => main.classList.toggle("dropping", inside);
        main.addEventListener("dragover", event => {
            event.preventDefault();
            over(true);
        }, {signal});
        main.addEventListener("dragleave", event => {
            over(main.contains(event.relatedTarget));
        }, {signal});
        main.addEventListener("drop", event => {
            event.preventDefault();
            over(false);
            attempt(async () => this.upload(
                await dropped(event.dataTransfer.items)));
        }, {signal});
        signal.addEventListener("abort", () => over(false));
        document.addEventListener("uploaded", ({detail}) => {
            if (detail.bucket === this.bucket) {
                clearTimeout(this.refresh);
                this.refresh = setTimeout(() => this.load(), 200);
            }
        }, {signal});
    }

    upload(files) {
        files.forEach(({path, file}) =>
            enqueue(this.bucket, this.prefix + path, file));
    }

    search(filter) {
        this.filter = filter;
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.load(), 200);
    }

    /** No rows, and nothing selected. */
    clear() {
        this.rows.replaceChildren();
        this.more.replaceChildren();
        this.selected.clear();
        this.all.checked = false;
        this.changed();
    }

    /** The first page, or the one that `next` names. */
    async load(next = null) {
        if (this.signal.aborted) {
            return;
        }
        const generation = next ? this.generation : ++this.generation;
        let page;
        try {
            page = await (this.versions ? listVersions : listObjects)(
                this.bucket, {prefix: this.prefix + this.filter, next,
                    signal: this.signal});
        } catch (error) {
            if (generation === this.generation && error.name !== "AbortError") {
                this.clear();
                fill(this.more, problem(error));
            }
            return;
        }
        if (generation !== this.generation) {
            return; // another one has been asked for since
        }
        if (!next) {
            this.clear();
        }
        this.rows.append(
            ...page.prefixes.map(prefix => this.prefixRow(prefix)),
            ...page.objects.map(object => this.objectRow(object)));
        fill(this.more, page.next
            ? button("Show more", ({target}) => {
                target.disabled = true; // the page is appended once
                this.load(page.next);
            })
            : !this.rows.childElementCount && el("p", {class: "empty"},
                "Nothing here. Drop files to upload them."));
    }

    tick(label, what) {
        const box = el("input", {type: "checkbox",
            "aria-label": `Select ${label}`, onchange: () => {
                if (box.checked) {
                    this.selected.set(box, what);
                } else {
                    this.selected.delete(box);
                }
                this.changed();
            }});
        return el("td", {class: "tick"}, box);
    }

    changed() {
        const count = this.selected.size;
        this.remove.hidden = count === 0;
        this.remove.textContent = `Delete ${count} selected`;
    }

    prefixRow(prefix) {
        const name = prefix.slice(this.prefix.length);
        return el("tr", {class: "prefix"}, this.tick(name, {prefix}),
            el("td", {}, el("a", {href: objectsLink(this.bucket, prefix)},
                name)), el("td"), el("td"));
    }

    objectRow(object) {
        const name = object.key.slice(this.prefix.length) || "(empty)";
        return el("tr", {class: object.deleted || object.latest === false
            ? "old" : ""}, this.tick(name, {object}),
            el("td", {}, button(name, () => showObject(this.bucket, object,
                () => this.load()), "link"),
            object.deleted && el("span", {class: "badge"}, "deleted"),
            object.version && el("small", {class: "dim"}, object.version)),
            el("td", {class: "end"}, object.deleted ? "" : bytes(object.size)),
            el("td", {class: "end dim"}, date(object.modified)));
    }

    confirmDelete() {
        const chosen = [...this.selected.values()];
        const objects = chosen.flatMap(({object}) => object ?? []);
        const prefixes = chosen.flatMap(({prefix}) => prefix ?? []);
        const what = [objects.length && `${objects.length} objects`,
            prefixes.length && `everything below ${prefixes.join(", ")}`]
            .filter(Boolean).join(" and ");
        confirm("Delete", `Delete ${what}?` + (this.versions
            ? " These versions are gone for good." : ""), "Delete",
        async () => {
            try {
                const count = await deleteAll(this.bucket, objects, prefixes,
                    this.versions);
                toast(`Deleted: ${count}.`);
            } finally {
                this.load();
            }
        });
    }
}

export function showObjects(main, parameters, signal) {
    return new Listing(main, parameters, signal).load();
}
