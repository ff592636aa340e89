// Elements. Strings become text nodes, always: keys, tags, metadata and error
// texts come from strangers, and nothing here makes markup of a string.

/** el("a", {href, onclick, class, data…}, child, "text", null, [more]) */
export function el(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith("on")) {
            node.addEventListener(key.slice(2), value);
        } else if (typeof value === "boolean") {
            node.toggleAttribute(key, value);
        } else if (value != null) {
            node.setAttribute(key, value);
        }
    }
    return fill(node, ...children);
}

/** Puts these children in place of those that a node has. */
export function fill(node, ...children) {
    node.replaceChildren(...children.flat(2).filter(
        child => child != null && child !== false));
    return node;
}

/** An element of SVG. */
export function svg(name, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
        node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
}

export function button(label, onclick, kind = "", more = {}) {
    return el("button", {type: "button", class: kind, onclick, ...more}, label);
}

/** Content that can be made anew: make(refresh) returns it, or a promise. */
export async function live(make) {
    const box = el("div");
    const refresh = async () => {
        try {
            fill(box, await make(refresh));
        } catch (error) {
            if (error.name !== "AbortError") {
                fill(box, problem(error), el("div", {class: "actions"},
                    button("Try again", refresh)));
            }
        }
    };
    await refresh();
    return box;
}

export function loading() {
    return el("p", {class: "loading", role: "status"}, "Loading …");
}

/** A labelled input; attributes go to the <input>, or to the `control`. */
export function field(label, attributes, control = null) {
    const input = control ?? el("input", attributes);
    return el("label", {class: "field"}, el("span", {}, label), input);
}

/** A table: heads are strings, or [string, class]; rows are lists of cells. */
export function table(caption, heads, rows) {
    const names = heads.map(head => [head].flat());
    // The roles are a table's own, which some lose when they are stacked.
    return el("div", {class: "scroll"}, el("table",
        {class: "stack", role: "table"},
        el("caption", {class: "hidden"}, caption),
        el("thead", {role: "rowgroup"}, el("tr", {role: "row"},
            names.map(([name, kind]) => el("th", {scope: "col", class: kind,
                role: "columnheader"}, name)))),
        el("tbody", {role: "rowgroup"}, rows.map(cells => el("tr",
            {role: "row"}, cells.map((cell, i) => el("td",
                {class: names[i][1], role: "cell"}, cell)))))));
}

/** Tells what has been done, or what went wrong; the latter stays longer. An
 * open dialog covers all else, and what is read aloud: it is told there. */
export function toast(message, bad = false) {
    const box = document.getElementById("toasts");
    const note = el("p", {class: bad ? "toast bad" : "toast"}, message);
    const place = [...document.querySelectorAll("dialog[open]")].at(-1)
        ?? document.body;
    if (box.parentNode !== place) {
        place.append(box);
    }
    box.append(note);
    setTimeout(() => note.remove(), bad ? 12000 : 4000);
}

/** What an error is for who reads it. */
export function describe(error) {
    return error.code && typeof error.code === "string"
        ? `${error.code}: ${error.message}` : error.message;
}

/** Runs what may fail; tells if it does. Returns whether it went well. */
export async function attempt(action) {
    try {
        await action();
        return true;
    } catch (error) {
        if (error.name !== "AbortError") {
            toast(describe(error), true);
        }
        return false;
    }
}

export function problem(error) {
    return el("p", {class: "problem", role: "alert"}, describe(error));
}
