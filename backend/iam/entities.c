/*
 * Users, groups, roles and managed policies: made, shown, renamed, deleted.
 */
#include "iam/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SESSION_S 3600u

/* --- creating --------------------------------------------------------------*/

static bool has_document(enum iam_kind kind)
{
    return kind == IAM_ROLE || kind == IAM_POLICY;
}

static int make_document(enum iam_kind kind, struct slice json,
                         struct document *document,
                         char message[POLICY_MESSAGE_MAX])
{
    if (kind == IAM_ROLE) {
        return document_make(document, "", POLICY_TRUST, json, IAM_TRUST_MAX,
                             message);
    }
    return document_make(document, "", POLICY_IDENTITY, json, IAM_POLICY_MAX,
                         message);
}

static bool valid_session_s(unsigned seconds)
{
    return seconds >= DEFAULT_SESSION_S && seconds <= IAM_ROLE_SESSION_MAX_S;
}

static bool well_formed(const struct iam_new_entity *wanted)
{
    const enum iam_kind kind = wanted->name.kind;

    return wanted->name.name != NULL && wanted->name.account != NULL &&
           valid_entity_name(kind, slice_from_string(wanted->name.name)) &&
           (wanted->path == NULL ||
            valid_path(slice_from_string(wanted->path))) &&
           (wanted->description == NULL ||
            valid_description(slice_from_string(wanted->description))) &&
           (wanted->max_session_s == 0 ||
            (kind == IAM_ROLE && valid_session_s(wanted->max_session_s)));
}

static int create(struct iam *iam, const struct iam_new_entity *wanted,
                  struct document *document, struct iam_entity *created)
{
    const struct iam_account *account =
        account_by_number(iam, wanted->name.account);
    struct entity *entity;
    int rc;

    if (account == NULL) {
        return -ENOENT;
    }
    if (entity_find(iam, &wanted->name) != NULL) {
        return -EEXIST;
    }
    entity = entity_new(wanted->name.kind, account, wanted->name.name,
                        wanted->path != NULL ? wanted->path : "/");
    if (wanted->description != NULL) {
        free(entity->description);
        entity->description = xstrdup(wanted->description);
    }
    if (wanted->name.kind == IAM_ROLE) {
        entity->max_session_s = wanted->max_session_s > 0
                                    ? wanted->max_session_s
                                    : DEFAULT_SESSION_S;
    }
    entity->document = *document;
    memset(document, 0, sizeof(*document));
    rc = entity_add(iam, entity);
    if (rc == 0 && created != NULL) {
        entity_show(iam, entity, created);
    }
    return rc;
}

int iam_create(struct iam *iam, const struct iam_new_entity *wanted,
               struct iam_entity *created, char message[POLICY_MESSAGE_MAX])
{
    struct document document = {0};
    int rc = 0;

    message[0] = '\0';
    if (!well_formed(wanted)) {
        return -EINVAL;
    }
    if (has_document(wanted->name.kind)) {
        rc = make_document(wanted->name.kind, wanted->document, &document,
                           message);
    }
    if (rc == 0) {
        writer_lock(iam);
        rc = create(iam, wanted, &document, created);
        writer_unlock(iam);
    }
    document_clear(&document);
    return rc;
}

/* --- showing ---------------------------------------------------------------*/

int iam_get(struct iam *iam, const struct iam_name *name,
            struct iam_entity *found)
{
    const struct entity *entity;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, name);
    if (entity != NULL) {
        entity_show(iam, entity, found);
    }
    pthread_rwlock_unlock(&iam->lock);
    return entity != NULL ? 0 : -ENOENT;
}

int iam_get_by_arn(struct iam *iam, const char *arn, struct iam_entity *found)
{
    const struct entity *entity;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find_arn(iam, arn);
    if (entity != NULL) {
        entity_show(iam, entity, found);
    }
    pthread_rwlock_unlock(&iam->lock);
    return entity != NULL ? 0 : -ENOENT;
}

