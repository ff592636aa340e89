/*
 * Uploads from a browser's form: a byte that says where to split, then the
 * body, whose boundary is "x". Whatever the split, the events are the same;
 * then the parts are held against the policy among them.
 */
#include "fuzz.h"

#include "s3/form.h"
#include "s3/post_policy.h"

#define FIELDS_MAX 32

struct outcome {
    struct buffer bytes; /* all that came out, as text */
    struct post_field fields[FIELDS_MAX];
    size_t count;
    enum form_event last;
};

static void begin_part(struct outcome *outcome, const struct form *form,
                       struct arena *arena)
{
    buffer_printf(&outcome->bytes, "[%zu,%zu]", form->name.size,
                  form->filename.size);
    buffer_append(&outcome->bytes, form->name.data, form->name.size);
    if (outcome->count < FIELDS_MAX) {
        outcome->fields[outcome->count++] = (struct post_field){
            .name = arena_copy(arena, form->name.data, form->name.size)};
    }
}

static void feed(struct form *form, struct input part, struct outcome *outcome,
                 struct arena *arena)
{
    uint8_t *copy = input_copy(part);
    const uint8_t *at = copy;
    struct slice data;

    do {
        outcome->last = form_parse(form, &at, copy + part.size, &data);
        MUST(at >= copy && at <= copy + part.size);
        switch (outcome->last) {
        case FORM_PART:
            begin_part(outcome, form, arena);
            break;
        case FORM_DATA:
            MUST(data.size > 0);
            buffer_append(&outcome->bytes, data.data, data.size);
            break;
        case FORM_PART_END:
            buffer_append_string(&outcome->bytes, "/");
            break;
        case FORM_DONE:
            buffer_append_string(&outcome->bytes, ".");
            break;
        default:
            break;
        }
    } while (outcome->last != FORM_AGAIN && outcome->last != FORM_ERROR);
    free(copy);
}

static void run(struct input body, size_t step, struct outcome *outcome,
                struct arena *arena)
{
    static struct form form;

    form_open(&form, SLICE_LITERAL("x"));
    while (body.size > 0 && outcome->last != FORM_ERROR) {
        feed(&form, input_take(&body, step), outcome, arena);
    }
}

/* The bytes as a policy, the names as what was sent. */
static void check_policy(struct arena *arena, const struct outcome *outcome,
                         struct input body)
{
    struct post_input input = {.fields = outcome->fields,
                               .count = outcome->count,
                               .bucket = SLICE_LITERAL("b"),
                               .now_ms = 1369353600000};
    struct post_outcome answer;
    uint8_t *copy = input_copy(body);

    post_policy_check(arena, slice_of(copy, body.size), &input, &answer);
    free(copy);
    MUST(answer.error < S3_ERROR_COUNT);
    MUST((answer.error == S3_OK) == (answer.message == NULL));
    MUST(answer.error != S3_OK || answer.size_min <= answer.size_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {.last = FORM_AGAIN}, split = {.last = FORM_AGAIN};
    uint8_t type[256], boundary[FORM_BOUNDARY_MAX];

    if (size < 1 || size > 16384) {
        return 0;
    }
    struct arena *arena = arena_new();
    struct input body = {data + 1, size - 1};
    run(body, body.size, &whole, arena);
    run(body, 1 + data[0] % 16, &split, arena);
    MUST(whole.last == split.last);
    MUST(whole.bytes.size == split.bytes.size);
    MUST(whole.bytes.size == 0 ||
         memcmp(whole.bytes.data, split.bytes.data, whole.bytes.size) == 0);
    check_policy(arena, &whole, body);
    struct input head = input_until(&body, '\n');
    size_t length = head.size < sizeof(type) ? head.size : sizeof(type);
    memcpy(type, head.data, length);
    if (form_boundary(slice_of(type, length), boundary, &size)) {
        MUST(size >= 1 && size <= FORM_BOUNDARY_MAX);
    }
    buffer_free(&whole.bytes);
    buffer_free(&split.bytes);
    arena_free(arena);
    return 0;
}
