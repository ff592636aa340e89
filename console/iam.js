// The query APIs of IAM and STS: a form goes to "/", signed for the service.

import {sendXml} from "./s3.js";
import {all, children, text} from "./xml.js";

const VERSIONS = {iam: "2010-05-08", sts: "2011-06-15"};

async function ask(service, action, fields = {}) {
    const body = new URLSearchParams(
        {Action: action, Version: VERSIONS[service], ...fields}).toString();
    return sendXml("POST", {service, body, headers:
        {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}});
}

export const iam = (action, fields) => ask("iam", action, fields);

/** {arn, account, id}: whose keys these are. Anybody may ask that. */
export async function whoAmI() {
    const root = await ask("sts", "GetCallerIdentity");
    return {arn: text(root, "Arn"), account: text(root, "Account"),
        id: text(root, "UserId")};
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