int iam_list(struct iam *iam, enum iam_kind kind, const char *account,
             const char *path_prefix, const char *after, iam_visit *visit,
             void *context)
{
    const struct iam_name first = {kind, account, after != NULL ? after : ""};
    const struct entity *entity;
    char key[ENTITY_KEY_MAX + 1];
    struct iam_entity shown;
    bool more = true;
    size_t i, prefix;

    entity_key(key, &first);
    if (key[0] == '\0') {
        return -EINVAL;
    }
    prefix = (size_t)(strrchr(key, '/') - key) + 1;
    pthread_rwlock_rdlock(&iam->lock);
    i = table_lower_bound(&iam->entities, slice_from_string(key));
    for (; more && i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        if (strncmp(entity->key, key, prefix) != 0) {
            break;
        }
        if ((after != NULL && strcmp(entity->key, key) == 0) ||
            (path_prefix != NULL &&
             strncmp(entity->path, path_prefix, strlen(path_prefix)) != 0)) {
            continue;
        }
        entity_show(iam, entity, &shown);
        more = visit(&shown, context);
    }
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

/* --- deleting --------------------------------------------------------------*/

static bool has_member(struct iam *iam, const struct entity *group)
{
    const struct entity *entity;
    size_t i;

    for (i = 0; i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        if (links_has(&entity->groups, group) ||
            links_has(&entity->attached, group)) {
            return true;
        }
    }
    return false;
}

static bool has_key(struct iam *iam, const struct entity *entity)
{
    const struct access_key *key;
    size_t i;

    for (i = 0; i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        if (key->entity == entity && !key->temporary) {
            return true;
        }
    }
    return false;
}

static bool in_use(struct iam *iam, const struct entity *entity)
{
    return entity->policies.count > 0 || entity->attached.count > 0 ||
           entity->groups.count > 0 || has_key(iam, entity) ||
           has_member(iam, entity);
}

/* Takes a group or policy off all who have it. */
static int unlink_all(struct iam *iam, struct entity *entity)
{
    struct entity *other, *changed;
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < iam->entities.count; i++) {
        other = iam->entities.items[i];
        if (links_has(&other->groups, entity) ||
            links_has(&other->attached, entity)) {
            changed = entity_copy(other);
            links_remove(&changed->groups, entity);
            links_remove(&changed->attached, entity);
            rc = entity_change(iam, other, changed);
        }
    }
    return rc;
}

static int delete (struct iam *iam, struct entity *entity, bool cascade)
{
    struct kv_batch *batch;
    int rc = 0;

    if (entity == NULL) {
        return -ENOENT;
    }
    if (entity->account == &iam->built_in) {
        return -EPERM;
    }
    if (!cascade && in_use(iam, entity)) {
        return -EBUSY;
    }
    if (entity->kind == IAM_GROUP || entity->kind == IAM_POLICY) {
        rc = unlink_all(iam, entity);
    }
    if (rc != 0) {
        return rc;
    }
    batch = kv_batch_new();
    records_delete_entity(batch, entity);
    rc = keys_delete(iam, batch, key_is_of_entity, entity);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        table_remove(&iam->entities, entity);
        table_remove(&iam->entity_ids, entity);
        pthread_rwlock_unlock(&iam->lock);
        entity_free(entity);
    }
    return rc;
}

int iam_delete(struct iam *iam, const struct iam_name *name, bool cascade)
{
    int rc;

    writer_lock(iam);
    rc = delete (iam, entity_find(iam, name), cascade);
    writer_unlock(iam);
    return rc;
}

/* --- changing --------------------------------------------------------------*/

static int rename_entity(struct iam *iam, struct entity *entity,
                         const char *new_name, const char *new_path)
{
    struct entity *changed, *other;
    struct iam_name name;

    if (entity == NULL) {
        return -ENOENT;
    }
    if (new_name == NULL) {
        new_name = entity->name;
    }
    name = (struct iam_name){entity->kind, entity->account->number, new_name};
    other = entity_find(iam, &name);
    if (other != NULL && other != entity) {
        return -EEXIST;
    }
    changed = entity_copy(entity);
    copy_string(changed->name, sizeof(changed->name), new_name);
    entity_key(changed->key, &name);
    if (new_path != NULL) {
        free(changed->path);
        changed->path = xstrdup(new_path);
    }
    return entity_change(iam, entity, changed);
}

