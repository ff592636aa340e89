/*
 * What need not be sent again.
 */
#include "transfer/private.h"

#define MEBIBYTE (1ull << 20)

bool times_equal(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool object_is_file(const struct facts *facts, uint64_t size,
                    struct timespec mtime)
{
    return facts->size == size && facts->has_mtime &&
           times_equal(facts->mtime, mtime);
}

bool part_is_piece(const struct part *part, const struct piece *piece)
{
    return part->has_crc && part->size == piece->size &&
           part->crc == piece->crc;
}

/* The time of a change of any kind tells of an mtime that was set back. */
bool upload_is_stale(time_t begun, struct timespec mtime, struct timespec ctime)
{
    return mtime.tv_sec >= begun || ctime.tv_sec >= begun;
}

uint64_t part_size_for(uint64_t size, uint64_t wanted)
{
    const uint64_t least = (size + PARTS_MAX - 1) / PARTS_MAX;

    return least <= wanted ? wanted
                           : (least + MEBIBYTE - 1) / MEBIBYTE * MEBIBYTE;
}
