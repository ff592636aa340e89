// The query APIs of IAM and STS: a form goes to "/", signed for the service.

import {send} from "./s3.js";
import {all, children, parse, text} from "./xml.js";

const VERSIONS = {iam: "2010-05-08", sts: "2011-06-15"};

async function ask(service, action, fields = {}) {
    const body = new URLSearchParams(
        {Action: action, Version: VERSIONS[service], ...fields}).toString();
    const answer = await send("POST", {service, body, headers:
        {"content-type":
            "application/x-www-form-urlencoded; charset=utf-8"}});
    return {root: parse(await answer.text()), headers: answer.headers};
}

export async function iam(action, fields) {
    return (await ask("iam", action, fields)).root;
}

/** {arn, account, sandbox}: whose keys these are, which anybody may ask; and
 * whether objects that are opened by their links have an origin of their own. */
export async function whoAmI() {
    const {root, headers} = await ask("sts", "GetCallerIdentity");
    return {arn: text(root, "Arn"), account: text(root, "Account"),
        sandbox: /\bsandbox\b(?!.*allow-same-origin)/.test(
            headers.get("content-security-policy") ?? "")};
}

/** All of a list, page by page: the <member>s of its element. */
export async function list(action, element, fields = {}) {
    const found = [];
    let marker = "";
    do {
        const root = await iam(action, marker
            ? {...fields, Marker: marker} : fields);
        for (const holder of all(root, element).slice(0, 1)) {
            found.push(...children(holder, "member"));
        }
        marker = text(root, "IsTruncated") === "true"
            ? text(root, "Marker") : "";
    } while (marker);
    return found;
}
