#include "hot/region.h"

#include <string.h>

#include "wire/wire.h"

_Static_assert(sizeof(struct hot_header) <= HOT_PAGE, "one page");
_Static_assert(sizeof(struct hot_slot) == 24, "no padding");
_Static_assert(sizeof(struct hot_entry) % 8 == 0, "what follows is aligned");
_Static_assert(sizeof(struct hot_seen) % 8 == 0, "no padding");
_Static_assert(sizeof(struct hot_reader) % 8 == 0, "no padding");
_Static_assert(HOT_PAYLOAD_MAX <= UINT16_MAX, "sizes of 16 bits");

/* --- sizes -----------------------------------------------------------------*/
static uint64_t guard_count(uint32_t sets)
{
    return (uint64_t)sets * HOT_WAYS * HOT_GUARDS;
}

size_t hot_guards_size(uint32_t sets)
{
    const uint64_t size = guard_count(sets) * sizeof(uint64_t);

    return (size_t)((size + HOT_PAGE - 1) / HOT_PAGE * HOT_PAGE);
}

size_t hot_region_size(uint32_t sets, size_t slot_size)
{
    return HOT_PAGE + hot_guards_size(sets) +
           (size_t)sets * HOT_WAYS * slot_size;
}

/* --- hashing ---------------------------------------------------------------*/
/* https://www.aumasson.jp/siphash/siphash.pdf */
static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t hot_hash(const uint64_t key[2], uint64_t number, const void *data,
                  size_t size)
{
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575),
                     key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261),
                     key[1] ^ UINT64_C(0x7465646279746573)};
    const uint8_t *at = data;
    uint64_t word = 0;
    size_t left = size;

    sip_word(v, number);
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        sip_word(v, word);
    }
    word = (uint64_t)(size + 8) << 56;
    for (size_t i = 0; i < left; i++) {
        word |= (uint64_t)at[i] << (8 * i);
    }
    sip_word(v, word);
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A hash onto 0 .. count - 1. */
static uint64_t scale(uint64_t hash, uint64_t count)
{
    return (hash >> 32) * count >> 32;
}

/* --- a mapped region -------------------------------------------------------*/
static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

bool hot_view_open(struct hot_view *view, const void *base, size_t size)
{
    const struct hot_header *header = base;

    if (size < HOT_PAGE || header->magic != HOT_MAGIC ||
        header->version != HOT_VERSION) {
        return false;
    }
    *view = (struct hot_view){
        .header = header,
        .guards = (const uint64_t *)((const uint8_t *)base + HOT_PAGE),
        .hash_key = {header->hash_key[0], header->hash_key[1]},
        .slot_size = header->slot_size,
        .sets = header->sets,
    };
    if (view->sets == 0 || view->sets > HOT_SETS_MAX ||
        view->slot_size < HOT_SLOT_MIN || view->slot_size > HOT_SLOT_MAX ||
        view->slot_size % HOT_PAGE != 0 ||
        size != hot_region_size(view->sets, view->slot_size)) {
        return false;
    }
    view->payload_max = view->slot_size - sizeof(struct hot_slot);
    view->guard_count = guard_count(view->sets);
    view->slots =
        (const uint8_t *)base + HOT_PAGE + hot_guards_size(view->sets);
    return true;
}

size_t hot_guard_of(const struct hot_view *view, uint64_t bucket,
                    const void *name, size_t size)
{
    return (size_t)scale(hot_hash(view->hash_key, bucket, name, size),
                         view->guard_count);
}

uint64_t hot_question_hash(const struct hot_view *view, const void *question,
                           size_t size)
{
    const uint64_t hash = hot_hash(view->hash_key, 0, question, size);

    return hash != 0 ? hash : 1;
}

const struct hot_slot *hot_slot_of(const struct hot_view *view, uint64_t hash,
                                   unsigned way)
{
    const size_t number = (size_t)scale(hash, view->sets) * HOT_WAYS + way;

    return (const struct hot_slot *)(const void *)(view->slots +
                                                   number * view->slot_size);
}

/* --- an entry --------------------------------------------------------------*/
static bool fields_hold(const struct hot_found *found)
{
    struct hot_field field;
    unsigned count = 0;
    size_t at = 0;

    while (hot_next_field(found, &at, &field)) {
        count++;
    }
    return count == found->entry->fields && at == found->entry->fields_size;
}

