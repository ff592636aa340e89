/*
 * Tokens and key sets. The input is a line with a token, and a key set.
 */
#include "fuzz.h"
#include "oidc/private.h"

#define NOW_MS 1800000000000ull

/* Nobody signs what a fuzzer makes: a provider without keys is as good. */
static struct oidc *open_provider(void)
{
    static const struct oidc_provider provider = {
        "https://idp.example.org", "s3", "/nonexistent/jwks.json"};

    MUST(log_open("/dev/null") == 0);
    return oidc_new(&provider, 1);
}

static void check_keys(struct slice json)
{
    struct oidc_keys keys;

    if (keys_parse(json, &keys) != 0) {
        MUST(keys.count == 0 && keys.items == NULL);
        return;
    }
    MUST(keys.count > 0 && keys.count <= OIDC_KEYS_MAX);
    for (size_t i = 0; i < keys.count; i++) {
        const struct oidc_key *key = &keys.items[i];
        const struct oidc_key *found =
            keys_find(&keys, key->id, key->algorithm);

        MUST(found == NULL || found == key);
        MUST(!signature_verify(key, json, json));
    }
    keys_free(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oidc *oidc;
    struct input input = {data, size};
    struct input line = input_until(&input, '\n');
    uint8_t *text = input_copy(line), *set = input_copy(input);
    struct oidc_token token;

    if (oidc == NULL) {
        oidc = open_provider();
    }
    MUST(oidc_verify(oidc, slice_of(text, line.size), NOW_MS, &token) != 0);
    check_keys(slice_of(set, input.size));
    free(text);
    free(set);
    return 0;
}