int iam_rename(struct iam *iam, const struct iam_name *name,
               const char *new_name, const char *new_path)
{
    int rc;

    if ((name->kind != IAM_USER && name->kind != IAM_GROUP) ||
        (new_name != NULL &&
         !valid_entity_name(name->kind, slice_from_string(new_name))) ||
        (new_path != NULL && !valid_path(slice_from_string(new_path)))) {
        return -EINVAL;
    }
    writer_lock(iam);
    rc = rename_entity(iam, entity_find(iam, name), new_name, new_path);
    writer_unlock(iam);
    return rc;
}

static int describe(struct iam *iam, struct entity *entity,
                    const char *description, unsigned max_session_s)
{
    struct entity *changed;

    if (entity == NULL) {
        return -ENOENT;
    }
    if (entity->account == &iam->built_in) {
        return -EPERM;
    }
    changed = entity_copy(entity);
    if (description != NULL) {
        free(changed->description);
        changed->description = xstrdup(description);
    }
    if (max_session_s > 0) {
        changed->max_session_s = max_session_s;
    }
    return entity_change(iam, entity, changed);
}

int iam_describe(struct iam *iam, const struct iam_name *name,
                 const char *description, unsigned max_session_s)
{
    int rc;

    if (!has_document(name->kind) ||
        (description != NULL &&
         !valid_description(slice_from_string(description))) ||
        (max_session_s > 0 &&
         (name->kind != IAM_ROLE || !valid_session_s(max_session_s)))) {
        return -EINVAL;
    }
    writer_lock(iam);
    rc = describe(iam, entity_find(iam, name), description, max_session_s);
    writer_unlock(iam);
    return rc;
}

/* --- their documents -------------------------------------------------------*/

static int put_document(struct iam *iam, struct entity *entity,
                        struct document *document)
{
    struct entity *changed;

    if (entity == NULL) {
        return -ENOENT;
    }
    if (entity->account == &iam->built_in) {
        return -EPERM;
    }
    changed = entity_copy(entity);
    document_clear(&changed->document);
    changed->document = *document;
    memset(document, 0, sizeof(*document));
    changed->version++;
    changed->updated_ms = clock_wall_ms();
    return entity_change(iam, entity, changed);
}

int iam_document_put(struct iam *iam, const struct iam_name *name,
                     struct slice json, char message[POLICY_MESSAGE_MAX])
{
    struct document document = {0};
    int rc;

    message[0] = '\0';
    if (!has_document(name->kind)) {
        return -EINVAL;
    }
    rc = make_document(name->kind, json, &document, message);
    if (rc == 0) {
        writer_lock(iam);
        rc = put_document(iam, entity_find(iam, name), &document);
        writer_unlock(iam);
    }
    document_clear(&document);
    return rc;
}

int iam_document_get(struct iam *iam, const struct iam_name *name,
                     struct buffer *json)
{
    const struct entity *entity;
    int rc = -ENOENT;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, name);
    if (entity != NULL && entity->document.compiled != NULL) {
        buffer_append(json, entity->document.json, entity->document.size);
        rc = 0;
    }
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

int iam_role_trust(struct iam *iam, const struct iam_name *role,
                   struct policy **trust)
{
    const struct entity *entity;

    pthread_rwlock_rdlock(&iam->lock);
    entity = role->kind == IAM_ROLE ? entity_find(iam, role) : NULL;
    if (entity != NULL) {
        *trust = policy_retain(entity->document.compiled);
    }
    pthread_rwlock_unlock(&iam->lock);
    return entity != NULL ? 0 : -ENOENT;
}
