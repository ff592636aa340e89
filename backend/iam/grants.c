/*
 * What users, groups and roles are given: inline policies, managed ones, and
 * to users the groups they are in.
 */
#include "iam/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool may_have_policies(enum iam_kind kind)
{
    return kind != IAM_POLICY;
}

/* --- inline policies -------------------------------------------------------*/

static size_t inline_max(enum iam_kind kind)
{
    switch (kind) {
    case IAM_USER:
        return IAM_USER_INLINE_MAX;
    case IAM_GROUP:
        return IAM_GROUP_INLINE_MAX;
    default:
        return IAM_ROLE_INLINE_MAX;
    }
}

static size_t inline_weight(const struct documents *documents)
{
    size_t weight = 0, i;

    for (i = 0; i < documents->count; i++) {
        weight += document_weight(
            slice_of(documents->items[i].json, documents->items[i].size));
    }
    return weight;
}

static int put_inline(struct iam *iam, struct entity *entity,
                      struct document *document)
{
    struct entity *changed;

    if (entity == NULL) {
        return -ENOENT;
    }
    changed = entity_copy(entity);
    documents_put(&changed->policies, document);
    memset(document, 0, sizeof(*document));
    if (inline_weight(&changed->policies) > inline_max(entity->kind)) {
        entity_free(changed);
        return -E2BIG;
    }
    return entity_change(iam, entity, changed);
}

int iam_inline_put(struct iam *iam, const struct iam_name *name,
                   const char *policy, struct slice json,
                   char message[POLICY_MESSAGE_MAX])
{
    struct document document = {0};
    int rc;

    message[0] = '\0';
    if (!may_have_policies(name->kind) ||
        !valid_entity_name(IAM_POLICY, slice_from_string(policy))) {
        return -EINVAL;
    }
    rc = document_make(&document, policy, POLICY_IDENTITY, json,
                       inline_max(name->kind), message);
    if (rc == 0) {
        writer_lock(iam);
        rc = put_inline(iam, entity_find(iam, name), &document);
        writer_unlock(iam);
    }
    document_clear(&document);
    return rc;
}

int iam_inline_get(struct iam *iam, const struct iam_name *name,
                   const char *policy, struct buffer *json)
{
    const struct document *document = NULL;
    const struct entity *entity;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, name);
    if (entity != NULL) {
        document = documents_find(&entity->policies, policy);
    }
    if (document != NULL) {
        buffer_append(json, document->json, document->size);
    }
    pthread_rwlock_unlock(&iam->lock);
    return document != NULL ? 0 : -ENOENT;
}

static int delete_inline(struct iam *iam, struct entity *entity,
                         const char *policy)
{
    struct entity *changed;

    if (entity == NULL || documents_find(&entity->policies, policy) == NULL) {
        return -ENOENT;
    }
    changed = entity_copy(entity);
    documents_remove(&changed->policies,
                     documents_find(&changed->policies, policy));
    return entity_change(iam, entity, changed);
}

int iam_inline_delete(struct iam *iam, const struct iam_name *name,
                      const char *policy)
{
    int rc;

    writer_lock(iam);
    rc = delete_inline(iam, entity_find(iam, name), policy);
    writer_unlock(iam);
    return rc;
}

int iam_inline_list(struct iam *iam, const struct iam_name *name,
                    bool (*visit)(const char *policy, void *context),
                    void *context)
{
    const struct entity *entity;
    bool more = true;
    size_t i;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, name);
    for (i = 0; entity != NULL && more && i < entity->policies.count; i++) {
        more = visit(entity->policies.items[i].name, context);
    }
    pthread_rwlock_unlock(&iam->lock);
    return entity != NULL ? 0 : -ENOENT;
}

/* --- managed policies ------------------------------------------------------*/

/* Of its own account, or built in. */
static struct entity *find_policy(struct iam *iam, const struct entity *entity,
                                  const char *arn)
{
    struct entity *policy = entity_find_arn(iam, arn);

    return policy != NULL && policy->kind == IAM_POLICY &&
                   (policy->account == entity->account ||
                    policy->account == &iam->built_in)
               ? policy
               : NULL;
}

static int attach(struct iam *iam, struct entity *entity, const char *arn)
{
    struct entity *policy, *changed;

    policy = entity != NULL ? find_policy(iam, entity, arn) : NULL;
    if (policy == NULL) {
        return -ENOENT;
    }
    if (links_has(&entity->attached, policy)) {
        return 0;
    }
    if (entity->attached.count >= IAM_ATTACHED_MAX) {
        return -EDQUOT;
    }
    changed = entity_copy(entity);
    links_add(&changed->attached, policy);
    return entity_change(iam, entity, changed);
}

