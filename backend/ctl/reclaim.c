/*
 * Space that comes back, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>

static const char *state(const json_t *result)
{
    if (show_number(result, "damaged_records") > 0) {
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
           show_number(result, "passes"));
    printf("stored       %lld bytes live of %lld in %lld extents, %lld of them "
           "may be written to\n",
           show_number(result, "live_bytes"), show_number(result, "bytes"),
           show_number(result, "extents"), show_number(result, "extents_busy"));
    if (show_number(result, "extents_held") > 0) {
        printf("HELD         %lld extents from before the metadata were "
               "restored, until `s3ctl backup accept`\n",
               show_number(result, "extents_held"));
    }
    printf("freed        %lld blobs, %lld parts without an upload; %lld blobs "
           "are still being read\n",
           show_number(result, "blobs_freed"),
           show_number(result, "parts_dropped"),
           show_number(result, "blobs_being_read"));
    printf("unlinked     %lld extents, %lld bytes\n",
           show_number(result, "extents_removed"),
           show_number(result, "bytes_removed"));
    printf("moved        %lld shards, %lld bytes; %lld were bad\n",
           show_number(result, "shards_moved"),
           show_number(result, "bytes_moved"),
           show_number(result, "shards_bad"));
    if (amplification != NULL) {
        printf("written      %.3f bytes for each byte that came back\n",
               json_real_value(amplification));
    }
}
