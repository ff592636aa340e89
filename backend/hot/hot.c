/*
 * The region: making it, counting changes, publishing.
 */
#include "hot/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "wire/wire.h"

/* Nobody can map or write the memory from then on but through what is mapped
 * already, nor change its size. Linux 5.1 */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A second request for a key within so many seconds makes it hot. */
#define WANTED_S     10u
#define WANTED_COUNT 4096u
#define WANTED_TIME  0xffffffu /* seconds in a note: the rest is of the hash */

struct hot {
    int descriptor;
    uint8_t *base;
    size_t size;
    struct hot_header *header;
    uint64_t *guards;
    struct hot_view view; /* of the same region */
    struct hot_holder holder;
    uint64_t wanted[WANTED_COUNT]; /* who was asked for, and when */
    uint64_t turn;                 /* which slot of a full set goes */
    uint64_t published, changes;
};

/* --- the region ------------------------------------------------------------*/
/* As many sets as fit. */
static uint32_t sets_of(size_t size, size_t slot_size)
{
    const size_t set = HOT_WAYS * (slot_size + HOT_GUARDS * sizeof(uint64_t));
    const size_t sets = size > 2 * HOT_PAGE ? (size - 2 * HOT_PAGE) / set : 0;

    if (sets == 0) {
        return 1;
    }
    return sets < HOT_SETS_MAX ? (uint32_t)sets : HOT_SETS_MAX;
}

static int map_region(struct hot *hot)
{
    hot->descriptor = memfd_create("s3d-hot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (hot->descriptor < 0 ||
        ftruncate(hot->descriptor, (off_t)hot->size) != 0) {
        return -errno;
    }
    hot->base = mmap(NULL, hot->size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     hot->descriptor, 0);
    if (hot->base == MAP_FAILED) {
        hot->base = NULL;
        return -errno;
    }
    madvise(hot->base, hot->size, MADV_DONTDUMP);
    return fcntl(hot->descriptor, F_ADD_SEALS, SEALS) == 0 ? 0 : -ENOTSUP;
}

static void release(struct hot *hot)
{
    if (hot->base != NULL) {
        munmap(hot->base, hot->size);
    }
    if (hot->descriptor >= 0) {
        close(hot->descriptor);
    }
    free(hot);
}

static size_t whole_slot(size_t size)
{
    size = size < HOT_SLOT_MIN ? HOT_SLOT_MIN : size;
    size = size > HOT_SLOT_MAX ? HOT_SLOT_MAX : size;
    return (size + HOT_PAGE - 1) / HOT_PAGE * HOT_PAGE;
}

int hot_open(size_t size, size_t slot_size, struct hot **out)
{
    struct hot *hot = xcalloc(1, sizeof(*hot));
    const size_t slot = whole_slot(slot_size);
    const uint32_t sets = sets_of(size, slot);
    int error;

    hot->size = hot_region_size(sets, slot);
    error = map_region(hot);
    if (error == 0) {
        hot->header = (struct hot_header *)(void *)hot->base;
        error = holder_start(&hot->holder, &hot->header->robust);
    }
    if (error != 0) {
        log_warn("no hot index: %s", strerror(-error));
        release(hot);
        return error;
    }
    invariant(getrandom(hot->header->hash_key, sizeof(hot->header->hash_key),
                        0) == sizeof(hot->header->hash_key));
    hot->header->sets = sets;
    hot->header->slot_size = slot;
    hot->header->version = HOT_VERSION;
    hot->header->magic = HOT_MAGIC;
    invariant(hot_view_open(&hot->view, hot->base, hot->size));
    hot->guards = (uint64_t *)(void *)(hot->base + HOT_PAGE);
    *out = hot;
    return 0;
}

void hot_close(struct hot *hot)
{
    if (hot != NULL) {
        holder_stop(&hot->holder);
        release(hot);
    }
}

int hot_descriptor(const struct hot *hot)
{
    return hot != NULL ? hot->descriptor : -1;
}

/* --- changes ---------------------------------------------------------------*/
static void count_change(struct hot *hot, uint64_t *guard, bool ended)
{
    /* H1: the step, and one more or one less under way */
    const uint64_t added = ended ? HOT_GUARD_STEP - 1 : HOT_GUARD_STEP + 1;
    const uint64_t before = __atomic_fetch_add(guard, added, __ATOMIC_SEQ_CST);

    invariant((before & HOT_GUARD_BUSY) != (ended ? 0 : HOT_GUARD_BUSY));
    if (!ended) {
        __atomic_fetch_add(&hot->changes, 1, __ATOMIC_RELAXED);
    }
}

static uint64_t *guard_of(struct hot *hot, uint64_t bucket, struct slice name)
{
    return &hot->guards[hot_guard_of(&hot->view, bucket, name.data, name.size)];
}

void hot_change(struct hot *hot, uint64_t bucket, struct slice name, bool ended)
{
    if (hot != NULL) {
        count_change(hot, guard_of(hot, bucket, name), ended);
    }
}

void hot_change_identities(struct hot *hot, bool ended)
{
    if (hot != NULL) {
        count_change(hot, &hot->header->identities, ended);
    }
}

