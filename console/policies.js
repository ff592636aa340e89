// Managed policies: the account's, and those that are built in.

import {iam, list} from "./iam.js";
import {confirm} from "./dialog.js";
import {button, el, table, toast} from "./dom.js";
import {askDocument, dim, json, link, showEntity, showList}
    from "./entities.js";
import {EXAMPLE} from "./grants.js";
import {all, text} from "./xml.js";

function content(PolicyArn, own) {
    return async refresh => {
        const VersionId = text(await iam("GetPolicy", {PolicyArn}),
            "DefaultVersionId");
        const value = json(text(await iam("GetPolicyVersion",
            {PolicyArn, VersionId}), "Document"));
        const edit = () => askDocument("New version", {name: PolicyArn, value},
            async (arn, PolicyDocument) => {
                await iam("CreatePolicyVersion",
                    {PolicyArn, PolicyDocument, SetAsDefault: "true"});
                refresh();
            });
        return [el("p", {class: "dim"}, `${PolicyArn}, version ${VersionId}`),
            el("pre", {tabindex: 0}, value), own && el("div",
                {class: "actions"}, button("Change", edit, "primary"))];
    };
}

function holders(PolicyArn) {
    return async () => {
        const root = await iam("ListEntitiesForPolicy", {PolicyArn});
        const rows = ["User", "Group", "Role"].flatMap(kind =>
            all(root, `${kind}Name`).map(name =>
                [name.textContent, kind.toLowerCase()]));
        return rows.length ? table("Who has it", ["Name", "Kind"], rows)
            : el("p", {class: "empty"}, "Nobody has it.");
    };
}

function open(name, arn, own) {
    showEntity(name, [["Policy", content(arn, own)],
        ["Who has it", holders(arn)]]);
}

function create(refresh) {
    askDocument("New policy", {value: EXAMPLE},
        async (PolicyName, PolicyDocument) => {
            await iam("CreatePolicy", {PolicyName, PolicyDocument});
            refresh();
        });
}

function remove(name, PolicyArn, refresh) {
    confirm("Delete policy", `“${name}” can be deleted when nobody has it.`,
        "Delete", async () => {
            await iam("DeletePolicy", {PolicyArn});
            toast(`Policy ${name} was deleted.`);
            refresh();
        });
}

export function showPolicies(main) {
    const row = (policy, refresh) => {
        const name = text(policy, "PolicyName"), arn = text(policy, "Arn");
        const own = !arn.startsWith("arn:aws:iam::aws:");
        return [link(name, () => open(name, arn, own)),
            own ? "" : el("span", {class: "badge"}, "built in"),
            dim(`${text(policy, "AttachmentCount")} have it`),
            own && button("Delete", () => remove(name, arn, refresh), "quiet")];
    };
    return showList(main, {title: "Policies",
        about: "Managed policies, to be attached to users, groups and roles. "
            + "A change counts at once for all who have them.",
        actions: refresh =>
            button("New policy", () => create(refresh), "primary"),
        heads: ["Name", "", ["Use", "minor"], ["", "end"]],
        load: async refresh => (await list("ListPolicies", "Policies",
            {Scope: "All"})).map(policy => row(policy, refresh)),
        empty: "There is no policy."});
}
