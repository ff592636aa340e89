/*
 * The tables in the store: I <canonical id>, E <entity id>, K <access key>.
 */
#include "iam/private.h"

#include "meta/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAG_ACCOUNT 'I'
#define TAG_ENTITY  'E'
#define TAG_KEY     'K'

/* --- writing ---------------------------------------------------------------*/

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
                struct slice value)
{
    struct buffer key = {0};

    kv_batch_put(batch, record_key(&key, tag, name), value);
    buffer_free(&key);
}

static void delete_record(struct kv_batch *batch, char tag, const char *name)
{
    struct buffer key = {0};

    kv_batch_delete(batch, record_key(&key, tag, name));
    buffer_free(&key);
}

void records_put_account(struct kv_batch *batch,
                         const struct iam_account *account)
{
    struct arena *arena = arena_new();
    Meta__User record = META__USER__INIT;
    Meta__PublicAccessBlock block = META__PUBLIC_ACCESS_BLOCK__INIT;

    if (account->public_access != 0) {
        block.block_public_acls =
            (account->public_access & IAM_BLOCK_ACLS) != 0;
        block.ignore_public_acls =
            (account->public_access & IAM_IGNORE_ACLS) != 0;
        block.block_public_policy =
            (account->public_access & IAM_BLOCK_POLICY) != 0;
        block.restrict_public_buckets =
            account->public_access & IAM_RESTRICT_BUCKETS;
        record.public_access_block = &block;
    }
    record.id = binary_string(account->id);
    record.name = binary_string(account->name);
    record.root = account->is_operator;
    record.created_ms = account->created_ms;
    put(batch, TAG_ACCOUNT, account->id,
        meta_pack(arena, META_RECORD_USER, &record.base));
    arena_free(arena);
}

void records_delete_account(struct kv_batch *batch,
                            const struct iam_account *account)
{
    delete_record(batch, TAG_ACCOUNT, account->id);
}

static Meta__Field **pack_documents(struct arena *arena,
                                    const struct documents *documents)
{
    Meta__Field **fields =
        arena_alloc(arena, (documents->count + 1) * sizeof(*fields));
    const struct document *document;
    size_t i;

    for (i = 0; i < documents->count; i++) {
        document = &documents->items[i];
        fields[i] = arena_alloc(arena, sizeof(**fields));
        meta__field__init(fields[i]);
        fields[i]->name = binary_string(document->name);
        fields[i]->value = binary(document->json, document->size);
    }
    return fields;
}

static ProtobufCBinaryData *pack_links(struct arena *arena,
                                       const struct links *links)
{
    ProtobufCBinaryData *ids =
        arena_alloc(arena, (links->count + 1) * sizeof(*ids));
    size_t i;

    for (i = 0; i < links->count; i++) {
        ids[i] = binary_string(links->items[i]->id);
    }
    return ids;
}

void records_put_entity(struct kv_batch *batch, const struct entity *entity)
{
    struct arena *arena = arena_new();
    Meta__Entity record = META__ENTITY__INIT;

    record.id = binary_string(entity->id);
    record.kind = (Meta__EntityKind)entity->kind;
    record.account = binary_string(entity->account->id);
    record.name = binary_string(entity->name);
    record.path = binary_string(entity->path);
    record.description = binary_string(entity->description);
    record.created_ms = entity->created_ms;
    record.updated_ms = entity->updated_ms;
    record.version = entity->version;
    record.max_session_s = entity->max_session_s;
    record.document = binary(entity->document.json, entity->document.size);
    record.n_policies = entity->policies.count;
    record.policies = pack_documents(arena, &entity->policies);
    record.n_attached = entity->attached.count;
    record.attached = pack_links(arena, &entity->attached);
    record.n_groups = entity->groups.count;
    record.groups = pack_links(arena, &entity->groups);
    put(batch, TAG_ENTITY, entity->id,
        meta_pack(arena, META_RECORD_ENTITY, &record.base));
    arena_free(arena);
}

void records_delete_entity(struct kv_batch *batch, const struct entity *entity)
{
    delete_record(batch, TAG_ENTITY, entity->id);
}

void records_put_key(struct kv_batch *batch, const struct access_key *key)
{
    struct arena *arena = arena_new();
    Meta__AccessKey record = META__ACCESS_KEY__INIT;

    record.access_key = binary_string(key->access_key);
    record.user = binary_string(key->account->id);
    record.secret_sealed = binary(key->sealed, key->sealed_size);
    record.generation = key->generation;
    record.disabled = key->disabled;
    record.created_ms = key->created_ms;
    record.entity = binary_string(key->entity != NULL ? key->entity->id : "");
    record.service_account = key->service_account;
    record.description = binary_string(key->description);
    record.n_policies = key->policies.count;
    record.policies = pack_documents(arena, &key->policies);
    if (key->temporary) {
        record.token_digest = binary(key->token_digest, TOKEN_DIGEST_SIZE);
        record.expires_ms = key->expires_ms;
        record.session_name = binary_string(key->session_name);
    }
    put(batch, TAG_KEY, key->access_key,
        meta_pack(arena, META_RECORD_ACCESS_KEY, &record.base));
    arena_free(arena);
}

