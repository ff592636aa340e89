#include "s3/hot_answer.h"

#include "s3/document.h"

static bool is_read(const struct s3_call *call)
{
    return call->operation != NULL &&
           (call->operation->operation == WIRE__OPERATION__GET_OBJECT ||
            call->operation->operation == WIRE__OPERATION__HEAD_OBJECT);
}

void hot_answer_begin(struct s3_call *call)
{
    if (is_read(call)) {
        hot_look(call->service->hot, call->bucket_name, &call->hot);
    }
}

void hot_answer_look(struct s3_call *call)
{
    hot_look_at_key(call->service->hot, call->bucket->id, call->key,
                    &call->hot);
}

/* --- what depends on the request -------------------------------------------*/
/* Headers that say nothing about the answer, if no policy has looked. */
static bool is_harmless(struct slice name)
{
    static const char *const harmless[] = {
        "x-amz-content-sha256",
        "x-amz-date",
        "user-agent",
        "referer",
    };

    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (slice_equal_string(name, harmless[i])) {
            return true;
        }
    }
    return false;
}

static bool asks_for_checksums(const Wire__Request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (slice_equal_string(pb_slice(request->headers[i]->name),
                               "x-amz-checksum-mode")) {
            return true;
        }
    }
    return false;
}

static bool is_plain(const Wire__Request *request)
{
    for (size_t i = 0; i < request->n_args; i++) {
        if (!slice_equal_string(pb_slice(request->args[i]->name), "x-id")) {
            return false;
        }
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        const Wire__Field *header = request->headers[i];

        if (!is_harmless(pb_slice(header->name)) &&
            !(slice_equal_string(pb_slice(header->name),
                                 "x-amz-checksum-mode") &&
              slice_equal_string(pb_slice(header->value), "ENABLED"))) {
            return false;
        }
    }
    return request->session_token.len == 0;
}

/* --- what s3d has to see ---------------------------------------------------*/
static bool may_be_given_again(const struct s3_call *call,
                               const Meta__Object *object)
{
    return call->hot.valid && is_read(call) && is_plain(call->request) &&
           call->decisions == 1 && !call->consulted &&
           !call->identity.temporary && call->reply.status == 200 &&
           object->encryption == NULL &&
           document_get(call->bucket, DOCUMENT_LOGGING).data == NULL &&
           document_get(call->bucket, DOCUMENT_REQUEST_PAYMENT).data == NULL;
}

static bool body_of(struct s3_call *call, const Meta__Object *object,
                    bool with_body, struct slice *body)
{
    *body = slice_of(NULL, 0);
    if (!with_body) {
        return true;
    }
    if (object->size == 0) {
        *body = SLICE_LITERAL("");
        return true;
    }
    *body = source_primed(call);
    return body->size == object->size && body->size < HOT_PAYLOAD_MAX;
}

void hot_answer_publish(struct s3_call *call, const Meta__Object *object,
                        bool with_body)
{
    const Wire__Reply *reply = &call->reply;
    struct hot_object answer = {
        .bucket_name = call->bucket_name,
        .key = call->key,
        .bucket = call->bucket->id,
        .content_length = object->size,
        .checksums = asks_for_checksums(call->request),
        .anybody = call_is_anonymous(call),
        .access_key = pb_slice(call->request->access_key),
        .generation = call->request->key_generation,
    };
    struct hot_header_field *fields;

    if (!may_be_given_again(call, object) ||
        !body_of(call, object, with_body, &answer.body) ||
        !hot_is_wanted(call->service->hot, call->bucket_name, call->key)) {
        return;
    }
    fields = arena_alloc(call->arena, (reply->n_headers + 1) * sizeof(*fields));
    for (size_t i = 0; i < reply->n_headers; i++) {
        fields[i] = (struct hot_header_field){
            .name = pb_slice(reply->headers[i]->name),
            .value = pb_slice(reply->headers[i]->value),
        };
    }
    answer.fields = fields;
    answer.field_count = reply->n_headers;
    hot_publish(call->service->hot, &call->hot, &answer);
}
