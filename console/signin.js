// Signing in: the keys are tried with the one request that everybody may
// make, GetCallerIdentity.

import {whoAmI} from "./iam.js";
import {button, el, field, fill, problem, toast} from "./dom.js";
import {close, forget, keep, kept, open, session} from "./session.js";
import {backOff, pause} from "./wait.js";

/** Where objects run in our origin, they could read what is kept. */
function keepSafely(secrets) {
    let why = "this server's objects are not in a sandbox";
    if (session().identity.sandbox) {
        try {
            keep(secrets);
            return;
        } catch {
            why = "this browser stores nothing for it";
        }
    }
    toast(`You will be signed out when the page is loaded anew: ${why}.`, true);
}

async function enter(secrets) {
    await open(secrets);
    try {
        session().identity = await whoAmI();
    } catch (error) {
        close();
        throw error;
    }
}

/** Waits for a server that is away; "Sign out" ends that for good. */
function away(main, failed, error) {
    return new Promise(resolve => {
        fill(main, el("section", {class: "card signin"},
            el("h1", {}, "Unreachable"), problem(error),
            el("p", {class: "dim"}, "You are still signed in. Trying again …"),
            el("div", {class: "actions"},
                button("Sign out", () => {
                    forget();
                    resolve();
                }, "quiet"),
                button("Try now", resolve, "primary"))));
        pause(backOff(failed)).then(resolve);
    });
}

/** Enters with what this tab has kept, as soon as the server is there. The
 * reason if that does not work: an error, or null if nothing is kept. */
async function resume(main) {
    for (let failed = 1; kept(); failed++) {
        try {
            await enter(kept());
            return "entered";
        } catch (error) {
            if (!error.passing) {
                forget();
                return error;
            }
            await away(main, failed, error);
        }
    }
    return null;
}

export async function signIn(main, entered) {
    if (!globalThis.crypto?.subtle) {
        fill(main, el("section", {class: "card signin"},
            el("h1", {}, "Console"), problem(new Error("Browsers sign requests "
                + "in secure contexts only: open this page over https, or on "
                + "localhost."))));
        return;
    }
    const resumed = await resume(main);
    if (resumed === "entered") {
        entered();
    } else {
        showForm(main, entered, resumed);
    }
}

function showForm(main, entered, error) {
    const errors = el("div", {}, error && problem(error));
    const form = el("form", {onsubmit: async event => {
        event.preventDefault();
        errors.replaceChildren();
        const submit = form.querySelector("[type=submit]");
        const data = new FormData(form);
        const secrets = {accessKey: data.get("access").trim(),
            secret: data.get("secret").trim(), token: data.get("token").trim(),
            region: data.get("region").trim()};
        submit.disabled = true;
        try {
            await enter(secrets);
            if (data.get("keep")) {
                keepSafely(secrets);
            }
            entered();
        } catch (error) {
            fill(errors, problem(error));
            submit.disabled = false;
        }
    }},
    field("Access key", {name: "access", required: true,
        autocomplete: "username", autocapitalize: "off", spellcheck: "false"}),
    field("Secret key", {name: "secret", type: "password", required: true,
        autocomplete: "current-password"}),
    el("details", {}, el("summary", {}, "More"),
        field("Session token, of temporary keys", {name: "token",
            autocomplete: "off", spellcheck: "false"}),
        field("Region", {name: "region", placeholder: "us-east-1",
            autocomplete: "off", spellcheck: "false"})),
    el("label", {class: "check"}, el("input", {type: "checkbox", name: "keep"}),
        "Stay signed in until this tab is closed"),
    errors, el("button", {type: "submit", class: "primary"}, "Sign in"));

    fill(main, el("section", {class: "card signin"},
        el("img", {src: "icon.svg", alt: "", width: 44, height: 44}),
        el("h1", {}, "Sign in"),
        el("p", {class: "dim"}, "With your keys. They sign requests here, in "
            + "this browser; the secret is sent to nobody."), form));
    form.elements.access.focus();
}
