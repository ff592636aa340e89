/*
 * A control connection: HELLO, then requests for keys, for metrics and of
 * clients, which may overlap.
 */
#include "server/control.h"
#include "server/requests.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTROL_FRAME_MAX 4096        /* bytes of a message, but of a REQUEST */
#define GATHERED_MAX      (64u << 10) /* bytes of several messages */

struct key_job {
    struct job job;
    struct control_connection *control;
    Wire__KeyRequest *request;
    uint8_t key[IAM_KEY_SIZE];
    uint64_t generation;
    bool found;
};

struct status_job {
    struct job job;
    struct control_connection *control;
    uint64_t id;
    struct buffer output;
};

static struct control_connection *from_base(struct connection *base)
{
    return (struct control_connection *)base;
}

/* --- output ----------------------------------------------------------------*/
static void control_input(struct connection *base);

static void flush(struct control_connection *control)
{
    *control->link = control->next;
    if (control->next != NULL) {
        control->next->link = control->link;
    }
    control->link = NULL;
    connection_send(&control->base, &control->gathered, (struct slice){0},
                    (struct slice){0});
}

void control_flush(struct server *server)
{
    while (server->unsent != NULL) {
        flush(server->unsent);
    }
}

static void add_unsent(struct control_connection *control)
{
    struct server *server = control->base.server;

    control->link = &server->unsent;
    control->next = server->unsent;
    if (control->next != NULL) {
        control->next->link = &control->next;
    }
    server->unsent = control;
}

/* Only once: what is in a buffer that grows is left behind in memory. */
static void make_room(struct control_connection *control)
{
    struct buffer room = {0};

    if (control->gathered.capacity < GATHERED_MAX) {
        buffer_reserve(&room, GATHERED_MAX);
        buffer_append(&room, control->gathered.data, control->gathered.size);
        connection_drop(&control->base, &control->gathered);
        control->gathered = room;
    }
}

void control_send(struct control_connection *control, struct buffer *output)
{
    struct buffer *gathered = &control->gathered;

    if (control->base.closing || output->size == 0) {
        connection_drop(&control->base, output);
        return;
    }
    if (control->link != NULL && gathered->size + output->size > GATHERED_MAX) {
        flush(control);
    }
    if (control->link == NULL) {
        *gathered = *output;
        *output = (struct buffer){0};
        add_unsent(control);
        return;
    }
    make_room(control);
    buffer_append(gathered, output->data, output->size);
    connection_drop(&control->base, output);
}

void control_job_done(struct control_connection *control, struct buffer *output)
{
    struct connection *base = &control->base;

    connection_job_done(base);
    control_send(control, output);
    if (base->closing) {
        connection_settle(base);
    } else {
        control_input(base);
    }
}

/* --- drives ----------------------------------------------------------------*/
static void put_welcome(struct connection *base, unsigned hot,
                        struct buffer *output)
{
    const struct cluster *cluster = &base->server->cluster;
    Wire__Drive drives[SERVER_DRIVES_MAX], *list[SERVER_DRIVES_MAX];
    Wire__Welcome welcome = WIRE__WELCOME__INIT;
    welcome.version = FRAME_VERSION;
    welcome.status = true;
    /* One that is declined is authorised twice: the audit log would say so. */
    welcome.requests = base->server->service.audit == NULL;
    welcome.hot = hot;
    welcome.drives = list;
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        if ((base->server->usable & 1u << i) == 0) {
            continue;
        }
        const char *directory = drive_config(cluster->drives[i])->directory;
        wire__drive__init(&drives[i]);
        drives[i].index = i;
        drives[i].directory.data = (uint8_t *)directory;
        drives[i].directory.len = strlen(directory);
        list[welcome.n_drives++] = &drives[i];
    }
    frame_append_message(output, FRAME_WELCOME, &welcome);
}

static void send_welcome(struct connection *base)
{
    struct buffer output = {0};
    put_welcome(base, 0, &output);
    connection_send(base, &output, (struct slice){0}, (struct slice){0});
}

/* The first WELCOME, with the hot index if the worker can read it: before
 * anything else is sent, so that there is room for all of it at once. */
