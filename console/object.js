// One object: what it looks like, its headers, tags, locks and versions, a
// link.

import {deleteObject, everything, link, listVersions, readTags, send,
    writeTags} from "./s3.js";
import {attempt, button, el, field, fill, live, loading, problem, toast}
    from "./dom.js";
import {confirm, copyable, dialog} from "./dialog.js";
import {editor} from "./document.js";
import {tabs} from "./tabs.js";
import {uriEncode} from "./sign.js";
import {bytes, date} from "./format.js";

const TEXT_MAX = 64 << 10; // bytes of a text that are shown
const MONTH = 30 * 86400000; // milliseconds
const WATCH_SECONDS = 4 * 3600; // that a film may be watched
const TEXT_TYPES = new RegExp("^(text/|.*\\+(json|xml)$"
    + "|application/(json|xml|javascript|x-(sh|yaml|ndjson)))");

// --- preview ----------------------------------------------------------------

/** Text is shown as text, whatever it is: pages and scripts of others are
 * never run here. Pictures and films cannot run any. */
async function preview({bucket, key, version, headers}) {
    const type = headers.get("content-type") ?? "";
    const size = Number(headers.get("content-length"));
    const source = () => link(bucket, key, WATCH_SECONDS,
        {query: {versionId: version}});
    if (type.startsWith("image/")) {
        return el("img", {class: "preview", src: await source(), alt: key});
    }
    if (type.startsWith("video/") || type.startsWith("audio/")) {
        return el(type.slice(0, 5), {class: "preview", controls: true,
            preload: "metadata", src: await source()});
    }
    if (size === 0) {
        return el("p", {class: "empty"}, "It is empty.");
    }
    if (!TEXT_TYPES.test(type)) {
        return el("p", {class: "empty"}, `No preview of ${type || "this"}.`);
    }
    const answer = await send("GET", {bucket, key, query: {versionId: version},
        headers: {range: `bytes=0-${TEXT_MAX - 1}`}});
    return [el("pre", {class: "preview", tabindex: "0"}, await answer.text()),
        size > TEXT_MAX && el("p", {class: "dim"},
            `The first ${bytes(TEXT_MAX)} of ${bytes(size)}.`)];
}

// --- details ----------------------------------------------------------------

const NOT_OF_OBJECTS = ["accept-ranges", "connection",
    "content-security-policy", "date", "keep-alive", "server", "x-amz-id-2",
    "x-amz-request-id"];

function details({bucket, key, headers}) {
    const lines = [["bucket", bucket], ["key", key],
        ...[...headers].filter(([name]) => !NOT_OF_OBJECTS.includes(name))];
    return el("dl", {class: "details"}, lines.map(([name, value]) => [
        el("dt", {}, name), el("dd", {}, value)]));
}

// --- tags -------------------------------------------------------------------

function tagRow(name, value) {
    const row = el("div", {class: "row tag"},
        el("input", {value: name, "aria-label": "Tag", maxlength: 128,
            placeholder: "tag"}),
        el("input", {value, "aria-label": "Value", maxlength: 256,
            placeholder: "value"}),
        button("Remove", () => row.remove(), "quiet"));
    return row;
}

async function tags({bucket, key, version}) {
    const rows = el("div", {},
        (await readTags(bucket, key, version)).map(tag => tagRow(...tag)));
    return el("form", {onsubmit: event => {
        event.preventDefault();
        attempt(async () => {
            await writeTags(bucket, key, version, [...rows.children].map(row =>
                [...row.querySelectorAll("input")].map(input => input.value)));
            toast("The tags were saved.");
        });
    }}, rows, el("div", {class: "actions"},
        button("Add a tag", () => rows.append(tagRow("", ""))),
        el("button", {type: "submit", class: "primary"}, "Save")));
}

// --- Object Lock ------------------------------------------------------------

const LOCKS = [
    ["Retention", "retention", "Until when this version cannot be deleted.",
        () => `<Retention>
  <Mode>GOVERNANCE</Mode>
  <RetainUntilDate>${new Date(Date.now() + MONTH).toISOString()}</RetainUntilDate>
</Retention>`, false],
    ["Legal hold", "legal-hold", "Holds it back from deletion while it is on.",
        () => `<LegalHold>
  <Status>ON</Status>
</LegalHold>`, false],
];

