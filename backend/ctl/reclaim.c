/*
 * Space that comes back, for people.
 */
#include "ctl/ctl.h"
#include <stdio.h>

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *state(const json_t *result)
{
    if (number(result, "damaged_records") > 0) {
        return "STOPPED: records of blobs are damaged, nothing is unlinked";
    }
    if (!json_is_true(json_object_get(result, "counted"))) {
        return "not counted yet";
    }
    return json_is_true(json_object_get(result, "running")) ? "runs" : "rests";
}

void print_reclaim(const json_t *result, const char *argument)
{
    const json_t *amplification =
        json_object_get(result, "write_amplification");
    (void)argument;
    printf("reclaim      %s, %lld passes\n", state(result),
           number(result, "passes"));
    printf("stored       %lld bytes live of %lld in %lld extents, %lld of them "
           "may be written to\n",
           number(result, "live_bytes"), number(result, "bytes"),
           number(result, "extents"), number(result, "extents_busy"));
    if (number(result, "extents_held") > 0) {
        printf("HELD         %lld extents from before the metadata were "
               "restored, until `s3ctl backup accept`\n",
               number(result, "extents_held"));
    }
    printf("freed        %lld blobs, %lld parts without an upload; %lld blobs "
           "are still being read\n",
           number(result, "blobs_freed"), number(result, "parts_dropped"),
           number(result, "blobs_being_read"));
    printf("unlinked     %lld extents, %lld bytes\n",
           number(result, "extents_removed"), number(result, "bytes_removed"));
    printf("moved        %lld shards, %lld bytes; %lld were bad\n",
           number(result, "shards_moved"), number(result, "bytes_moved"),
           number(result, "shards_bad"));
    if (amplification != NULL) {
        printf("written      %.3f bytes for each byte that came back\n",
               json_real_value(amplification));
    }
}
