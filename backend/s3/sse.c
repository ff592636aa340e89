/* Object keys: made, wrapped, opened; and what replies say of them. */
#include "s3/sse.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

/* What S3 calls the key of requests that name none: the provider's default. */
#define KMS_DEFAULT_KEY "aws/s3"

const uint8_t *sse_key(const struct sse *sse)
{
    return sse->record != NULL ? sse->key : NULL;
}

void sse_wipe(struct sse *sse)
{
    OPENSSL_cleanse(sse, sizeof(*sse));
}

/* --- providers -------------------------------------------------------------*/
static bool fail_provider(struct s3_call *call, Meta__EncryptionMode mode,
                          int error)
{
    bool kms = mode == META__ENCRYPTION_MODE__SSE_KMS;

    if (error == -ENOTSUP) {
        call_error_field(call, "Header",
                         SLICE_LITERAL("x-amz-server-side-encryption"));
        call_fail(call, S3_ERR_NotImplemented);
    } else if (kms && error == -ENOENT) {
        call_fail(call, S3_ERR_KMS_NotFoundException);
    } else if (kms && error == -EACCES) {
        call_fail(call, S3_ERR_KMS_DisabledException);
    } else if (kms && error == -EAGAIN) {
        call_fail(call, S3_ERR_KMS_DependencyTimeoutException);
    } else {
        call_fail_errno(call, error, "opening an object key");
    }
    return false;
}

/* A key's id, its ARN, "alias/" and a name: the provider knows the name. */
static struct slice key_name(struct slice key)
{
    static const char *const kinds[] = {"key/", "alias/"};
    const uint8_t *colon = memrchr(key.data, ':', key.size);

    bool arn = slice_has_prefix(key, SLICE_LITERAL("arn:"));

    if (arn) {
        key = slice_of(colon + 1, key.size - (size_t)(colon + 1 - key.data));
    }
    for (size_t i = 0; i < 2; i++) {
        struct slice kind = slice_from_string(kinds[i]);

        if ((arn || i == 1) && slice_has_prefix(key, kind)) {
            return slice_of(key.data + kind.size, key.size - kind.size);
        }
    }
    return key;
}

/* What a bucket key is bound to: the bucket's id and its ARN. */
#define BUCKET_ARN       "arn:aws:s3:::"
#define BUCKET_BOUND_MAX (8 + sizeof(BUCKET_ARN) - 1 + 63)

static struct slice bucket_bound(const Meta__Bucket *bucket,
                                 uint8_t out[BUCKET_BOUND_MAX])
{
    const size_t arn_size = sizeof(BUCKET_ARN) - 1;

    invariant(bucket->name.len <= 63);
    put_u64be(out, bucket->id);
    memcpy(out + 8, BUCKET_ARN, arn_size);
    memcpy(out + 8 + arn_size, bucket->name.data, bucket->name.len);
    return slice_of(out, 8 + arn_size + bucket->name.len);
}

static int wrap_kms(struct s3_call *call, const struct sse_wish *wish,
                    struct slice bound, const uint8_t key[CRYPT_KEY_SIZE],
                    struct crypt_envelope *envelope)
{
    struct crypt_provider *kms = call->service->kms;
    struct slice name = key_name(wish->kms_key);
    uint8_t bucket[BUCKET_BOUND_MAX];
    int error;

    if (kms == NULL) {
        return -ENOTSUP;
    }
    if (name.size == 0 || wish->kms_key.size > CRYPT_KEY_ID_MAX) {
        return -ENOENT;
    }
    if (slice_equal_string(name, KMS_DEFAULT_KEY)) {
        name = SLICE_LITERAL("");
    }
    error = wish->bucket_key
                ? crypt_wrap_in_bucket(kms, name,
                                       bucket_bound(call->bucket, bucket),
                                       bound, key, envelope)
                : crypt_wrap(kms, name, bound, key, envelope);
    return error == -EINVAL ? -ENOENT : error; /* no key has such a name */
}