/* --- tokens ----------------------------------------------------------------*/
static uint64_t look(const uint64_t *guard, struct hot_token *token)
{
    const uint64_t value = __atomic_load_n(guard, __ATOMIC_SEQ_CST);

    token->valid &= (value & HOT_GUARD_BUSY) == 0;
    return value;
}

static void look_at(struct hot *hot, uint64_t bucket, struct slice name,
                    struct hot_token *token)
{
    struct hot_seen *seen = &token->seen[token->count];

    if (token->count == HOT_SEEN_MAX) {
        token->valid = false;
        return;
    }
    seen->guard = hot_guard_of(&hot->view, bucket, name.data, name.size);
    seen->value = look(&hot->guards[seen->guard], token);
    token->count++;
}

void hot_look(struct hot *hot, struct slice bucket, struct hot_token *token)
{
    *token = (struct hot_token){.valid = hot != NULL};
    if (hot != NULL) {
        token->identities = look(&hot->header->identities, token);
        look_at(hot, 0, bucket, token);
    }
}

void hot_look_at_key(struct hot *hot, uint64_t bucket, struct slice key,
                     struct hot_token *token)
{
    if (token->valid) {
        look_at(hot, bucket, key, token);
    }
}

size_t hot_body_limit(const struct hot *hot)
{
    return hot != NULL ? hot->view.payload_max : 0;
}

/* --- what is hot -----------------------------------------------------------*/
bool hot_is_wanted(struct hot *hot, struct slice question)
{
    const uint64_t now_s = clock_monotonic_us() / 1000000 & WANTED_TIME;
    uint64_t hash, note, *at;

    if (hot == NULL) {
        return false;
    }
    hash = hot_question_hash(&hot->view, question.data, question.size);
    at = &hot->wanted[hash % WANTED_COUNT];
    note = __atomic_exchange_n(at, (hash & ~(uint64_t)WANTED_TIME) | now_s,
                               __ATOMIC_RELAXED);
    return ((note ^ hash) & ~(uint64_t)WANTED_TIME) == 0 &&
           ((now_s - note) & WANTED_TIME) <= WANTED_S;
}

/* --- publishing ------------------------------------------------------------*/
struct writer {
    uint8_t data[HOT_PAYLOAD_MAX] __attribute__((aligned(8)));
    size_t size, max;
    bool full;
};

static void append(struct writer *writer, const void *data, size_t size)
{
    if (writer->full || size > writer->max - writer->size) {
        writer->full = true;
    } else if (size > 0) {
        memcpy(writer->data + writer->size, data, size);
        writer->size += size;
    }
}

/* A line break would be a second header. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\r' || text.data[i] == '\n' ||
            text.data[i] == '\0') {
            return false;
        }
    }
    return text.size <= UINT16_MAX;
}

/* An answer without checksums is one with them less some of its headers. */
static bool keeps_fields(const struct hot_answer *answer,
                         const struct hot_found *old)
{
    return old != NULL && old->entry->checksums && !answer->checksums;
}

static void append_fields(struct writer *writer,
                          const struct hot_answer *answer,
                          const struct hot_found *old)
{
    if (keeps_fields(answer, old)) {
        append(writer, old->fields, old->entry->fields_size);
        return;
    }
    for (size_t i = 0; i < answer->field_count; i++) {
        const struct hot_header_field *field = &answer->fields[i];
        const uint16_t sizes[2] = {(uint16_t)field->name.size,
                                   (uint16_t)field->value.size};

        writer->full |= field->name.size == 0 || !is_plain(field->name) ||
                        !is_plain(field->value);
        append(writer, sizes, sizeof(sizes));
        append(writer, field->name.data, field->name.size);
        append(writer, field->value.data, field->value.size);
    }
}

/* Those who may read it: the one of now, and others that the entry in place
 * names, if it is as new. */
static unsigned list_readers(const struct hot_answer *answer,
                             const struct hot_found *old,
                             struct hot_reader readers[HOT_READERS_MAX])
{
    unsigned count = 0;

    if (answer->access_key.size > 0 &&
        answer->access_key.size <= HOT_READER_MAX) {
        readers[0] = (struct hot_reader){
            .generation = answer->generation,
            .size = (uint8_t)answer->access_key.size,
        };
        memcpy(readers[0].access_key, answer->access_key.data,
               answer->access_key.size);
        count = 1;
    }
    for (unsigned i = 0; old != NULL && i < old->entry->readers; i++) {
        const struct hot_reader *reader = &old->readers[i];

        if (count < HOT_READERS_MAX &&
            (count == 0 || memcmp(reader, &readers[0], sizeof(*reader)) != 0)) {
            readers[count++] = *reader;
        }
    }
    return count;
}

static bool same_guards(const struct hot_token *token,
                        const struct hot_found *found)
{
    return found->entry->identities == token->identities &&
           found->entry->seen == token->count &&
           memcmp(found->seen, token->seen,
                  token->count * sizeof(token->seen[0])) == 0;
}

