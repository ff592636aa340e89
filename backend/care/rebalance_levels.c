/* How full drives are, and which moves would make that more even. Pure. */
#include "care/rebalance_private.h"

#include <math.h>
#include <stdlib.h>

/* --- levels ----------------------------------------------------------------*/
double level_of(const struct level *level)
{
    return level->total > 0 ? (double)level->live / (double)level->total : 0;
}

void levels_set_mean(struct levels *levels)
{
    double live = 0, total = 0;

    for (unsigned i = 0; i < levels->count; i++) {
        const struct level *level = &levels->drives[i];

        if (level->takes) {
            live += (double)level->live;
            total += (double)level->total;
        }
    }
    levels->mean = total > 0 ? live / total : 0;
}

bool levels_are_even(const struct levels *levels, double percent)
{
    const double most = levels->mean * percent / 100;
    bool even = true;

    for (unsigned i = 0; i < levels->count; i++) {
        const struct level *level = &levels->drives[i];

        even = even &&
               (!level->takes || fabs(level_of(level) - levels->mean) <= most);
    }
    return even;
}

uint64_t levels_excess(const struct levels *levels)
{
    double excess = 0;

    for (unsigned i = 0; i < levels->count; i++) {
        const struct level *level = &levels->drives[i];
        const double above =
            (double)level->live - levels->mean * (double)level->total;

        excess += level->takes && above > 0 ? above : 0;
    }
    return (uint64_t)excess;
}

/* --- a chunk ---------------------------------------------------------------*/
void shards_add(void *context, const struct blob_shard *shard)
{
    struct shards *shards = context;

    if (shards->count == shards->room) {
        shards->room = shards->room == 0 ? 32 : 2 * shards->room;
        shards->list =
            xrealloc(shards->list, shards->room * sizeof(*shards->list));
    }
    shards->list[shards->count++] = *shard;
}

/* The shards of one chunk and the drives that they are to be on. */
struct chunk_plan {
    struct levels *levels;
    const struct blob_shard *shards;
    unsigned count;
    unsigned drive[ERASURE_SHARDS_MAX];
};

/* Also if its shard is to leave it: that may come to nothing. */
static bool is_used(const struct chunk_plan *plan, unsigned drive)
{
    bool used = false;

    for (unsigned i = 0; i < plan->count; i++) {
        used =
            used || plan->drive[i] == drive || plan->shards[i].drive == drive;
    }
    return used;
}

static unsigned domain_shards(const struct chunk_plan *plan, unsigned domain)
{
    unsigned shards = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        shards += plan->drive[i] < plan->levels->count &&
                  plan->levels->drives[plan->drive[i]].domain == domain;
    }
    return shards;
}

/* Whether the shard may go from its drive to another one, and should. */
static bool is_better(const struct chunk_plan *plan, unsigned shard,
                      unsigned drive)
{
    const struct level *from = &plan->levels->drives[plan->drive[shard]];
    const struct level *to = &plan->levels->drives[drive];
    const uint64_t bytes = plan->shards[shard].bytes;

    if (!to->takes || to->slow || is_used(plan, drive) || to->free < bytes ||
        level_of(to) >= plan->levels->mean) {
        return false;
    }
    if (to->domain != from->domain &&
        domain_shards(plan, to->domain) >= domain_shards(plan, from->domain)) {
        return false; /* D2 */
    }
    return (double)(to->live + bytes) / (double)to->total < level_of(from);
}

/* The emptiest drive that the shard may go to; or BLOB_NO_DRIVE. */
static unsigned best_drive(const struct chunk_plan *plan, unsigned shard)
{
    const struct level *drives = plan->levels->drives;
    unsigned best = BLOB_NO_DRIVE;

    for (unsigned i = 0; i < plan->levels->count; i++) {
        if (is_better(plan, shard, i) &&
            (best == BLOB_NO_DRIVE ||
             level_of(&drives[i]) < level_of(&drives[best]))) {
            best = i;
        }
    }
    return best;
}

/* The shard on the fullest drive that is above the mean, of those not tried;
 * or `count`. */
static unsigned fullest(const struct chunk_plan *plan, uint32_t tried)
{
    const struct levels *levels = plan->levels;
    unsigned found = plan->count;

    for (unsigned i = 0; i < plan->count; i++) {
        const unsigned drive = plan->drive[i];

        if (tried & 1u << i || drive >= levels->count ||
            !levels->drives[drive].takes ||
            level_of(&levels->drives[drive]) <= levels->mean) {
            continue;
        }
        if (found == plan->count ||
            level_of(&levels->drives[drive]) >
                level_of(&levels->drives[plan->drive[found]])) {
            found = i;
        }
    }
    return found;
}

static void take(struct chunk_plan *plan, unsigned shard, unsigned drive)
{
    struct level *from = &plan->levels->drives[plan->drive[shard]];
    struct level *to = &plan->levels->drives[drive];
    const uint64_t bytes = plan->shards[shard].bytes;

    from->live -= from->live < bytes ? from->live : bytes;
    to->live += bytes;
    to->free -= bytes;
    plan->drive[shard] = drive;
}

static size_t plan_chunk(struct levels *levels, const struct blob_shard *shards,
                         size_t count, struct blob_move *moves)
{
    struct chunk_plan plan = {
        .levels = levels, .shards = shards, .count = (unsigned)count};
    uint32_t tried = 0;
    unsigned shard;
    size_t moved = 0;

    invariant(count <= ERASURE_SHARDS_MAX);
    for (unsigned i = 0; i < plan.count; i++) {
        plan.drive[i] = shards[i].drive;
    }
    while ((shard = fullest(&plan, tried)) < plan.count) {
        const unsigned drive = best_drive(&plan, shard);

        tried |= 1u << shard;
        if (drive != BLOB_NO_DRIVE) {
            take(&plan, shard, drive);
            moves[moved++] = (struct blob_move){
                shards[shard].chunk, shards[shard].shard, drive, .any = false};
        }
    }
    return moved;
}

size_t levels_plan(struct levels *levels, const struct shards *shards,
                   struct blob_move *moves)
{
    size_t moved = 0;

    for (size_t i = 0, end; i < shards->count; i = end) {
        for (end = i; end < shards->count &&
                      shards->list[end].chunk == shards->list[i].chunk;
             end++) {
        }
        moved += plan_chunk(levels, &shards->list[i], end - i, moves + moved);
    }
    return moved;
}
