/*
 * An iam over a store in memory, with its master key and log in a directory of
 * its own.
 */
#ifndef IAM_FIXTURE_H
#define IAM_FIXTURE_H

#include "iam/iam.h"
#include "meta/meta.h"

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    char master[96], log[96];
    struct kv *kv;
    struct iam *iam;
};

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/iam_test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->master, sizeof(f->master), "%s/master.key", f->directory);
    snprintf(f->log, sizeof(f->log), "%s/log", f->directory);
    log_set_level(LOG_LEVEL_DEBUG);
    assert_int_equal(log_open(f->log), 0);
    f->kv = kv_open_memory();
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    iam_close(f->iam);
    kv_close(f->kv);
    log_open(NULL);
    nftw(f->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static inline int signing_key(struct fixture *f, const char *access_key,
                              uint64_t *generation, char hex[65])
{
    uint8_t key[IAM_KEY_SIZE] = {0};
    int rc = iam_signing_key(
        f->iam, slice_from_string(access_key), SLICE_LITERAL("20130524"),
        SLICE_LITERAL("us-east-1"), SLICE_LITERAL("s3"), key, generation);

    hex_encode(hex, key, sizeof(key));
    return rc;
}

static inline uint64_t generation_of(struct fixture *f, const char *access_key)
{
    uint64_t generation = 0;
    char hex[65];

    assert_int_equal(signing_key(f, access_key, &generation, hex), 0);
    assert_true(generation != 0);
    return generation;
}

static inline int authenticate(struct fixture *f, const char *access_key,
                               uint64_t generation)
{
    struct iam_identity identity;
    int rc = iam_authenticate(f->iam, slice_from_string(access_key), generation,
                              (struct slice){0}, &identity);

    iam_identity_release(&identity);
    return rc;
}

static inline void reopen(struct fixture *f)
{
    iam_close(f->iam);
    f->iam = NULL;
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), 0);
}

/* An account with a root user's key. */
static inline void add_account(struct fixture *f, const char *name,
                               bool is_operator, struct iam_account *account,
                               struct iam_credentials *key)
{
    const struct iam_new_account wanted = {.name = name,
                                           .is_operator = is_operator};

    assert_int_equal(iam_account_add(f->iam, &wanted, account, key), 0);
}

/* Who a key is now; released by the caller. */
static inline void identify(struct fixture *f,
                            const struct iam_credentials *key,
                            struct iam_identity *identity)
{
    assert_int_equal(
        iam_authenticate(f->iam, slice_from_string(key->access_key),
                         generation_of(f, key->access_key),
                         slice_from_string(key->session_token), identity),
        0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
