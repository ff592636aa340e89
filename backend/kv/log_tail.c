/*
 * LevelDB's logs: where the whole records of one end, and the files.
 *
 * A power cut leaves the last record of a log in pieces: cut short, or with
 * pages that read as zeros. LevelDB with paranoid checks takes the second for
 * corruption and does not open; without them it steps over any damage, also to
 * records that were synced. A piece may be cut off only if no other record
 * begins behind it.
 *
 * The log is blocks of 32 KiB. A record is one fragment, or several in as
 * many blocks: CRC-32C of type and data, masked (4 bytes), length of the data
 * (2), type (1), data. A block's last bytes, if fewer than 7, are not used.
 */
#include "kv/private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define BLOCK          32768u
#define HEADER         7u
#define CRC_MASK_DELTA 0xa282ead8u

enum fragment_type { FULL = 1, FIRST, MIDDLE, LAST };

struct fragment {
    enum fragment_type type;
    size_t end;
};

/* --- reading a log ---------------------------------------------------------*/

static uint32_t unmask(uint32_t masked)
{
    uint32_t rotated = masked - CRC_MASK_DELTA;

    return rotated >> 17 | rotated << 15;
}

static bool fragment_at(const uint8_t *log, size_t size, size_t at,
                        struct fragment *fragment)
{
    size_t room = BLOCK - at % BLOCK, length;
    const uint8_t *header = log + at;
    uint8_t type;

    room = room < size - at ? room : size - at;
    if (room < HEADER) {
        return false;
    }
    length = get_u16le(header + 4);
    type = header[6];
    if (type < FULL || type > LAST || length > room - HEADER) {
        return false;
    }
    /* What goes on in the next block fills its own. */
    if ((type == FIRST || type == MIDDLE) &&
        (at + HEADER + length) % BLOCK != 0) {
        return false;
    }
    fragment->type = (enum fragment_type)type;
    fragment->end = at + HEADER + length;
    return crc32c_bytes(header + 6, 1 + length) == unmask(get_u32le(header));
}

/* At any byte: the lengths that lead from one fragment to the next may be
 * what is damaged. */
static bool record_begins_after(const uint8_t *log, size_t size, size_t at)
{
    struct fragment fragment;

    for (; at < size; at++) {
        if (fragment_at(log, size, at, &fragment) &&
            (fragment.type == FULL || fragment.type == FIRST)) {
            return true;
        }
    }
    return false;
}

int log_tail_find(const uint8_t *log, size_t size, size_t *whole)
{
    struct fragment fragment;
    bool inside = false;
    size_t at = 0;

    *whole = 0;
    while (at < size) {
        bool begins;

        if (BLOCK - at % BLOCK < HEADER) {
            at += BLOCK - at % BLOCK;
            continue;
        }
        if (!fragment_at(log, size, at, &fragment)) {
            break;
        }
        begins = fragment.type == FULL || fragment.type == FIRST;
        if (begins == inside) {
            break;
        }
        inside = fragment.type == FIRST || fragment.type == MIDDLE;
        at = fragment.end;
        *whole = inside ? *whole : at;
    }
    if (at >= size && !inside) {
        *whole = size;
        return 0;
    }
    return record_begins_after(log, size, at) ? -EBADMSG : 0;
}

/* --- files -----------------------------------------------------------------*/

static bool log_number(const char *name, uint64_t *number)
{
    size_t digits = strspn(name, "0123456789");

    return strcmp(name + digits, ".log") == 0 &&
           slice_to_u64(slice_of(name, digits), number) == 0;
}

struct discard {
    struct io *io;
    const char *directory;
};

static int discard_log(void *context, const char *name)
{
    const struct discard *discard = context;
    char path[PATH_MAX];
    uint64_t number;
    int n;

    if (!log_number(name, &number)) {
        return 0;
    }
    n = snprintf(path, sizeof(path), "%s/%s", discard->directory, name);
    invariant(n > 0 && n < PATH_MAX);
    return io_unlink(discard->io, path);
}

int log_tail_discard(struct io *io, const char *directory)
{
    struct discard discard = {io, directory};
    int error = io_list(io, directory, discard_log, &discard);

    return error != 0 ? error : io_sync_dir(io, directory);
}

static int take_highest(void *context, const char *name)
{
    uint64_t *highest = context, number;

    if (log_number(name, &number) && number > *highest) {
        *highest = number;
    }
    return 0;
}

int log_tail_highest(struct io *io, const char *directory, uint64_t *number)
{
    *number = 0;
    return io_list(io, directory, take_highest, number);
}
