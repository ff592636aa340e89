/* Entities, documents and credentials as IAM and STS show them. */
#include "s3/query.h"

#include <stdio.h>

static const struct {
    const char *name, *id;
} elements[] = {[IAM_USER] = {"UserName", "UserId"},
                [IAM_GROUP] = {"GroupName", "GroupId"},
                [IAM_ROLE] = {"RoleName", "RoleId"},
                [IAM_POLICY] = {"PolicyName", "PolicyId"}};

void query_show_entity(struct buffer *out, const struct iam_entity *entity)
{
    xml_string(out, "Path", entity->path);
    xml_string(out, elements[entity->kind].name, entity->name);
    xml_string(out, elements[entity->kind].id, entity->id);
    xml_string(out, "Arn", entity->arn);
    xml_time(out, "CreateDate", entity->created_ms);
}

void query_show_policy(struct buffer *out, const struct iam_entity *policy)
{
    char version[16];

    query_show_entity(out, policy);
    snprintf(version, sizeof(version), "v%u", policy->version);
    xml_string(out, "DefaultVersionId", version);
    xml_number(out, "AttachmentCount", policy->attachments);
    xml_bool(out, "IsAttachable", true);
    if (policy->description[0] != '\0') {
        xml_string(out, "Description", policy->description);
    }
    xml_time(out, "UpdateDate", policy->updated_ms);
}

void query_show_document(struct buffer *out, const char *element,
                         const struct buffer *json)
{
    xml_open(out, element);
    uri_encode(out, slice_of(json->data, json->size), false);
    xml_close(out, element);
}

void query_show_credentials(struct query *query,
                            const struct iam_credentials *key)
{
    struct buffer *out = &query->result;

    snprintf(query->made, sizeof(query->made), "%s", key->access_key);
    query->call->secret_reply = true;
    buffer_reserve(out, out->size + 4096); /* no copy is left behind */
    xml_open(out, "Credentials");
    xml_string(out, "AccessKeyId", key->access_key);
    xml_string(out, "SecretAccessKey", key->secret_key);
    xml_string(out, "SessionToken", key->session_token);
    xml_time(out, "Expiration", key->expires_ms);
    xml_close(out, "Credentials");
}
