/*
 * The walks over all blobs, the oldest first: ids rise with time, and who wrote
 * little lately is read little.
 */
#include "care/rebalance_private.h"

#include <errno.h>
#include <stdlib.h>

struct walk {
    struct rebalance *rebalance;
    const struct situation *situation;
    struct moves moves;
    struct walked *walked;
    struct shards shards;   /* of the blob at hand */
    struct blob_move *list; /* with room for all of them */
    size_t room;
    /* Which of the shards are to go; fills `list`, returns how many. */
    size_t (*choose)(struct walk *walk);
    bool may_recode;
    unsigned drive;       /* that is drained */
    struct levels levels; /* of evening out */
    double percent;
    bool enough;
};

/* --- one blob --------------------------------------------------------------*/
static void note(struct walk *walk, const struct blob_moved *result)
{
    struct rebalance *rebalance = walk->rebalance;

    walk->walked->moved += result->shards;
    walk->walked->stuck += result->stuck;
    pthread_mutex_lock(&rebalance->lock);
    rebalance->status.shards_moved += result->shards;
    rebalance->status.bytes_moved += result->bytes;
    rebalance->status.shards_bad += result->bad;
    rebalance->status.pass_bytes += result->bytes;
    pthread_mutex_unlock(&rebalance->lock);
}

/* Takes over the arena. */
static int move_some(struct walk *walk, struct arena *arena, uint64_t blob,
                     Layout__Layout *layout, size_t count)
{
    struct blob_moved result;
    int error = moves_add(&walk->moves, arena, blob, layout, walk->list, count,
                          &result);

    note(walk, &result);
    return error;
}

/* Takes over the arena, which the record is in. */
static int move_record(struct walk *walk, struct arena *arena, uint64_t blob,
                       const Meta__Blob *record)
{
    size_t count = 0;

    walk->shards.count = 0;
    /* A layout that no writer makes names nothing that could be moved. */
    if (record->layout != NULL &&
        blob_shards(record->layout, shards_add, &walk->shards) == 0) {
        if (walk->room < walk->shards.count) {
            walk->room = walk->shards.room;
            walk->list = xrealloc(walk->list, walk->room * sizeof(*walk->list));
        }
        count = walk->choose(walk);
    }
    if (count > 0) {
        return move_some(walk, arena, blob, record->layout, count);
    }
    arena_free(arena);
    return 0;
}

/* --- all blobs -------------------------------------------------------------*/
static int walk_on(struct walk *walk, uint64_t *blob)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    const uint64_t before = *blob;
    int error = meta_next_blob(walk->rebalance->options.meta, arena, before,
                               blob, &record);

    if (error == 0) {
        return move_record(walk, arena, *blob, record);
    }
    arena_free(arena);
    /* A record that cannot be read is the scrub's matter. */
    return error == -EBADMSG && *blob > before ? 0 : error;
}

/* Until its end, or until the situation is another. */
static int walk_all(struct walk *walk)
{
    struct rebalance *rebalance = walk->rebalance;
    uint64_t blob = 0;
    int error = 0, ended;

    moves_begin(&walk->moves, rebalance->options.meta, rebalance->options.blobs,
                &rebalance->pace);
    walk->moves.may_recode = walk->may_recode;
    *walk->walked = (struct walked){0};
    while (error == 0 && !walk->enough &&
           situation_is(rebalance, walk->situation)) {
        error = atomic_load(&rebalance->stopping) ? -ECANCELED
                                                  : walk_on(walk, &blob);
    }
    walk->walked->whole = error == -ENOENT;
    error = error == -ENOENT ? 0 : error;
    ended = moves_end(&walk->moves, error);
    free(walk->shards.list);
    free(walk->list);
    return error != 0 ? error : ended;
}

/* --- draining --------------------------------------------------------------*/
static size_t choose_all_of_drive(struct walk *walk)
{
    size_t count = 0;

    for (size_t i = 0; i < walk->shards.count; i++) {
        const struct blob_shard *shard = &walk->shards.list[i];

        if (shard->drive == walk->drive) {
            walk->list[count++] = (struct blob_move){
                shard->chunk, shard->shard, BLOB_NO_DRIVE, .any = true};
        }
    }
    return count;
}

int drain_drive(struct rebalance *rebalance, unsigned drive,
                const struct situation *situation, struct walked *walked)
{
    struct walk walk = {.rebalance = rebalance,
                        .situation = situation,
                        .walked = walked,
                        .choose = choose_all_of_drive,
                        .may_recode = true,
                        .drive = drive};

    return walk_all(&walk);
}

/* --- evening out -----------------------------------------------------------*/
/* What was committed and written meanwhile counts from here on. */
static void look_again(struct walk *walk)
{
    if (walk->moves.count == 0) {
        walk->enough = !levels_read(walk->rebalance, &walk->levels);
    }
    walk->enough =
        walk->enough || levels_are_even(&walk->levels, walk->percent);
}

static size_t choose_for_levels(struct walk *walk)
{
    look_again(walk);
    return walk->enough ? 0
                        : levels_plan(&walk->levels, &walk->shards, walk->list);
}

int even_out(struct rebalance *rebalance, double percent,
             const struct situation *situation, struct walked *walked)
{
    struct walk walk = {.rebalance = rebalance,
                        .situation = situation,
                        .walked = walked,
                        .choose = choose_for_levels,
                        .percent = percent};

    return walk_all(&walk);
}
