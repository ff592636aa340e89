#include "s3/copy_bytes.h"

#include "s3/multipart.h"
#include "s3/reader.h"
#include "s3/sse.h"
#include "s3/work.h"

#include <errno.h>

/* Bytes between two looks at the clock. */
#define STRETCH (4 * FRAME_DATA_MAX)

void copy_bytes_open(struct s3_call *call, struct copy_bytes *bytes,
                     uint64_t blob, const struct sse *from, uint64_t offset,
                     uint64_t size, Meta__ChecksumAlgorithm algorithm)
{
    *bytes = (struct copy_bytes){
        .reader = reader_open(call->service, blob, sse_key(from)),
        .digester = digester_new(DIGEST_MD5 | checksum_digest(algorithm)),
        .algorithm = algorithm,
        .offset = offset,
        .left = size,
    };
}

int copy_bytes_go_on(struct s3_call *call, struct copy_bytes *bytes)
{
    int error = 0;

    while (bytes->left > 0 && error == 0) {
        const uint64_t now = bytes->left < STRETCH ? bytes->left : STRETCH;

        error = reader_feed(bytes->reader, bytes->offset, now, bytes->digester,
                            call->writer);
        bytes->offset += now;
        bytes->left -= now;
        if (error == 0 && bytes->left > 0 && work_step_is_over(call)) {
            error = -EINPROGRESS;
        }
    }
    return error;
}

Meta__Checksum *copy_bytes_digest(struct s3_call *call,
                                  struct copy_bytes *bytes,
                                  uint8_t md5[DIGEST_SIZE_MAX])
{
    uint8_t value[DIGEST_SIZE_MAX];

    digester_final(bytes->digester, DIGEST_MD5, md5);
    digester_final(bytes->digester,
                   (enum digest)checksum_digest(bytes->algorithm), value);
    return checksum_new(call->arena, bytes->algorithm,
                        META__CHECKSUM_TYPE__FULL_OBJECT, value);
}

void copy_bytes_close(struct copy_bytes *bytes)
{
    reader_close(bytes->reader);
    digester_free(bytes->digester);
    *bytes = (struct copy_bytes){0};
}
