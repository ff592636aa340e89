#include "hot/question.h"

#include <string.h>

/* Values are of one region: never on a wire. */
enum kind { KIND_OBJECT = 1, KIND_WEBSITE, KIND_FILE };

/* --- bytes -----------------------------------------------------------------*/
/* A question that is too long is larger than its buffer. */
static void put(struct hot_question *question, const void *data, size_t size)
{
    if (question->size <= HOT_QUESTION_MAX &&
        size <= HOT_QUESTION_MAX - question->size) {
        if (size > 0) {
            memcpy(question->data + question->size, data, size);
        }
        question->size += size;
    } else {
        question->size = HOT_QUESTION_MAX + 1;
    }
}

static void put_number(struct hot_question *question, unsigned number)
{
    const uint8_t byte = (uint8_t)number;

    put(question, &byte, sizeof(byte));
}

/* With its size, or two parts could be taken for one. */
static void put_part(struct hot_question *question, const void *data,
                     size_t size)
{
    const uint16_t length = (uint16_t)size;

    if (size > HOT_QUESTION_MAX) {
        question->size = HOT_QUESTION_MAX + 1;
        return;
    }
    put(question, &length, sizeof(length));
    put(question, data, size);
}

static void put_bytes(struct hot_question *question, ProtobufCBinaryData bytes)
{
    put_part(question, bytes.data, bytes.len);
}

/* --- questions -------------------------------------------------------------*/
static bool kind_of(Wire__Operation operation, enum kind *kind)
{
    switch (operation) {
    case WIRE__OPERATION__GET_OBJECT:
    case WIRE__OPERATION__HEAD_OBJECT:
        *kind = KIND_OBJECT;
        return true;
    case WIRE__OPERATION__GET_WEBSITE:
        *kind = KIND_WEBSITE;
        return true;
    case WIRE__OPERATION__GET_FILE:
        *kind = KIND_FILE;
        return true;
    default:
        return false;
    }
}

/* Its title and `after` are of listings, which are never in the index. */
static void put_file(struct hot_question *question,
                     const Wire__FileRequest *file)
{
    put_number(question, file->max_ranges > 0);
    put_bytes(question, file->content_type);
    put_bytes(question, file->default_type);
    for (size_t i = 0; i < file->n_candidates; i++) {
        const Wire__FileCandidate *candidate = file->candidates[i];

        put_number(question, candidate->kind);
        put_bytes(question, candidate->key);
        put_bytes(question, candidate->type);
        put_bytes(question, candidate->encoding);
    }
}

bool hot_ask(struct hot_question *question, Wire__Operation operation,
             struct slice bucket, struct slice key,
             const Wire__FileRequest *file)
{
    enum kind kind;

    if (!kind_of(operation, &kind) || (kind == KIND_FILE && file == NULL)) {
        return false;
    }
    question->size = 0;
    put_number(question, kind);
    put_part(question, bucket.data, bucket.size);
    if (kind == KIND_FILE) {
        put_file(question, file);
    } else {
        put_part(question, key.data, key.size);
    }
    return question->size <= HOT_QUESTION_MAX;
}

/* --- headers ---------------------------------------------------------------*/
/* Whether a value is one that such a header is known for: whether an empty one
 * is there at all is for s3d to say. */
static bool says(enum hot_header_kind kind, struct slice value)
{
    return kind == HOT_HEADER_CHECKSUMS ? slice_equal_string(value, "ENABLED")
           : kind == HOT_HEADER_SELECTS ? value.size > 0
                                        : true;
}

enum hot_header_kind hot_header_of(struct slice name, struct slice value)
{
    static const struct {
        const char *name;
        enum hot_header_kind kind;
    } known[] = {
        {"user-agent", HOT_HEADER_HARMLESS},
        {"referer", HOT_HEADER_HARMLESS},
        {"x-amz-date", HOT_HEADER_HARMLESS},
        {"x-amz-content-sha256", HOT_HEADER_HARMLESS},
        {"x-amz-checksum-mode", HOT_HEADER_CHECKSUMS},
        {"range", HOT_HEADER_SELECTS},
        {"if-range", HOT_HEADER_SELECTS},
        {"if-match", HOT_HEADER_SELECTS},
        {"if-none-match", HOT_HEADER_SELECTS},
        {"if-modified-since", HOT_HEADER_SELECTS},
        {"if-unmodified-since", HOT_HEADER_SELECTS},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_equal_string(name, known[i].name)) {
            return says(known[i].kind, value) ? known[i].kind
                                              : HOT_HEADER_UNKNOWN;
        }
    }
    return HOT_HEADER_UNKNOWN;
}
