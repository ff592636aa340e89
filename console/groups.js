// Groups of users: what a group may, its members may.

import {iam, list} from "./iam.js";
import {ask, confirm} from "./dialog.js";
import {attempt, button, el, field, table, toast} from "./dom.js";
import {dim, link, nameField, showEntity, showList} from "./entities.js";
import {grants, revoke} from "./grants.js";
import {date} from "./format.js";
import {text} from "./xml.js";

const membersOf = async GroupName => (await list("GetGroup", "Users",
    {GroupName})).map(user => text(user, "UserName"));

function members(GroupName) {
    return async refresh => {
        const [inside, users] = await Promise.all([membersOf(GroupName),
            list("ListUsers", "Users")]);
        const others = users.map(user => text(user, "UserName"))
            .filter(name => !inside.includes(name));
        const act = (action, UserName) => attempt(async () => {
            await iam(action, {GroupName, UserName});
            refresh();
        });
        return [inside.length ? table("Members", ["Member", ["", "end"]],
            inside.map(name => [name, button("Remove",
                () => act("RemoveUserFromGroup", name), "quiet")]))
            : el("p", {class: "empty"}, "No member."),
        others.length > 0 && el("form", {class: "row", onsubmit: event => {
            event.preventDefault();
            act("AddUserToGroup", new FormData(event.target).get("user"));
        }}, field("User", {}, el("select", {name: "user"},
            others.map(name => el("option", {}, name)))),
        el("button", {type: "submit"}, "Add"))];
    };
}

function open(name) {
    showEntity(name, [["Members", members(name)],
        ["Policies", grants("Group", name)]]);
}

function create(refresh) {
    ask("New group", nameField(), "Create", async form => {
        await iam("CreateGroup", {GroupName: form.get("name")});
        refresh();
        open(form.get("name"));
    });
}

function remove(GroupName, refresh) {
    confirm("Delete group", `“${GroupName}” goes, with its policies; its `
        + "members lose what they give.", "Delete", async () => {
        for (const UserName of await membersOf(GroupName)) {
            await iam("RemoveUserFromGroup", {GroupName, UserName});
        }
        await revoke("Group", GroupName);
        await iam("DeleteGroup", {GroupName});
        toast(`Group ${GroupName} was deleted.`);
        refresh();
    });
}

export function showGroups(main) {
    return showList(main, {title: "Groups",
        about: "What a group may, its members may.",
        actions: refresh =>
            button("New group", () => create(refresh), "primary"),
        heads: ["Name", ["Path", "minor"], ["Made", "minor"], ["", "end"]],
        load: async refresh => (await list("ListGroups", "Groups")).map(
            group => {
                const name = text(group, "GroupName");
                return [link(name, () => open(name)), dim(text(group, "Path")),
                    dim(date(text(group, "CreateDate"))),
                    button("Delete", () => remove(name, refresh), "quiet")];
            }),
        empty: "There is no group yet."});
}
