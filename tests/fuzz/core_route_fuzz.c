/*
 * Targets and routing: "METHOD HOST TARGET".
 */
#include "fuzz_core.h"

#include "s3_route.h"
#include "s3_uri.h"
#include "wire.pb-c.h"

#define ARGS_MAX 32

/* What was decoded, encoded, and decoded again is the same; encoding leaves
 * only what needs none. */
static void check_round_trip(const s3_str_t *raw)
{
    s3_str_t once, encoded, twice;

    if (s3_uri_decode(&fuzz_memory, raw, 0, &once) != 0) {
        return;
    }
    MUST(once.len <= raw->len);
    encoded.data = fuzz_alloc(NULL, 3 * once.len + 1);
    encoded.len =
        (size_t)(s3_uri_encode(encoded.data, &once, 1) - encoded.data);
    for (size_t i = 0; i < encoded.len; i++) {
        MUST(encoded.data[i] > ' ' && encoded.data[i] < 0x7F);
    }
    MUST(s3_uri_decode(&fuzz_memory, &encoded, 0, &twice) == 0);
    MUST(fuzz_str_same(once, twice));
}

static void check_route(const s3_route_t *route)
{
    MUST(route->key.len <= 1024);
    MUST(route->bucket.len == 0 ||
         (route->bucket.len >= 3 && route->bucket.len <= 63) ||
         route->operation == WIRE__OPERATION__NOT_IMPLEMENTED);
    MUST(route->key.len == 0 || route->bucket.len > 0);
    for (size_t i = 0; i < route->bucket.len; i++) {
        MUST(route->bucket.data[i] != '/' && route->bucket.data[i] > ' ');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    s3_field_t args[ARGS_MAX];
    s3_str_t domain = s3_string("s3.example.com"), query;
    s3_route_request_t request = {.domains = &domain, .ndomains = 1};
    s3_route_t route;

    request.method = fuzz_str(input_until(&input, ' '));
    request.host = fuzz_str(input_until(&input, ' '));
    s3_str_t target = fuzz_str(input);
    if (s3_uri_split(&target, &request.path, &query) == 0) {
        check_round_trip(&request.path);
        check_round_trip(&query);
        int count = s3_uri_parse_query(&fuzz_memory, &query, args, ARGS_MAX);
        MUST(count <= ARGS_MAX);
        if (count >= 0) {
            request.args = args;
            request.nargs = (size_t)count;
            enum s3_error error = s3_route(&fuzz_memory, &request, &route);
            MUST(error < S3_ERROR_COUNT);
            if (error == S3_OK) {
                check_route(&route);
            }
        }
    }
    fuzz_free_all();
    return 0;
}
