/* S3's error codes, from errors.def. */
#include "wire/wire.h"

static const struct {
    const char *code;
    unsigned status;
    const char *message;
} errors[S3_ERROR_COUNT] = {
    [S3_OK] = {"", 200, ""},
#define S3_ERROR(name, status, message)                                        \
    [S3_ERR_##name] = {#name, status, message},
#include "errors.def"
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

unsigned s3_error_status(enum s3_error error)
{
    return errors[error].status;
}
