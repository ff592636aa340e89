/*
 * What somebody may: the compiled policies of a user or role, and those of the
 * session that narrow them, gathered when one of them changes, so that a
 * request takes one reference.
 */
#include "iam/private.h"

#include <stdlib.h>
#include <string.h>

struct iam_rights {
    atomic_uint references;
    struct policy **policies; /* identity's, then the session's */
    char **names;
    size_t count, identity_count;
    bool has_session;
};

/* --- gathering -------------------------------------------------------------*/

static void add(struct iam_rights *rights, const char *name,
                const struct document *document)
{
    rights->policies = xrealloc(
        rights->policies, (rights->count + 1) * sizeof(*rights->policies));
    rights->names =
        xrealloc(rights->names, (rights->count + 1) * sizeof(*rights->names));
    rights->policies[rights->count] = policy_retain(document->compiled);
    rights->names[rights->count] = xstrdup(name);
    rights->count++;
}

static void add_inline(struct iam_rights *rights,
                       const struct documents *documents)
{
    size_t i;

    for (i = 0; i < documents->count; i++) {
        add(rights, documents->items[i].name, &documents->items[i]);
    }
}

static void add_entity(struct iam_rights *rights, const struct entity *entity)
{
    char arn[IAM_ARN_MAX + 1];
    size_t i;

    add_inline(rights, &entity->policies);
    for (i = 0; i < entity->attached.count; i++) {
        entity_arn(entity->attached.items[i], arn);
        add(rights, arn, &entity->attached.items[i]->document);
    }
}

struct iam_rights *rights_new(const struct entity *entity,
                              const struct documents *narrow)
{
    struct iam_rights *rights = xcalloc(1, sizeof(*rights));
    size_t i;

    atomic_init(&rights->references, 1);
    if (entity != NULL) {
        add_entity(rights, entity);
        for (i = 0; i < entity->groups.count; i++) {
            add_entity(rights, entity->groups.items[i]);
        }
    }
    rights->identity_count = rights->count;
    if (narrow != NULL && narrow->count > 0) {
        rights->has_session = true;
        add_inline(rights, narrow);
    }
    return rights;
}

struct iam_rights *rights_retain(struct iam_rights *rights)
{
    if (rights != NULL) {
        atomic_fetch_add_explicit(&rights->references, 1, memory_order_relaxed);
    }
    return rights;
}

void rights_release(struct iam_rights *rights)
{
    size_t i;

    if (rights == NULL || atomic_fetch_sub_explicit(&rights->references, 1,
                                                    memory_order_acq_rel) > 1) {
        return;
    }
    for (i = 0; i < rights->count; i++) {
        policy_release(rights->policies[i]);
        free(rights->names[i]);
    }
    free(rights->policies);
    free(rights->names);
    free(rights);
}

/* --- keeping them true (I5) ------------------------------------------------*/

static bool rests_on(const struct entity *entity, const struct entity *changed)
{
    size_t i;

    if (entity == changed || links_has(&entity->attached, changed)) {
        return true;
    }
    for (i = 0; i < entity->groups.count; i++) {
        if (rests_on(entity->groups.items[i], changed)) {
            return true;
        }
    }
    return false;
}

void rights_refresh_key(struct access_key *key)
{
    rights_release(key->rights);
    key->rights = key->policies.count > 0
                      ? rights_new(key->entity, &key->policies)
                      : NULL;
}

void rights_refresh(struct iam *iam, const struct entity *changed)
{
    struct access_key *key;
    struct entity *entity;
    size_t i;

    for (i = 0; i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        if ((entity->kind == IAM_USER || entity->kind == IAM_ROLE) &&
            (changed == NULL || rests_on(entity, changed))) {
            rights_release(entity->rights);
            entity->rights = rights_new(entity, NULL);
        }
    }
    for (i = 0; i < iam->keys.count; i++) {
        key = iam->keys.items[i];
        if (key->policies.count > 0 &&
            (changed == NULL ||
             (key->entity != NULL && rests_on(key->entity, changed)))) {
            rights_refresh_key(key);
        }
    }
}

/* --- asking ----------------------------------------------------------------*/

void iam_identity_retain(struct iam_identity *identity)
{
    rights_retain(identity->rights);
}

void iam_identity_release(struct iam_identity *identity)
{
    rights_release(identity->rights);
    identity->rights = NULL;
}

void iam_rights_inputs(const struct iam_identity *identity,
                       struct policy_inputs *inputs)
{
    const struct iam_rights *rights = identity->rights;

    inputs->root = identity->account_root;
    inputs->identity = inputs->session = NULL;
    inputs->identity_count = inputs->session_count = 0;
    inputs->has_session = false;
    if (rights != NULL) {
        inputs->identity = rights->policies;
        inputs->identity_count = rights->identity_count;
        inputs->has_session = rights->has_session;
        inputs->session = rights->policies + rights->identity_count;
        inputs->session_count = rights->count - rights->identity_count;
    }
}

const char *iam_rights_name(const struct iam_identity *identity, bool session,
                            size_t index)
{
    const struct iam_rights *rights = identity->rights;

    invariant(rights != NULL);
    index += session ? rights->identity_count : 0;
    invariant(index < rights->count);
    return rights->names[index];
}
