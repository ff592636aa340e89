
/*
 * The error document.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */

#ifndef S3_XML_H
#define S3_XML_H

#include "s3_core.h"
#include "s3_sigv4.h"

/*
 * Builds <Error> with Code, Message, the error's own fields, Resource,
 * RequestId and HostId.  Escapes, and replaces what XML 1.0 cannot hold by
 * U+FFFD.  Returns 0, or -1 without memory.
 */
int s3_xml_error(s3_memory_t *memory, const s3_error_t *error,
    const s3_str_t *resource, const s3_str_t *request_id,
    const s3_str_t *host_id, s3_str_t *out);

/* An error with the table's message and no fields. */
void s3_error_init(s3_error_t *error, enum s3_error code);
void s3_error_add(s3_error_t *error, const char *name, const s3_str_t *value);

#endif
