// The list of buckets: create, open, delete.

import {checksum, listBuckets, send} from "./s3.js";
import {ask, confirm} from "./dialog.js";
import {button, el, field, fill, live, loading, table, toast} from "./dom.js";
import {session} from "./session.js";
import {date} from "./format.js";

export function objectsLink(bucket, prefix = "") {
    return `#/objects/${encodeURIComponent(bucket)}`
        + `/${encodeURIComponent(prefix)}`;
}

export function settingsLink(bucket) {
    return `#/settings/${encodeURIComponent(bucket)}`;
}

function create(refresh) {
    ask("New bucket", [
        field("Name", {name: "name", required: true, minlength: 3,
            maxlength: 63, pattern: "[a-z0-9.\\-]+", autocomplete: "off",
            placeholder: "my-bucket"}),
        el("label", {class: "check"},
            el("input", {type: "checkbox", name: "lock"}),
            "Object Lock (versions can be protected from deletion)"),
    ], "Create", async form => {
        const {region} = session();
        const body = region === "us-east-1" ? ""
            : "<CreateBucketConfiguration><LocationConstraint>"
                + `${region}</LocationConstraint></CreateBucketConfiguration>`;
        const headers = body ? await checksum(body) : {};
        if (form.get("lock")) {
            headers["x-amz-bucket-object-lock-enabled"] = "true";
        }
        await send("PUT", {bucket: form.get("name"), body, headers});
        toast(`Bucket ${form.get("name")} was created.`);
        refresh();
    });
}

function remove(name, refresh) {
    confirm("Delete bucket", `“${name}” can be deleted when it is empty.`,
        "Delete", async () => {
            await send("DELETE", {bucket: name});
            toast(`Bucket ${name} was deleted.`);
            refresh();
        });
}

/** For those who may not list the buckets, but may use some. */
function openByName() {
    return el("form", {class: "row", onsubmit: event => {
        event.preventDefault();
        const name = new FormData(event.target).get("bucket");
        location.hash = objectsLink(name);
    }}, field("Open a bucket by its name", {name: "bucket", required: true,
        autocomplete: "off"}), el("button", {type: "submit"}, "Open"));
}

export async function showBuckets(main, parameters, signal) {
    const card = el("section", {class: "card"}, loading());
    let refresh = () => {};
    fill(main,
        el("div", {class: "title"}, el("h1", {}, "Buckets"),
            button("New bucket", () => create(() => refresh()), "primary")),
        card, el("section", {class: "card"}, openByName()));
    fill(card, await live(async again => {
        refresh = again;
        const buckets = await listBuckets(signal);
        return buckets.length ? table("Buckets",
            ["Name", ["Created", "minor"], ["", "end"]],
            buckets.map(({name, created}) => [
                el("a", {href: objectsLink(name)}, name),
                el("span", {class: "dim"}, date(created)),
                el("span", {class: "buttons"},
                    el("a", {class: "button", href: settingsLink(name)},
                        "Rules"),
                    button("Delete", () => remove(name, again), "quiet")),
            ])) : el("p", {class: "empty"}, "There is no bucket yet.");
    }));
}
