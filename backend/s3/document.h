/*
 * Private to s3/: settings of a bucket that are kept as documents.
 *
 * A document is kept by name in the bucket's record: XML in the form in which
 * it is given back, or one word where a setting is no more than that. It was
 * read strictly before it was stored.
 */
#ifndef S3_DOCUMENT_H
#define S3_DOCUMENT_H

#include "base/xml_in.h"
#include "s3/call.h"

/* Names are on disk: never change one. */
#define DOCUMENT_TAGGING         "tagging"           /* XML */
#define DOCUMENT_CORS            "cors"              /* XML */
#define DOCUMENT_OWNERSHIP       "ownershipControls" /* ObjectOwnership */
#define DOCUMENT_REQUEST_PAYMENT "requestPayment"    /* Payer */
#define DOCUMENT_LOGGING         "logging"           /* XML */
#define DOCUMENT_POLICY          "policy"            /* JSON */

/* data == NULL: there is none. Lives as long as the bucket. */
struct slice document_get(const Meta__Bucket *bucket, const char *name);
/* Into a bucket that is about to be stored; the call's arena holds it. */
void document_set(struct s3_call *call, Meta__Bucket *bucket, const char *name,
                  struct slice value);
/* The same, or takes it away (value.data == NULL). */
void document_put(struct s3_call *call, Meta__Bucket *bucket, const char *name,
                  struct slice value);
/* Replaces a document of call->bucket, or removes it (value.data == NULL),
 * under the bucket's lock. Nothing is committed if nothing changes. False:
 * the call has failed. */
bool document_commit(struct s3_call *call, const char *name,
                     struct slice value);
/* The request's body as a document with this root. NULL: the call has
 * failed, MissingRequestBodyError or MalformedXML. */
struct xml_node *document_request(struct s3_call *call, const char *root);
/* Ends the call with a stored document, or with `missing` and BucketName. */
void document_reply(struct s3_call *call, const char *name,
                    enum s3_error missing);
/* Refuses a body that nothing vouches for. False: the call has failed. */
bool document_require_integrity(struct s3_call *call);
/* Ends the call with `error` and BucketName. */
void document_fail(struct s3_call *call, enum s3_error error);
/* What was written into `out`, in the call's arena; frees the buffer. */
struct slice document_take(struct s3_call *call, struct buffer *out);

#endif
