/*
 * Private to s3/: what each operation does, by the names in the table of
 * operations.c. An operation's contract is in call.h (s3_operation).
 */
#ifndef S3_OPERATIONS_H
#define S3_OPERATIONS_H

#include "s3/call.h"

/* --- service and buckets: bucket.c, location.c -----------------------------*/
void s3_list_buckets_run(struct s3_call *call);
void s3_create_bucket_run(struct s3_call *call); /* XML body, may be empty */
void s3_head_bucket_run(struct s3_call *call);
void s3_delete_bucket_run(struct s3_call *call);
void s3_get_location_run(struct s3_call *call);

/* --- listing: list.c -------------------------------------------------------*/
void s3_list_objects_run(struct s3_call *call);
void s3_list_objects_v2_run(struct s3_call *call);
void s3_list_uploads_run(struct s3_call *call);

/* --- objects: put.c, get.c, delete.c, delete_objects.c, copy.c -------------*/
void s3_put_object_open(struct s3_call *call);
void s3_put_object_run(struct s3_call *call);
void s3_post_object_open(struct s3_call *call); /* post_object.c */
void s3_post_object_take(struct s3_call *call, struct slice data);
void s3_post_object_run(struct s3_call *call);
void s3_get_object_run(struct s3_call *call);
void s3_head_object_run(struct s3_call *call);
void s3_get_file_run(struct s3_call *call);    /* file.c */
void s3_get_website_run(struct s3_call *call); /* website.c */
void s3_delete_object_run(struct s3_call *call);
void s3_delete_objects_run(struct s3_call *call); /* XML body */
void s3_copy_object_run(struct s3_call *call);

/* --- extensions: rename.c, append.c ----------------------------------------*/
void s3_rename_object_run(struct s3_call *call);
/* Is this PutObject an append? Then these two serve it. */
bool s3_append_wanted(const struct s3_call *call);
void s3_append_open(struct s3_call *call);
void s3_append_run(struct s3_call *call);

/* --- versions and Object Lock: versioning.c, list_versions.c, worm_*.c -----*/
void s3_put_versioning_run(struct s3_call *call); /* XML body */
void s3_get_versioning_run(struct s3_call *call);
void s3_list_versions_run(struct s3_call *call);
void s3_put_lock_configuration_run(struct s3_call *call); /* XML body */
void s3_get_lock_configuration_run(struct s3_call *call);
void s3_put_retention_run(struct s3_call *call); /* XML body */
void s3_get_retention_run(struct s3_call *call);
void s3_put_legal_hold_run(struct s3_call *call); /* XML body */
void s3_get_legal_hold_run(struct s3_call *call);

/* --- multipart: multipart*.c -----------------------------------------------*/
void s3_create_upload_run(struct s3_call *call);
void s3_upload_part_open(struct s3_call *call);
void s3_upload_part_run(struct s3_call *call);
void s3_upload_part_copy_run(struct s3_call *call);
void s3_complete_upload_run(struct s3_call *call); /* XML body */
void s3_abort_upload_run(struct s3_call *call);
void s3_list_parts_run(struct s3_call *call);

/* --- tags, attributes: tagging.c, attributes.c -----------------------------*/
void s3_put_object_tagging_run(struct s3_call *call); /* XML body */
void s3_get_object_tagging_run(struct s3_call *call);
void s3_delete_object_tagging_run(struct s3_call *call);
void s3_put_bucket_tagging_run(struct s3_call *call); /* XML body */
void s3_get_bucket_tagging_run(struct s3_call *call);
void s3_delete_bucket_tagging_run(struct s3_call *call);
void s3_get_object_attributes_run(struct s3_call *call);

/* --- CORS: cors_call.c -----------------------------------------------------*/
void s3_put_cors_run(struct s3_call *call); /* XML body */
void s3_get_cors_run(struct s3_call *call);
void s3_delete_cors_run(struct s3_call *call);
void s3_preflight_run(struct s3_call *call); /* also of nobody */

/* --- settings of buckets: bucket_settings.c --------------------------------*/
void s3_put_ownership_run(struct s3_call *call); /* XML body */
void s3_get_ownership_run(struct s3_call *call);
void s3_delete_ownership_run(struct s3_call *call);
void s3_put_request_payment_run(struct s3_call *call); /* XML body */
void s3_get_request_payment_run(struct s3_call *call);
void s3_put_notification_run(struct s3_call *call); /* XML body */
void s3_get_notification_run(struct s3_call *call);
void s3_put_website_run(struct s3_call *call); /* XML body */
void s3_get_bucket_website_run(struct s3_call *call);
void s3_delete_website_run(struct s3_call *call);
void s3_listen_run(struct s3_call *call); /* listen.c */
void s3_get_accelerate_run(struct s3_call *call);
void s3_list_configurations_run(struct s3_call *call);
void s3_get_unset_run(struct s3_call *call);
void s3_delete_unset_run(struct s3_call *call);

/* --- access logs: bucket_logging.c -----------------------------------------*/
void s3_put_logging_run(struct s3_call *call); /* XML body */
void s3_get_logging_run(struct s3_call *call);
void s3_put_policy_run(struct s3_call *call);
void s3_get_policy_run(struct s3_call *call);
void s3_delete_policy_run(struct s3_call *call);
void s3_get_policy_status_run(struct s3_call *call);
void s3_put_public_access_run(struct s3_call *call);
void s3_get_public_access_run(struct s3_call *call);
void s3_delete_public_access_run(struct s3_call *call);
void s3_put_encryption_run(struct s3_call *call); /* XML body */
void s3_get_encryption_run(struct s3_call *call);
void s3_delete_encryption_run(struct s3_call *call);

/* --- access control lists: acl_operations.c --------------------------------*/
void s3_get_bucket_acl_run(struct s3_call *call);
void s3_put_bucket_acl_run(struct s3_call *call);
void s3_get_object_acl_run(struct s3_call *call);
void s3_put_object_acl_run(struct s3_call *call);

#endif
