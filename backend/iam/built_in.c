/*
 * Managed policies that every account may attach, named as AWS names them.
 * https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
 */
#include "iam/private.h"

#include <stdlib.h>

#define ALLOW(actions)                                                         \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","        \
    "\"Action\":[" actions "],\"Resource\":\"*\"}]}"

static const struct {
    const char *id, *name, *json;
} policies[] = {
    {"ANPAADMINISTRATOR0001", "AdministratorAccess", ALLOW("\"*\"")},
    {"ANPAS3FULLACCESS00001", "AmazonS3FullAccess", ALLOW("\"s3:*\"")},
    {"ANPAS3READONLY0000001", "AmazonS3ReadOnlyAccess",
     ALLOW("\"s3:Get*\",\"s3:List*\"")},
};

void built_in_add(struct iam *iam)
{
    char message[POLICY_MESSAGE_MAX];
    struct entity *entity;
    size_t i;

    copy_string(iam->built_in.number, sizeof(iam->built_in.number),
                IAM_BUILT_IN);
    for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        entity = entity_new(IAM_POLICY, &iam->built_in, policies[i].name, "/");
        entity->created_ms = entity->updated_ms = 0;
        copy_string(entity->id, sizeof(entity->id), policies[i].id);
        invariant(document_make(&entity->document, "", POLICY_IDENTITY,
                                slice_from_string(policies[i].json),
                                IAM_POLICY_MAX, message) == 0);
        table_insert(&iam->entities, entity);
        table_insert(&iam->entity_ids, entity);
    }
}
