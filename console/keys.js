// The access keys of a user, or of who is signed in.

import {iam, list} from "./iam.js";
import {confirm, copyable, dialog} from "./dialog.js";
import {attempt, button, el, field, table} from "./dom.js";
import {dim} from "./entities.js";
import {date} from "./format.js";
import {text} from "./xml.js";

async function create(fields) {
    const root = await iam("CreateAccessKey", fields);
    dialog("New key", [
        el("p", {}, "The secret is shown this once. Whoever has it acts as "
            + `${text(root, "UserName") || "you"}.`),
        field("Access key", {},
            copyable("Access key", text(root, "AccessKeyId"))),
        field("Secret key", {},
            copyable("Secret key", text(root, "SecretAccessKey")))]);
}

/** The part of a dialog; user: null for who is signed in. */
export function keys(user) {
    const fields = user ? {UserName: user} : {};
    return async refresh => {
        const found = await list("ListAccessKeys", "AccessKeyMetadata", fields);
        const act = async (action, more) => {
            await iam(action, {...fields, ...more});
            refresh();
        };
        const row = key => {
            const AccessKeyId = text(key, "AccessKeyId");
            const active = text(key, "Status") === "Active";
            return [el("code", {}, AccessKeyId),
                dim(date(text(key, "CreateDate"))),
                el("span", {class: active ? "badge good" : "badge"},
                    active ? "active" : "disabled"),
                el("span", {class: "buttons"},
                    button(active ? "Disable" : "Enable", () => attempt(
                        () => act("UpdateAccessKey", {AccessKeyId,
                            Status: active ? "Inactive" : "Active"})), "quiet"),
                    button("Delete", () => confirm("Delete key",
                        `${AccessKeyId} stops working at once.`, "Delete",
                        () => act("DeleteAccessKey", {AccessKeyId})),
                    "quiet"))];
        };
        return [found.length ? table("Keys",
            ["Key", ["Made", "minor"], "", ["", "end"]], found.map(row))
            : el("p", {class: "empty"}, "No key."),
        el("div", {class: "actions"}, button("New key",
            () => attempt(async () => {
                await create(fields);
                refresh();
            }), "primary"))];
    };
}
