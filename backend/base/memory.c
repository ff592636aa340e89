/* Allocation that never returns NULL, arenas and growing buffers. */
#include "base/base.h"

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("s3d: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return checked(strdup(text));
}

void copy_string(char *out, size_t capacity, const char *text)
{
    size_t size = strlen(text) + 1;

    invariant(size <= capacity);
    memcpy(out, text, size);
}

/* --- arenas ----------------------------------------------------------------*/

#define ARENA_BLOCK 4096
#define ARENA_ALIGN 16

struct block {
    struct block *next;
    size_t used;     /* bytes after the header */
    size_t capacity; /* bytes after the header */
};

struct arena {
    struct block *blocks; /* the one to allocate from comes first */
    ProtobufCAllocator protobuf;
};

static size_t align_up(size_t size)
{
    invariant(size < SIZE_MAX - ARENA_ALIGN);
    return (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

#define BLOCK_HEADER                                                           \
    ((sizeof(struct block) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1))

static struct block *block_new(size_t capacity)
{
    struct block *block = xmalloc(BLOCK_HEADER + capacity);

    block->next = NULL;
    block->used = 0;
    block->capacity = capacity;
    return block;
}

static void *protobuf_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void protobuf_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory; /* goes with the arena */
}

struct arena *arena_new(void)
{
    struct arena *arena = xmalloc(sizeof(*arena));

    arena->blocks = block_new(ARENA_BLOCK);
    arena->protobuf =
        (ProtobufCAllocator){protobuf_alloc, protobuf_free, arena};
    return arena;
}

void arena_wipe(struct arena *arena)
{
    for (struct block *block = arena->blocks; block != NULL;
         block = block->next) {
        explicit_bzero((uint8_t *)block + BLOCK_HEADER, block->used);
        block->used = block->capacity;
    }
}

void arena_free(struct arena *arena)
{
    struct block *block, *next;

    if (arena == NULL) {
        return;
    }
    for (block = arena->blocks; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct block *block = arena->blocks;
    void *memory;

    size = align_up(size ? size : 1);

    if (size > block->capacity - block->used) {
        size_t grown = block->capacity * 2;

        if (grown > 256 * 1024) {
            grown = 256 * 1024;
        }
        block = block_new(size > grown ? size : grown);
        block->next = arena->blocks;
        arena->blocks = block;
    }

    memory = (uint8_t *)block + BLOCK_HEADER + block->used;
    block->used += size;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

struct slice arena_copy(struct arena *arena, const void *data, size_t size)
{
    uint8_t *copy = arena_alloc(arena, size);

    if (size > 0) {
        memcpy(copy, data, size);
    }
    return slice_of(copy, size);
}

char *arena_string(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);

    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    invariant(size >= 0);

    text = arena_alloc(arena, (size_t)size + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}

void *arena_protobuf_allocator(struct arena *arena)
{
    return &arena->protobuf;
}

/* --- buffers ---------------------------------------------------------------*/

void buffer_reserve(struct buffer *buffer, size_t capacity)
{
    if (capacity > buffer->capacity) {
        buffer->data = xrealloc(buffer->data, capacity);
        buffer->capacity = capacity;
    }
}

void buffer_grow(struct buffer *buffer, size_t more)
{
    size_t needed, grown = buffer->capacity ? buffer->capacity * 2 : 256;

    invariant(!__builtin_add_overflow(buffer->size, more, &needed));
    if (needed > buffer->capacity) {
        buffer_reserve(buffer, needed > grown ? needed : grown);
    }
}

void buffer_append_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_number(struct buffer *buffer, uint64_t number)
{
    char text[20]; /* UINT64_MAX has as many digits */
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_append(buffer, text + at, sizeof(text) - at);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    invariant(size >= 0);

    buffer_grow(buffer, (size_t)size + 1);
    va_start(args, format);
    vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, format,
              args);
    va_end(args);
    buffer->size += (size_t)size;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
