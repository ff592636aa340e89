/*
 * One user, group, role or managed policy. It is changed as a copy, which is
 * stored and then takes its place, so that nobody sees half a change (I1).
 */
#include "iam/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- links -----------------------------------------------------------------*/

bool links_has(const struct links *links, const struct entity *entity)
{
    size_t i;

    for (i = 0; i < links->count; i++) {
        if (links->items[i] == entity) {
            return true;
        }
    }
    return false;
}

void links_add(struct links *links, struct entity *entity)
{
    links->items =
        xrealloc(links->items, (links->count + 1) * sizeof(*links->items));
    links->items[links->count++] = entity;
}

void links_remove(struct links *links, const struct entity *entity)
{
    size_t i, kept = 0;

    for (i = 0; i < links->count; i++) {
        if (links->items[i] != entity) {
            links->items[kept++] = links->items[i];
        }
    }
    links->count = kept;
}

static void links_copy(struct links *copy, const struct links *links)
{
    copy->count = links->count;
    copy->items = xcalloc(links->count + 1, sizeof(*copy->items));
    if (links->count > 0) {
        memcpy(copy->items, links->items, links->count * sizeof(*copy->items));
    }
}

/* --- life ------------------------------------------------------------------*/

struct entity *entity_new(enum iam_kind kind, const struct iam_account *account,
                          const char *name, const char *path)
{
    const struct iam_name called = {kind, account->number, name};
    struct entity *entity = xcalloc(1, sizeof(*entity));

    entity->kind = kind;
    entity->account = account;
    entity_key(entity->key, &called);
    copy_string(entity->name, sizeof(entity->name), name);
    entity->path = xstrdup(path);
    entity->description = xstrdup("");
    entity->created_ms = entity->updated_ms = clock_wall_ms();
    entity->version = 1;
    return entity;
}

struct entity *entity_copy(const struct entity *entity)
{
    struct entity *copy = xmalloc(sizeof(*copy));

    *copy = *entity;
    copy->path = xstrdup(entity->path);
    copy->description = xstrdup(entity->description);
    document_copy(&copy->document, &entity->document);
    documents_copy(&copy->policies, &entity->policies);
    links_copy(&copy->attached, &entity->attached);
    links_copy(&copy->groups, &entity->groups);
    copy->rights = NULL;
    return copy;
}

void entity_free(struct entity *entity)
{
    if (entity == NULL) {
        return;
    }
    free(entity->path);
    free(entity->description);
    document_clear(&entity->document);
    documents_clear(&entity->policies);
    free(entity->attached.items);
    free(entity->groups.items);
    rights_release(entity->rights);
    free(entity);
}

/* --- finding ---------------------------------------------------------------*/

struct entity *entity_find(struct iam *iam, const struct iam_name *name)
{
    char key[ENTITY_KEY_MAX + 1];

    entity_key(key, name);
    return table_find(&iam->entities, slice_from_string(key));
}

struct entity *entity_find_id(struct iam *iam, struct slice id)
{
    return table_find(&iam->entity_ids, id);
}

/* arn:aws:iam::ACCOUNT:KIND/PATH/NAME */
struct entity *entity_find_arn(struct iam *iam, const char *arn)
{
    static const char prefix[] = "arn:aws:iam::";
    static const char *const kinds[] = {":user/", ":group/", ":role/",
                                        ":policy/"};
    char account[12 + 1] = "", found[IAM_ARN_MAX + 1];
    struct iam_name name = {.account = account};
    struct entity *entity;
    const char *colon;
    unsigned kind;

    if (strncmp(arn, prefix, sizeof(prefix) - 1) != 0 ||
        strlen(arn) > IAM_ARN_MAX) {
        return NULL;
    }
    arn += sizeof(prefix) - 1;
    colon = strchr(arn, ':');
    if (colon == NULL || (size_t)(colon - arn) >= sizeof(account)) {
        return NULL;
    }
    memcpy(account, arn, (size_t)(colon - arn));
    for (kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        if (strncmp(colon, kinds[kind], strlen(kinds[kind])) == 0) {
            name.kind = (enum iam_kind)kind;
            name.name = strrchr(colon, '/') + 1;
        }
    }
    entity = name.name != NULL ? entity_find(iam, &name) : NULL;
    if (entity == NULL) {
        return NULL;
    }
    entity_arn(entity, found);
    return strcmp(found + sizeof(prefix) - 1, arn) == 0 ? entity : NULL;
}

/* --- changing --------------------------------------------------------------*/

int entity_add(struct iam *iam, struct entity *entity)
{
    struct kv_batch *batch = kv_batch_new();
    int rc;

    do {
        make_entity_id(entity->kind, entity->id);
    } while (entity_find_id(iam, slice_from_string(entity->id)) != NULL);
    records_put_entity(batch, entity);
    rc = commit_and_free(iam, batch);
    if (rc != 0) {
        entity_free(entity);
        return rc;
    }
    pthread_rwlock_wrlock(&iam->lock);
    table_insert(&iam->entities, entity);
    table_insert(&iam->entity_ids, entity);
    rights_refresh(iam, entity);
    pthread_rwlock_unlock(&iam->lock);
    return 0;
}

int entity_change(struct iam *iam, struct entity *entity,
                  struct entity *changed)
{
    struct kv_batch *batch = kv_batch_new();
    struct entity old;
    int rc;

    records_put_entity(batch, changed);
    rc = commit_and_free(iam, batch);
    if (rc == 0) {
        pthread_rwlock_wrlock(&iam->lock);
        table_remove(&iam->entities, entity);
        old = *entity;
        *entity = *changed;
        *changed = old;
        table_insert(&iam->entities, entity);
        rights_refresh(iam, entity);
        pthread_rwlock_unlock(&iam->lock);
    }
    entity_free(changed);
    return rc;
}

/* --- showing ---------------------------------------------------------------*/

static unsigned count_attachments(struct iam *iam, const struct entity *policy)
{
    const struct entity *entity;
    unsigned count = 0;
    size_t i;

    for (i = 0; i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        count += links_has(&entity->attached, policy);
    }
    return count;
}

void entity_show(struct iam *iam, const struct entity *entity,
                 struct iam_entity *shown)
{
    memset(shown, 0, sizeof(*shown));
    shown->kind = entity->kind;
    copy_string(shown->account, sizeof(shown->account),
                entity->account->number);
    copy_string(shown->id, sizeof(shown->id), entity->id);
    copy_string(shown->name, sizeof(shown->name), entity->name);
    copy_string(shown->path, sizeof(shown->path), entity->path);
    copy_string(shown->description, sizeof(shown->description),
                entity->description);
    entity_arn(entity, shown->arn);
    shown->created_ms = entity->created_ms;
    shown->updated_ms = entity->updated_ms;
    shown->version = entity->version;
    shown->max_session_s = entity->max_session_s;
    if (entity->kind == IAM_POLICY) {
        shown->attachments = count_attachments(iam, entity);
    }
}
