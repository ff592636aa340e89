// Dialogs: the browser's own, which keep the focus and close on Escape.

import {button, describe, el, problem} from "./dom.js";

let made = 0;

/** A dialog that holds these children. */
export function dialog(title, children, {wide = false} = {}) {
    const heading = el("h2", {id: `dialog-${++made}`, tabindex: -1}, title);
    const box = el("dialog", {"aria-labelledby": heading.id,
        class: wide ? "wide" : ""},
        el("div", {class: "head"}, heading,
            el("button", {type: "button", class: "quiet", "aria-label": "Close",
                onclick: () => box.close()}, "✕")),
        children);
    box.addEventListener("close", () => box.replaceWith(
        ...box.querySelectorAll("#toasts"))); // which outlive it
    document.body.append(box);
    box.showModal();
    (box.querySelector("form input, form textarea") ?? heading).focus();
    return box;
}

/** Asks; `act` runs when it is confirmed, and the dialog shows its error. What
 * takes long may tell() how far it is, and ends when the signal aborts: the
 * dialog was closed. */
export function ask(title, children, label, act, kind = "primary") {
    const outcome = el("div", {role: "status"});
    const closed = new AbortController();
    const cancel = button("Cancel", () => box.close());
    const tell = text => {
        cancel.textContent = "Stop";
        outcome.replaceChildren(el("p", {}, text));
    };
    const form = el("form", {onsubmit: async event => {
        event.preventDefault();
        outcome.replaceChildren();
        const submit = form.querySelector("[type=submit]");
        submit.disabled = true;
        try {
            await act(new FormData(form), {signal: closed.signal, tell});
            box.close();
        } catch (error) {
            outcome.replaceChildren(problem(error));
        }
        submit.disabled = false;
    }}, children, outcome, el("div", {class: "actions"},
        cancel, el("button", {type: "submit", class: kind}, label)));
    const box = dialog(title, form);
    box.addEventListener("close", () => closed.abort());
    return box;
}

export function confirm(title, text, label, act) {
    return ask(title, el("p", {}, text), label, act, "danger");
}

/** Text to be taken away, with a button that copies it. */
export function copyable(label, value) {
    const input = el("input", {readonly: true, value, "aria-label": label,
        onfocus: () => input.select()});
    const copy = button("Copy", async () => {
        try {
            await navigator.clipboard.writeText(value);
            copy.textContent = "Copied";
        } catch (error) {
            input.select();
            copy.textContent = describe(error);
        }
    });
    return el("div", {class: "copyable"}, input, copy);
}