void records_delete_key(struct kv_batch *batch, const struct access_key *key)
{
    delete_record(batch, TAG_KEY, key->access_key);
}

/* --- reading ---------------------------------------------------------------*/

static struct slice of_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

static unsigned public_access(const Meta__PublicAccessBlock *block)
{
    return block == NULL
               ? 0
               : (block->block_public_acls ? IAM_BLOCK_ACLS : 0u) |
                     (block->ignore_public_acls ? IAM_IGNORE_ACLS : 0u) |
                     (block->block_public_policy ? IAM_BLOCK_POLICY : 0u) |
                     (block->restrict_public_buckets ? IAM_RESTRICT_BUCKETS
                                                     : 0u);
}

static int load_account(struct iam *iam, struct arena *arena, struct slice id,
                        struct slice value)
{
    struct iam_account *account;
    Meta__User *record;
    int rc = meta_unpack(arena, META_RECORD_USER, &meta__user__descriptor,
                         value, (ProtobufCMessage **)&record);

    if (rc != 0) {
        return rc;
    }
    if (!slice_equal(of_bytes(record->id), id) || !valid_canonical_id(id) ||
        !valid_account_name(of_bytes(record->name))) {
        return -EBADMSG;
    }
    account = xcalloc(1, sizeof(*account));
    memcpy(account->id, record->id.data, record->id.len);
    memcpy(account->name, record->name.data, record->name.len);
    account_number(account->id, account->number);
    account->is_operator = record->root;
    account->created_ms = record->created_ms;
    account->public_access = public_access(record->public_access_block);
    table_insert(&iam->accounts, account);
    return 0;
}

static int load_document(struct document *document, const char *name,
                         enum policy_kind kind, struct slice json)
{
    char message[POLICY_MESSAGE_MAX];
    int rc = document_make(document, name, kind, json, json.size, message);

    if (rc != 0) {
        log_error("iam: a stored policy is not understood: %s", message);
        return -EBADMSG;
    }
    return 0;
}

static int load_documents(struct arena *arena, struct documents *documents,
                          size_t count, Meta__Field *const *fields)
{
    struct document document;
    size_t i;
    int rc;

    for (i = 0; i < count; i++) {
        rc = load_document(&document,
                           arena_string(arena, of_bytes(fields[i]->name)),
                           POLICY_IDENTITY, of_bytes(fields[i]->value));
        if (rc != 0) {
            return rc;
        }
        documents_put(documents, &document);
    }
    return 0;
}

static bool valid_entity(const Meta__Entity *record, struct slice id,
                         const struct iam_account *account)
{
    return slice_equal(of_bytes(record->id), id) && id.size > 0 &&
           id.size <= 21 && account != NULL &&
           record->kind <= META__ENTITY_KIND__ENTITY_POLICY &&
           valid_entity_name((enum iam_kind)record->kind,
                             of_bytes(record->name)) &&
           valid_path(of_bytes(record->path)) &&
           valid_description(of_bytes(record->description));
}

static int fill_entity(struct arena *arena, struct entity *entity,
                       const Meta__Entity *record)
{
    int rc;

    memcpy(entity->id, record->id.data, record->id.len);
    free(entity->description);
    entity->description =
        xstrdup(arena_string(arena, of_bytes(record->description)));
    entity->created_ms = record->created_ms;
    entity->updated_ms = record->updated_ms;
    entity->version = record->version;
    entity->max_session_s = record->max_session_s;
    if (entity->kind == IAM_ROLE || entity->kind == IAM_POLICY) {
        rc = load_document(&entity->document, "",
                           entity->kind == IAM_ROLE ? POLICY_TRUST
                                                    : POLICY_IDENTITY,
                           of_bytes(record->document));
        if (rc != 0) {
            return rc;
        }
    }
    return load_documents(arena, &entity->policies, record->n_policies,
                          record->policies);
}

static int load_entity(struct iam *iam, struct arena *arena, struct slice id,
                       struct slice value)
{
    struct iam_account *account;
    struct entity *entity;
    Meta__Entity *record;
    int rc = meta_unpack(arena, META_RECORD_ENTITY, &meta__entity__descriptor,
                         value, (ProtobufCMessage **)&record);