int sse_envelope(const Meta__Encryption *record,
                 struct crypt_envelope *envelope)
{
    memset(envelope, 0, sizeof(*envelope));
    if (record->wrapped.len > sizeof(envelope->wrapped) ||
        record->key_id.len >= sizeof(envelope->key_id)) {
        return -EBADMSG;
    }
    if (record->wrapped.len > 0) {
        memcpy(envelope->wrapped, record->wrapped.data, record->wrapped.len);
    }
    if (record->key_id.len > 0) { /* a customer's key has none */
        memcpy(envelope->key_id, record->key_id.data, record->key_id.len);
    }
    envelope->size = record->wrapped.len;
    return 0;
}

/* Envelopes stay what they are when another provider is configured. */
struct crypt_provider *sse_provider(const struct s3_service *service,
                                    const Meta__Encryption *record,
                                    const struct crypt_envelope *envelope)
{
    bool kms = record->mode == META__ENCRYPTION_MODE__SSE_KMS &&
               service->kms != NULL && crypt_wrapped_by(service->kms, envelope);

    return kms ? service->kms : service->keyring;
}

static int unwrap(struct s3_call *call, const Meta__Encryption *record,
                  const struct sse_customer *customer, uint8_t *key)
{
    struct slice bound = pb_slice(record->bound);
    struct crypt_provider *provider;
    struct crypt_envelope envelope;
    int error = sse_envelope(record, &envelope);

    if (error != 0) {
        return error;
    }
    if (record->mode == META__ENCRYPTION_MODE__SSE_C) {
        return crypt_unwrap_customer(customer->key, bound, &envelope, key);
    }
    provider = sse_provider(call->service, record, &envelope);
    return provider != NULL ? crypt_unwrap(provider, bound, &envelope, key)
                            : -ENOTSUP;
}

/* --- new keys --------------------------------------------------------------*/
/* What an envelope is for: the key or upload that it was made for, and the
 * encryption context. */
static struct slice bound_to(struct s3_call *call, struct slice name,
                             struct slice context)
{
    struct buffer text = {NULL, 0, 0};
    struct slice bound;
    uint8_t bucket[8];

    put_u64be(bucket, call->bucket->id);
    buffer_append(&text, bucket, sizeof(bucket));
    buffer_append(&text, name.data, name.size);
    if (context.size > 0) {
        buffer_append(&text, "", 1);
        buffer_append(&text, context.data, context.size);
    }
    bound = arena_copy(call->arena, text.data, text.size);
    buffer_free(&text);
    return bound;
}

static Meta__Encryption *new_record(struct s3_call *call,
                                    const struct sse_wish *wish,
                                    struct slice bound,
                                    const struct crypt_envelope *envelope)
{
    Meta__Encryption *record = arena_alloc(call->arena, sizeof(*record));
    struct arena *arena = call->arena;

    meta__encryption__init(record);
    record->mode = wish->mode;
    record->key_id =
        pb_bytes(arena_copy(arena, envelope->key_id, strlen(envelope->key_id)));
    record->wrapped =
        pb_bytes(arena_copy(arena, envelope->wrapped, envelope->size));
    record->bound = pb_bytes(bound);
    if (wish->mode == META__ENCRYPTION_MODE__SSE_KMS) {
        record->kms_key = pb_bytes(wish->kms_key);
        record->context = pb_bytes(wish->context);
        record->bucket_key = wish->bucket_key;
    } else if (wish->mode == META__ENCRYPTION_MODE__SSE_C) {
        record->customer_md5 =
            pb_bytes(arena_copy(arena, wish->customer.md5, 16));
    }
    return record;
}

/* Puts sse->key into an envelope for what is being written. */
static bool enclose(struct s3_call *call, const struct sse_wish *wish,
                    struct slice name, struct sse *sse)
{
    struct slice bound = bound_to(call, name, wish->context);
    struct crypt_envelope envelope;
    int error = 0;