/* What a HEAD does not bring may be there. */
static struct slice body_of(const struct hot_answer *answer,
                            const struct hot_found *old)
{
    if (answer->body.data == NULL && old != NULL && old->entry->has_body) {
        return slice_of(old->body, old->entry->body_size);
    }
    return answer->body.data != NULL ? answer->body : slice_of(NULL, 0);
}

static bool write_payload(struct writer *writer, const struct hot_token *token,
                          const struct hot_answer *answer,
                          const struct hot_found *old)
{
    const struct slice body = body_of(answer, old);
    struct hot_reader readers[HOT_READERS_MAX];
    struct hot_entry entry = {
        .identities = token->identities,
        .content_length = answer->content_length,
        .mtime_ms = answer->mtime_ms,
        .anybody = answer->anybody || (old != NULL && old->entry->anybody),
        .has_body = body.data != NULL,
        .checksums = answer->checksums || keeps_fields(answer, old),
        .seen = token->count,
        .readers = (uint8_t)list_readers(answer, old, readers),
        .fields = keeps_fields(answer, old) ? old->entry->fields
                                            : (uint8_t)answer->field_count,
        .question_size = (uint16_t)answer->question.size,
        .body_size = (uint16_t)body.size,
    };
    size_t fields;

    writer->full = answer->field_count > UINT8_MAX ||
                   answer->question.size > writer->max ||
                   body.size > writer->max;
    append(writer, &entry, sizeof(entry));
    append(writer, token->seen, token->count * sizeof(token->seen[0]));
    append(writer, readers, entry.readers * sizeof(readers[0]));
    append(writer, answer->question.data, answer->question.size);
    fields = writer->size;
    append_fields(writer, answer, old);
    entry.fields_size = (uint16_t)(writer->size - fields);
    append(writer, body.data, body.size);
    memcpy(writer->data, &entry, sizeof(entry));
    return !writer->full;
}

static struct hot_slot *slot_of(struct hot *hot, uint64_t hash, uint64_t way)
{
    return (struct hot_slot *)hot_slot_of(&hot->view, hash, (unsigned)way);
}

/* The slot that has it, a free one, or one after the other. */
static struct hot_slot *choose_slot(struct hot *hot, uint64_t hash)
{
    struct hot_slot *free_one = NULL;

    for (unsigned way = 0; way < HOT_WAYS; way++) {
        struct hot_slot *slot = slot_of(hot, hash, way);
        const uint64_t is = __atomic_load_n(&slot->hash, __ATOMIC_RELAXED);

        if (is == hash) {
            return slot;
        }
        if (is == 0 && free_one == NULL) {
            free_one = slot;
        }
    }
    if (free_one != NULL) {
        return free_one;
    }
    return slot_of(hot, hash,
                   __atomic_fetch_add(&hot->turn, 1, __ATOMIC_RELAXED) %
                       HOT_WAYS);
}

/* Stores that release stay behind the one that makes the sequence odd. */
static bool write_slot(struct hot_slot *slot, uint64_t hash,
                       const struct writer *writer)
{
    uint64_t sequence = __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED);
    uint64_t word;

    if ((sequence & 1) != 0 || !__atomic_compare_exchange_n(
                                   &slot->sequence, &sequence, sequence + 1,
                                   false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return false;
    }
    __atomic_store_n(&slot->hash, hash, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->size, (uint32_t)writer->size, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->crc, crc32c(0, writer->data, writer->size),
                     __ATOMIC_RELEASE);
    for (size_t i = 0; i < (writer->size + 7) / 8; i++) {
        memcpy(&word, writer->data + 8 * i, 8);
        __atomic_store_n(&slot->payload[i], word, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&slot->sequence, sequence + 2, __ATOMIC_RELEASE);
    return true;
}

bool hot_publish(struct hot *hot, const struct hot_token *token,
                 const struct hot_answer *answer)
{
    struct writer writer;
    uint64_t copy[HOT_PAYLOAD_MAX / 8], hash;
    struct hot_found found, *old = NULL;

    if (hot == NULL || !token->valid) {
        return false;
    }
    if (hot_find(&hot->view, answer->question.data, answer->question.size, copy,
                 &found) &&
        same_guards(token, &found)) {
        old = &found;
    }
    writer.size = 0;
    writer.max = hot->view.payload_max;
    if (!write_payload(&writer, token, answer, old)) {
        return false;
    }
    memset(writer.data + writer.size, 0, -writer.size & 7); /* whole words */
    hash = hot_question_hash(&hot->view, answer->question.data,
                             answer->question.size);
    if (!write_slot(choose_slot(hot, hash), hash, &writer)) {
        return false;
    }
    __atomic_fetch_add(&hot->published, 1, __ATOMIC_RELAXED);
    return true;
}

void hot_status(const struct hot *hot, struct hot_status *status)
{
    *status = (struct hot_status){.size = 0};
    if (hot != NULL) {
        *status = (struct hot_status){
            .size = hot->size,
            .objects = (uint64_t)hot->view.sets * HOT_WAYS,
            .published = __atomic_load_n(&hot->published, __ATOMIC_RELAXED),
            .changes = __atomic_load_n(&hot->changes, __ATOMIC_RELAXED),
        };
    }
}
