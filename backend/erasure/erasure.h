/*
 * Erasure codes over liberasurecode.
 *
 * A profile says how an object's bytes become k data and m parity shards.
 * k == 1 means plain copies (1 + m of them). Encoding is systematic.
 * liberasurecode's decode does not notice corrupt input: callers pass only
 * shards whose checksums they have verified.
 */
#ifndef ERASURE_H
#define ERASURE_H

#include "base/base.h"

#define ERASURE_SHARDS_MAX 32

/* On disk: never renumber. */
enum erasure_backend {
    ERASURE_COPIES = 0,      /* k == 1 */
    ERASURE_ISAL_CAUCHY = 1, /* isa_l_rs_cauchy */
    ERASURE_RS_VAND = 2,     /* liberasurecode_rs_vand, without ISA-L */
};

struct erasure_profile {
    uint8_t backend; /* enum erasure_backend */
    uint8_t k;
    uint8_t m;
};

/* The default for `drives` usable drives; `small` asks for copies that bear
 * the loss of as many drives. 1 drive gives 1+0. */
struct erasure_profile erasure_default(unsigned drives, bool small);

/* Prepares the codes for 1..max_drives drives; call once before any other,
 * from one thread. */
int erasure_init(void);
void erasure_exit(void);

/*
 * Fills parity[0..m) from data[0..k), all `unit` bytes (a multiple of 64).
 * For copies parity is a copy of data[0]. Thread-safe.
 */
int erasure_encode(const struct erasure_profile *profile, uint8_t *const data[],
                   uint8_t *const parity[], size_t unit);

/*
 * Recomputes shard `wanted` (0..k+m) into out from the shards present:
 * shards[i] is NULL where missing. -EIO if fewer than k are there.
 */
int erasure_reconstruct(const struct erasure_profile *profile,
                        const uint8_t *const shards[], unsigned wanted,
                        uint8_t *out, size_t unit);

#endif
