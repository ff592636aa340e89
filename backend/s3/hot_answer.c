#include "s3/hot_answer.h"

#include "hot/question.h"
#include "s3/document.h"
#include "s3/limits.h"

static bool is_read(const struct s3_call *call)
{
    switch (call->request->operation) {
    case WIRE__OPERATION__GET_OBJECT:
    case WIRE__OPERATION__HEAD_OBJECT:
    case WIRE__OPERATION__GET_FILE:
    case WIRE__OPERATION__GET_WEBSITE:
        return true;
    default:
        return false;
    }
}

void hot_answer_begin(struct s3_call *call)
{
    if (call->request->hot && is_read(call)) {
        hot_look(call->service->hot, call->bucket_name, &call->hot);
    }
}

void hot_answer_look(struct s3_call *call, struct slice key)
{
    hot_look_at_key(call->service->hot, call->bucket->id, key, &call->hot);
}

void hot_answer_forget(struct s3_call *call)
{
    call->hot.valid = false;
}

/* --- what depends on the request -------------------------------------------*/
static enum hot_header_kind header_kind(const Wire__Field *header)
{
    return hot_header_of(pb_slice(header->name), pb_slice(header->value));
}

static bool asks_for_checksums(const Wire__Request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (header_kind(request->headers[i]) == HOT_HEADER_CHECKSUMS) {
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
        if (header_kind(request->headers[i]) == HOT_HEADER_UNKNOWN) {
            return false;
        }
    }
    return request->session_token.len == 0;
}

/* --- what s3d has to see ---------------------------------------------------*/
static bool may_be_given_again(const struct s3_call *call,
                               const Meta__Object *object)
{
    /* Of files the location has decided, and s3d does not. */
    const unsigned decisions =
        call->request->operation == WIRE__OPERATION__GET_FILE ? 0 : 1;

    return call->hot.valid && is_read(call) && is_plain(call->request) &&
           call->decisions == decisions && !call->consulted &&
           !call->identity.temporary && object->encryption == NULL &&
           document_get(call->bucket, DOCUMENT_LOGGING).data == NULL &&
           document_get(call->bucket, DOCUMENT_REQUEST_PAYMENT).data == NULL &&
           !limits_concern(call);
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
    return body->size == object->size &&
           body->size < hot_body_limit(call->service->hot);
}

static void publish(struct s3_call *call, const Meta__Object *object,
                    bool with_body)
{
    const Wire__Request *request = call->request;
    const Wire__Reply *reply = &call->reply;
    struct hot_question question;
    struct hot_header_field *fields;
    struct hot_answer answer = {
        .content_length = object->size,
        .mtime_ms = object->mtime_ms,
        .checksums = asks_for_checksums(request),
        .anybody = call_is_anonymous(call),
        .access_key = pb_slice(request->access_key),
        .generation = request->key_generation,
    };

    if (!body_of(call, object, with_body, &answer.body) ||
        !hot_ask(&question, request->operation, call->bucket_name,
                 pb_slice(request->key), request->file)) {
        return;
    }
    answer.question = slice_of(question.data, question.size);
    if (!hot_is_wanted(call->service->hot, answer.question)) {
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

void hot_answer_publish(struct s3_call *call, const Meta__Object *object,
                        bool with_body)
{
    if (call->reply.status == 200 && may_be_given_again(call, object)) {
        publish(call, object, with_body);
    }
}

void hot_answer_publish_head(struct s3_call *call, const Meta__Object *object,
                             hot_answer_describe *describe,
                             const void *argument)
{
    const Wire__Reply reply = call->reply;
    const size_t capacity = call->header_capacity;

    if (!may_be_given_again(call, object)) {
        return;
    }
    call->reply.headers = NULL;
    call->reply.n_headers = call->header_capacity = 0;
    describe(call, argument);
    publish(call, object, false);
    call->reply = reply;
    call->header_capacity = capacity;
}