bool hot_parse(const void *copy, size_t size, struct hot_found *found)
{
    const struct hot_entry *entry = copy;
    size_t parts;

    if (size < sizeof(*entry) || entry->seen > HOT_SEEN_MAX ||
        entry->readers > HOT_READERS_MAX) {
        return false;
    }
    parts = sizeof(*entry) + entry->seen * sizeof(struct hot_seen) +
            entry->readers * sizeof(struct hot_reader);
    if (parts + entry->question_size + entry->fields_size + entry->body_size !=
            size ||
        (entry->has_body && entry->body_size != entry->content_length)) {
        return false;
    }
    found->entry = entry;
    found->seen = (const struct hot_seen *)(const void *)(entry + 1);
    found->readers =
        (const struct hot_reader *)(const void *)(found->seen + entry->seen);
    found->question = (const uint8_t *)copy + parts;
    found->fields = found->question + entry->question_size;
    found->body = found->fields + entry->fields_size;
    return fields_hold(found);
}

bool hot_next_field(const struct hot_found *found, size_t *at,
                    struct hot_field *field)
{
    const size_t left = found->entry->fields_size - *at;
    const uint8_t *head = found->fields + *at;
    uint16_t sizes[2];

    if (left < HOT_FIELD_HEAD) {
        return false;
    }
    memcpy(sizes, head, HOT_FIELD_HEAD);
    if (sizes[0] == 0 || (size_t)sizes[0] + sizes[1] > left - HOT_FIELD_HEAD) {
        return false;
    }
    *field = (struct hot_field){.name = head + HOT_FIELD_HEAD,
                                .value = head + HOT_FIELD_HEAD + sizes[0],
                                .name_size = sizes[0],
                                .value_size = sizes[1]};
    *at += HOT_FIELD_HEAD + sizes[0] + sizes[1];
    return true;
}

bool hot_may_read(const struct hot_found *found, const void *access_key,
                  size_t size, uint64_t generation)
{
    const struct hot_reader *reader = found->readers;

    for (unsigned i = 0; i < found->entry->readers; i++, reader++) {
        if (reader->generation == generation && reader->size == size &&
            size <= HOT_READER_MAX && size > 0 &&
            memcmp(reader->access_key, access_key, size) == 0) {
            return true;
        }
    }
    return false;
}

/* --- finding ---------------------------------------------------------------*/
static bool answers(const struct hot_found *found, const void *question,
                    size_t size)
{
    return found->entry->question_size == size &&
           memcmp(found->question, question, size) == 0;
}

/* Four at a time: a loop's own work would be more than that of one. */
static void copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        to[0] = load(&from[0]);
        to[1] = load(&from[1]);
        to[2] = load(&from[2]);
        to[3] = load(&from[3]);
    }
    for (; count > 0; count--) {
        *to++ = load(from++);
    }
}

/* Nothing may be moved across a load that acquires: `sequence` is read before
 * the payload and again after it. */
static size_t copy_slot(const struct hot_slot *slot, size_t max, uint64_t *copy)
{
    const uint64_t sequence = load(&slot->sequence);
    const uint32_t size = __atomic_load_n(&slot->size, __ATOMIC_ACQUIRE);
    const uint32_t crc = __atomic_load_n(&slot->crc, __ATOMIC_ACQUIRE);

    if ((sequence & 1) != 0 || size > max) {
        return 0;
    }
    copy_words(copy, slot->payload, (size + 7) / 8);
    if (load(&slot->sequence) != sequence || crc32c(0, copy, size) != crc) {
        return 0;
    }
    return size;
}

/* H2, H4: after the copy. */
static bool is_current(const struct hot_view *view,
                       const struct hot_found *found)
{
    const struct hot_header *header = view->header;

    for (unsigned i = 0; i < found->entry->seen; i++) {
        if (found->seen[i].guard >= view->guard_count ||
            load(&view->guards[found->seen[i].guard]) != found->seen[i].value) {
            return false;
        }
    }
    return load(&header->identities) == found->entry->identities &&
           (__atomic_load_n(&header->robust.alive, __ATOMIC_ACQUIRE) &
            HOT_ALIVE_MASK) != 0;
}

bool hot_find(const struct hot_view *view, const void *question, size_t size,
              void *copy, struct hot_found *found)
{
    const uint64_t hash = hot_question_hash(view, question, size);

    for (unsigned way = 0; way < HOT_WAYS; way++) {
        const struct hot_slot *slot = hot_slot_of(view, hash, way);
        size_t copied;

        if (load(&slot->hash) != hash) {
            continue;
        }
        copied = copy_slot(slot, view->payload_max, copy);
        if (copied > 0 && hot_parse(copy, copied, found) &&
            answers(found, question, size) && is_current(view, found)) {
            return true;
        }
    }
    return false;
}
