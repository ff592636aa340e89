/*
 * Codes are kept for the life of the process: creating one costs 110-480 us
 * and must not run beside any other use of the library, hence the rwlock.
 *
 * liberasurecode wants fragments that carry its own 80-byte header, which the
 * shards of s3d do not store. Each code keeps the headers of one encoded block
 * of zeros as a template; since the codes work on words at the same position
 * of every shard, any range is recomputed in pieces of exactly that size.
 */
#include "erasure/erasure.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes" /* the library's own */
#include <erasurecode.h>
#pragma GCC diagnostic pop

#define HEADER_SIZE   sizeof(fragment_header_t)
#define PIECE_SIZE    (64u << 10) /* payload bytes of one fragment of a piece */
#define FRAGMENT_SIZE (HEADER_SIZE + PIECE_SIZE)
/* The same for encoding. The library allocates and clears a fragment for each
 * shard of each piece: small ones stay in the heap, and in the cache. */
#define ENCODE_SIZE (16u << 10)
#define DRIVES_MAX  20

struct code {
    int instance;
    uint8_t headers[ERASURE_SHARDS_MAX][HEADER_SIZE];
};

static struct code *codes[3][ERASURE_SHARDS_MAX + 1][ERASURE_SHARDS_MAX + 1];
static pthread_rwlock_t codes_lock = PTHREAD_RWLOCK_INITIALIZER;
static uint8_t preferred_backend = ERASURE_ISAL_CAUCHY;

static bool profile_valid(const struct erasure_profile *profile)
{
    if (profile->k == 0 || profile->k + profile->m > ERASURE_SHARDS_MAX) {
        return false;
    }
    if (profile->k == 1) {
        return profile->backend == ERASURE_COPIES;
    }
    return profile->m > 0 && (profile->backend == ERASURE_ISAL_CAUCHY ||
                              profile->backend == ERASURE_RS_VAND);
}

static ec_backend_id_t library_backend(uint8_t backend)
{
    return backend == ERASURE_ISAL_CAUCHY ? EC_BACKEND_ISA_L_RS_CAUCHY
                                          : EC_BACKEND_LIBERASURECODE_RS_VAND;
}

static int code_learn_headers(struct code *code,
                              const struct erasure_profile *profile)
{
    size_t size = (size_t)profile->k * PIECE_SIZE;
    char *zeros = xcalloc(1, size);
    char **data = NULL, **parity = NULL;
    uint64_t length = 0;
    int error = liberasurecode_encode(code->instance, zeros, size, &data,
                                      &parity, &length);

    free(zeros);
    if (error != 0) {
        return -EIO;
    }
    invariant(length == FRAGMENT_SIZE);
    for (unsigned i = 0; i < profile->k; i++) {
        memcpy(code->headers[i], data[i], HEADER_SIZE);
    }
    for (unsigned i = 0; i < profile->m; i++) {
        memcpy(code->headers[profile->k + i], parity[i], HEADER_SIZE);
    }
    liberasurecode_encode_cleanup(code->instance, data, parity);
    return 0;
}

/* liberasurecode 1.6.2 allocates the built-in code's global tables anew with
 * each instance of it and frees them with any, also a second time: such
 * instances stay. */
static void code_free(struct code *code, uint8_t backend)
{
    if (code != NULL && backend != ERASURE_RS_VAND) {
        liberasurecode_instance_destroy(code->instance);
    }
    free(code);
}

/* The write lock is held. */
static int code_create(const struct erasure_profile *profile, struct code **out)
{
    struct ec_args args = {.k = profile->k, .m = profile->m, .ct = CHKSUM_NONE};
    struct code *code;
    int instance;

    args.w = profile->backend == ERASURE_ISAL_CAUCHY ? 8 : 16;
    args.hd = profile->m;
    instance = liberasurecode_instance_create(library_backend(profile->backend),
                                              &args);
    if (instance <= 0) {
        return -ENOTSUP;
    }
    code = xcalloc(1, sizeof(*code));
    code->instance = instance;
    if (code_learn_headers(code, profile) != 0) {
        code_free(code, profile->backend);
        return -EIO;
    }
    *out = code;
    return 0;
}

