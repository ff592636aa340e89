// Signing in: the keys are tried with the one request that everybody may
// make, GetCallerIdentity.

import {whoAmI} from "./iam.js";
import {el, field, fill, problem} from "./dom.js";
import {close, keep, kept, open, session} from "./session.js";

async function enter(secrets) {
    await open(secrets);
    try {
        session().identity = await whoAmI();
    } catch (error) {
        close();
        throw error;
    }
}

/** True if the keys that this tab has kept still work. */
export async function resume() {
    const secrets = kept();
    if (!secrets) {
        return false;
    }
    return enter(secrets).then(() => true, () => false);
}

export function showSignIn(main, entered) {
    if (!globalThis.crypto?.subtle) {
        fill(main, el("section", {class: "card signin"},
            el("h1", {}, "Console"), problem(new Error("Browsers sign requests in secure contexts only: "
                + "open this page over https, or on localhost."))));
        return;
    }
    const errors = el("div");
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
                keep(secrets);
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
