// The page: who is signed in, and which view the address names.
//
//   #/                           the cluster     overview.js
//   #/buckets                    buckets.js
//   #/objects/BUCKET/PREFIX      objects.js
//   #/settings/BUCKET            settings.js
//   #/users, #/groups ...        users.js, groups.js, roles.js, policies.js

import {showBuckets} from "./buckets.js";
import {button, el, fill, loading, problem} from "./dom.js";
import {showObjects} from "./objects.js";
import {showOverview} from "./overview.js";
import {forget, session} from "./session.js";
import {showSettings} from "./settings.js";
import {signIn} from "./signin.js";
import {watch} from "./status.js";
import {uploading} from "./upload.js";
import {showGroups} from "./groups.js";
import {showPolicies} from "./policies.js";
import {showRoles} from "./roles.js";
import {showUsers} from "./users.js";

const VIEWS = {
    "": {show: showOverview, title: "Cluster"},
    buckets: {show: showBuckets, title: "Buckets"},
    objects: {show: showObjects, title: "Buckets", names: ["bucket", "prefix"]},
    settings: {show: showSettings, title: "Buckets", names: ["bucket"]},
    users: {show: showUsers, title: "Access"},
    groups: {show: showGroups, title: "Access"},
    roles: {show: showRoles, title: "Access"},
    policies: {show: showPolicies, title: "Access"},
};

const LINKS = [["#/", "Cluster"], ["#/buckets", "Buckets"],
    ["#/users", "Access"]];

const SANDBOX = "add_header Content-Security-Policy sandbox always;";

const bar = document.getElementById("bar");
const main = document.getElementById("main");
let leave = new AbortController(); // aborts when the view that is shown ends

/** {view, parameters} of "#/objects/b/a%2F". */
function route() {
    const [name = "", ...values] = location.hash.replace(/^#\/?/, "").split("/")
        .map(word => {
            try {
                return decodeURIComponent(word);
            } catch {
                return word; // somebody typed it
            }
        });
    const known = Object.hasOwn(VIEWS, name) ? VIEWS[name] : VIEWS[""];
    const view = known.names && !values[0] ? VIEWS.buckets : known;
    return {view, parameters: Object.fromEntries(
        (view.names ?? []).map((key, i) => [key, values[i]]))};
}

function showBar(title) {
    const {identity} = session();
    const focused = document.activeElement.getAttribute("href");
    bar.hidden = false;
    fill(bar, el("a", {class: "brand", href: "#/"},
        el("img", {src: "icon.svg", alt: "", width: 26, height: 26}), "Console"),
    el("nav", {"aria-label": "Views"}, LINKS.map(([href, label]) => el("a",
        {href, "aria-current": label === title ? "page" : null}, label))),
    el("div", {class: "who"},
        el("span", {class: "dim", title: identity.arn},
            identity.arn.split(":").at(-1)),
        button("Sign out", () => {
            forget();
            location.reload(); // asks first, if there are uploads
        }, "quiet")));
    [...bar.querySelectorAll("nav a")].find(
        link => link.getAttribute("href") === focused)?.focus();
}

/** What a stranger has stored could act for who opens it. */
function unguarded() {
    return el("p", {class: "problem note", role: "note"}, "Pages and scripts "
        + "that are stored here can run as a part of this console when they "
        + "are opened by their links. The operator should add to the location "
        + "of s3_pass: ", el("code", {}, SANDBOX));
}

async function show() {
    leave.abort();
    leave = new AbortController();
    const {signal} = leave;
    const {view, parameters} = route();
    showBar(view.title);
    document.title = `${parameters.bucket ?? view.title} – S3 console`;
    const page = el("div", {class: "page"}, loading());
    if (main.contains(document.activeElement)) {
        main.focus({preventScroll: true}); // what led here is gone
    }
    fill(main, session().identity.sandbox ? null : unguarded(), page);
    try {
        await view.show(page, parameters, signal);
    } catch (error) {
        if (error.name !== "AbortError") {
            fill(page, problem(error), button("Try again", show));
        }
    }
}

function start() {
    addEventListener("hashchange", () => {
        scrollTo(0, 0);
        show();
    });
    addEventListener("beforeunload", event => {
        if (uploading()) {
            event.preventDefault(); // an upload would be lost
        }
    });
    watch();
    show();
}

// What is dropped beside a list of objects must not replace the page.
for (const kind of ["dragover", "drop"]) {
    addEventListener(kind, event => event.preventDefault());
}
document.querySelector(".skip").addEventListener("click", event => {
    event.preventDefault(); // the address names the view
    main.focus();
});

signIn(main, start);