    if (rc != 0) {
        return rc;
    }
    account = table_find(&iam->accounts, of_bytes(record->account));
    if (!valid_entity(record, id, account)) {
        return -EBADMSG;
    }
    entity = entity_new((enum iam_kind)record->kind, account,
                        arena_string(arena, of_bytes(record->name)),
                        arena_string(arena, of_bytes(record->path)));
    rc = fill_entity(arena, entity, record);
    if (rc != 0) {
        entity_free(entity);
        return rc;
    }
    table_insert(&iam->entities, entity);
    table_insert(&iam->entity_ids, entity);
    return 0;
}

static int load_links(struct iam *iam, struct links *links, enum iam_kind kind,
                      size_t count, const ProtobufCBinaryData *ids)
{
    struct entity *entity;
    size_t i;

    for (i = 0; i < count; i++) {
        entity = entity_find_id(iam, of_bytes(ids[i]));
        if (entity == NULL || entity->kind != kind) {
            return -EBADMSG;
        }
        links_add(links, entity);
    }
    return 0;
}

/* The same records once more: whom they name is there now. */
static int link_entity(struct iam *iam, struct arena *arena, struct slice id,
                       struct slice value)
{
    struct entity *entity = entity_find_id(iam, id);
    Meta__Entity *record;
    int rc = meta_unpack(arena, META_RECORD_ENTITY, &meta__entity__descriptor,
                         value, (ProtobufCMessage **)&record);

    if (rc == 0) {
        rc = load_links(iam, &entity->attached, IAM_POLICY, record->n_attached,
                        record->attached);
    }
    if (rc == 0) {
        rc = load_links(iam, &entity->groups, IAM_GROUP, record->n_groups,
                        record->groups);
    }
    return rc;
}

static bool valid_key(const Meta__AccessKey *record, struct slice name)
{
    return slice_equal(of_bytes(record->access_key), name) &&
           valid_access_key(name) && record->generation != 0 &&
           record->secret_sealed.len >= SEAL_OVERHEAD + SECRET_MIN_SIZE &&
           record->secret_sealed.len <= SEALED_MAX_SIZE &&
           valid_description(of_bytes(record->description)) &&
           (record->token_digest.len == 0 ||
            record->token_digest.len == TOKEN_DIGEST_SIZE) &&
           record->session_name.len <= USER_NAME_MAX;
}

static int fill_key(struct iam *iam, struct arena *arena,
                    struct access_key *key, const Meta__AccessKey *record)
{
    memcpy(key->access_key, record->access_key.data, record->access_key.len);
    key->account = table_find(&iam->accounts, of_bytes(record->user));
    key->entity = entity_find_id(iam, of_bytes(record->entity));
    key->sealed_size = record->secret_sealed.len;
    memcpy(key->sealed, record->secret_sealed.data, key->sealed_size);
    key->generation = record->generation;
    key->disabled = record->disabled;
    key->created_ms = record->created_ms;
    key->service_account = record->service_account;
    key->description =
        xstrdup(arena_string(arena, of_bytes(record->description)));
    key->temporary = record->token_digest.len > 0;
    if (key->temporary) {
        memcpy(key->token_digest, record->token_digest.data, TOKEN_DIGEST_SIZE);
        if (record->session_name.len > 0) { /* a user's session has none */
            memcpy(key->session_name, record->session_name.data,
                   record->session_name.len);
        }
        key->expires_ms = record->expires_ms;
    }
    if (key->account == NULL ||
        (key->entity == NULL && record->entity.len > 0)) {
        return -EBADMSG; /* I2 */
    }
    return load_documents(arena, &key->policies, record->n_policies,
                          record->policies);
}

static int load_key(struct iam *iam, struct arena *arena, struct slice name,
                    struct slice value)
{
    Meta__AccessKey *record;
    struct access_key *key;
    int rc = meta_unpack(arena, META_RECORD_ACCESS_KEY,
                         &meta__access_key__descriptor, value,
                         (ProtobufCMessage **)&record);

    if (rc != 0) {
        return rc;
    }
    if (!valid_key(record, name)) {
        return -EBADMSG;
    }
    key = xcalloc(1, sizeof(*key));
    rc = fill_key(iam, arena, key, record);
    if (rc != 0) {
        key_free(key);
        return rc;
    }
    key_insert(iam, key);
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
    int rc = load_all(iam, TAG_ACCOUNT, load_account);

    if (rc == 0) {
        rc = load_all(iam, TAG_ENTITY, load_entity);
    }
    if (rc == 0) {
        rc = load_all(iam, TAG_ENTITY, link_entity);
    }
    return rc == 0 ? load_all(iam, TAG_KEY, load_key) : rc;
}
