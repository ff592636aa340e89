// The objects of a bucket, by prefix, page by page.

import {listObjects, listVersions} from "./s3.js";
import {objectsLink, settingsLink} from "./buckets.js";
import {attempt, button, el, fill, problem} from "./dom.js";
import {confirm} from "./dialog.js";
import {deleteAll} from "./deletion.js";
import {dropped} from "./dropped.js";
import {enqueue} from "./upload.js";
import {showObject} from "./object.js";
import {bytes, date} from "./format.js";

function crumbs(bucket, prefix) {
    const parts = prefix.split("/").slice(0, -1);
    return el("nav", {class: "crumbs", "aria-label": "Path"},
        el("a", {href: "#/buckets"}, "Buckets"), " / ",
        el("a", {href: objectsLink(bucket)}, bucket),
        parts.map((part, i) => [" / ", el("a", {href: objectsLink(bucket,
            `${parts.slice(0, i + 1).join("/")}/`)}, part || "(empty)")]));
}

const ROWS_MAX = 2000; // that a page shows without becoming slow

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
        const chooser = (id, more) => {
            const input = el("input", {type: "file", multiple: true, id,
                class: "hidden", tabindex: "-1", "aria-hidden": "true",
                onchange: () => {
                    this.upload([...input.files].map(file => ({file,
                        path: file.webkitRelativePath || file.name})));
                    input.value = "";
                }, ...more});
            return input;
        };
        const files = chooser("files");
        const folder = chooser("folder", {webkitdirectory: true});
        this.rows = el("tbody");
        this.more = el("div", {class: "more"});
        this.all = el("input", {type: "checkbox", "aria-label": "Select all",
            onchange: () => this.rows.querySelectorAll("input").forEach(box => {
                box.checked = this.all.checked;
                box.dispatchEvent(new Event("change"));
            })});
        this.remove = button("Delete", () => this.confirmDelete(), "danger");
        fill(this.main,
            el("h1", {class: "hidden"}, `Objects of ${this.bucket}`),
            el("div", {class: "title"}, crumbs(this.bucket, this.prefix),
                el("span", {class: "buttons"},
                    el("a", {class: "button", href: settingsLink(this.bucket)},
                        "Rules"), files, folder,
                    button("Upload folder", () => folder.click()),
                    button("Upload", () => files.click(), "primary"))),
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
        // Who scrolls on sees more; who moves by keys presses the button.
        this.seen = new IntersectionObserver(entries => entries.filter(
            ({isIntersecting}) => isIntersecting).forEach(({target}) => {
            this.seen.unobserve(target);
            target.click();
        }));
        this.signal.addEventListener("abort", () => this.seen.disconnect());
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
            if (detail.bucket === this.bucket && !this.selected.size) {
                clearTimeout(this.refresh);
                this.refresh = setTimeout(() => this.load(), 200);
            }
        }, {signal});
    }

    upload(files) {
        enqueue(this.bucket, this.prefix, files);
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
                if (!next) {
                    this.clear();
                }
                fill(this.more, problem(error),
                    button("Try again", () => this.load(next)));
            }
            return;
        }
        if (generation !== this.generation) {
            return; // another one has been asked for since
        }
        if (!next || this.full()) {
            this.clear();
        }
        this.rows.append(
            ...page.prefixes.map(prefix => this.prefixRow(prefix)),
            ...page.objects.map(object => this.objectRow(object)));
        if (page.next) {
            this.offer(page.next);
        } else {
            fill(this.more, !this.rows.childElementCount && el("p",
                {class: "empty"}, "Nothing here. Drop files to upload them."));
        }
    }

    full() {
        return this.rows.childElementCount >= ROWS_MAX;
    }

    /** More rows: below these, or in their place if there are many. */
    offer(next) {
        const full = this.full();
        const more = button(full ? "Next page" : "Show more", () => {
            more.disabled = true; // it is loaded once
            if (full) {
                scrollTo(0, 0);
            }
            this.load(next);
        });
        fill(this.more, full && button("First page", () => this.load()), more);
        if (!full) {
            this.seen.observe(more);
        }
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
        async (form, work) => {
            try {
                await deleteAll(this.bucket, {objects, prefixes,
                    list: this.versions ? listVersions : listObjects}, work);
            } finally {
                this.load();
            }
        });
    }
}

export function showObjects(main, parameters, signal) {
    return new Listing(main, parameters, signal).load();
}