/* Returns with the read lock held if 0. */
static int code_acquire(const struct erasure_profile *profile,
                        const struct code **out)
{
    struct code **slot = &codes[profile->backend][profile->k][profile->m];
    int error = 0;

    pthread_rwlock_rdlock(&codes_lock);
    if (*slot == NULL) {
        pthread_rwlock_unlock(&codes_lock);
        pthread_rwlock_wrlock(&codes_lock);
        if (*slot == NULL) {
            error = code_create(profile, slot);
        }
        pthread_rwlock_unlock(&codes_lock);
        if (error != 0) {
            return error;
        }
        /* A code, once there, stays until erasure_exit(). */
        pthread_rwlock_rdlock(&codes_lock);
    }
    *out = *slot;
    return 0;
}

static void code_release(void)
{
    pthread_rwlock_unlock(&codes_lock);
}

struct erasure_profile erasure_default(unsigned drives, bool small)
{
    static const struct erasure_profile few[] = {
        {0, 1, 0}, {0, 1, 0}, {0, 1, 1}, {0, 2, 1},
        {0, 2, 2}, {0, 3, 2}, {0, 4, 2}, {0, 5, 2},
    };
    unsigned n = drives > DRIVES_MAX ? DRIVES_MAX : drives;
    struct erasure_profile profile;

    if (n < sizeof(few) / sizeof(few[0])) {
        profile = few[n];
    } else {
        profile.m = n < 12 ? 3 : 4;
        profile.k = (uint8_t)(n - profile.m);
    }
    if (small) {
        profile.k = 1;
    }
    profile.backend = profile.k == 1 ? ERASURE_COPIES : preferred_backend;
    return profile;
}

int erasure_init(void)
{
    if (!liberasurecode_backend_available(EC_BACKEND_ISA_L_RS_CAUCHY)) {
        preferred_backend = ERASURE_RS_VAND;
        log_warn("erasure: no ISA-L, using the slower built-in code");
        return 0; /* 1 MiB for each code: only those that are used */
    }
    for (unsigned drives = 1; drives <= DRIVES_MAX; drives++) {
        struct erasure_profile profile = erasure_default(drives, false);
        const struct code *code;
        int error;

        if (profile.backend == ERASURE_COPIES) {
            continue;
        }
        error = code_acquire(&profile, &code);
        if (error != 0) {
            log_error("erasure: no code %u+%u", profile.k, profile.m);
            return error;
        }
        code_release();
    }
    return 0;
}

void erasure_exit(void)
{
    const size_t per_backend = sizeof(codes[0]) / sizeof(codes[0][0][0]);

    pthread_rwlock_wrlock(&codes_lock);
    for (int backend = 0; backend <= ERASURE_RS_VAND; backend++) {
        struct code **slots = &codes[backend][0][0];

        for (size_t i = 0; i < per_backend; i++) {
            code_free(slots[i], (uint8_t)backend);
            slots[i] = NULL;
        }
    }
    pthread_rwlock_unlock(&codes_lock);
}

/* Recomputes one piece at `offset`; `gathered` has room for its data. */
static int encode_piece(const struct code *code,
                        const struct erasure_profile *profile,
                        uint8_t *const data[], uint8_t *const parity[],
                        size_t offset, size_t size, uint8_t *gathered)
{
    char **data_out = NULL, **parity_out = NULL;
    uint64_t length = 0;

    for (unsigned i = 0; i < profile->k; i++) {
        memcpy(gathered + i * size, data[i] + offset, size);
    }
    if (liberasurecode_encode(code->instance, (const char *)gathered,
                              (uint64_t)profile->k * size, &data_out,
                              &parity_out, &length) != 0) {
        return -EIO;
    }
    invariant(length == HEADER_SIZE + size);
    for (unsigned i = 0; i < profile->m; i++) {
        memcpy(parity[i] + offset, parity_out[i] + HEADER_SIZE, size);
    }
    liberasurecode_encode_cleanup(code->instance, data_out, parity_out);
    return 0;
}

