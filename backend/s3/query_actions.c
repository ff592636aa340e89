/* The actions of IAM and STS. */
#include "s3/query_actions.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* clang-format off */
static const struct query_action iam_actions[] = {
    {"CreateUser", query_create_user, NAMES_NEW, IAM_USER},
    {"GetUser", query_get_user, NAMES_ONE_OR_ME, IAM_USER},
    {"ListUsers", query_list_users, NAMES_ALL, IAM_USER},
    {"UpdateUser", query_rename, NAMES_ONE, IAM_USER},
    {"DeleteUser", query_delete, NAMES_ONE, IAM_USER},

    {"CreateAccessKey", query_create_access_key, NAMES_ONE_OR_ME, IAM_USER},
    {"ListAccessKeys", query_list_access_keys, NAMES_ONE_OR_ME, IAM_USER},
    {"UpdateAccessKey", query_update_access_key, NAMES_ONE_OR_ME, IAM_USER},
    {"DeleteAccessKey", query_delete_access_key, NAMES_ONE_OR_ME, IAM_USER},
    {"GetAccessKeyLastUsed", query_access_key_last_used, NAMES_ITSELF,
     IAM_USER},

    {"CreateGroup", query_create_group, NAMES_NEW, IAM_GROUP},
    {"GetGroup", query_get_group, NAMES_ONE, IAM_GROUP},
    {"ListGroups", query_list_groups, NAMES_ALL, IAM_GROUP},
    {"UpdateGroup", query_rename, NAMES_ONE, IAM_GROUP},
    {"DeleteGroup", query_delete, NAMES_ONE, IAM_GROUP},
    {"AddUserToGroup", query_add_user_to_group, NAMES_ONE, IAM_GROUP},
    {"RemoveUserFromGroup", query_remove_user_from_group, NAMES_ONE,
     IAM_GROUP},
    {"ListGroupsForUser", query_list_groups_for_user, NAMES_ONE, IAM_USER},

    {"PutUserPolicy", query_put_inline, NAMES_ONE, IAM_USER},
    {"GetUserPolicy", query_get_inline, NAMES_ONE, IAM_USER},
    {"ListUserPolicies", query_list_inline, NAMES_ONE, IAM_USER},
    {"DeleteUserPolicy", query_delete_inline, NAMES_ONE, IAM_USER},
    {"PutGroupPolicy", query_put_inline, NAMES_ONE, IAM_GROUP},
    {"GetGroupPolicy", query_get_inline, NAMES_ONE, IAM_GROUP},
    {"ListGroupPolicies", query_list_inline, NAMES_ONE, IAM_GROUP},
    {"DeleteGroupPolicy", query_delete_inline, NAMES_ONE, IAM_GROUP},
    {"PutRolePolicy", query_put_inline, NAMES_ONE, IAM_ROLE},
    {"GetRolePolicy", query_get_inline, NAMES_ONE, IAM_ROLE},
    {"ListRolePolicies", query_list_inline, NAMES_ONE, IAM_ROLE},
    {"DeleteRolePolicy", query_delete_inline, NAMES_ONE, IAM_ROLE},

    {"AttachUserPolicy", query_attach, NAMES_ONE, IAM_USER},
    {"DetachUserPolicy", query_detach, NAMES_ONE, IAM_USER},
    {"ListAttachedUserPolicies", query_list_attached, NAMES_ONE, IAM_USER},
    {"AttachGroupPolicy", query_attach, NAMES_ONE, IAM_GROUP},
    {"DetachGroupPolicy", query_detach, NAMES_ONE, IAM_GROUP},
    {"ListAttachedGroupPolicies", query_list_attached, NAMES_ONE, IAM_GROUP},
    {"AttachRolePolicy", query_attach, NAMES_ONE, IAM_ROLE},
    {"DetachRolePolicy", query_detach, NAMES_ONE, IAM_ROLE},
    {"ListAttachedRolePolicies", query_list_attached, NAMES_ONE, IAM_ROLE},

    {"CreatePolicy", query_create_policy, NAMES_NEW, IAM_POLICY},
    {"GetPolicy", query_get_policy, NAMES_ONE, IAM_POLICY},
    {"ListPolicies", query_list_policies, NAMES_ALL, IAM_POLICY},
    {"DeletePolicy", query_delete, NAMES_ONE, IAM_POLICY},
    {"GetPolicyVersion", query_get_policy_version, NAMES_ONE, IAM_POLICY},
    {"ListPolicyVersions", query_list_policy_versions, NAMES_ONE, IAM_POLICY},
    {"CreatePolicyVersion", query_create_policy_version, NAMES_ONE,
     IAM_POLICY},
    {"ListEntitiesForPolicy", query_list_entities_for_policy, NAMES_ONE,
     IAM_POLICY},

    {"CreateRole", query_create_role, NAMES_NEW, IAM_ROLE},
    {"GetRole", query_get_role, NAMES_ONE, IAM_ROLE},
    {"ListRoles", query_list_roles, NAMES_ALL, IAM_ROLE},
    {"UpdateRole", query_update_role, NAMES_ONE, IAM_ROLE},
    {"UpdateAssumeRolePolicy", query_update_trust, NAMES_ONE, IAM_ROLE},
    {"DeleteRole", query_delete, NAMES_ONE, IAM_ROLE},

    {"GetAccountSummary", query_account_summary, NAMES_NOTHING, IAM_USER},

    {"GetLoginProfile", query_no_login_profile, NAMES_ONE_OR_ME, IAM_USER},
    {"DeleteLoginProfile", query_no_login_profile, NAMES_ONE_OR_ME, IAM_USER},
    {"ListMFADevices", query_list_nothing, NAMES_ONE_OR_ME, IAM_USER},
    {"ListServiceSpecificCredentials", query_list_nothing, NAMES_ONE_OR_ME,
     IAM_USER},
    {"ListSigningCertificates", query_list_nothing, NAMES_ONE_OR_ME, IAM_USER},
    {"ListSSHPublicKeys", query_list_nothing, NAMES_ONE_OR_ME, IAM_USER},
    {"ListUserTags", query_list_nothing, NAMES_ONE, IAM_USER},
    {"ListPolicyTags", query_list_nothing, NAMES_ONE, IAM_POLICY},
    {"ListInstanceProfilesForRole", query_list_nothing, NAMES_ONE, IAM_ROLE},
    {"ListRoleTags", query_list_nothing, NAMES_ONE, IAM_ROLE},
    {"ListAccountAliases", query_list_nothing, NAMES_NOTHING, IAM_USER},
    {"ListVirtualMFADevices", query_list_nothing, NAMES_NOTHING, IAM_USER},
};

