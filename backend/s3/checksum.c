#include "s3/call.h"

#include <string.h>
#include <strings.h>

static const struct {
    Meta__ChecksumAlgorithm algorithm;
    enum digest digest;
    unsigned size;
    const char *name, *header, *element;
} algorithms[] = {
    {META__CHECKSUM_ALGORITHM__CRC32, DIGEST_CRC32, 4, "CRC32",
     "x-amz-checksum-crc32", "ChecksumCRC32"},
    {META__CHECKSUM_ALGORITHM__CRC32C, DIGEST_CRC32C, 4, "CRC32C",
     "x-amz-checksum-crc32c", "ChecksumCRC32C"},
    {META__CHECKSUM_ALGORITHM__CRC64NVME, DIGEST_CRC64NVME, 8, "CRC64NVME",
     "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME"},
    {META__CHECKSUM_ALGORITHM__SHA1, DIGEST_SHA1, 20, "SHA1",
     "x-amz-checksum-sha1", "ChecksumSHA1"},
    {META__CHECKSUM_ALGORITHM__SHA256, DIGEST_SHA256, 32, "SHA256",
     "x-amz-checksum-sha256", "ChecksumSHA256"},
};
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

static size_t find(Meta__ChecksumAlgorithm algorithm)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (algorithms[i].algorithm == algorithm) {
            return i;
        }
    }
    invariant(!"a known checksum algorithm");
    return 0;
}

const char *checksum_header(Meta__ChecksumAlgorithm algorithm)
{
    return algorithms[find(algorithm)].header;
}

const char *checksum_name(Meta__ChecksumAlgorithm algorithm)
{
    return algorithms[find(algorithm)].name;
}

const char *checksum_element(Meta__ChecksumAlgorithm algorithm)
{
    return algorithms[find(algorithm)].element;
}

size_t checksum_size(Meta__ChecksumAlgorithm algorithm)
{
    return algorithms[find(algorithm)].size;
}

unsigned checksum_digest(Meta__ChecksumAlgorithm algorithm)
{
    return algorithms[find(algorithm)].digest;
}

/* S3's, and not s3d's:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
static const char *const missing[] = {"MD5", "SHA512", "XXHASH64", "XXHASH3",
                                      "XXHASH128"};

static bool is_name(struct slice text, const char *name)
{
    return text.size == strlen(name) &&
           strncasecmp((const char *)text.data, name, text.size) == 0;
}

Meta__ChecksumAlgorithm checksum_parse_name(struct slice name)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (is_name(name, algorithms[i].name)) {
            return algorithms[i].algorithm;
        }
    }
    return META__CHECKSUM_ALGORITHM__NO_CHECKSUM;
}

bool checksum_take_name(struct s3_call *call, struct slice header,
                        struct slice name, const char *message,
                        Meta__ChecksumAlgorithm *algorithm)
{
    *algorithm = checksum_parse_name(name);
    if (*algorithm != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return true;
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (is_name(name, missing[i])) {
            call_error_field(call, "Header", header);
            call_fail(call, S3_ERR_NotImplemented);
            return false;
        }
    }
    call_fail_message(call, S3_ERR_InvalidRequest, "%s", message);
    return false;
}

bool checksum_take_wanted(struct s3_call *call,
                          Meta__ChecksumAlgorithm *algorithm)
{
    const struct slice header = SLICE_LITERAL("x-amz-checksum-algorithm");
    struct slice name = call_request_header(call, "x-amz-checksum-algorithm");

    *algorithm = META__CHECKSUM_ALGORITHM__NO_CHECKSUM;
    return name.data == NULL ||
           checksum_take_name(call, header, name,
                              "Checksum algorithm provided is unsupported. "
                              "Please try again with any of the valid types: "
                              "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
                              algorithm);
}

char *checksum_text(struct s3_call *call, const Meta__Checksum *checksum,
                    unsigned parts)
{
    char text[4 * ((DIGEST_SIZE_MAX + 2) / 3) + 1];

    invariant(checksum->value.len <= DIGEST_SIZE_MAX);
    base64_encode(text, checksum->value.data, checksum->value.len);
    if (checksum->type == META__CHECKSUM_TYPE__COMPOSITE) {
        return arena_printf(call->arena, "%s-%u", text, parts);
    }
    return arena_printf(call->arena, "%s", text);
}

void call_checksum_headers(struct s3_call *call, const Meta__Checksum *checksum,
                           unsigned parts)
{
    if (checksum == NULL ||
        checksum->algorithm == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return;
    }
    call_header(call, checksum_header(checksum->algorithm), "%s",
                checksum_text(call, checksum, parts));
    call_header(call, "x-amz-checksum-type",
                checksum->type == META__CHECKSUM_TYPE__COMPOSITE
                    ? "COMPOSITE"
                    : "FULL_OBJECT");
}
