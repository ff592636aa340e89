// Numbers and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
    let unit = 0;
    while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit++;
    }
    return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} `
        + UNITS[unit];
}

/** Of a line: powers of ten, as network people count. */
export function traffic(value) {
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} `
        + `${units[unit]}/s`;
}

export function rate(value) {
    return value < 10 && value % 1 ? value.toFixed(1) : count(value);
}

export function count(value) {
    return Math.round(value).toLocaleString("en");
}

export function seconds(value) {
    if (!Number.isFinite(value)) {
        return "> 10 s";
    }
    if (value < 0.001) {
        return `${Math.round(value * 1e6)} µs`;
    }
    if (value < 1) {
        return `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms`;
    }
    if (value < 120) {
        return `${value < 10 && value % 1 ? value.toFixed(1)
            : Math.round(value)} s`;
    }
    if (value < 7200) {
        return `${Math.round(value / 60)} min`;
    }
    return value < 172800 ? `${Math.round(value / 3600)} h`
        : `${Math.round(value / 86400)} days`;
}

export function percent(part, whole) {
    return whole > 0 ? `${Math.round(100 * part / whole)} %` : "–";
}

/** "2026-01-02 03:04:05" in local time, of ISO text. */
export function date(text) {
    const when = new Date(text);
    return Number.isNaN(when.getTime()) ? "" : new Date(
        when.getTime() - when.getTimezoneOffset() * 60000)
        .toISOString().slice(0, 19).replace("T", " ");
}
