/*
 * Private to s3/: encryption at rest, as requests ask for it and see it.
 * docs/encryption.md
 *
 * Every object and every upload has an object key of its own. Its record
 * holds the key in an envelope, under a master key or the customer's; each of
 * its blobs is sealed with a key derived from it (crypt.h).
 *
 * Invariants:
 *   S1  All blobs of an object whose record has an Encryption are sealed with
 *       its object key; of one that has none, none is.
 *   S2  Two records may name a blob only if both hold its object key, each in
 *       an envelope of its own.
 *   S3  A customer's key is in memory while a request needs it, and nowhere
 *       else; no reply and no log names it.
 */
#ifndef S3_SSE_H
#define S3_SSE_H

#include "s3/call.h"

/* The object key, or NULL: the bytes are in the clear. */
const uint8_t *sse_key(const struct sse *sse);
void sse_wipe(struct sse *sse);

/* --- requests (sse_request.c) ----------------------------------------------*/
/* Are the encryption headers well-formed, and do they mean something for this
 * operation? What they ask for is not looked at. False: the call has failed.
 */
bool sse_check_request(struct s3_call *call);

/* A key that came with the request. */
struct sse_customer {
    bool given;
    uint8_t key[CRYPT_KEY_SIZE];
    uint8_t md5[16];
};
/* What a new object is to have. */
struct sse_wish {
    Meta__EncryptionMode mode;
    bool named; /* by the request, not by a default */
    bool bucket_key;
    struct slice kms_key; /* as the client or the bucket names it */
    struct slice context; /* JSON; empty: none */
    struct sse_customer customer;
};
/* As the request, the bucket's default or the configuration says. False: the
 * call has failed. The caller wipes the customer's key. */
bool sse_read_wish(struct s3_call *call, struct sse_wish *wish);
/* Whose headers hold the customer's key. */
enum sse_whose { SSE_OBJECT, SSE_UPLOAD, SSE_COPY_SOURCE };
/* False: the call has failed. The caller wipes the key. */
bool sse_read_customer(struct s3_call *call, enum sse_whose whose,
                       struct sse_customer *customer);
/* A write that brought a customer's key: false where the bucket blocks those,
 * the call has failed. */
bool sse_may_bring_key(struct s3_call *call);
/* Customers' keys in the headers of a request that is done with. */
void sse_wipe_request(const Wire__Request *request);
/* The request itself says how the new object is to be encrypted. */
bool sse_named(const struct s3_call *call);

/* --- keys (sse.c) ----------------------------------------------------------
 * All may ask a provider of master keys, and block. False: the call has
 * failed. */
/* A new object of the request's key, or upload `id` (data == NULL: none). */
bool sse_create(struct s3_call *call, struct slice upload, struct sse *sse);
/* The same for a copy of `source`: *shares if it has the source's object key
 * and may name the source's blobs (S2). */
bool sse_create_copy(struct s3_call *call, const struct sse *source,
                     struct sse *sse, bool *shares);
/* The object key of a record; record == NULL: there is none. */
bool sse_open(struct s3_call *call, Meta__Encryption *record,
              enum sse_whose whose, struct sse *sse);
/* Does the request bring the key that the record asks for, and no other? Asks
 * no provider. */
bool sse_may_read(struct s3_call *call, Meta__Encryption *record,
                  enum sse_whose whose);

/* The envelope of a record. -EBADMSG. */
int sse_envelope(const Meta__Encryption *record,
                 struct crypt_envelope *envelope);
/* Who wrapped it, where that was not a customer. NULL: there is none. */
struct crypt_provider *sse_provider(const struct s3_service *service,
                                    const Meta__Encryption *record,
                                    const struct crypt_envelope *envelope);

/* --- replies (sse.c) -------------------------------------------------------*/
/* `written`: the reply to what made the object or the upload. */
void sse_headers(struct s3_call *call, const Meta__Encryption *record,
                 bool written);
/* The 16 bytes of an entity tag: the MD5 itself, but for objects of SSE_KMS
 * and SSE_C, whose tag must not tell it. May be in place. */
void sse_tag(const struct sse *sse, const uint8_t md5[16], uint8_t tag[16]);
/* Is the entity tag of such an object an MD5? */
bool sse_tag_is_md5(const Meta__Encryption *record);

#endif