static bool greet(struct connection *base, unsigned hot)
{
    const int region = hot_descriptor(base->server->service.hot);
    if (hot != HOT_VERSION || region < 0) {
        send_welcome(base);
        return true;
    }
    struct buffer output = {0};
    put_welcome(base, HOT_VERSION, &output);
    const ssize_t sent = connection_send_descriptor(base, &output, region);
    const bool whole = sent == (ssize_t)output.size;
    buffer_free(&output);
    if (sent < 0) {
        log_warn("a worker goes without the hot index: it was not sent");
        send_welcome(base);
    }
    return sent < 0 || whole;
}

void control_push_welcome(struct server *server)
{
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        if (connection->kind == &control_kind && !connection->closing &&
            from_base(connection)->greeted) {
            send_welcome(connection);
        }
    }
}

/* --- traces ----------------------------------------------------------------*/
static void send_trace_set(struct connection *base)
{
    Wire__TraceSet message = WIRE__TRACE_SET__INIT;
    struct buffer output = {0};
    message.on = base->server->traced;
    frame_append_message(&output, FRAME_TRACE_SET, &message);
    connection_send(base, &output, (struct slice){0}, (struct slice){0});
}

void control_push_trace(struct server *server)
{
    struct connection *connection = server->connections;
    for (; connection != NULL; connection = connection->next) {
        if (connection->kind == &control_kind && !connection->closing &&
            from_base(connection)->traces) {
            send_trace_set(connection);
        }
    }
}

static bool take_trace(struct control_connection *control,
                       const uint8_t *payload, size_t size)
{
    Wire__Trace *trace = wire__trace__unpack(NULL, size, payload);
    if (trace == NULL) {
        return false;
    }
    requests_worker(control->base.server->requests, trace);
    wire__trace__free_unpacked(trace, NULL);
    return true;
}

/* --- keys ------------------------------------------------------------------*/
static struct slice bytes(const ProtobufCBinaryData *data)
{
    return slice_of(data->data, data->len);
}

/* Nobody needs a key of another time: pre-signed requests are good for a week,
 * clocks differ by less than a day. So no worker gathers keys of the future. */
static bool date_is_near(struct slice date)
{
    for (int day = -8; day <= 1; day++) {
        const time_t time = (time_t)(clock_wall_ms() / 1000) + day * 86400;
        struct tm tm;
        char text[16];
        gmtime_r(&time, &tm);
        strftime(text, sizeof(text), "%Y%m%d", &tm);
        if (slice_equal_string(date, text)) {
            return true;
        }
    }
    return false;
}

static void key_run(struct job *job)
{
    struct key_job *key = (struct key_job *)job;
    const Wire__KeyRequest *request = key->request;
    key->found =
        date_is_near(bytes(&request->date)) &&
        iam_signing_key(key->control->base.server->cluster.iam,
                        bytes(&request->access_key), bytes(&request->date),
                        bytes(&request->region),
                        request->service.len > 0 ? bytes(&request->service)
                                                 : SLICE_LITERAL("s3"),
                        key->key, &key->generation) == 0;
}

static void key_done(struct job *job)
{
    struct key_job *key = (struct key_job *)job;
    struct control_connection *control = key->control;
    Wire__KeyReply reply = WIRE__KEY_REPLY__INIT;
    struct buffer output = {0};

    reply.id = key->request->id;
    reply.found = key->found;
    if (key->found) {
        reply.signing_key.data = key->key;
        reply.signing_key.len = sizeof(key->key);
        reply.generation = key->generation;
    }
    frame_append_message(&output, FRAME_KEY_REPLY, &reply);
    explicit_bzero(key->key, sizeof(key->key));
    wire__key_request__free_unpacked(key->request, NULL);
    free(key);
    control_job_done(control, &output);
}

static bool take_key_request(struct control_connection *control,
                             const uint8_t *payload, size_t size)
{
    Wire__KeyRequest *request = wire__key_request__unpack(NULL, size, payload);
    if (request == NULL) {
        return false;
    }
    struct key_job *key = xcalloc(1, sizeof(*key));
    key->control = control;
    key->request = request;
    key->job.run = key_run;
    key->job.done = key_done;
    connection_submit(&control->base, &key->job);
    return true;
}

