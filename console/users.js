// Users of the account: their keys, policies and groups.

import {iam, list} from "./iam.js";
import {ask, confirm} from "./dialog.js";
import {attempt, button, el, table, toast} from "./dom.js";
import {dim, link, nameField, showEntity, showList} from "./entities.js";
import {grants, revoke} from "./grants.js";
import {keys} from "./keys.js";
import {date} from "./format.js";
import {text} from "./xml.js";

function groups(user) {
    return async refresh => {
        const [mine, every] = await Promise.all([
            list("ListGroupsForUser", "Groups", {UserName: user}),
            list("ListGroups", "Groups")]);
        const names = mine.map(group => text(group, "GroupName"));
        const act = (action, GroupName) => attempt(async () => {
            await iam(action, {UserName: user, GroupName});
            refresh();
        });
        const row = name => names.includes(name)
            ? [name, el("span", {class: "badge good"}, "member"),
                button("Remove", () => act("RemoveUserFromGroup", name),
                    "quiet")]
            : [name, "", button("Add", () => act("AddUserToGroup", name))];
        return every.length ? table("Groups", ["Group", "", ["", "end"]],
            every.map(group => row(text(group, "GroupName"))))
            : el("p", {class: "empty"}, "The account has no groups.");
    };
}

function open(user) {
    showEntity(user, [["Keys", keys(user)], ["Policies", grants("User", user)],
        ["Groups", groups(user)]]);
}

/** A user goes with its keys, policies and memberships, as IAM wants it. */
async function deleteUser(UserName) {
    for (const key of await list("ListAccessKeys", "AccessKeyMetadata",
        {UserName})) {
        await iam("DeleteAccessKey",
            {UserName, AccessKeyId: text(key, "AccessKeyId")});
    }
    for (const group of await list("ListGroupsForUser", "Groups", {UserName})) {
        await iam("RemoveUserFromGroup",
            {UserName, GroupName: text(group, "GroupName")});
    }
    await revoke("User", UserName);
    await iam("DeleteUser", {UserName});
}

function create(refresh) {
    ask("New user", [nameField(), el("p", {class: "dim"},
        "A new user has no rights until a policy gives some.")],
    "Create", async form => {
        await iam("CreateUser", {UserName: form.get("name")});
        refresh();
        open(form.get("name"));
    });
}

function remove(name, refresh) {
    confirm("Delete user", `“${name}” goes, with its keys and policies. What `
        + "it has made stays.", "Delete", async () => {
        await deleteUser(name);
        toast(`User ${name} was deleted.`);
        refresh();
    });
}

export function showUsers(main) {
    return showList(main, {title: "Users",
        about: "Who has keys of his own in this account.",
        actions: refresh => [
            button("My keys", () => showEntity("My keys",
                [["Keys", keys(null)]])),
            button("New user", () => create(refresh), "primary")],
        heads: ["Name", ["Path", "minor"], ["Made", "minor"], ["", "end"]],
        load: async refresh => (await list("ListUsers", "Users")).map(user => {
            const name = text(user, "UserName");
            return [link(name, () => open(name)), dim(text(user, "Path")),
                dim(date(text(user, "CreateDate"))),
                button("Delete", () => remove(name, refresh), "quiet")];
        }),
        empty: "There is no user yet, but the root user of the account."});
}
