/*
 * GetObjectAttributes.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
 */
#include <errno.h>

#include "s3/multipart.h"
#include "s3/object.h"
#include "s3/operations.h"
#include "s3/sse.h"
#include "s3/version.h"

#define PARTS_PAGE_MAX 1000u

#define HEADER_NAME "x-amz-object-attributes"

enum attribute {
    ATTRIBUTE_ETAG = 1 << 0,
    ATTRIBUTE_CHECKSUM = 1 << 1,
    ATTRIBUTE_PARTS = 1 << 2,
    ATTRIBUTE_STORAGE_CLASS = 1 << 3,
    ATTRIBUTE_SIZE = 1 << 4,
};

struct question {
    unsigned attributes; /* OR of enum attribute */
    uint64_t max_parts;
    uint64_t after; /* part number */
};

/* --- request ---------------------------------------------------------------*/
static unsigned attribute_named(struct slice name)
{
    static const struct {
        const char *name;
        enum attribute attribute;
    } attributes[] = {
        {"ETag", ATTRIBUTE_ETAG},
        {"Checksum", ATTRIBUTE_CHECKSUM},
        {"ObjectParts", ATTRIBUTE_PARTS},
        {"StorageClass", ATTRIBUTE_STORAGE_CLASS},
        {"ObjectSize", ATTRIBUTE_SIZE},
    };

    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if (slice_equal_string(name, attributes[i].name)) {
            return attributes[i].attribute;
        }
    }
    return 0;
}

static bool add_attributes(struct s3_call *call, struct slice list,
                           struct question *question)
{
    struct slice name;

    while (call_list_next(&list, &name)) {
        unsigned attribute = attribute_named(name);

        if (attribute == 0) {
            call_fail_argument(call, HEADER_NAME, name,
                               "Invalid attribute name specified.");
            return false;
        }
        question->attributes |= attribute;
    }
    return true;
}

/* A list may come in several headers. */
static bool read_attributes(struct s3_call *call, struct question *question)
{
    const Wire__Request *request = call->request;

    for (size_t i = 0; i < request->n_headers; i++) {
        const Wire__Field *field = request->headers[i];

        if (slice_equal_string(pb_slice(field->name), HEADER_NAME) &&
            !add_attributes(call, pb_slice(field->value), question)) {
            return false;
        }
    }
    if (question->attributes == 0) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The x-amz-object-attributes header specifying the "
                          "attributes to be retrieved is either missing or "
                          "empty");
        return false;
    }
    return true;
}

static bool read_number(struct s3_call *call, const char *header, uint64_t max,
                        uint64_t *number)
{
    struct slice text = call_request_header(call, header);

    if (text.data == NULL) {
        return true;
    }
    if (slice_to_u64(text, number) != 0 || *number > INT32_MAX) {
        call_fail_argument(call, header, text,
                           "Provided argument not an integer or within "
                           "integer range");
        return false;
    }
    if (*number > max) {
        *number = max;
    }
    return true;
}

static bool read_question(struct s3_call *call, struct question *question)
{
    *question = (struct question){.max_parts = PARTS_PAGE_MAX};
    return read_attributes(call, question) &&
           read_number(call, "x-amz-max-parts", PARTS_PAGE_MAX,
                       &question->max_parts) &&
           read_number(call, "x-amz-part-number-marker", INT32_MAX,
                       &question->after);
}

/* --- reply -----------------------------------------------------------------*/
static void write_part(struct s3_call *call, struct buffer *out,
                       const Meta__Part *part)
{
    const Meta__Checksum *checksum = part->checksum;

    xml_open(out, "Part");
    if (checksum != NULL &&
        checksum->algorithm != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        xml_string(out, checksum_element(checksum->algorithm),
                   checksum_text(call, checksum, 0));
    }
    xml_number(out, "PartNumber", part->number);
    xml_number(out, "Size", part->size);
    xml_close(out, "Part");
}

/* S3 lists the parts of an object only if the client asked for a checksum of
 * its own when it created the upload. */
