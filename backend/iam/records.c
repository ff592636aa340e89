/*
 * Users and access keys in the store: I <user id>, K <access key>.
 */
#include "iam/private.h"

#include "meta/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAG_USER       'I'
#define TAG_ACCESS_KEY 'K'

/* --- what is well-formed
 * -------------------------------------------------------*/

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

bool valid_name(struct slice name)
{
    return name.size >= 1 && name.size <= NAME_MAX_SIZE &&
           all_of(name, "+=,.@_-");
}

/* No '/', ',' or '=': they separate what is around it in a signed request. */
bool valid_access_key(struct slice key)
{
    return key.size >= ACCESS_KEY_MIN_SIZE && key.size <= ACCESS_KEY_MAX_SIZE &&
           all_of(key, "._-");
}

bool valid_secret(struct slice secret)
{
    size_t i;

    for (i = 0; i < secret.size; i++) {
        if (secret.data[i] <= ' ' || secret.data[i] > '~') {
            return false;
        }
    }
    return secret.size >= SECRET_MIN_SIZE && secret.size <= SECRET_MAX_SIZE;
}

static bool valid_user_id(struct slice id)
{
    uint8_t bytes[IAM_USER_ID_SIZE / 2];

    return id.size == IAM_USER_ID_SIZE && hex_decode(bytes, id) == 0;
}

/* --- writing
 * --------------------------------------------------------------------*/

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size};
}

static ProtobufCBinaryData binary_string(const char *text)
{
    return binary(text, strlen(text));
}

static struct slice record_key(struct buffer *out, char tag, const char *name)
{
    out->size = 0;
    buffer_append(out, &tag, 1);
    buffer_append_string(out, name);
    return slice_of(out->data, out->size);
}

static void put(struct kv_batch *batch, char tag, const char *name,
                enum meta_record type, const ProtobufCMessage *message)
{
    struct arena *arena = arena_new();
    struct buffer key = {0};

    kv_batch_put(batch, record_key(&key, tag, name),
                 meta_pack(arena, type, message));
    buffer_free(&key);
    arena_free(arena);
}

void records_put_user(struct kv_batch *batch, const struct user *user)
{
    Meta__User record = META__USER__INIT;

    record.id = binary_string(user->id);
    record.name = binary_string(user->name);
    record.root = user->root;
    record.created_ms = user->created_ms;
    put(batch, TAG_USER, user->id, META_RECORD_USER, &record.base);
}

void records_put_key(struct kv_batch *batch, const struct access_key *key)
{
    Meta__AccessKey record = META__ACCESS_KEY__INIT;

    record.access_key = binary_string(key->access_key);
    record.user = binary_string(key->user->id);
    record.secret_sealed = binary(key->sealed, key->sealed_size);
    record.generation = key->generation;
    record.disabled = key->disabled;
    record.created_ms = key->created_ms;
    put(batch, TAG_ACCESS_KEY, key->access_key, META_RECORD_ACCESS_KEY,
        &record.base);
}

static void delete_record(struct kv_batch *batch, char tag, const char *name)
{
    struct buffer key = {0};

    kv_batch_delete(batch, record_key(&key, tag, name));
    buffer_free(&key);
}

void records_delete_user(struct kv_batch *batch, const struct user *user)
{
    delete_record(batch, TAG_USER, user->id);
}

void records_delete_key(struct kv_batch *batch, const struct access_key *key)
{
    delete_record(batch, TAG_ACCESS_KEY, key->access_key);
}

/* --- reading
 * --------------------------------------------------------------------*/

static struct slice of_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

static int load_user(struct iam *iam, struct arena *arena, struct slice id,
                     struct slice value)
{
    struct user *user;
    Meta__User *record;
    int rc = meta_unpack(arena, META_RECORD_USER, &meta__user__descriptor,
                         value, (ProtobufCMessage **)&record);

    if (rc != 0) {
        return rc;
    }
    if (!slice_equal(of_bytes(record->id), id) || !valid_user_id(id) ||
        !valid_name(of_bytes(record->name))) {
        return -EBADMSG;
    }
    user = xcalloc(1, sizeof(*user));
    memcpy(user->id, record->id.data, record->id.len);
    memcpy(user->name, record->name.data, record->name.len);
    user->root = record->root;
    user->created_ms = record->created_ms;
    users_insert(iam, user);
    return 0;
}

static int load_key(struct iam *iam, struct arena *arena, struct slice name,
                    struct slice value)
{
    Meta__AccessKey *record;
    struct access_key *key;
    struct user *user;
    int rc = meta_unpack(arena, META_RECORD_ACCESS_KEY,
                         &meta__access_key__descriptor, value,
                         (ProtobufCMessage **)&record);

    if (rc != 0) {
        return rc;
    }
    user = users_find(iam, of_bytes(record->user));
    if (!slice_equal(of_bytes(record->access_key), name) ||
        !valid_access_key(name) || user == NULL || record->generation == 0 ||
        record->secret_sealed.len < SEAL_OVERHEAD + SECRET_MIN_SIZE ||
        record->secret_sealed.len > SEALED_MAX_SIZE) {
        return -EBADMSG;
    }
    key = xcalloc(1, sizeof(*key));
    memcpy(key->access_key, name.data, name.size);
    key->user = user;
    key->sealed_size = record->secret_sealed.len;
    memcpy(key->sealed, record->secret_sealed.data, key->sealed_size);
    key->generation = record->generation;
    key->disabled = record->disabled;
    key->created_ms = record->created_ms;
    keys_insert(iam, key);
    return 0;
}

static int load_all(struct iam *iam, char tag,
                    int (*load)(struct iam *, struct arena *, struct slice,
                                struct slice))
{
    struct kv_iterator *it = kv_iterate(iam->kv);
    struct arena *arena;
    struct slice key;
    int rc = 0;

    for (kv_seek(it, slice_of(&tag, 1)); rc == 0 && kv_valid(it); kv_next(it)) {
        key = kv_key(it);
        if (key.data[0] != (uint8_t)tag) {
            break;
        }
        arena = arena_new();
        rc = load(iam, arena, slice_of(key.data + 1, key.size - 1),
                  kv_value(it));
        arena_free(arena);
    }
    if (rc == 0) {
        rc = kv_error(it);
    }
    kv_iterator_free(it);
    return rc;
}

int records_load(struct iam *iam)
{
    int rc = load_all(iam, TAG_USER, load_user); /* I2: users first */

    return rc == 0 ? load_all(iam, TAG_ACCESS_KEY, load_key) : rc;
}
