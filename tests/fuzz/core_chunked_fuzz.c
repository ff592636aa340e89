/*
 * aws-chunked: a byte of options, a byte that says where to split, the body.
 * Whatever the split, the events and the decoded bytes are the same.
 */
#include "fuzz_core.h"

#include "s3_chunked.h"

/* All that came out, as text. */
struct outcome {
    unsigned char bytes[1 << 17];
    size_t size;
    s3_chunked_event_e last;
    enum s3_error error;
};

static void note(struct outcome *outcome, const void *data, size_t size)
{
    MUST(outcome->size + size <= sizeof(outcome->bytes));
    if (size > 0) {
        memcpy(outcome->bytes + outcome->size, data, size);
        outcome->size += size;
    }
}

static void feed(s3_chunked_t *chunked, struct input part,
                 struct outcome *outcome)
{
    unsigned char *copy = input_copy(part);
    unsigned char *at = copy, *last = copy + part.size;
    s3_str_t data;

    do {
        unsigned char *before = at;
        outcome->last = s3_chunked_parse(chunked, &at, last, &data);
        MUST(at >= before && at <= last);
        switch (outcome->last) {
        case S3_CHUNKED_DATA:
            MUST(data.len > 0 && data.data >= copy &&
                 data.data + data.len <= last);
            note(outcome, data.data, data.len);
            break;
        case S3_CHUNKED_CHUNK:
            note(outcome, "|", 1);
            note(outcome, chunked->signature, sizeof(chunked->signature));
            break;
        case S3_CHUNKED_TRAILER:
            note(outcome, chunked->trailer.name.data,
                 chunked->trailer.name.len);
            note(outcome, "=", 1);
            note(outcome, chunked->trailer.value.data,
                 chunked->trailer.value.len);
            break;
        default:
            break;
        }
        MUST(chunked->decoded <= chunked->expected ||
             outcome->last == S3_CHUNKED_ERROR);
    } while (outcome->last != S3_CHUNKED_AGAIN &&
             outcome->last != S3_CHUNKED_DONE &&
             outcome->last != S3_CHUNKED_ERROR);
    free(copy);
}

static void run(struct input body, size_t step, uint8_t options,
                struct outcome *outcome)
{
    static const s3_payload_e payloads[] = {
        S3_PAYLOAD_STREAMING_SIGNED, S3_PAYLOAD_STREAMING_SIGNED_TRAILER,
        S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER};
    s3_chunked_t chunked;

    memset(&chunked, 0, sizeof(chunked));
    s3_chunked_init(&chunked, payloads[options % 3], options / 3u);
    outcome->size = 0;
    outcome->last = S3_CHUNKED_AGAIN;
    while (body.size > 0 && outcome->last == S3_CHUNKED_AGAIN) {
        feed(&chunked, input_take(&body, step), outcome);
    }
    outcome->error = outcome->last == S3_CHUNKED_ERROR ? chunked.error : S3_OK;
    MUST(outcome->last != S3_CHUNKED_DONE ||
         chunked.decoded == chunked.expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, split;

    if (size < 2 || size > 4096) {
        return 0;
    }
    struct input body = {data + 2, size - 2};
    run(body, body.size, data[0], &whole);
    run(body, 1 + data[1] % 16, data[0], &split);
    MUST(whole.last == split.last && whole.error == split.error);
    MUST(whole.size == split.size);
    MUST(memcmp(whole.bytes, split.bytes, whole.size) == 0);
    return 0;
}