/* --- metrics ---------------------------------------------------------------*/
static void status_run(struct job *job)
{
    struct status_job *status = (struct status_job *)job;
    struct server *server = status->control->base.server;
    Wire__StatusReply reply = WIRE__STATUS_REPLY__INIT;
    struct arena *arena = arena_new();
    struct metrics metrics;

    metrics_init(&metrics, arena_protobuf_allocator(arena));
    server_metrics(server, &metrics);
    reply.id = status->id;
    reply.metrics = &metrics.message;
    if (wire__status_reply__get_packed_size(&reply) > FRAME_MESSAGE_MAX) {
        log_error("there are more metrics than one message holds");
        reply.metrics = NULL;
    }
    frame_append_message(&status->output, FRAME_STATUS_REPLY, &reply);
    arena_free(arena);
}

static void status_done(struct job *job)
{
    struct status_job *status = (struct status_job *)job;
    struct control_connection *control = status->control;
    struct buffer output = status->output;

    free(status);
    control_job_done(control, &output);
}

static bool take_status_request(struct control_connection *control,
                                const uint8_t *payload, size_t size)
{
    Wire__StatusRequest *request =
        wire__status_request__unpack(NULL, size, payload);
    if (request == NULL) {
        return false;
    }
    struct status_job *status = xcalloc(1, sizeof(*status));
    status->control = control;
    status->id = request->id;
    status->job.run = status_run;
    status->job.done = status_done;
    wire__status_request__free_unpacked(request, NULL);
    connection_submit(&control->base, &status->job);
    return true;
}

/* --- events ----------------------------------------------------------------*/
static bool take_frame(struct control_connection *control, unsigned type,
                       const uint8_t *payload, size_t size)
{
    if (type == FRAME_KEY_REQUEST && control->greeted) {
        return take_key_request(control, payload, size);
    }
    if (type == FRAME_STATUS_REQUEST && control->greeted) {
        return take_status_request(control, payload, size);
    }
    if (type == FRAME_REQUEST && control->greeted) {
        return ask_take(control, (uint8_t *)payload, size);
    }
    if (type == FRAME_TRACE && control->traces) {
        return take_trace(control, payload, size);
    }
    if (type != FRAME_HELLO || control->greeted) {
        return false;
    }
    Wire__Hello *hello = wire__hello__unpack(NULL, size, payload);
    if (hello == NULL) {
        return false;
    }
    control->greeted =
        hello->version == FRAME_VERSION && greet(&control->base, hello->hot);
    control->traces = control->greeted && hello->trace;
    if (control->traces && control->base.server->traced) {
        send_trace_set(&control->base);
    }
    wire__hello__free_unpacked(hello, NULL);
    return control->greeted;
}

static ssize_t peek(struct connection *base, struct frame_header *header,
                    const uint8_t **payload)
{
    *header = (struct frame_header){0}; /* it may not have come */
    const ssize_t size =
        connection_peek(base, header, payload, ASK_MESSAGE_MAX);
    return header->type != FRAME_REQUEST && header->length > CONTROL_FRAME_MAX
               ? -1
               : size;
}

/* From a worker that does not read its answers no more is taken. */
static void control_input(struct connection *base)
{
    struct control_connection *control = from_base(base);
    const uint64_t limit = base->server->config->limits.control_pending;
    struct frame_header header;
    const uint8_t *payload;

    while (!base->closing && base->jobs < limit && base->writes == 0) {
        const ssize_t size = peek(base, &header, &payload);
        if (size == 0) {
            break;
        }
        if (size < 0 ||
            !take_frame(control, header.type, payload, header.length)) {
            log_warn("a worker's control connection sent a bad frame");
            connection_close(base);
            return;
        }
        connection_consume(base, (size_t)size);
    }
    connection_flow(base);
}

static void control_open(struct connection *base)
{
    (void)base;
}

/* A worker asks the next s3d what this one leaves open. */
static bool control_idle(const struct connection *base)
{
    (void)base;
    return true;
}

static uint64_t control_timeout(const struct connection *base)
{
    const struct control_connection *control =
        (const struct control_connection *)base;
    return control->greeted ? 0 : base->server->config->limits.body_timeout_s;
}

static bool control_release(struct connection *base)
{
    struct control_connection *control = from_base(base);
    ask_forget_waiting(control);
    if (control->link != NULL) {
        flush(control); /* to nobody */
    }
    return true;
}

const struct connection_kind control_kind = {
    .name = "control",
    .confidential = true,
    .leaves = true,
    .size = sizeof(struct control_connection),
    .open = control_open,
    .input = control_input,
    .written = control_input,
    .idle = control_idle,
    .timeout_s = control_timeout,
    .release = control_release,
};
