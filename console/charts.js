// Lines over time: SVG for the lines, HTML for the words.

import {el, svg} from "./dom.js";
import {seconds} from "./format.js";

const WIDTH = 600, HEIGHT = 150; // of the drawing, which is stretched

/** 1, 2 or 5 times a power of ten, not below. */
function ceiling(value) {
    if (!(value > 0)) {
        return 1;
    }
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 5, 10].map(factor => factor * power)
        .find(candidate => candidate >= value * 0.999999);
}

/** "M…L…", broken where there is no value. */
function path(points, read, x, y) {
    let command = "M";
    return points.map(point => {
        const value = read(point);
        if (value === null) {
            command = "M";
            return "";
        }
        const step = `${command}${x(point).toFixed(1)} ${y(value).toFixed(1)}`;
        command = "L";
        return step;
    }).join("");
}

/**
 * series: [{label, kind, read: point => number or null}]; kind names a colour
 * of app.css. Returns {node, update(points)}.
 */
export function chart(title, series, format) {
    const lines = series.map(({kind}) =>
        svg("path", {class: `line ${kind}`,
            "vector-effect": "non-scaling-stroke"}));
    const values = series.map(() => el("strong"));
    const top = el("span", {class: "top"});
    const since = el("span");
    const cursor = el("div", {class: "cursor", hidden: true});
    const drawing = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none", role: "img", "aria-label": title},
    ...[0.25, 0.5, 0.75].map(part => svg("path", {class: "grid",
        "vector-effect": "non-scaling-stroke",
        d: `M0 ${HEIGHT * part}H${WIDTH}`})), ...lines);
    const plot = el("div", {class: "plot"}, drawing, top, cursor);
    const node = el("figure", {class: "card chart"},
        el("figcaption", {}, el("h2", {}, title), el("div", {class: "legend"},
            series.map(({label, kind}, i) => el("span", {class: kind}, label,
                " ", values[i])))),
        plot, el("div", {class: "axis"}, since, el("span", {}, "now")));
    let shown = [];

    const tell = point => series.forEach(({read}, i) => {
        const value = point ? read(point) : null;
        values[i].textContent = value === null ? "–" : format(value);
    });
    plot.addEventListener("pointermove", event => {
        if (shown.length < 2) {
            return;
        }
        const box = plot.getBoundingClientRect();
        const [first, last] = [shown[0].time, shown.at(-1).time];
        const time = first
            + (last - first) * (event.clientX - box.left) / box.width;
        const near = shown.reduce((best, point) =>
            Math.abs(point.time - time) < Math.abs(best.time - time)
                ? point : best);
        cursor.hidden = false;
        cursor.style.left = `${100 * (near.time - first) / (last - first)}%`;
        cursor.dataset.time = new Date(near.time).toLocaleTimeString();
        tell(near);
    });
    plot.addEventListener("pointerleave", () => {
        cursor.hidden = true;
        tell(shown.at(-1));
    });

    const update = points => {
        shown = points;
        const last = points.at(-1);
        const highest = ceiling(Math.max(0, ...points.flatMap(point =>
            series.map(({read}) => read(point) ?? 0))));
        const first = points[0]?.time ?? 0;
        const span = Math.max(1, (last?.time ?? 0) - first);
        series.forEach(({read}, i) => lines[i].setAttribute("d", path(points,
            read, point => WIDTH * (point.time - first) / span,
            value => HEIGHT - (HEIGHT - 3) * value / highest)));
        top.textContent = format(highest);
        since.textContent = points.length > 1
            ? `${seconds(Math.ceil(span / 1000))} ago` : "collecting …";
        if (cursor.hidden) {
            tell(last);
            drawing.setAttribute("aria-label", `${title}: `
                + series.map(({label}, i) =>
                    `${label} ${values[i].textContent}`).join(", "));
        }
    };
    return {node, update};
}
