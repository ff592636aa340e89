/*
 * Shards that move from drive to drive, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>
#include <string.h>

static const char *explain(const char *state)
{
    static const char *const states[][2] = {
        {"off", "off: band is 0 in s3d.conf"},
        {"stopped", "stopped, until it is started or s3d is"},
        {"counting", "rests: what is live is not counted yet"},
        {"waiting", "waits for a drive that is not usable"},
        {"even", "rests: levels are even"},
        {"uneven", "rests: levels are uneven, and no shard may go where it "
                   "would help, or it is about to begin"},
        {"moving", "moves shards from fuller drives to emptier ones"},
        {"draining", "drains a drive: s3ctl drive list"},
    };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(state, states[i][0]) == 0) {
            return states[i][1];
        }
    }
    return state;
}

void print_rebalance(const json_t *result, const char *argument)
{
    const char *state = json_string_value(json_object_get(result, "state"));
    size_t i;
    json_t *drive;
    (void)argument;
    printf("rebalance    %s\n", explain(state != NULL ? state : ""));
    printf("levels       mean %.2f %%, band %lld %% of it, %lld bytes above "
           "the mean",
           100 * json_real_value(json_object_get(result, "mean")),
           show_number(result, "band"), show_number(result, "excess_bytes"));
    if (json_object_get(result, "estimate_seconds") != NULL) {
        printf(", about %lld s to go", show_number(result, "estimate_seconds"));
    }
    printf("\nmoved        %lld shards, %lld bytes; %lld were bad\n",
           show_number(result, "shards_moved"),
           show_number(result, "bytes_moved"),
           show_number(result, "shards_bad"));
    json_array_foreach(json_object_get(result, "drives"), i, drive)
    {
        printf("drive %-6lld %6.2f %%  %lld bytes in %lld shards\n",
               show_number(drive, "index"),
               100 * json_real_value(json_object_get(drive, "level")),
               show_number(drive, "live_bytes"),
               show_number(drive, "live_shards"));
    }
}