function locks({bucket, key, version}) {
    const target = {bucket, key, query: {versionId: version}};
    return Promise.all(LOCKS.map(document => editor(target, document, 4)));
}

// --- versions ---------------------------------------------------------------

/** An older version becomes the newest; what is newer stays. */
async function restore(bucket, {key, version}) {
    await send("PUT", {bucket, key, headers: {"x-amz-copy-source":
        `/${bucket}/${uriEncode(key, true)}?versionId=${version}`}});
}

async function versionsOf(bucket, key) {
    const found = [];
    for await (const page of everything(listVersions, bucket, key)) {
        found.push(...page.filter(object => object.key === key));
        if (page.at(-1)?.key !== key) {
            break; // what begins with it follows
        }
    }
    return found;
}

function versions({bucket, key}, changed) {
    return live(async refresh => {
        const act = async (done, action) => {
            await action();
            toast(done);
            changed();
            await refresh();
        };
        const remove = object => confirm("Delete this version",
            `The version ${object.version} is gone for good then.`, "Delete",
            () => act("The version was deleted.",
                () => deleteObject(bucket, object)));
        return (await versionsOf(bucket, key)).map(object =>
            el("div", {class: "version"},
                el("div", {}, el("strong", {}, date(object.modified)), " ",
                    object.latest
                        && el("span", {class: "badge good"}, "newest"),
                    object.deleted && el("span", {class: "badge"}, "deleted"),
                    el("small", {class: "dim"}, object.version,
                        object.deleted ? "" : `, ${bytes(object.size)}`)),
                el("span", {class: "buttons"},
                    !object.deleted && button("Download", () => attempt(
                        () => download(bucket, key, object.version)), "quiet"),
                    !object.deleted && !object.latest && button("Restore",
                        () => attempt(() => act("It is the newest again.",
                            () => restore(bucket, object))), "quiet"),
                    button("Delete", () => remove(object), "quiet"))));
    });
}

// --- links ------------------------------------------------------------------

async function download(bucket, key, version) {
    const name = key.split("/").filter(Boolean).at(-1) ?? "object";
    const href = await link(bucket, key, 300, {query: {versionId: version,
        "response-content-disposition":
            `attachment; filename*=UTF-8''${uriEncode(name)}`}});
    el("a", {href, download: ""}).click();
}

function share({bucket, key, version}) {
    const result = el("div");
    return el("form", {onsubmit: event => {
        event.preventDefault();
        const form = new FormData(event.target);
        const seconds = Number(form.get("seconds"));
        attempt(async () => fill(result, copyable("Link",
            await link(bucket, key, seconds,
                {query: {versionId: version}, base: form.get("base")})),
        el("p", {class: "dim"},
            `It ends at ${date(Date.now() + 1000 * seconds)}.`)));
    }}, el("p", {class: "dim"}, "Whoever has the link may read this object, "
        + "by your rights, until it ends or your key does."),
    el("div", {class: "row"},
        field("Ends in", {}, el("select", {name: "seconds"},
            [["3600", "an hour"], ["86400", "a day"], ["604800", "7 days"]].map(
                ([value, label]) => el("option", {value}, label)))),
        field("Address of the server", {name: "base", type: "url",
            required: true, value: location.origin})),
    el("div", {class: "actions"},
        el("button", {type: "submit", class: "primary"}, "Make a link")),
    result);
}

// --- the dialog -------------------------------------------------------------

export async function showObject(bucket, object, changed) {
    const {key} = object;
    const version = object.version ?? null;
    const body = el("div", {}, loading());
    const title = key.split("/").filter(Boolean).at(-1) ?? key;
    dialog(title, body, {wide: true});
    const mine = {bucket, key, version, headers: null};
    if (!object.deleted) {
        try {
            const answer = await send("HEAD",
                {bucket, key, query: {versionId: version}});
            mine.headers = answer.headers;
        } catch (error) {
            fill(body, problem(error));
            return;
        }
    }
    const all = [["Versions", () => versions(mine, changed)]];
    if (mine.headers) {
        all.unshift(["Preview", () => preview(mine)],
            ["Details", () => details(mine)], ["Tags", () => tags(mine)]);
        all.push(["Lock", () => locks(mine)], ["Share", () => share(mine)]);
    }
    fill(body, tabs(all), mine.headers && el("div", {class: "actions"},
        button("Download", () => attempt(
            () => download(bucket, key, version)), "primary")));
}
