/*
 * Access control lists as XML
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
 */
#include "s3/acl.h"
#include "s3/list_common.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name;
    uint32_t permissions;
} permission_names[] = {
    {"FULL_CONTROL", ACL_FULL_CONTROL},
    {"READ", META__ACL_PERMISSION__READ},
    {"WRITE", META__ACL_PERMISSION__WRITE},
    {"READ_ACP", META__ACL_PERMISSION__READ_ACP},
    {"WRITE_ACP", META__ACL_PERMISSION__WRITE_ACP},
};

/* --- in --------------------------------------------------------------------*/
static bool malformed(struct s3_call *call)
{
    call_fail(call, S3_ERR_MalformedACLError);
    return false;
}

/* Every one may stand there; the type says which one counts. */
static bool read_grantee(struct s3_call *call, const struct xml_node *node,
                         uint32_t permissions, Meta__Acl *acl)
{
    static const char *const types[] = {"CanonicalUser", "Group",
                                        "AmazonCustomerByEmail"};
    static const enum acl_grantee kinds[] = {ACL_GRANTEE_ID, ACL_GRANTEE_URI,
                                             ACL_GRANTEE_EMAIL};
    struct xml_leaf leaves[] = {{.name = "ID"},
                                {.name = "URI"},
                                {.name = "EmailAddress"},
                                {.name = "DisplayName"}};

    if (!xml_in_leaves(node, leaves, COUNT(leaves))) {
        return malformed(call);
    }
    for (size_t i = 0; i < COUNT(types); i++) {
        if (slice_equal_string(node->type, types[i]) &&
            leaves[i].value.data != NULL) {
            return acl_add(call, acl, kinds[i], leaves[i].value, permissions);
        }
    }
    return malformed(call);
}

static uint32_t read_permission(const struct xml_node *node)
{
    for (size_t i = 0; i < COUNT(permission_names); i++) {
        if (node->first == NULL &&
            slice_equal_string(node->text, permission_names[i].name)) {
            return permission_names[i].permissions;
        }
    }
    return META__ACL_PERMISSION__NO_PERMISSION;
}

static bool read_grant(struct s3_call *call, const struct xml_node *grant,
                       Meta__Acl *acl)
{
    const struct xml_node *grantee = NULL;
    uint32_t permissions = META__ACL_PERMISSION__NO_PERMISSION;

    for (const struct xml_node *node = grant->first; node != NULL;
         node = node->next) {
        if (slice_equal_string(node->name, "Grantee") && grantee == NULL) {
            grantee = node;
        } else if (slice_equal_string(node->name, "Permission") &&
                   permissions == META__ACL_PERMISSION__NO_PERMISSION) {
            permissions = read_permission(node);
        } else {
            return malformed(call);
        }
    }
    if (grantee == NULL || permissions == META__ACL_PERMISSION__NO_PERMISSION) {
        return malformed(call);
    }
    return read_grantee(call, grantee, permissions, acl);
}

bool acl_read_grants(struct s3_call *call, const struct xml_node *list,
                     Meta__Acl *acl)
{
    for (const struct xml_node *node = list->first; node != NULL;
         node = node->next) {
        if (!slice_equal_string(node->name, "Grant")) {
            return malformed(call);
        }
        if (!read_grant(call, node, acl)) {
            return false;
        }
    }
    return true;
}

/* A list can be put for nobody but who owns what it is for. */
static bool check_owner(struct s3_call *call, const struct xml_node *node,
                        struct slice owner)
{
    struct xml_leaf leaves[] = {{.name = "ID", .required = true},
                                {.name = "DisplayName"}};

    if (!xml_in_leaves(node, leaves, COUNT(leaves))) {
        return malformed(call);
    }
    if (!slice_equal(leaves[0].value, owner)) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    return true;
}

bool acl_read(struct s3_call *call, struct slice document, struct slice owner,
              Meta__Acl *acl)
{
    const struct xml_node *root =
        xml_in_parse(call->arena, document, "AccessControlPolicy");
    const struct xml_node *said = NULL, *list = NULL;

    for (const struct xml_node *node = root != NULL ? root->first : NULL;
         node != NULL; node = node->next) {
        if (slice_equal_string(node->name, "Owner") && said == NULL) {
            said = node;
        } else if (slice_equal_string(node->name, "AccessControlList") &&
                   list == NULL) {
            list = node;
        } else {
            return malformed(call);
        }
    }
    if (said == NULL || list == NULL) {
        return malformed(call);
    }
    return check_owner(call, said, owner) && acl_read_grants(call, list, acl);
}

/* --- out -------------------------------------------------------------------*/
static void open_grantee(struct buffer *out, const char *type)
{
    buffer_printf(out,
                  "<Grantee xmlns:xsi=\"http://www.w3.org/2001/"
                  "XMLSchema-instance\" xsi:type=\"%s\">",
                  type);
}

static void write_grantee(struct s3_call *call, struct buffer *out,
                          const Meta__Grant *grant)
{
    char name[65] = "";

    if (grant->grantee.len == 0) {
        open_grantee(out, "Group");
        xml_string(out, "URI", acl_group_uri(grant->group));
        xml_close(out, "Grantee");
        return;
    }
    open_grantee(out, "CanonicalUser");
    xml_text(out, "ID", pb_slice(grant->grantee));
    iam_display_name(call->service->iam, pb_slice(grant->grantee), name);
    if (name[0] != '\0') {
        xml_string(out, "DisplayName", name);
    }
    xml_close(out, "Grantee");
}

static void write_grant(struct s3_call *call, struct buffer *out,
                        const Meta__Grant *grant)
{
    uint32_t left = grant->permissions;

    for (size_t i = 0; left != 0 && i < COUNT(permission_names); i++) {
        const uint32_t named = permission_names[i].permissions;

        if ((left & named) == named) {
            xml_open(out, "Grant");
            write_grantee(call, out, grant);
            xml_string(out, "Permission", permission_names[i].name);
            xml_close(out, "Grant");
            left &= ~named;
        }
    }
}

void acl_write_grants(struct s3_call *call, struct buffer *out,
                      const Meta__Acl *acl)
{
    for (size_t i = 0; i < acl->n_grants; i++) {
        write_grant(call, out, acl->grants[i]);
    }
}

void acl_write(struct s3_call *call, struct buffer *out, struct slice owner,
               const Meta__Acl *acl)
{
    Meta__Grant all = META__GRANT__INIT;

    xml_open_document(out, "AccessControlPolicy");
    list_owner(call, out, "Owner", owner);
    xml_open(out, "AccessControlList");
    if (acl != NULL) {
        acl_write_grants(call, out, acl);
    } else {
        all.grantee = pb_bytes(owner);
        all.permissions = ACL_FULL_CONTROL;
        write_grant(call, out, &all);
    }
    xml_close(out, "AccessControlList");
    xml_close(out, "AccessControlPolicy");
}
