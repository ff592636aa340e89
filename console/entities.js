// What the lists of users, groups, roles and policies have in common.

import {ask, dialog} from "./dialog.js";
import {button, el, field, fill, live, loading, table} from "./dom.js";
import {tabs} from "./tabs.js";

const LISTS = [["#/users", "Users"], ["#/groups", "Groups"],
    ["#/roles", "Roles"], ["#/policies", "Policies"]];

/** The view of a list: {title, about, actions: refresh => buttons, heads,
 * load: refresh => rows of cells, empty}. */
export async function showList(main, {title, about, actions, heads, load,
    empty}) {
    let refresh = () => {};
    const buttons = el("span", {class: "buttons"});
    const card = el("section", {class: "card"}, loading());
    fill(main, el("div", {class: "title"},
        el("h1", {}, title), buttons),
    el("nav", {class: "subnav", "aria-label": "Access"},
        LISTS.map(([href, label]) => el("a", {href,
            "aria-current": label === title ? "page" : null}, label))),
    el("p", {class: "dim"}, about), card);
    fill(buttons, actions(() => refresh()));
    fill(card, await live(async again => {
        refresh = again;
        const rows = await load(again);
        return rows.length ? table(title, heads, rows)
            : el("p", {class: "empty"}, empty);
    }));
}

/** What is shown of one of them: each part [label, refresh => content] shows
 * itself anew after a change to it. */
export function showEntity(name, parts) {
    dialog(name, tabs(parts.map(([label, make]) => [label, () => live(make)])),
        {wide: true});
}

export function nameField() {
    return field("Name", {name: "name", required: true, maxlength: 64,
        pattern: "[\\w+=,.@\\-]+", autocomplete: "off", autocapitalize: "off",
        spellcheck: "false"});
}

function documentField(value, label = "Policy") {
    return field(label, {}, el("textarea", {name: "document", rows: 14,
        spellcheck: "false", autocapitalize: "off", required: true}, value));
}

/** Asks for a document, and for its name if it has none yet. */
export function askDocument(title, {name = "", value, label}, act) {
    ask(title, [!name && nameField(), documentField(value, label)], "Save",
        form => act(name || form.get("name"), form.get("document")));
}

export function json(text) {
    return JSON.stringify(JSON.parse(decodeURIComponent(text)), null, 2);
}

export function dim(value) {
    return el("span", {class: "dim"}, value);
}

export function link(name, act) {
    return button(name, act, "link");
}
