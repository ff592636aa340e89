// The drives as a picture: a bay each, its level, its light, its heat.

import {el, fill} from "./dom.js";
import {bytes, count, percent, seconds} from "./format.js";

const COOL = 0.0005, HOT = 0.5; // seconds: the ends of the scale of latency

function stateOf(drive) {
    if (!drive.ok) {
        return ["bad", "not in use"];
    }
    if (drive.draining) {
        return ["warn", "is drained"];
    }
    if (drive.slow) {
        return ["warn", "slow"];
    }
    return drive.full ? ["warn", "full"] : ["good", "in use"];
}

// What may be shown as heat, 0 to 1.
const HEATS = {
    latency: {label: "Latency", of: ({latency}) => latency === null ? 0
        : Math.log(latency / COOL) / Math.log(HOT / COOL)},
    load: {label: "Load", of: (drive, busiest) =>
        busiest ? drive.operations / busiest : 0},
    space: {label: "Space", of: ({size, free}) => size ? 1 - free / size : 0},
};

function bay(drive, heat) {
    const [level, state] = stateOf(drive);
    const used = drive.size - drive.free;
    const fillBar = el("div", {class: "level"});
    fillBar.style.height = `${drive.size ? 100 * used / drive.size : 100}%`;
    const node = el("li", {class: `bay ${level}`, title: drive.directory},
        el("div", {class: "tank", "aria-hidden": "true"}, fillBar),
        el("div", {class: "facts"},
            el("strong", {}, `Drive ${drive.drive}`),
            el("span", {class: `badge ${level}`}, state),
            drive.size > 0 && el("span", {},
                `${percent(used, drive.size)} of ${bytes(drive.size)}`),
            drive.ok && el("span", {class: "dim"}, drive.latency === null
                ? "idle" : `p95 ${seconds(drive.latency)}, `
                    + `${count(drive.operations)}/min`),
            drive.failures > 0 && el("span", {class: "dim"},
                drive.failures === 1 ? "failed once"
                    : `failed ${count(drive.failures)} times`)));
    node.style.setProperty("--heat",
        String(drive.ok ? Math.min(1, Math.max(0, heat)) : 0));
    return node;
}

/** Returns {node, update(drives)}. */
export function drivePicture() {
    let heat = "latency", shown = [];
    const racks = el("div", {class: "racks"});
    const choice = el("fieldset", {class: "choice"},
        el("legend", {}, "Heat"), Object.entries(HEATS).map(
            ([value, {label}]) => el("label", {}, el("input", {type: "radio",
                name: "heat", value, checked: value === heat, onchange: () => {
                    heat = value;
                    draw();
                }}), label)));
    const node = el("section", {class: "card"},
        el("div", {class: "title"}, el("h2", {}, "Drives"), choice), racks);

    const draw = () => {
        const busiest = Math.max(0, ...shown.map(drive => drive.operations));
        const domains = [...new Set(shown.map(drive => drive.domain))].sort();
        fill(racks, domains.map(domain => el("div", {class: "rack"},
            domain && el("h3", {}, domain),
            el("ul", {class: "bays"}, shown.filter(
                drive => drive.domain === domain).map(drive =>
                bay(drive, HEATS[heat].of(drive, busiest)))))));
    };
    return {node, update: drives => {
        shown = drives;
        draw();
    }};
}