    if (wish->mode == META__ENCRYPTION_MODE__SSE_C) {
        crypt_wrap_customer(wish->customer.key, bound, sse->key, &envelope);
    } else if (wish->mode == META__ENCRYPTION_MODE__SSE_KMS) {
        error = wrap_kms(call, wish, bound, sse->key, &envelope);
    } else if (call->service->keyring == NULL) {
        error = -ENOTSUP;
    } else {
        error = crypt_wrap(call->service->keyring, SLICE_LITERAL(""), bound,
                           sse->key, &envelope);
    }
    if (error != 0) {
        return fail_provider(call, wish->mode, error);
    }
    sse->record = new_record(call, wish, bound, &envelope);
    return true;
}

static bool read_wish(struct s3_call *call, struct sse_wish *wish)
{
    if (!sse_read_wish(call, wish)) {
        return false;
    }
    if (wish->mode == META__ENCRYPTION_MODE__SSE_KMS &&
        wish->kms_key.size == 0) {
        wish->kms_key = SLICE_LITERAL(KMS_DEFAULT_KEY);
    }
    return true;
}

static void new_key(uint8_t key[CRYPT_KEY_SIZE])
{
    invariant(getrandom(key, CRYPT_KEY_SIZE, 0) == CRYPT_KEY_SIZE);
}

bool sse_create(struct s3_call *call, struct slice upload, struct sse *sse)
{
    struct sse_wish wish;
    bool made = read_wish(call, &wish);

    sse->record = NULL;
    if (made && wish.mode != META__ENCRYPTION_MODE__NOT_ENCRYPTED) {
        new_key(sse->key);
        made =
            enclose(call, &wish, upload.data != NULL ? upload : call->key, sse);
    }
    OPENSSL_cleanse(&wish.customer, sizeof(wish.customer));
    return made;
}

/* S2: whoever may open the one record may open the other. */
static bool may_share(const struct sse_wish *wish,
                      const Meta__Encryption *source)
{
    if (source == NULL || source->mode != wish->mode) {
        return source == NULL &&
               wish->mode == META__ENCRYPTION_MODE__NOT_ENCRYPTED;
    }
    switch (wish->mode) {
    case META__ENCRYPTION_MODE__SSE_KMS:
        return slice_equal(key_name(wish->kms_key),
                           key_name(pb_slice(source->kms_key)));
    case META__ENCRYPTION_MODE__SSE_C:
        return slice_equal(slice_of(wish->customer.md5, 16),
                           pb_slice(source->customer_md5));
    default:
        return true;
    }
}

bool sse_create_copy(struct s3_call *call, const struct sse *source,
                     struct sse *sse, bool *shares)
{
    struct sse_wish wish;
    bool made = read_wish(call, &wish);

    sse->record = NULL;
    *shares = made && may_share(&wish, source->record);
    if (made && wish.mode != META__ENCRYPTION_MODE__NOT_ENCRYPTED) {
        if (*shares) {
            memcpy(sse->key, source->key, CRYPT_KEY_SIZE);
        } else {
            new_key(sse->key);
        }
        made = enclose(call, &wish, call->key, sse);
    }
    OPENSSL_cleanse(&wish.customer, sizeof(wish.customer));
    return made;
}

/* --- keys of what is there -------------------------------------------------*/
#define NOT_APPLICABLE                                                         \
    "The encryption parameters are not applicable to this object."
#define STORED_WITH                                                            \
    "The object was stored using a form of Server Side Encryption. The "       \
    "correct parameters must be provided to retrieve the object."
#define INITIATED_WITH                                                         \
    "The multipart upload initiate requested encryption. Subsequent part "     \
    "requests must include the appropriate encryption parameters."
#define NOT_THE_SAME                                                           \
    "The provided encryption parameters did not match the ones used "          \
    "originally."

