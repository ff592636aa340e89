// Tabs, as the ARIA practices describe them: arrow keys move between them.

import {el, fill, loading, problem} from "./dom.js";

let made = 0;

/** [[label, () => content or a promise of it], ...]; made when first shown. */
export function tabs(entries) {
    const id = `tabs-${++made}`;
    const panel = el("div", {role: "tabpanel", id: `${id}-panel`});
    const contents = new Map();
    const buttons = entries.map(([label, make], i) => el("button", {
        type: "button", role: "tab", id: `${id}-${i}`,
        "aria-controls": `${id}-panel`, onclick: () => select(i)}, label));

    const select = async i => {
        buttons.forEach((tab, k) => {
            tab.setAttribute("aria-selected", String(k === i));
            tab.tabIndex = k === i ? 0 : -1;
        });
        if (list.scrollWidth > list.clientWidth) { // on a phone
            list.scrollLeft = buttons[i].offsetLeft - list.offsetLeft
                - list.clientWidth / 3;
        }
        panel.setAttribute("aria-labelledby", buttons[i].id);
        if (!contents.has(i)) {
            fill(panel, loading());
            contents.set(i, await Promise.resolve().then(entries[i][1])
                .catch(problem));
        }
        if (buttons[i].getAttribute("aria-selected") === "true") {
            fill(panel, contents.get(i));
        }
    };
    const list = el("div", {role: "tablist", onkeydown: event => {
        const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (step) {
            const i = (buttons.indexOf(document.activeElement) + step
                + buttons.length) % buttons.length;
            buttons[i].focus();
            select(i);
        }
    }}, buttons);
    select(0);
    return el("div", {class: "tabs"}, list, panel);
}