static const struct query_action sts_actions[] = {
    {"GetCallerIdentity", query_caller_identity, NAMES_ITSELF, IAM_USER},
    {"GetSessionToken", query_session_token, NAMES_ITSELF, IAM_USER},
    {"AssumeRole", query_assume_role, NAMES_ITSELF, IAM_ROLE},
    {"AssumeRoleWithWebIdentity", query_assume_role_with_web_identity,
     NAMES_ITSELF, IAM_ROLE},
};

/* What AWS has and clients ask for, and is not here. */
static const char *const iam_absent[] = {
    "AddClientIDToOpenIDConnectProvider", "AddRoleToInstanceProfile",
    "ChangePassword", "CreateAccountAlias", "CreateInstanceProfile",
    "CreateLoginProfile", "CreateOpenIDConnectProvider", "CreateSAMLProvider",
    "CreateServiceLinkedRole", "CreateServiceSpecificCredential",
    "CreateVirtualMFADevice", "DeactivateMFADevice", "DeleteAccountAlias",
    "DeleteAccountPasswordPolicy", "DeleteInstanceProfile",
    "DeleteOpenIDConnectProvider", "DeletePolicyVersion",
    "DeleteRolePermissionsBoundary", "DeleteSAMLProvider",
    "DeleteServerCertificate", "DeleteServiceLinkedRole",
    "DeleteSigningCertificate", "DeleteSSHPublicKey",
    "DeleteUserPermissionsBoundary", "DeleteVirtualMFADevice",
    "EnableMFADevice", "GenerateCredentialReport",
    "GenerateServiceLastAccessedDetails", "GetAccountAuthorizationDetails",
    "GetAccountPasswordPolicy", "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy", "GetCredentialReport",
    "GetInstanceProfile", "GetMFADevice", "GetOpenIDConnectProvider",
    "GetSAMLProvider", "GetServerCertificate", "GetServiceLastAccessedDetails",
    "GetSSHPublicKey", "ListInstanceProfiles", "ListInstanceProfileTags",
    "ListOpenIDConnectProviders", "ListPoliciesGrantingServiceAccess",
    "ListSAMLProviders", "ListServerCertificates",
    "PutRolePermissionsBoundary", "PutUserPermissionsBoundary",
    "RemoveClientIDFromOpenIDConnectProvider", "RemoveRoleFromInstanceProfile",
    "ResetServiceSpecificCredential", "ResyncMFADevice",
    "SetDefaultPolicyVersion", "SetSecurityTokenServicePreferences",
    "SimulateCustomPolicy", "SimulatePrincipalPolicy", "TagPolicy", "TagRole",
    "TagUser", "UntagPolicy", "UntagRole", "UntagUser",
    "UpdateAccountPasswordPolicy", "UpdateLoginProfile",
    "UpdateOpenIDConnectProviderThumbprint", "UpdateRoleDescription",
    "UpdateSAMLProvider", "UpdateServerCertificate",
    "UpdateServiceSpecificCredential", "UpdateSigningCertificate",
    "UpdateSSHPublicKey", "UploadServerCertificate",
    "UploadSigningCertificate", "UploadSSHPublicKey",
};

static const char *const sts_absent[] = {
    "AssumeRoleWithSAML", "AssumeRoot", "DecodeAuthorizationMessage",
    "GetAccessKeyInfo", "GetFederationToken",
};
/* clang-format on */

static const struct query_action *find(const struct query_action *actions,
                                       size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

static bool has(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const struct query_action *query_action_find(enum query_service service,
                                             const char *name, bool *known)
{
    if (service == QUERY_IAM) {
        *known = has(iam_absent, COUNT(iam_absent), name);
        return find(iam_actions, COUNT(iam_actions), name);
    }
    *known = has(sts_absent, COUNT(sts_absent), name);
    return find(sts_actions, COUNT(sts_actions), name);
}
