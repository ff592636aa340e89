/* Several hashes over one pass of the bytes: OpenSSL's, ISA-L's and our MD5. */
#include "base/md5.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

/* Fed in pieces that stay in the first-level cache from hash to hash. */
#define PIECE 16384

#define ASIDE_LEAST (32u << 10) /* bytes worth to wake another thread */
#define ASIDE_MAX   8u          /* pieces that wait for it */

_Static_assert(ASIDE_TOGETHER <= MD5_LANES, "a lane for each");

struct digester {
    unsigned digests;
    struct md5 md5;
    EVP_MD_CTX *sha1, *sha256;
    uint32_t crc32, crc32c;
    uint64_t crc64;

    /* What MD5 is still to be fed with, by a job. */
    struct aside job;
    pthread_mutex_t mutex;
    pthread_cond_t taken;
    struct waiting {
        struct memory *memory;
        const uint8_t *data;
        size_t size;
    } waiting[ASIDE_MAX];
    unsigned first, count; /* the first one is being fed */
};

static EVP_MD_CTX *start(unsigned wanted, const EVP_MD *type)
{
    EVP_MD_CTX *context;

    if (!wanted) {
        return NULL;
    }
    context = EVP_MD_CTX_new();
    invariant(context != NULL);
    invariant(EVP_DigestInit_ex(context, type, NULL) == 1);
    return context;
}

struct digester *digester_new(unsigned digests)
{
    struct digester *digester = xcalloc(1, sizeof(*digester));

    digester->digests = digests;
    pthread_mutex_init(&digester->mutex, NULL);
    pthread_cond_init(&digester->taken, NULL);
    md5_init(&digester->md5);
    digester->sha1 = start(digests & DIGEST_SHA1, EVP_sha1());
    digester->sha256 = start(digests & DIGEST_SHA256, EVP_sha256());
    return digester;
}

static void update_others(struct digester *digester, const uint8_t *data,
                          size_t size)
{
    if (digester->sha1) {
        EVP_DigestUpdate(digester->sha1, data, size);
    }
    if (digester->sha256) {
        EVP_DigestUpdate(digester->sha256, data, size);
    }
    if (digester->digests & DIGEST_CRC32) {
        digester->crc32 = crc32_gzip_refl(digester->crc32, data, size);
    }
    if (digester->digests & DIGEST_CRC32C) {
        digester->crc32c = crc32c_extend(digester->crc32c, data, size);
    }
    if (digester->digests & DIGEST_CRC64NVME) {
        digester->crc64 = crc64nvme(digester->crc64, data, size);
    }
}

/* Until at most `most` pieces wait, or are being fed. */
static void wait_aside(struct digester *digester, unsigned most)
{
    pthread_mutex_lock(&digester->mutex);
    if (digester->count > most) {
        blocking_begin();
        while (digester->count > most) {
            pthread_cond_wait(&digester->taken, &digester->mutex);
        }
        blocking_end();
    }
    pthread_mutex_unlock(&digester->mutex);
}

void digester_update(struct digester *digester, const void *data, size_t size)
{
    const uint8_t *p = data;

    wait_aside(digester, 0);
    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;

        if (digester->digests & DIGEST_MD5) {
            md5_update(&digester->md5, p, n);
        }
        update_others(digester, p, n);
        p += n;
        size -= n;
    }
}

/* --- aside -----------------------------------------------------------------*/

static struct digester *from_job(struct aside *job)
{
    return (struct digester *)((char *)job - offsetof(struct digester, job));
}

/* True if more pieces wait. If not, the digester may be gone. */
static bool end_first(struct digester *digester)
{
    bool more;

    memory_drop(digester->waiting[digester->first].memory);
    pthread_mutex_lock(&digester->mutex);
    digester->first = (digester->first + 1) % ASIDE_MAX;
    more = --digester->count > 0;
    pthread_cond_signal(&digester->taken);
    pthread_mutex_unlock(&digester->mutex);
    return more;
}

/* The first piece of each. */
static void feed_md5(struct aside *jobs[], unsigned count, bool more[])
{
    struct md5_piece pieces[ASIDE_TOGETHER];

    for (unsigned i = 0; i < count; i++) {
        struct digester *digester = from_job(jobs[i]);
        const struct waiting *first = &digester->waiting[digester->first];

        pieces[i] =
            (struct md5_piece){&digester->md5, first->data, first->size};
    }
    md5_update_many(pieces, count);
    for (unsigned i = 0; i < count; i++) {
        more[i] = end_first(from_job(jobs[i]));
    }
}

static void start_md5(struct digester *digester, struct memory *memory,
                      const uint8_t *data, size_t size)
{
    wait_aside(digester, ASIDE_MAX - 1);
    pthread_mutex_lock(&digester->mutex);
    digester->waiting[(digester->first + digester->count) % ASIDE_MAX] =
        (struct waiting){memory_hold(memory), data, size};
    if (++digester->count == 1) {
        digester->job.run = feed_md5;
        aside_start(&digester->job);
    }
    pthread_mutex_unlock(&digester->mutex);
}

/* Nothing waits, or is being fed. */
static bool is_idle(struct digester *digester)
{
    bool idle;

    pthread_mutex_lock(&digester->mutex);
    idle = digester->count == 0;
    pthread_mutex_unlock(&digester->mutex);
    return idle;
}

void digester_update_aside(struct digester *digester, struct memory *memory,
                           const void *data, size_t size)
{
    if (!(digester->digests & DIGEST_MD5) ||
        (size < ASIDE_LEAST && is_idle(digester))) {
        digester_update(digester, data, size);
        return;
    }
    start_md5(digester, memory, data, size);
    update_others(digester, data, size);
}

static size_t finish(EVP_MD_CTX *context, uint8_t *out)
{
    unsigned size = 0;

    invariant(context != NULL);
    invariant(EVP_DigestFinal_ex(context, out, &size) == 1);
    return size;
}

size_t digester_final(struct digester *digester, enum digest which,
                      uint8_t out[DIGEST_SIZE_MAX])
{
    invariant(digester->digests & which);
    wait_aside(digester, 0);

    switch (which) {
    case DIGEST_MD5:
        md5_final(&digester->md5, out);
        return MD5_SIZE;
    case DIGEST_SHA1:
        return finish(digester->sha1, out);
    case DIGEST_SHA256:
        return finish(digester->sha256, out);
    case DIGEST_CRC32:
        put_u32be(out, digester->crc32);
        return 4;
    case DIGEST_CRC32C:
        put_u32be(out, digester->crc32c);
        return 4;
    case DIGEST_CRC64NVME:
        put_u64be(out, digester->crc64);
        return 8;
    }
    invariant(!"a known digest");
    return 0;
}

void digester_free(struct digester *digester)
{
    if (digester == NULL) {
        return;
    }
    wait_aside(digester, 0);
    pthread_cond_destroy(&digester->taken);
    pthread_mutex_destroy(&digester->mutex);
    EVP_MD_CTX_free(digester->sha1);
    EVP_MD_CTX_free(digester->sha256);
    free(digester);
}
