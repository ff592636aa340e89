/* Contents of the simulated disk: sectors that are durable or not. */
#include "io/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t round_up(uint64_t size)
{
    return (size + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR;
}

static void *grow(void *old, uint64_t from, uint64_t to)
{
    uint8_t *data = xrealloc(old, to);
    memset(data + from, 0, to - from);
    return data;
}

static void ensure(struct sim_inode *inode, uint64_t size)
{
    if (size <= inode->capacity) {
        return;
    }
    uint64_t to =
        round_up(size < 2 * inode->capacity ? 2 * inode->capacity : size);
    inode->data = grow(inode->data, inode->capacity, to);
    inode->durable = grow(inode->durable, inode->capacity, to);
    inode->sectors =
        grow(inode->sectors, inode->capacity / SIM_SECTOR, to / SIM_SECTOR);
    inode->capacity = to;
}

int sim_file_write(struct sim *sim, struct sim_inode *inode,
                   const uint8_t *data, size_t size, uint64_t offset)
{
    if (size == 0) {
        return 0;
    }
    uint64_t end = offset + size;
    uint64_t more = end > inode->size ? end - inode->size : 0;
    if (end < offset || more > sim->capacity - sim->used) {
        return -ENOSPC;
    }
    ensure(inode, end);
    memcpy(inode->data + offset, data, size);
    for (uint64_t s = offset / SIM_SECTOR; s * SIM_SECTOR < end; s++) {
        inode->sectors[s] = SECTOR_DIRTY;
    }
    inode->size += more;
    sim->used += more;
    return 0;
}

static void copy_sector(uint8_t *to, const uint8_t *from, uint64_t sector)
{
    memcpy(to + sector * SIM_SECTOR, from + sector * SIM_SECTOR, SIM_SECTOR);
}

void sim_file_sync(struct sim_inode *inode)
{
    for (uint64_t s = 0; s * SIM_SECTOR < inode->size; s++) {
        if (inode->sectors[s] == SECTOR_DIRTY) {
            copy_sector(inode->durable, inode->data, s);
            inode->sectors[s] = SECTOR_CLEAN;
        }
    }
    inode->durable_size = inode->size;
}

void sim_file_doom(struct sim_inode *inode)
{
    for (uint64_t s = 0; s * SIM_SECTOR < inode->size; s++) {
        if (inode->sectors[s] == SECTOR_DIRTY) {
            inode->sectors[s] = SECTOR_DOOMED;
        }
    }
}

/* Each unsynced sector is kept or lost; the file ends after the last one that
 * was kept, or, the size being metadata of its own, where it did. */
void sim_file_crash(struct sim *sim, struct sim_inode *inode)
{
    uint64_t end = inode->durable_size;
    for (uint64_t s = 0; s * SIM_SECTOR < inode->size; s++) {
        if (inode->sectors[s] == SECTOR_CLEAN) {
            continue;
        }
        if (sim_coin(sim)) {
            copy_sector(inode->durable, inode->data, s);
            uint64_t after = (s + 1) * SIM_SECTOR;
            if (after > inode->size) {
                after = inode->size;
            }
            end = after > end ? after : end;
        }
        inode->sectors[s] = SECTOR_CLEAN;
    }
    if (sim_coin(sim)) {
        end = inode->size;
    }
    if (inode->capacity > 0) {
        memset(inode->durable + end, 0, inode->capacity - end);
        memcpy(inode->data, inode->durable, inode->capacity);
    }
    sim->used -= inode->size - end;
    inode->size = inode->durable_size = end;
}
