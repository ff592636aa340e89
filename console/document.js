// Documents of S3's, of a bucket or an object: shown and changed as they are.
// What S3 has against one is told in its own words.
//
// A document: [label, subresource, what it is for, bucket => an example or
// null, whether it can be removed].

import {checksum, send} from "./s3.js";
import {confirm} from "./dialog.js";
import {button, el, fill, problem, toast} from "./dom.js";
import {pretty} from "./xml.js";

function readable(source) {
    try {
        return source.startsWith("{")
            ? JSON.stringify(JSON.parse(source), null, 2) : pretty(source);
    } catch {
        return source;
    }
}

/** target: what names the bucket or the object, as send() takes it. */
export async function editor(target, [label, subresource, about, example,
    removable], rows = 16) {
    const {bucket, key} = target;
    const request = {...target, query: {...target.query, [subresource]: ""}};
    const errors = el("div", {role: "status"});
    const text = el("textarea", {rows, spellcheck: "false",
        "aria-label": label, autocapitalize: "off"});
    const state = el("p", {class: "dim"});

    const read = async () => {
        try {
            return readable(await (await send("GET", request)).text());
        } catch (error) {
            if (error.status === 404 && !/^NoSuch(Bucket|Key|Version)$/
                .test(error.code)) {
                return ""; // there is none
            }
            throw error;
        }
    };
    const load = async () => {
        text.value = await read();
        state.textContent = about + (text.value ? "" : " Nothing is set.");
    };
    const save = async () => {
        errors.replaceChildren();
        try {
            await send("PUT", {...request, body: text.value,
                headers: await checksum(text.value)});
            toast(`${label} of ${key ?? bucket} was saved.`);
            await load();
        } catch (error) {
            fill(errors, problem(error));
        }
    };
    const remove = () => confirm(`Remove: ${label}`,
        `Remove this document from ${key ?? bucket}?`, "Remove", async () => {
            await send("DELETE", request);
            errors.replaceChildren();
            await load();
        });
    await load();
    return el("div", {}, state, text, errors, el("div", {class: "actions"},
        example && button("Example", () => {
            text.value = example(bucket);
            text.focus();
        }, "quiet"),
        removable && button("Remove", remove, "quiet"),
        button("Save", save, "primary")));
}
