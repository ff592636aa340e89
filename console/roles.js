// Roles: rights for a while, for whom the role's trust policy lets in.

import {iam, list} from "./iam.js";
import {confirm} from "./dialog.js";
import {button, el, toast} from "./dom.js";
import {askDocument, dim, json, link, showEntity, showList}
    from "./entities.js";
import {grants, revoke} from "./grants.js";
import {seconds} from "./format.js";
import {session} from "./session.js";
import {text} from "./xml.js";

const trustExample = () => JSON.stringify({Version: "2012-10-17", Statement: [{
    Effect: "Allow", Action: "sts:AssumeRole",
    Principal: {AWS: `arn:aws:iam::${session().identity.account}:root`}}]},
null, 2);

function trust(RoleName) {
    return async refresh => {
        const role = await iam("GetRole", {RoleName});
        const value = json(text(role, "AssumeRolePolicyDocument"));
        const edit = () => askDocument(`Trust policy of ${RoleName}`,
            {name: RoleName, value, label: "Trust policy"},
            async (name, PolicyDocument) => {
                await iam("UpdateAssumeRolePolicy", {RoleName, PolicyDocument});
                refresh();
            });
        return [el("p", {class: "dim"}, `${text(role, "Arn")} lasts `
            + `${seconds(Number(text(role, "MaxSessionDuration")))} at most.`),
        el("pre", {tabindex: 0}, value), el("div", {class: "actions"},
            button("Change", edit, "primary"))];
    };
}

function open(name) {
    showEntity(name, [["Trust", trust(name)],
        ["Policies", grants("Role", name)]]);
}

function create(refresh) {
    askDocument("New role", {value: trustExample(), label: "Trust policy"},
        async (RoleName, AssumeRolePolicyDocument) => {
            await iam("CreateRole", {RoleName, AssumeRolePolicyDocument});
            refresh();
            open(RoleName);
        });
}

function remove(RoleName, refresh) {
    confirm("Delete role", `“${RoleName}” goes, with its policies and all its `
        + "sessions.", "Delete", async () => {
        await revoke("Role", RoleName);
        await iam("DeleteRole", {RoleName});
        toast(`Role ${RoleName} was deleted.`);
        refresh();
    });
}

export function showRoles(main) {
    return showList(main, {title: "Roles",
        about: "Rights for a while, by AssumeRole: for whom the trust policy "
            + "of the role lets in.",
        actions: refresh =>
            button("New role", () => create(refresh), "primary"),
        heads: ["Name", ["ARN", "minor"], ["", "end"]],
        load: async refresh => (await list("ListRoles", "Roles")).map(role => {
            const name = text(role, "RoleName");
            return [link(name, () => open(name)), dim(text(role, "Arn")),
                button("Delete", () => remove(name, refresh), "quiet")];
        }),
        empty: "There is no role yet."});
}
