// What a user, a group or a role may: the managed policies that are attached
// to it, and its own. kind: "User", "Group", "Role", as IAM's actions end.

import {iam, list} from "./iam.js";
import {attempt, button, el, field, table} from "./dom.js";
import {askDocument, json, link} from "./entities.js";
import {text} from "./xml.js";

export const EXAMPLE = JSON.stringify({Version: "2012-10-17", Statement: [{
    Effect: "Allow", Action: ["s3:GetObject", "s3:ListBucket"],
    Resource: ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]}]}, null, 2);

const attachedOf = (kind, fields) =>
    list(`ListAttached${kind}Policies`, "AttachedPolicies", fields);
const ownOf = async (kind, fields) =>
    (await list(`List${kind}Policies`, "PolicyNames", fields)).map(
        policy => policy.textContent);

/** The part of a dialog that shows and changes them. */
export function grants(kind, name) {
    const fields = {[`${kind}Name`]: name};
    return async refresh => {
        const [attached, own, managed] = await Promise.all([
            attachedOf(kind, fields), ownOf(kind, fields),
            list("ListPolicies", "Policies", {Scope: "All"})]);
        const act = (action, more) => attempt(async () => {
            await iam(action, {...fields, ...more});
            refresh();
        });
        const edit = (PolicyName, value) => askDocument(
            PolicyName ? `Policy ${PolicyName}` : "New policy",
            {name: PolicyName, value}, async (given, PolicyDocument) => {
                await iam(`Put${kind}Policy`,
                    {...fields, PolicyName: given, PolicyDocument});
                refresh();
            });
        const open = PolicyName => attempt(async () => edit(PolicyName,
            json(text(await iam(`Get${kind}Policy`, {...fields, PolicyName}),
                "PolicyDocument"))));
        const attach = event => {
            event.preventDefault();
            act(`Attach${kind}Policy`,
                {PolicyArn: new FormData(event.target).get("arn")});
        };
        const rows = [...attached.map(policy => [text(policy, "PolicyName"),
            "managed", button("Detach", () => act(`Detach${kind}Policy`,
                {PolicyArn: text(policy, "PolicyArn")}), "quiet")]),
        ...own.map(PolicyName => [link(PolicyName, () => open(PolicyName)),
            "its own", button("Delete", () => act(`Delete${kind}Policy`,
                {PolicyName}), "quiet")])];
        return [rows.length
            ? table("Policies",
                ["Policy", ["Kind", "minor"], ["", "end"]], rows)
            : el("p", {class: "empty"}, "No policy: no rights, but for what "
                + "policies of buckets and of groups give."),
        el("form", {class: "row", onsubmit: attach},
            field("Managed policy", {}, el("select", {name: "arn"},
                managed.map(policy => el("option", {value: text(policy, "Arn")},
                    text(policy, "PolicyName"))))),
            el("button", {type: "submit"}, "Attach"),
            button("New policy of its own", () => edit("", EXAMPLE)))];
    };
}

/** Takes all of them away, as IAM wants it before a deletion. */
export async function revoke(kind, name) {
    const fields = {[`${kind}Name`]: name};
    for (const policy of await attachedOf(kind, fields)) {
        await iam(`Detach${kind}Policy`,
            {...fields, PolicyArn: text(policy, "PolicyArn")});
    }
    for (const PolicyName of await ownOf(kind, fields)) {
        await iam(`Delete${kind}Policy`, {...fields, PolicyName});
    }
}
