/* Private to query_*.c: what each action runs. */
#ifndef S3_QUERY_ACTIONS_H
#define S3_QUERY_ACTIONS_H

#include "s3/query.h"

/* query_users.c */
void query_create_user(struct query *query);
void query_get_user(struct query *query);
void query_list_users(struct query *query);
void query_list_groups(struct query *query);
void query_rename(struct query *query);
void query_delete(struct query *query);
void query_create_access_key(struct query *query);
void query_list_access_keys(struct query *query);
void query_update_access_key(struct query *query);
void query_delete_access_key(struct query *query);
void query_access_key_last_used(struct query *query);

/* query_groups.c */
void query_create_group(struct query *query);
void query_get_group(struct query *query);
void query_list_groups_for_user(struct query *query);
void query_add_user_to_group(struct query *query);
void query_remove_user_from_group(struct query *query);

/* query_grants.c */
void query_put_inline(struct query *query);
void query_get_inline(struct query *query);
void query_delete_inline(struct query *query);
void query_list_inline(struct query *query);
void query_attach(struct query *query);
void query_detach(struct query *query);
void query_list_attached(struct query *query);

/* query_policies.c */
void query_create_policy(struct query *query);
void query_get_policy(struct query *query);
void query_get_policy_version(struct query *query);
void query_list_policy_versions(struct query *query);
void query_create_policy_version(struct query *query);
void query_list_policies(struct query *query);
void query_list_entities_for_policy(struct query *query);

/* query_roles.c */
void query_create_role(struct query *query);
void query_get_role(struct query *query);
void query_list_roles(struct query *query);
void query_update_role(struct query *query);
void query_update_trust(struct query *query);
void query_account_summary(struct query *query);

/* query_nothing.c */
void query_list_nothing(struct query *query);
void query_no_login_profile(struct query *query);

/* query_sts.c */
void query_caller_identity(struct query *query);
void query_session_token(struct query *query);
void query_assume_role(struct query *query);
void query_assume_role_with_web_identity(struct query *query);

#endif
