// Users of the account: their keys, groups and policies, by the IAM API.

import {iam, list} from "./iam.js";
import {text} from "./xml.js";
import {ask, confirm, copyable, dialog} from "./dialog.js";
import {attempt, button, el, field, fill, problem, table, toast}
    from "./dom.js";
import {tabs} from "./tabs.js";
import {date} from "./format.js";

const EXAMPLE = JSON.stringify({Version: "2012-10-17", Statement: [{
    Effect: "Allow", Action: ["s3:GetObject", "s3:ListBucket"],
    Resource: ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]}]}, null, 2);

function documentField(value) {
    return el("textarea", {name: "document", rows: 14, spellcheck: "false",
        required: true, "aria-label": "Policy"}, value);
}

// --- keys -------------------------------------------------------------------

async function newKey(user) {
    const root = await iam("CreateAccessKey", {UserName: user});
    dialog("New key", [
        el("p", {}, "The secret is shown this once. Whoever has it acts as "
            + `${user}.`),
        field("Access key", {},
            copyable("Access key", text(root, "AccessKeyId"))),
        field("Secret key", {},
            copyable("Secret key", text(root, "SecretAccessKey")))]);
}

async function keys(user, refresh) {
    const found = await list("ListAccessKeys", "AccessKeyMetadata",
        {UserName: user});
    const act = (action, fields) => attempt(async () => {
        await iam(action, {UserName: user, ...fields});
        refresh();
    });
    return [found.length ? table("Keys",
        ["Key", ["Made", "minor"], "", ["", "end"]], found.map(key => {
            const AccessKeyId = text(key, "AccessKeyId");
            const active = text(key, "Status") === "Active";
            return [el("code", {}, AccessKeyId),
                el("span", {class: "dim"}, date(text(key, "CreateDate"))),
                el("span", {class: active ? "badge good" : "badge"},
                    active ? "active" : "disabled"),
                el("span", {class: "buttons"},
                    button(active ? "Disable" : "Enable",
                        () => act("UpdateAccessKey", {AccessKeyId,
                            Status: active ? "Inactive" : "Active"}), "quiet"),
                    button("Delete", () => confirm("Delete key",
                        `${AccessKeyId} stops working at once.`, "Delete",
                        () => act("DeleteAccessKey", {AccessKeyId})),
                    "quiet"))];
        })) : el("p", {class: "empty"}, "No key."),
    el("div", {class: "actions"}, button("New key", () => attempt(async () => {
        await newKey(user);
        refresh();
    }), "primary"))];
}

// --- policies ---------------------------------------------------------------

function inlinePolicy(user, name, value, refresh) {
    ask(name ? `Policy ${name}` : "New policy", [
        !name && field("Name",
            {name: "name", required: true, autocomplete: "off"}),
        documentField(value)], "Save", async form => {
        await iam("PutUserPolicy", {UserName: user,
            PolicyName: name || form.get("name"),
            PolicyDocument: form.get("document")});
        refresh();
    });
}

async function policies(user, refresh) {
    const [attached, own, managed] = await Promise.all([
        list("ListAttachedUserPolicies", "AttachedPolicies", {UserName: user}),
        list("ListUserPolicies", "PolicyNames", {UserName: user}),
        list("ListPolicies", "Policies", {Scope: "All"})]);
    const act = (action, fields) => attempt(async () => {
        await iam(action, {UserName: user, ...fields});
        refresh();
    });
    const rows = attached.map(policy => [text(policy, "PolicyName"), "managed",
        button("Detach", () => act("DetachUserPolicy",
            {PolicyArn: text(policy, "PolicyArn")}), "quiet")]);
    rows.push(...own.map(policy => policy.textContent).map(name => [
        button(name, () => attempt(async () => inlinePolicy(user, name,
            decodeURIComponent(text(await iam("GetUserPolicy",
                {UserName: user, PolicyName: name}), "PolicyDocument")),
            refresh)), "link"), "the user's own",
        button("Delete", () => act("DeleteUserPolicy", {PolicyName: name}),
            "quiet")]));
    return [rows.length
        ? table("Policies", ["Policy", ["Kind", "minor"], ["", "end"]], rows)
        : el("p", {class: "empty"}, "No policy: the user has no rights, but "
            + "for what policies of buckets and groups give."),
    el("form", {class: "row", onsubmit: event => {
        event.preventDefault();
        act("AttachUserPolicy",
            {PolicyArn: new FormData(event.target).get("arn")});
    }}, field("Attach", {}, el("select", {name: "arn"}, managed.map(policy =>
        el("option", {value: text(policy, "Arn")},
            text(policy, "PolicyName"))))),
    el("button", {type: "submit"}, "Attach"),
    button("New policy", () => inlinePolicy(user, "", EXAMPLE, refresh)))];
}

