/*
 * Names, numbers, ids and keys: what is well-formed, and what is made up.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
#include "iam/private.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define ACCESS_KEY_RANDOM 16
#define ENTITY_ID_RANDOM  17
#define SECRET_RANDOM     30 /* bytes: 40 characters of base64 */
#define TOKEN_RANDOM      48 /* bytes: 64 characters of base64 */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* --- what is well-formed ---------------------------------------------------*/

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z');
}

static bool all_of(struct slice text, const char *others)
{
    size_t i;

    for (i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' ||
            (!is_alnum(text.data[i]) && strchr(others, text.data[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool printable(struct slice text)
{
    size_t i;

    for (i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool valid_name(struct slice name, size_t max)
{
    return name.size >= 1 && name.size <= max && all_of(name, "+=,.@_-");
}

bool valid_account_name(struct slice name)
{
    return valid_name(name, ACCOUNT_NAME_MAX);
}

bool valid_entity_name(enum iam_kind kind, struct slice name)
{
    return valid_name(name, kind == IAM_USER || kind == IAM_ROLE
                                ? USER_NAME_MAX
                                : IAM_NAME_MAX);
}

bool valid_session_name(struct slice name)
{
    return name.size >= 2 && valid_name(name, USER_NAME_MAX);
}

bool valid_path(struct slice path)
{
    return path.size >= 1 && path.size <= IAM_PATH_MAX && path.data[0] == '/' &&
           path.data[path.size - 1] == '/' && printable(path);
}

/* No '/', ',' or '=': they separate what is around it in a signed request. */
bool valid_access_key(struct slice key)
{
    return key.size >= ACCESS_KEY_MIN_SIZE && key.size <= IAM_ACCESS_KEY_MAX &&
           all_of(key, "._-");
}

bool valid_secret(struct slice secret)
{
    return secret.size >= SECRET_MIN_SIZE && secret.size <= IAM_SECRET_MAX &&
           printable(secret);
}

bool valid_canonical_id(struct slice id)
{
    uint8_t bytes[IAM_USER_ID_SIZE / 2];

    return id.size == IAM_USER_ID_SIZE && hex_decode(bytes, id) == 0;
}

bool valid_description(struct slice text)
{
    size_t i;

    for (i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' && strchr("\t\r\n", text.data[i]) == NULL) {
            return false;
        }
    }
    return text.size <= IAM_DESCRIPTION_MAX;
}

/* --- how things are called -------------------------------------------------*/

void entity_key(char key[ENTITY_KEY_MAX + 1], const struct iam_name *name)
{
    char *at;

    key[0] = '\0';
    if (name->account == NULL || name->name == NULL ||
        strlen(name->account) > 12 || strlen(name->name) > IAM_NAME_MAX) {
        return;
    }
    snprintf(key, ENTITY_KEY_MAX + 1, "%s/%d/%s", name->account,
             (int)name->kind, name->name);
    for (at = key; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
}

void entity_arn(const struct entity *entity, char arn[IAM_ARN_MAX + 1])
{
    static const char *const kinds[] = {"user", "group", "role", "policy"};

    snprintf(arn, IAM_ARN_MAX + 1, "arn:aws:iam::%s:%s%s%s",
             entity->account->number, kinds[entity->kind], entity->path,
             entity->name);
}

void account_number(const char *id, char number[13])
{
    uint8_t bytes[8];

    invariant(hex_decode(bytes, slice_of(id, 2 * sizeof(bytes))) == 0);
    snprintf(number, 13, "%012llu",
             (unsigned long long)(get_u64be(bytes) % 1000000000000ull));
}

/* --- making up -------------------------------------------------------------*/

static void append_base32(char *out, const char *prefix, size_t count)
{
    uint8_t random[ENTITY_ID_RANDOM];
    size_t i;

    invariant(count <= sizeof(random));
    random_fill(random, count);
    out = stpcpy(out, prefix);
    for (i = 0; i < count; i++) {
        out[i] = base32[random[i] % 32];
    }
    out[i] = '\0';
}

void make_entity_id(enum iam_kind kind, char id[22])
{
    static const char *const prefixes[] = {"AIDA", "AGPA", "AROA", "ANPA"};

    append_base32(id, prefixes[kind], ENTITY_ID_RANDOM);
}

void make_access_key(const char *prefix, char out[IAM_ACCESS_KEY_MAX + 1])
{
    append_base32(out, prefix, ACCESS_KEY_RANDOM);
}

void make_secret(char out[IAM_SECRET_MAX + 1])
{
    uint8_t random[SECRET_RANDOM];

    random_fill(random, sizeof(random));
    base64_encode(out, random, sizeof(random));
    OPENSSL_cleanse(random, sizeof(random));
}

void make_token(char out[IAM_TOKEN_MAX + 1])
{
    uint8_t random[TOKEN_RANDOM];

    random_fill(random, sizeof(random));
    invariant(base64_encode(out, random, sizeof(random)) == IAM_TOKEN_MAX);
    OPENSSL_cleanse(random, sizeof(random));
}

uint64_t make_generation(void)
{
    uint64_t generation;

    do {
        random_fill(&generation, sizeof(generation));
    } while (generation == 0);
    return generation;
}
