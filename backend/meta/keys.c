/*
 * The key codec. Keys sort bytewise: numbers are big-endian, and an object
 * key ends in 00 01 with every 00 in it written as 00 FF, so that a key comes
 * before all keys that it begins.
 */
#include "meta/private.h"

#include <errno.h>
#include <string.h>

#define ESCAPE     0x00
#define ESCAPED    0xFF /* after ESCAPE: the byte 00 */
#define TERMINATOR 0x01 /* after ESCAPE: the end */

void key_tag(struct buffer *out, char tag)
{
    buffer_append(out, &tag, 1);
}

void key_u64(struct buffer *out, uint64_t value)
{
    uint8_t bytes[8];

    put_u64be(bytes, value);
    buffer_append(out, bytes, sizeof(bytes));
}

void key_escaped(struct buffer *out, struct slice bytes)
{
    static const uint8_t zero[] = {ESCAPE, ESCAPED};
    const uint8_t *at = bytes.data, *end, *next;

    if (bytes.size == 0) {
        return;
    }
    end = at + bytes.size;
    while ((next = memchr(at, ESCAPE, (size_t)(end - at))) != NULL) {
        buffer_append(out, at, (size_t)(next - at));
        buffer_append(out, zero, sizeof(zero));
        at = next + 1;
    }
    buffer_append(out, at, (size_t)(end - at));
}

void key_terminated(struct buffer *out, struct slice bytes)
{
    static const uint8_t terminator[] = {ESCAPE, TERMINATOR};

    key_escaped(out, bytes);
    buffer_append(out, terminator, sizeof(terminator));
}

void key_bucket(struct buffer *out, struct slice name)
{
    key_tag(out, META_KEY_BUCKET);
    buffer_append(out, name.data, name.size);
}

void key_of_bucket(struct buffer *out, char tag, uint64_t bucket)
{
    key_tag(out, tag);
    key_u64(out, bucket);
}

void key_of_key(struct buffer *out, char tag, uint64_t bucket, struct slice key)
{
    key_of_bucket(out, tag, bucket);
    key_terminated(out, key);
}

void key_object(struct buffer *out, uint64_t bucket, struct slice key,
                uint64_t sequence)
{
    key_of_key(out, META_KEY_OBJECT, bucket, key);
    key_u64(out, ~sequence);
}

void key_upload(struct buffer *out, uint64_t bucket, struct slice key,
                struct slice upload)
{
    key_of_key(out, META_KEY_UPLOAD, bucket, key);
    buffer_append(out, upload.data, upload.size);
}

void key_parts(struct buffer *out, struct slice upload)
{
    key_tag(out, META_KEY_PART);
    key_terminated(out, upload);
}

void key_part(struct buffer *out, struct slice upload, unsigned number)
{
    uint8_t bytes[4];

    key_parts(out, upload);
    put_u32be(bytes, number);
    buffer_append(out, bytes, sizeof(bytes));
}

void key_completed(struct buffer *out, struct slice upload)
{
    key_tag(out, META_KEY_COMPLETED);
    buffer_append(out, upload.data, upload.size);
}

void key_blob(struct buffer *out, char tag, uint64_t blob)
{
    key_tag(out, tag);
    key_u64(out, blob);
}

/* The urgency: bit 7 if it waits, then how many losses are left. */
#define HEAL_WAITS 0x80

void key_heal(struct buffer *out, const struct meta_heal *entry)
{
    uint8_t urgency = (uint8_t)entry->losses_left;

    invariant(entry->losses_left <= META_HEAL_UNREADABLE);
    if (entry->waits) {
        urgency |= HEAL_WAITS;
    }
    key_tag(out, META_KEY_HEAL);
    buffer_append(out, &urgency, 1);
    key_u64(out, entry->blob);
}

int key_heal_decode(struct slice key, struct meta_heal *entry)
{
    if (key.size != 10 || key.data[0] != META_KEY_HEAL) {
        return -EBADMSG;
    }
    entry->waits = (key.data[1] & HEAL_WAITS) != 0;
    entry->losses_left = key.data[1] & ~HEAL_WAITS & 0xFF;
    entry->blob = get_u64be(key.data + 2);
    return 0;
}

void key_scrub(struct buffer *out)
{
    key_tag(out, META_KEY_CARE);
    key_tag(out, 's');
}

void key_rewrap(struct buffer *out)
{
    key_tag(out, META_KEY_CARE);
    key_tag(out, 'r');
}

void key_audit(struct buffer *out, uint32_t day)
{
    uint8_t bytes[4];

    key_tag(out, META_KEY_CARE);
    key_tag(out, 'd');
    put_u32be(bytes, day);
    buffer_append(out, bytes, sizeof(bytes));
}

void key_reference(struct buffer *out, uint64_t blob,
                   const struct meta_referrer *referrer)
{
    uint8_t number[4];

    key_blob(out, META_KEY_REFERENCE, blob);
    key_tag(out, (char)referrer->kind);
    switch (referrer->kind) {
    case META_REFERRER_OBJECT:
        key_u64(out, referrer->bucket);
        key_terminated(out, referrer->key);
        key_u64(out, ~referrer->sequence);
        return;
    case META_REFERRER_PART:
        key_terminated(out, referrer->upload);
        put_u32be(number, referrer->number);
        buffer_append(out, number, sizeof(number));
        return;
    case META_REFERRER_BLOB:
        key_u64(out, referrer->blob);
        return;
    }
    invariant(!"a known kind of referrer");
}

void key_usage(struct buffer *out, uint64_t bucket)
{
    key_tag(out, META_KEY_QUOTA);
    key_tag(out, 'b');
    key_u64(out, bucket);
}

void key_owner_quota(struct buffer *out, struct slice owner)
{
    key_tag(out, META_KEY_QUOTA);
    key_tag(out, 'o');
    buffer_append(out, owner.data, owner.size);
}

void key_events(struct buffer *out, struct slice target)
{
    key_tag(out, META_KEY_EVENT);
    key_terminated(out, target);
}

void key_event(struct buffer *out, struct slice target, uint64_t sequence)
{
    key_events(out, target);
    key_u64(out, sequence);
}

bool key_successor(struct buffer *prefix)
{
    while (prefix->size > 0 && prefix->data[prefix->size - 1] == 0xFF) {
        prefix->size--;
    }
    if (prefix->size == 0) {
        return false;
    }
    prefix->data[prefix->size - 1]++;
    return true;
}

int key_unescape(struct slice in, struct buffer *out, struct slice *rest)
{
    const uint8_t *at = in.data, *end = in.data + in.size, *next;

    while ((next = memchr(at, ESCAPE, (size_t)(end - at))) != NULL) {
        if (next + 1 == end) {
            return -EBADMSG;
        }
        buffer_append(out, at, (size_t)(next - at));
        at = next + 2;
        if (next[1] == TERMINATOR) {
            *rest = slice_of(at, (size_t)(end - at));
            return 0;
        }
        if (next[1] != ESCAPED) {
            return -EBADMSG;
        }
        buffer_append(out, next, 1);
    }
    return -EBADMSG;
}

struct slice buffer_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}