// --- groups -----------------------------------------------------------------

async function groups(user, refresh) {
    const [mine, every] = await Promise.all([
        list("ListGroupsForUser", "Groups", {UserName: user}),
        list("ListGroups", "Groups")]);
    const names = mine.map(group => text(group, "GroupName"));
    const act = (action, GroupName) => attempt(async () => {
        await iam(action, {UserName: user, GroupName});
        refresh();
    });
    if (!every.length) {
        return el("p", {class: "empty"}, "The account has no groups.");
    }
    return table("Groups", ["Group", "", ["", "end"]], every.map(group => {
        const name = text(group, "GroupName");
        const inside = names.includes(name);
        return [name, inside && el("span", {class: "badge good"}, "member"),
            inside ? button("Remove", () => act("RemoveUserFromGroup", name),
                "quiet") : button("Add", () => act("AddUserToGroup", name))];
    }));
}

// --- the list ---------------------------------------------------------------

function showUser(user) {
    // Each tab shows its list anew after a change to it.
    const part = make => async () => {
        const box = el("div");
        const refresh = () => make(user, refresh).then(
            content => fill(box, content), error => fill(box, problem(error)));
        await refresh();
        return box;
    };
    dialog(user, tabs([["Keys", part(keys)], ["Policies", part(policies)],
        ["Groups", part(groups)]]), {wide: true});
}

/** A user goes with its keys, policies and memberships, as IAM wants it. */
async function deleteUser(user) {
    const each = async (listing, element, names, action) => {
        for (const member of await list(listing, element, {UserName: user})) {
            await iam(action, {UserName: user, ...names(member)});
        }
    };
    await each("ListAccessKeys", "AccessKeyMetadata",
        key => ({AccessKeyId: text(key, "AccessKeyId")}), "DeleteAccessKey");
    await each("ListAttachedUserPolicies", "AttachedPolicies",
        policy => ({PolicyArn: text(policy, "PolicyArn")}), "DetachUserPolicy");
    await each("ListUserPolicies", "PolicyNames",
        name => ({PolicyName: name.textContent}), "DeleteUserPolicy");
    await each("ListGroupsForUser", "Groups",
        group => ({GroupName: text(group, "GroupName")}),
        "RemoveUserFromGroup");
    await iam("DeleteUser", {UserName: user});
}

function createUser(refresh) {
    ask("New user", [field("Name", {name: "name", required: true,
        maxlength: 64, pattern: "[\\w+=,.@\\-]+", autocomplete: "off"}),
    el("p", {class: "dim"},
        "A new user has no rights until a policy gives some.")],
    "Create", async form => {
        await iam("CreateUser", {UserName: form.get("name")});
        refresh();
        showUser(form.get("name"));
    });
}

export async function showUsers(main, parameters, signal) {
    const box = el("div", {}, el("p", {class: "dim"}, "…"));
    const refresh = async () => {
        let users;
        try {
            users = await list("ListUsers", "Users");
        } catch (error) {
            fill(box, problem(error));
            return;
        }
        if (signal.aborted) {
            return;
        }
        fill(box, users.length ? table("Users",
            ["Name", ["Path", "minor"], ["Made", "minor"], ["", "end"]],
            users.map(user => {
                const name = text(user, "UserName");
                return [button(name, () => showUser(name), "link"),
                    el("span", {class: "dim"}, text(user, "Path")),
                    el("span", {class: "dim"}, date(text(user, "CreateDate"))),
                    button("Delete", () => confirm("Delete user",
                        `“${name}” goes, with its keys and policies. What it `
                        + "has made stays.", "Delete", async () => {
                            await deleteUser(name);
                            toast(`User ${name} was deleted.`);
                            refresh();
                        }), "quiet")];
            })) : el("p", {class: "empty"}, "There is no user yet, but the "
                + "root user of the account."));
    };
    fill(main, el("div", {class: "title"}, el("h1", {}, "Users"),
        button("New user", () => createUser(refresh), "primary")),
    el("section", {class: "card"}, box));
    await refresh();
}
