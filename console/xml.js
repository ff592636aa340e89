// XML that servers send, and that we send. Nothing here reaches the page as
// markup: what is parsed is read as text, element by element.

const policy = globalThis.trustedTypes?.createPolicy("s3-xml",
    {createHTML: text => text}) ?? {createHTML: text => text};

/** The root element; throws if it is not XML. */
export function parse(text) {
    const root = new DOMParser().parseFromString(
        policy.createHTML(text), "application/xml").documentElement;
    if (root.getElementsByTagName("parsererror").length
        || root.tagName === "parsererror") {
        throw new Error("The answer is not XML.");
    }
    return root;
}

/** Elements of a name anywhere below, whatever their namespace. */
export function all(element, name) {
    return [...element.getElementsByTagNameNS("*", name)];
}

/** Children of a name. */
export function children(element, name) {
    return [...element.children].filter(child => child.localName === name);
}

/** The text of the first element of a name below; "" if there is none. */
export function text(element, name) {
    return element.getElementsByTagNameNS("*", name)[0]?.textContent ?? "";
}

export function escape(value) {
    return String(value).replace(/[&<>"\r]/g, c => `&#${c.charCodeAt(0)};`);
}

/** Whether XML 1.0 has all of these characters; it cannot even escape others. */
export function fitsXml(value) {
    return !/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u
        .test(value);
}

/** One element per line, indented; text stays as it is. */
export function pretty(source) {
    const lines = [];
    const write = (node, depth) => {
        const indent = "  ".repeat(depth);
        const attributes = [...node.attributes].map(
            ({name, value}) => ` ${name}="${escape(value)}"`).join("");
        const open = node.tagName + attributes;
        if (node.children.length) {
            lines.push(`${indent}<${open}>`);
            [...node.children].forEach(child => write(child, depth + 1));
            lines.push(`${indent}</${node.tagName}>`);
        } else if (node.textContent) {
            lines.push(`${indent}<${open}>${escape(node.textContent)}`
                + `</${node.tagName}>`);
        } else {
            lines.push(`${indent}<${open}/>`);
        }
    };
    write(parse(source), 0);
    return lines.join("\n");
}
