/*
 * A connection of a worker before its first frame: HELLO makes it a control
 * connection, anything else a request connection, which judges it.
 */
#include "server/private.h"

static void worker_input(struct connection *base)
{
    struct frame_header header;
    if (input_size(&base->input) < FRAME_HEADER_SIZE) {
        return;
    }
    if (connection_refuse_version(base)) {
        return;
    }
    const bool valid = frame_decode(input_start(&base->input), &header) == 0;
    connection_become(base, valid && header.type == FRAME_HELLO
                                ? &control_kind
                                : &request_kind);
}

static void worker_nothing(struct connection *base)
{
    (void)base;
}

static bool worker_idle(const struct connection *base)
{
    (void)base;
    return true;
}

static uint64_t worker_timeout(const struct connection *base)
{
    const struct server_limits *limits = &base->server->config->limits;
    return input_size(&base->input) > 0 ? limits->body_timeout_s
                                        : limits->idle_timeout_s;
}

static bool worker_release(struct connection *base)
{
    (void)base;
    return true;
}

const struct connection_kind worker_kind = {
    .name = "worker",
    .leaves = true,
    .size = sizeof(struct connection),
    .open = worker_nothing,
    .input = worker_input,
    .written = worker_nothing,
    .idle = worker_idle,
    .timeout_s = worker_timeout,
    .release = worker_release,
};
