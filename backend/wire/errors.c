/* S3's error codes, from errors.def. */
#include "wire/wire.h"

#include <string.h>

static const struct {
    const char *code;
    unsigned status;
    const char *message;
} errors[S3_ERROR_COUNT] = {
    [S3_OK] = {"", 200, ""},
#define S3_ERROR(name, status, message)                                        \
    [S3_ERR_##name] = {#name, status, message},
#define S3_KMS_ERROR(name, status, message)                                    \
    [S3_ERR_KMS_##name] = {"KMS." #name, status, message},
#include "errors.def"
#undef S3_KMS_ERROR
#undef S3_ERROR
};

const char *s3_error_code(enum s3_error error)
{
    return errors[error].code;
}

const char *s3_error_message(enum s3_error error)
{
    return errors[error].message;
}

enum s3_error s3_error_find(const char *code, size_t size)
{
    for (int i = S3_OK + 1; i < S3_ERROR_COUNT; i++) {
        if (strlen(errors[i].code) == size &&
            memcmp(errors[i].code, code, size) == 0) {
            return (enum s3_error)i;
        }
    }
    return S3_OK;
}

unsigned s3_error_status(enum s3_error error)
{
    return errors[error].status;
}