static bool check_customer(struct s3_call *call, const Meta__Encryption *record,
                           enum sse_whose whose,
                           const struct sse_customer *customer)
{
    bool wanted =
        record != NULL && record->mode == META__ENCRYPTION_MODE__SSE_C;

    if (!wanted && !customer->given) {
        return true;
    }
    if (!wanted) {
        call_fail_message(call, S3_ERR_InvalidRequest, NOT_APPLICABLE);
    } else if (!customer->given) {
        call_fail_message(call, S3_ERR_InvalidRequest, "%s",
                          whose == SSE_UPLOAD ? INITIATED_WITH : STORED_WITH);
    } else if (record->customer_md5.len == 16 &&
               CRYPTO_memcmp(record->customer_md5.data, customer->md5, 16) ==
                   0) {
        return true;
    } else if (whose == SSE_UPLOAD) {
        call_fail_message(call, S3_ERR_InvalidArgument, NOT_THE_SAME);
    } else {
        call_fail(call, S3_ERR_AccessDenied);
    }
    return false;
}

/* Its envelope is bound to the context that the record tells. */
static bool context_is_bound(const Meta__Encryption *record)
{
    struct slice bound = pb_slice(record->bound);
    struct slice context = pb_slice(record->context);

    return bound.size >= context.size &&
           slice_equal(
               slice_of(bound.data + bound.size - context.size, context.size),
               context);
}

bool sse_open(struct s3_call *call, Meta__Encryption *record,
              enum sse_whose whose, struct sse *sse)
{
    struct sse_customer customer;
    bool opened = sse_read_customer(call, whose, &customer) &&
                  check_customer(call, record, whose, &customer);

    sse->record = NULL;
    if (opened && record != NULL) {
        int error = context_is_bound(record)
                        ? unwrap(call, record, &customer, sse->key)
                        : -EBADMSG;

        opened = error == 0 || fail_provider(call, record->mode, error);
        sse->record = opened ? record : NULL;
    }
    OPENSSL_cleanse(&customer, sizeof(customer));
    return opened;
}

bool sse_may_read(struct s3_call *call, Meta__Encryption *record,
                  enum sse_whose whose)
{
    struct sse_customer customer;
    bool may = sse_read_customer(call, whose, &customer) &&
               check_customer(call, record, whose, &customer);

    OPENSSL_cleanse(&customer, sizeof(customer));
    return may;
}

/* --- replies ---------------------------------------------------------------*/
#define SSE "x-amz-server-side-encryption"

static void base64_header(struct s3_call *call, const char *name,
                          struct slice value)
{
    char *text = arena_alloc(call->arena, 4 * ((value.size + 2) / 3) + 1);

    base64_encode(text, value.data, value.size);
    call_header(call, name, "%s", text);
}

void sse_headers(struct s3_call *call, const Meta__Encryption *record,
                 bool written)
{
    if (record == NULL) {
        return;
    }
    switch (record->mode) {
    case META__ENCRYPTION_MODE__SSE_S3:
        call_header(call, SSE, "AES256");
        break;
    case META__ENCRYPTION_MODE__SSE_KMS:
        call_header(call, SSE, "aws:kms");
        call_header_slice(call, SSE "-aws-kms-key-id",
                          pb_slice(record->kms_key));
        if (record->bucket_key) {
            call_header(call, SSE "-bucket-key-enabled", "true");
        }
        if (written && record->context.len > 0) {
            base64_header(call, SSE "-context", pb_slice(record->context));
        }
        break;
    case META__ENCRYPTION_MODE__SSE_C:
        call_header(call, SSE "-customer-algorithm", "AES256");
        base64_header(call, SSE "-customer-key-MD5",
                      pb_slice(record->customer_md5));
        break;
    default:
        break;
    }
}

bool sse_tag_is_md5(const Meta__Encryption *record)
{
    return record == NULL || record->mode == META__ENCRYPTION_MODE__SSE_S3;
}

void sse_tag(const struct sse *sse, const uint8_t md5[16], uint8_t tag[16])
{
    uint8_t keyed[32];

    if (sse_tag_is_md5(sse->record)) {
        memmove(tag, md5, 16);
        return;
    }
    invariant(HMAC(EVP_sha256(), sse->key, CRYPT_KEY_SIZE, md5, 16, keyed,
                   NULL) != NULL);
    memcpy(tag, keyed, 16);
}