int iam_attach(struct iam *iam, const struct iam_name *name,
               const char *policy_arn)
{
    int rc;

    if (!may_have_policies(name->kind)) {
        return -EINVAL;
    }
    writer_lock(iam);
    rc = attach(iam, entity_find(iam, name), policy_arn);
    writer_unlock(iam);
    return rc;
}

static int detach(struct iam *iam, struct entity *entity, const char *arn)
{
    struct entity *policy, *changed;

    policy = entity != NULL ? find_policy(iam, entity, arn) : NULL;
    if (policy == NULL || !links_has(&entity->attached, policy)) {
        return -ENOENT;
    }
    changed = entity_copy(entity);
    links_remove(&changed->attached, policy);
    return entity_change(iam, entity, changed);
}

int iam_detach(struct iam *iam, const struct iam_name *name,
               const char *policy_arn)
{
    int rc;

    writer_lock(iam);
    rc = detach(iam, entity_find(iam, name), policy_arn);
    writer_unlock(iam);
    return rc;
}

static int visit_links(struct iam *iam, const struct links *links,
                       iam_visit *visit, void *context)
{
    struct iam_entity shown;
    bool more = true;
    size_t i;

    if (links == NULL) {
        return -ENOENT;
    }
    for (i = 0; more && i < links->count; i++) {
        entity_show(iam, links->items[i], &shown);
        more = visit(&shown, context);
    }
    return 0;
}

int iam_attached_list(struct iam *iam, const struct iam_name *name,
                      iam_visit *visit, void *context)
{
    const struct entity *entity;
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, name);
    rc = visit_links(iam, entity != NULL ? &entity->attached : NULL, visit,
                     context);
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

/* All who have `linked` among their groups or policies. */
static int visit_linking(struct iam *iam, const struct entity *linked,
                         iam_visit *visit, void *context)
{
    const struct entity *entity;
    struct iam_entity shown;
    bool more = true;
    size_t i;

    if (linked == NULL) {
        return -ENOENT;
    }
    for (i = 0; more && i < iam->entities.count; i++) {
        entity = iam->entities.items[i];
        if (links_has(&entity->groups, linked) ||
            links_has(&entity->attached, linked)) {
            entity_show(iam, entity, &shown);
            more = visit(&shown, context);
        }
    }
    return 0;
}

int iam_attachments(struct iam *iam, const char *policy_arn, iam_visit *visit,
                    void *context)
{
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    rc = visit_linking(iam, entity_find_arn(iam, policy_arn), visit, context);
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

/* --- groups ----------------------------------------------------------------*/

static int find_both(struct iam *iam, const struct iam_name *name,
                     const char *group, struct entity **user,
                     struct entity **found)
{
    const struct iam_name other = {IAM_GROUP, name->account, group};

    *user = name->kind == IAM_USER ? entity_find(iam, name) : NULL;
    *found = entity_find(iam, &other);
    return *user != NULL && *found != NULL ? 0 : -ENOENT;
}

static int join(struct iam *iam, const struct iam_name *name,
                const char *group_name)
{
    struct entity *user, *group, *changed;
    int rc = find_both(iam, name, group_name, &user, &group);

    if (rc != 0 || links_has(&user->groups, group)) {
        return rc;
    }
    if (user->groups.count >= IAM_GROUPS_MAX) {
        return -EDQUOT;
    }
    changed = entity_copy(user);
    links_add(&changed->groups, group);
    return entity_change(iam, user, changed);
}

int iam_join(struct iam *iam, const struct iam_name *user, const char *group)
{
    int rc;

    writer_lock(iam);
    rc = join(iam, user, group);
    writer_unlock(iam);
    return rc;
}

static int leave(struct iam *iam, const struct iam_name *name,
                 const char *group_name)
{
    struct entity *user, *group, *changed;
    int rc = find_both(iam, name, group_name, &user, &group);

    if (rc != 0 || !links_has(&user->groups, group)) {
        return -ENOENT;
    }
    changed = entity_copy(user);
    links_remove(&changed->groups, group);
    return entity_change(iam, user, changed);
}

int iam_leave(struct iam *iam, const struct iam_name *user, const char *group)
{
    int rc;

    writer_lock(iam);
    rc = leave(iam, user, group);
    writer_unlock(iam);
    return rc;
}

int iam_groups_of(struct iam *iam, const struct iam_name *user,
                  iam_visit *visit, void *context)
{
    const struct entity *entity;
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    entity = entity_find(iam, user);
    rc = visit_links(iam, entity != NULL ? &entity->groups : NULL, visit,
                     context);
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}

int iam_members_of(struct iam *iam, const struct iam_name *group,
                   iam_visit *visit, void *context)
{
    int rc;

    pthread_rwlock_rdlock(&iam->lock);
    rc = visit_linking(
        iam, group->kind == IAM_GROUP ? entity_find(iam, group) : NULL, visit,
        context);
    pthread_rwlock_unlock(&iam->lock);
    return rc;
}
