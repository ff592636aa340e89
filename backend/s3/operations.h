/*
 * Private to s3/: what each operation does, by the names in the table of
 * operations.c. An operation's contract is in call.h (s3_operation).
 */
#ifndef S3_OPERATIONS_H
#define S3_OPERATIONS_H

#include "s3/call.h"

/* --- service and buckets: bucket.c, location.c
 * ------------------------------*/
void s3_list_buckets_run(struct s3_call *call);
void s3_create_bucket_run(struct s3_call *call); /* XML body, may be empty */
void s3_head_bucket_run(struct s3_call *call);
void s3_delete_bucket_run(struct s3_call *call);
void s3_get_location_run(struct s3_call *call);

/* --- listing: list.c
 * --------------------------------------------------------*/
void s3_list_objects_run(struct s3_call *call);
void s3_list_objects_v2_run(struct s3_call *call);
void s3_list_uploads_run(struct s3_call *call);

/* --- objects: put.c, get.c, delete.c, delete_objects.c, copy.c
 * ---------------*/
void s3_put_object_open(struct s3_call *call);
void s3_put_object_run(struct s3_call *call);
void s3_get_object_run(struct s3_call *call);
void s3_head_object_run(struct s3_call *call);
void s3_delete_object_run(struct s3_call *call);
void s3_delete_objects_run(struct s3_call *call); /* XML body */
void s3_copy_object_run(struct s3_call *call);

/* --- multipart: multipart*.c
 * --------------------------------------------------*/
void s3_create_upload_run(struct s3_call *call);
void s3_upload_part_open(struct s3_call *call);
void s3_upload_part_run(struct s3_call *call);
void s3_upload_part_copy_run(struct s3_call *call);
void s3_complete_upload_run(struct s3_call *call); /* XML body */
void s3_abort_upload_run(struct s3_call *call);
void s3_list_parts_run(struct s3_call *call);

#endif
