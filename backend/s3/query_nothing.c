/*
 * What users, roles and policies have at AWS and cannot have here: an empty
 * list is the truth. Clients ask for all of it before they delete one.
 */
#include "s3/query_actions.h"

#include <string.h>

static const struct {
    const char *action, *element;
} lists[] = {
    {"ListAccountAliases", "AccountAliases"},
    {"ListInstanceProfilesForRole", "InstanceProfiles"},
    {"ListMFADevices", "MFADevices"},
    {"ListPolicyTags", "Tags"},
    {"ListRoleTags", "Tags"},
    {"ListServiceSpecificCredentials", "ServiceSpecificCredentials"},
    {"ListSigningCertificates", "Certificates"},
    {"ListSSHPublicKeys", "SSHPublicKeys"},
    {"ListUserTags", "Tags"},
    {"ListVirtualMFADevices", "VirtualMFADevices"},
};

void query_list_nothing(struct query *query)
{
    const char *element = NULL;
    struct query_list list;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].action, query->action->name) == 0) {
            element = lists[i].element;
        }
    }
    invariant(element != NULL);
    if (query_list_open(query, element, &list)) {
        query_list_close(&list, 0);
    }
}

/* Nobody has a password here. */
void query_no_login_profile(struct query *query)
{
    query_fail(query, QUERY_NO_SUCH_ENTITY,
               "Login Profile for User %.256s cannot be found.",
               query->name.name != NULL ? query->name.name
                                        : query->name.account);
}
