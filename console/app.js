// The page: who is signed in, and which view the address names.
//
//   #/                           the cluster     overview.js
//   #/buckets                    buckets.js
//   #/objects/BUCKET/PREFIX      objects.js
//   #/settings/BUCKET            settings.js
//   #/users                      users.js

import {showBuckets} from "./buckets.js";
import {button, el, fill, problem} from "./dom.js";
import {showObjects} from "./objects.js";
import {showOverview} from "./overview.js";
import {forget, session} from "./session.js";
import {showSettings} from "./settings.js";
import {resume, showSignIn} from "./signin.js";
import {watch} from "./status.js";
import {showUsers} from "./users.js";

const VIEWS = {
    "": {show: showOverview, title: "Cluster"},
    buckets: {show: showBuckets, title: "Buckets"},
    objects: {show: showObjects, title: "Buckets", names: ["bucket", "prefix"]},
    settings: {show: showSettings, title: "Buckets", names: ["bucket"]},
    users: {show: showUsers, title: "Users"},
};

const LINKS = [["#/", "Cluster"], ["#/buckets", "Buckets"],
    ["#/users", "Users"]];

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
}

async function show() {
    leave.abort();
    leave = new AbortController();
    const {signal} = leave;
    const {view, parameters} = route();
    showBar(view.title);
    document.title = `${parameters.bucket ?? view.title} – S3 console`;
    const page = el("div", {class: "page"});
    fill(main, page);
    try {
        await view.show(page, parameters, signal);
    } catch (error) {
        if (error.name !== "AbortError") {
            fill(page, problem(error));
        }
    }
}

function start() {
    addEventListener("hashchange", () => {
        scrollTo(0, 0);
        show();
    });
    addEventListener("beforeunload", event => {
        if (document.querySelector("#tasks .task:not(.bad)")) {
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

if (await resume()) {
    start();
} else {
    showSignIn(main, start);
}