static bool lists_parts(const Meta__Object *object)
{
    return object->checksum != NULL &&
           object->checksum->algorithm !=
               META__CHECKSUM_ALGORITHM__NO_CHECKSUM &&
           object->checksum->algorithm != META__CHECKSUM_ALGORITHM__CRC64NVME;
}

static void write_parts(struct s3_call *call, struct buffer *out,
                        const struct question *question,
                        const Meta__Blob *record)
{
    size_t first = 0, end, count;
    Meta__Part **parts = composite_parts(call->arena, record, &count);

    while (first < count && parts[first]->number <= question->after) {
        first++;
    }
    end = count - first > question->max_parts
              ? first + (size_t)question->max_parts
              : count;
    xml_bool(out, "IsTruncated", end < count);
    xml_number(out, "MaxParts", question->max_parts);
    xml_number(out, "NextPartNumberMarker",
               end > first ? parts[end - 1]->number : 0);
    xml_number(out, "PartNumberMarker", question->after);
    for (size_t i = first; i < end; i++) {
        write_part(call, out, parts[i]);
    }
}

/* 0, or a negative errno: -ENOENT if the object was replaced meanwhile. */
static int write_object_parts(struct s3_call *call, struct buffer *out,
                              const struct question *question,
                              const Meta__Object *object)
{
    Meta__Blob *record = NULL;

    if (lists_parts(object) && object->blob != 0) {
        int rc = meta_get_blob(call->service->meta, call->arena, object->blob,
                               &record);
        if (rc != 0) {
            return rc;
        }
    }
    xml_open(out, "ObjectParts");
    if (record != NULL && record->n_parts > 0) {
        write_parts(call, out, question, record);
    }
    xml_number(out, "PartsCount", object->parts);
    xml_close(out, "ObjectParts");
    return 0;
}

static int write_attributes(struct s3_call *call, struct buffer *out,
                            const struct question *question,
                            const Meta__Object *object)
{
    const unsigned attributes = question->attributes;
    int rc = 0;

    xml_open_document(out, "GetObjectAttributesResponse");
    if (attributes & ATTRIBUTE_ETAG) {
        xml_text(out, "ETag", pb_slice(object->etag));
    }
    if ((attributes & ATTRIBUTE_CHECKSUM) && object->checksum != NULL) {
        xml_open(out, "Checksum");
        xml_checksum(call, out, object->checksum, object->parts);
        xml_close(out, "Checksum");
    }
    if ((attributes & ATTRIBUTE_PARTS) && object->parts > 0) {
        rc = write_object_parts(call, out, question, object);
    }
    if (attributes & ATTRIBUTE_STORAGE_CLASS) {
        xml_text(out, "StorageClass",
                 object->storage_class.len > 0 ? pb_slice(object->storage_class)
                                               : SLICE_LITERAL("STANDARD"));
    }
    if (attributes & ATTRIBUTE_SIZE) {
        xml_number(out, "ObjectSize", object->size);
    }
    xml_close(out, "GetObjectAttributesResponse");
    return rc;
}

static void reply(struct s3_call *call, const Meta__Object *object,
                  struct buffer *out)
{
    char modified[32];

    time_http(modified, object->mtime_ms);
    call_header(call, "Last-Modified", "%s", modified);
    version_header(call, object);
    call_reply_xml(call, 200, out);
}

/* The object may be replaced between the read of its record and that of its
 * parts: then the new one is looked up. */
#define TRIES 4

void s3_get_object_attributes_run(struct s3_call *call)
{
    struct question question;
    int rc = -ENOENT;

    if (!read_question(call, &question)) {
        return;
    }
    for (unsigned i = 0; i < TRIES && rc == -ENOENT; i++) {
        const Meta__Object *object = object_requested(call);
        struct buffer out = {NULL, 0, 0};

        if (object == NULL ||
            !sse_may_read(call, object->encryption, SSE_OBJECT)) {
            return;
        }
        rc = write_attributes(call, &out, &question, object);
        if (rc == 0) {
            reply(call, object, &out);
        } else {
            buffer_free(&out);
        }
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "reading an object's parts");
    }
}
