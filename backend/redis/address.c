/* Where a Redis is, in s3d's configuration and in redirections. */
#include "redis/redis.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#define PORT          6379
#define SENTINEL_PORT 26379
#define UNIX_PREFIX   "unix:"
#define SENTINEL      "sentinel:"
#define PATH_MAX_SIZE (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static struct slice rest(struct slice text, size_t from)
{
    return slice_of(text.data + from, text.size - from);
}

/* What is before the first `byte`, which is dropped; *text is what follows. */
static struct slice cut(struct slice *text, char byte)
{
    const uint8_t *at =
        text->size > 0 ? memchr(text->data, byte, text->size) : NULL;
    const size_t size = at != NULL ? (size_t)(at - text->data) : text->size;
    const struct slice head = slice_of(text->data, size);

    *text = rest(*text, at != NULL ? size + 1 : size);
    return head;
}

static bool good_host(struct slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] > '~') {
            return false;
        }
    }
    return host.size > 0 && host.size <= REDIS_HOST_MAX;
}

static void set_host(struct redis_address *address, struct slice host)
{
    memcpy(address->host, host.data, host.size);
    address->host[host.size] = '\0';
}

int redis_address_parse(struct slice text, unsigned default_port,
                        struct redis_address *address)
{
    const uint8_t *colon =
        text.size > 0 ? memrchr(text.data, ':', text.size) : NULL;
    struct slice host = text;
    uint64_t port = default_port;

    if (text.size > 0 && text.data[0] == '[') { /* of IPv6: ends with ] */
        colon = text.data[text.size - 1] == ']' ? NULL : colon;
    }
    if (colon != NULL) {
        const size_t at = (size_t)(colon - text.data);
        host = slice_of(text.data, at);
        if (slice_to_u64(rest(text, at + 1), &port) != 0) {
            return -EINVAL;
        }
    }
    if (host.size >= 2 && host.data[0] == '[') {
        if (host.data[host.size - 1] != ']') {
            return -EINVAL;
        }
        host = slice_of(host.data + 1, host.size - 2);
    }
    if (!good_host(host) || port == 0 || port > UINT16_MAX) {
        return -EINVAL;
    }
    set_host(address, host);
    address->port = (unsigned)port;
    return 0;
}

static int parse_one(struct slice text, unsigned default_port,
                     struct redis_address *address)
{
    if (!slice_has_prefix(text, SLICE_LITERAL(UNIX_PREFIX))) {
        return redis_address_parse(text, default_port, address);
    }
    const struct slice path = rest(text, sizeof(UNIX_PREFIX) - 1);
    if (path.size == 0 || path.data[0] != '/' || path.size > PATH_MAX_SIZE) {
        return -EINVAL;
    }
    set_host(address, path);
    address->port = 0;
    return 0;
}

int redis_place_parse(const char *text, struct redis_place *place)
{
    struct slice left = slice_from_string(text);
    unsigned port = PORT;

    *place = (struct redis_place){0};
    if (slice_has_prefix(left, SLICE_LITERAL(SENTINEL))) {
        left = rest(left, sizeof(SENTINEL) - 1);
        const struct slice name = cut(&left, '@');
        if (!good_host(name) || name.size > REDIS_NAME_MAX) {
            return -EINVAL;
        }
        memcpy(place->master, name.data, name.size);
        port = SENTINEL_PORT;
    }
    do {
        const struct slice one = cut(&left, ',');
        if (place->count == REDIS_ADDRESSES_MAX ||
            parse_one(one, port, &place->addresses[place->count++]) != 0) {
            return -EINVAL;
        }
    } while (left.size > 0);
    return 0;
}
