/* Several hashes over one pass of the bytes: OpenSSL's and ISA-L's. */
#include "base/base.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Fed in pieces that stay in the first-level cache from hash to hash. */
#define PIECE 16384

struct digester {
    unsigned digests;
    EVP_MD_CTX *md5, *sha1, *sha256;
    uint32_t crc32, crc32c;
    uint64_t crc64;
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
    digester->md5 = start(digests & DIGEST_MD5, EVP_md5());
    digester->sha1 = start(digests & DIGEST_SHA1, EVP_sha1());
    digester->sha256 = start(digests & DIGEST_SHA256, EVP_sha256());
    return digester;
}

static void update_piece(struct digester *digester, const uint8_t *data,
                         size_t size)
{
    if (digester->md5) {
        EVP_DigestUpdate(digester->md5, data, size);
    }
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

void digester_update(struct digester *digester, const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;

        update_piece(digester, p, n);
        p += n;
        size -= n;
    }
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

    switch (which) {
    case DIGEST_MD5:
        return finish(digester->md5, out);
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
    EVP_MD_CTX_free(digester->md5);
    EVP_MD_CTX_free(digester->sha1);
    EVP_MD_CTX_free(digester->sha256);
    free(digester);
}
