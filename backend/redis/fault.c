/*
 * Redis's error replies: the first word is the kind of the error.
 * https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
#include "redis/redis.h"

#include <errno.h>
#include <string.h>

#define PREFIX(word, fault)                                                    \
    {                                                                          \
        word " ", sizeof(word " ") - 1, fault                                  \
    }

/* Any other is REFUSED: an error that nobody knows is not waited away. */
static const struct {
    const char *prefix;
    size_t size;
    enum redis_fault fault;
} faults[] = {
    PREFIX("MOVED", REDIS_FAULT_MOVED),
    PREFIX("ASK", REDIS_FAULT_ASK),
    PREFIX("READONLY", REDIS_FAULT_NOT_MASTER),
    PREFIX("MASTERDOWN", REDIS_FAULT_NOT_MASTER),
    PREFIX("ERR The ID specified in XADD is equal or smaller",
           REDIS_FAULT_ORDER),
    PREFIX("OOM", REDIS_FAULT_PASSING),
    PREFIX("LOADING", REDIS_FAULT_PASSING),
    PREFIX("BUSY", REDIS_FAULT_PASSING),
    PREFIX("CLUSTERDOWN", REDIS_FAULT_PASSING),
    PREFIX("TRYAGAIN", REDIS_FAULT_PASSING),
    PREFIX("NOREPLICAS", REDIS_FAULT_PASSING),
    PREFIX("MISCONF", REDIS_FAULT_PASSING),
    PREFIX("ERR max number of clients", REDIS_FAULT_PASSING),
};

enum redis_fault redis_fault(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR) {
        return REDIS_FAULT_NONE;
    }
    const struct slice text = slice_of(reply->str, reply->len);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (slice_has_prefix(text,
                             slice_of(faults[i].prefix, faults[i].size))) {
            return faults[i].fault;
        }
    }
    return REDIS_FAULT_REFUSED;
}

/* "MOVED 3999 127.0.0.1:6381"; the host may be missing. */
int redis_fault_address(const redisReply *reply,
                        const struct redis_address *from,
                        struct redis_address *address)
{
    const char *at = memrchr(reply->str, ' ', reply->len);
    if (at == NULL) {
        return -EINVAL;
    }
    const struct slice text =
        slice_of(at + 1, reply->len - (size_t)(at + 1 - reply->str));
    uint64_t port;
    if (text.size == 0 || text.data[0] != ':') {
        return redis_address_parse(text, 0, address);
    }
    if (from->port == 0 ||
        slice_to_u64(slice_of(text.data + 1, text.size - 1), &port) != 0 ||
        port == 0 || port > UINT16_MAX) {
        return -EINVAL;
    }
    *address = *from;
    address->port = (unsigned)port;
    return 0;
}
