/*
 * What need not be sent again.
 */
#include "transfer/private.h"

#define MEBIBYTE (1ull << 20)

int times_compare(struct timespec a, struct timespec b)
{
    if (a.tv_sec != b.tv_sec) {
        return a.tv_sec < b.tv_sec ? -1 : 1;
    }
    return a.tv_nsec == b.tv_nsec ? 0 : a.tv_nsec < b.tv_nsec ? -1 : 1;
}

bool object_is_file(const struct facts *facts, uint64_t size,
                    struct timespec mtime)
{
    return facts->size == size && facts->has_mtime &&
           times_compare(facts->mtime, mtime) == 0;
}

bool part_is_piece(const struct part *part, const struct piece *piece)
{
    return part->has_crc && part->size == piece->size &&
           part->crc == piece->crc;
}

/* The time of a change of any kind tells of an mtime that was set back. */
bool upload_is_stale(struct timespec begun, struct timespec mtime,
                     struct timespec ctime)
{
    return times_compare(mtime, begun) >= 0 || times_compare(ctime, begun) >= 0;
}

uint64_t part_size_for(uint64_t size, uint64_t wanted)
{
    const uint64_t least = (size + PARTS_MAX - 1) / PARTS_MAX;

    return least <= wanted ? wanted
                           : (least + MEBIBYTE - 1) / MEBIBYTE * MEBIBYTE;
}