static int encode(const struct code *code,
                  const struct erasure_profile *profile, uint8_t *const data[],
                  uint8_t *const parity[], size_t unit)
{
    struct memory *gathered = memory_new(profile->k * ENCODE_SIZE);
    int error = 0;

    for (size_t offset = 0; offset < unit && error == 0;
         offset += ENCODE_SIZE) {
        size_t size = unit - offset < ENCODE_SIZE ? unit - offset : ENCODE_SIZE;

        error = encode_piece(code, profile, data, parity, offset, size,
                             gathered->bytes);
    }
    memory_drop(gathered);
    return error;
}

int erasure_encode(const struct erasure_profile *profile, uint8_t *const data[],
                   uint8_t *const parity[], size_t unit)
{
    const struct code *code;
    int error;

    if (!profile_valid(profile) || unit == 0 || unit % 64 != 0) {
        return -EINVAL;
    }
    if (profile->backend == ERASURE_COPIES) {
        for (unsigned i = 0; i < profile->m; i++) {
            memcpy(parity[i], data[0], unit);
        }
        return 0;
    }
    error = code_acquire(profile, &code);
    if (error != 0) {
        return error;
    }
    error = encode(code, profile, data, parity, unit);
    code_release();
    return error;
}

/* Recomputes one piece of at most PIECE_SIZE bytes at `offset`. `fragments`
 * has room for k + 1 fragments. */
static int reconstruct_piece(const struct code *code,
                             const uint8_t *const shards[],
                             const unsigned present[], unsigned k,
                             unsigned wanted, uint8_t *fragments, size_t offset,
                             size_t size, uint8_t *out)
{
    char *available[ERASURE_SHARDS_MAX];
    uint8_t *result = fragments + k * FRAGMENT_SIZE;

    for (unsigned i = 0; i < k; i++) {
        uint8_t *fragment = fragments + i * FRAGMENT_SIZE;

        memcpy(fragment, code->headers[present[i]], HEADER_SIZE);
        memcpy(fragment + HEADER_SIZE, shards[present[i]] + offset, size);
        memset(fragment + HEADER_SIZE + size, 0, PIECE_SIZE - size);
        available[i] = (char *)fragment;
    }
    if (liberasurecode_reconstruct_fragment(code->instance, available, (int)k,
                                            FRAGMENT_SIZE, (int)wanted,
                                            (char *)result) != 0) {
        return -EIO;
    }
    memcpy(out + offset, result + HEADER_SIZE, size);
    return 0;
}

static int reconstruct_code(const struct erasure_profile *profile,
                            const uint8_t *const shards[],
                            const unsigned present[], unsigned wanted,
                            uint8_t *out, size_t unit)
{
    const struct code *code;
    uint8_t *fragments;
    int error = code_acquire(profile, &code);

    if (error != 0) {
        return error;
    }
    fragments = xmalloc((profile->k + 1u) * FRAGMENT_SIZE);
    for (size_t offset = 0; offset < unit && error == 0; offset += PIECE_SIZE) {
        size_t size = unit - offset < PIECE_SIZE ? unit - offset : PIECE_SIZE;

        error = reconstruct_piece(code, shards, present, profile->k, wanted,
                                  fragments, offset, size, out);
    }
    free(fragments);
    code_release();
    return error;
}

int erasure_reconstruct(const struct erasure_profile *profile,
                        const uint8_t *const shards[], unsigned wanted,
                        uint8_t *out, size_t unit)
{
    unsigned present[ERASURE_SHARDS_MAX], count = 0;
    unsigned total = profile->k + profile->m;

    if (!profile_valid(profile) || wanted >= total || unit % 64 != 0) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < total && count < profile->k; i++) {
        if (i != wanted && shards[i] != NULL) {
            present[count++] = i;
        }
    }
    if (shards[wanted] != NULL) {
        memcpy(out, shards[wanted], unit);
        return 0;
    }
    if (count < profile->k) {
        return -EIO;
    }
    if (profile->backend == ERASURE_COPIES) {
        memcpy(out, shards[present[0]], unit);
        return 0;
    }
    return reconstruct_code(profile, shards, present, wanted, out, unit);
}
