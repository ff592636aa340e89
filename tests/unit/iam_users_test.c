/*
 * Accounts and access keys through iam.h: made, used, changed, lost, kept over
 * a restart; and no secret anywhere but in the answer that made it.
 */
#include "iam_fixture.h"

/* What a creation answered. */
struct made {
    char id[65], access_key[129], secret_key[129];
};

static void add_user(struct fixture *f, struct iam_new_account wanted,
                     struct made *made)
{
    struct iam_credentials key;
    struct iam_account account;

    assert_int_equal(iam_account_add(f->iam, &wanted, &account, &key), 0);
    assert_string_equal(account.name, wanted.name);
    assert_int_equal(account.is_operator, wanted.is_operator);
    assert_string_equal(key.session_token, "");
    copy_string(made->id, sizeof(made->id), account.id);
    copy_string(made->access_key, sizeof(made->access_key), key.access_key);
    copy_string(made->secret_key, sizeof(made->secret_key), key.secret_key);
}

static int delete_user(struct fixture *f, const char *name)
{
    struct iam_account account;
    int rc = iam_account_get(f->iam, name, &account);

    return rc == 0 ? iam_account_delete(f->iam, account.number) : rc;
}

static int add_key(struct fixture *f, const char *name,
                   struct iam_credentials *key)
{
    char message[POLICY_MESSAGE_MAX];
    struct iam_account account;
    struct iam_new_key wanted = {.account = account.number};
    int rc = iam_account_get(f->iam, name, &account);

    return rc == 0 ? iam_key_add(f->iam, &wanted, key, message) : rc;
}

static void test_made_up_user(void **state)
{
    static const char *const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    struct fixture *f = *state;
    struct iam_identity identity;
    struct made alice, bob;
    char name[65];

    add_user(f, (struct iam_new_account){.name = "alice"}, &alice);
    add_user(f, (struct iam_new_account){.name = "bob", .is_operator = true},
             &bob);
    assert_int_equal(strlen(alice.id), 64);
    assert_int_equal(strspn(alice.id, "0123456789abcdef"), 64);
    assert_int_equal(strlen(alice.access_key), 20);
    assert_memory_equal(alice.access_key, "AKIA", 4);
    assert_int_equal(strspn(alice.access_key, upper), 20);
    assert_int_equal(strlen(alice.secret_key), 40);
    assert_string_not_equal(alice.id, bob.id);
    assert_string_not_equal(alice.access_key, bob.access_key);
    assert_string_not_equal(alice.secret_key, bob.secret_key);

    assert_int_equal(iam_authenticate(f->iam,
                                      slice_from_string(alice.access_key),
                                      generation_of(f, alice.access_key),
                                      (struct slice){0}, &identity),
                     0);
    assert_string_equal(identity.user, alice.id);
    assert_string_equal(identity.name, "alice");
    assert_false(identity.root);
    iam_display_name(f->iam, slice_from_string(bob.id), name);
    assert_string_equal(name, "bob");
    iam_display_name(f->iam, SLICE_LITERAL("nobody"), name);
    assert_string_equal(name, "");
}

/* The key derived for the given secret, from the same chain made by hand. */
static void test_given_keys_and_derivation(void **state)
{
    struct fixture *f = *state;
    struct iam_new_account user = {
        .name = "alice",
        .access_key = "AKIAIOSFODNN7EXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
    uint64_t generation;
    struct made made;
    char hex[65];

    add_user(f, user, &made);
    assert_string_equal(made.access_key, user.access_key);
    assert_string_equal(made.secret_key, user.secret_key);
    assert_int_equal(signing_key(f, user.access_key, &generation, hex), 0);
    assert_string_equal(
        hex,
        "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378");
}

static void test_what_is_refused(void **state)
{
    static const struct {
        struct iam_new_account user;
        int want;
    } cases[] = {
        {{.name = ""}, -EINVAL},
        {{.name = NULL}, -EINVAL},
        {{.name = "with space"}, -EINVAL},
        {{.name = "slash/ed"}, -EINVAL},
        {{.name = "\xC3\xA9"}, -EINVAL},
        {{.name = "12345678901234567890123456789012345678901234567890"
                  "123456789012345"},
         -EINVAL},
        {{.name = "x", .access_key = "AB", .secret_key = "12345678"}, -EINVAL},
        {{.name = "x", .access_key = "A/B", .secret_key = "12345678"}, -EINVAL},
        {{.name = "x", .access_key = "A,B", .secret_key = "12345678"}, -EINVAL},
        {{.name = "x", .access_key = "ABC", .secret_key = "1234567"}, -EINVAL},
        {{.name = "x", .access_key = "ABC", .secret_key = "1234 5678"},
         -EINVAL},
        {{.name = "taken"}, -EEXIST},
        {{.name = "x", .access_key = "TAKEN", .secret_key = "12345678"},
         -EEXIST},
        {{.name = "aA0+=,.@_-",
          .access_key = "A.b",
          .secret_key = "\"\\345678"},
         0},
    };
    struct fixture *f = *state;
    struct iam_credentials key;
    struct made made;
    size_t i;

    add_user(f,
             (struct iam_new_account){.name = "taken",
                                      .access_key = "TAKEN",
                                      .secret_key = "taken-secret"},
             &made);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(iam_account_add(f->iam, &cases[i].user, NULL, &key),
                         cases[i].want);
        assert_int_equal(key.secret_key[0] != '\0', cases[i].want == 0);
    }
}

static void test_kept_over_a_restart(void **state)
{
    struct fixture *f = *state;
    struct iam_identity identity;
    uint64_t generation, again;
    char before[65], after[65];
    struct made made;

    add_user(f, (struct iam_new_account){.name = "alice", .is_operator = true},
             &made);
    assert_int_equal(signing_key(f, made.access_key, &generation, before), 0);
    reopen(f);
    assert_int_equal(signing_key(f, made.access_key, &again, after), 0);
    assert_string_equal(before, after);
    assert_true(generation == again);
    assert_int_equal(iam_authenticate(f->iam,
                                      slice_from_string(made.access_key),
                                      generation, (struct slice){0}, &identity),
                     0);
    assert_string_equal(identity.user, made.id);
    assert_string_equal(identity.name, "alice");
    assert_true(identity.root);
}

static void test_deleted_key(void **state)
{
    struct fixture *f = *state;
    uint64_t generation, unused;
    struct made made;
    char hex[65];

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    generation = generation_of(f, made.access_key);
    assert_int_equal(authenticate(f, made.access_key, generation), 0);
    assert_int_equal(authenticate(f, made.access_key, generation + 1),
                     -EKEYREVOKED);
    assert_int_equal(authenticate(f, made.access_key, 0), -EKEYREVOKED);
    assert_int_equal(iam_key_delete(f->iam, made.access_key), 0);
    assert_int_equal(authenticate(f, made.access_key, generation), -ENOENT);
    assert_int_equal(signing_key(f, made.access_key, &unused, hex), -ENOENT);
    assert_int_equal(iam_key_delete(f->iam, made.access_key), -ENOENT);
    reopen(f);
    assert_int_equal(authenticate(f, made.access_key, generation), -ENOENT);
}

/* The same access key with another secret: what was cached is worthless. */
static void test_generation_changes_with_the_secret(void **state)
{
    struct fixture *f = *state;
    struct iam_new_account user = {
        .name = "alice", .access_key = "SAME", .secret_key = "first-secret"};
    uint64_t first, second;
    struct made made;

    add_user(f, user, &made);
    first = generation_of(f, "SAME");
    assert_int_equal(delete_user(f, "alice"), 0);
    user.secret_key = "second-secret";
    add_user(f, user, &made);
    second = generation_of(f, "SAME");
    assert_true(first != second);
    assert_int_equal(authenticate(f, "SAME", first), -EKEYREVOKED);
    assert_int_equal(authenticate(f, "SAME", second), 0);
}

static void test_disabled_key(void **state)
{
    struct fixture *f = *state;
    uint64_t generation, unused;
    struct made made;
    char hex[65];

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    generation = generation_of(f, made.access_key);
    assert_int_equal(iam_key_enable(f->iam, made.access_key, false), 0);
    assert_int_equal(authenticate(f, made.access_key, generation), -ENOENT);
    assert_int_equal(signing_key(f, made.access_key, &unused, hex), -ENOENT);
    reopen(f);
    assert_int_equal(authenticate(f, made.access_key, generation), -ENOENT);
    assert_int_equal(iam_key_enable(f->iam, made.access_key, true), 0);
    assert_int_equal(authenticate(f, made.access_key, generation), 0);
    assert_int_equal(iam_key_enable(f->iam, "UNKNOWN", true), -ENOENT);
}

static void test_second_key_and_user_delete(void **state)
{
    struct fixture *f = *state;
    uint64_t generation, others;
    struct iam_credentials key;
    const char *second = key.access_key;
    struct made alice, bob;
    char name[65];

    add_user(f, (struct iam_new_account){.name = "alice"}, &alice);
    add_user(f, (struct iam_new_account){.name = "bob"}, &bob);
    assert_int_equal(add_key(f, "nobody", &key), -ENOENT);
    assert_int_equal(add_key(f, "alice", &key), 0);
    generation = generation_of(f, second);
    others = generation_of(f, bob.access_key);
    assert_int_equal(authenticate(f, second, generation), 0);
    assert_int_equal(delete_user(f, "alice"), 0);
    assert_int_equal(delete_user(f, "alice"), -ENOENT);
    assert_int_equal(authenticate(f, second, generation), -ENOENT);
    assert_int_equal(authenticate(f, bob.access_key, others), 0);
    iam_display_name(f->iam, slice_from_string(alice.id), name);
    assert_string_equal(name, "");
    reopen(f);
    assert_int_equal(authenticate(f, second, generation), -ENOENT);
    assert_int_equal(authenticate(f, bob.access_key, others), 0);
}

static void test_anonymous(void **state)
{
    struct iam_identity identity;
    struct fixture *f = *state;

    memset(&identity, 0xAA, sizeof(identity));
    assert_int_equal(iam_authenticate(f->iam, (struct slice){NULL, 0}, 0,
                                      (struct slice){0}, &identity),
                     0);
    assert_string_equal(identity.user, "");
    assert_false(identity.root);
    assert_int_equal(authenticate(f, "UNKNOWN", 1), -ENOENT);
}

static bool count_account(const struct iam_account *account, void *context)
{
    int *count = context;

    assert_string_equal(account->name, "alice");
    (*count)++;
    return true;
}

static bool see_key(const struct iam_key *key, void *context)
{
    const struct made *made = context;

    assert_string_equal(key->access_key, made->access_key);
    assert_string_equal(key->user, "");
    assert_false(key->enabled);
    assert_false(key->service_account);
    return true;
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    struct iam_account account;
    struct made made;
    int count = 0;

    iam_account_list(f->iam, count_account, &count);
    assert_int_equal(count, 0);
    assert_int_equal(iam_account_get(f->iam, NULL, &account), -ENOENT);
    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    assert_int_equal(iam_key_enable(f->iam, made.access_key, false), 0);
    iam_account_list(f->iam, count_account, &count);
    assert_int_equal(count, 1);
    assert_int_equal(iam_account_get(f->iam, made.id, &account), 0);
    assert_string_equal(account.name, "alice");
    assert_int_equal(strlen(account.number), 12);
    assert_int_equal(iam_account_get(f->iam, account.number, &account), 0);
    assert_int_equal(iam_key_list(f->iam, account.number, NULL, see_key, &made),
                     0);
    assert_int_equal(iam_key_list(f->iam, "000000000000", NULL, see_key, &made),
                     -ENOENT);
}

/* Somebody can always administrate. */
static void test_last_operator(void **state)
{
    struct fixture *f = *state;
    struct iam_credentials second;
    struct made root, other;

    add_user(f, (struct iam_new_account){.name = "root", .is_operator = true},
             &root);
    assert_int_equal(iam_key_delete(f->iam, root.access_key), -EPERM);
    assert_int_equal(iam_key_enable(f->iam, root.access_key, false), -EPERM);
    assert_int_equal(delete_user(f, "root"), -EPERM);
    assert_int_equal(add_key(f, "root", &second), 0);
    assert_int_equal(iam_key_enable(f->iam, root.access_key, false), 0);
    assert_int_equal(iam_key_delete(f->iam, second.access_key), -EPERM);
    add_user(f, (struct iam_new_account){.name = "two", .is_operator = true},
             &other);
    assert_int_equal(iam_key_delete(f->iam, second.access_key), 0);
    assert_int_equal(delete_user(f, "two"), -EPERM); /* root has no key left */
    assert_int_equal(delete_user(f, "root"), 0);
    assert_int_equal(delete_user(f, "two"), -EPERM);
}

static void test_rotated_key(void **state)
{
    struct fixture *f = *state;
    char before[65], after[65];
    struct iam_credentials key;
    uint64_t first, second;
    struct made made;

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    assert_int_equal(signing_key(f, made.access_key, &first, before), 0);
    assert_int_equal(iam_key_rotate(f->iam, made.access_key, "short", &key),
                     -EINVAL);
    assert_int_equal(iam_key_rotate(f->iam, "UNKNOWN", NULL, &key), -ENOENT);
    assert_int_equal(iam_key_rotate(f->iam, made.access_key, NULL, &key), 0);
    assert_string_equal(key.access_key, made.access_key);
    assert_string_not_equal(key.secret_key, made.secret_key);
    assert_int_equal(signing_key(f, made.access_key, &second, after), 0);
    assert_true(first != second);
    assert_string_not_equal(before, after);
    assert_int_equal(authenticate(f, made.access_key, first), -EKEYREVOKED);
    assert_int_equal(authenticate(f, made.access_key, second), 0);
    reopen(f);
    assert_int_equal(authenticate(f, made.access_key, second), 0);
    assert_int_equal(
        iam_key_rotate(f->iam, made.access_key, made.secret_key, &key), 0);
    assert_int_equal(signing_key(f, made.access_key, &second, after), 0);
    assert_string_equal(before, after);
}

/* --- secrets ---------------------------------------------------------------*/

static void expect_not_in_store(struct kv *kv, const char *secret)
{
    struct kv_iterator *it = kv_iterate(kv);
    size_t size = strlen(secret), records = 0;

    for (kv_seek(it, SLICE_LITERAL("\0")); kv_valid(it); kv_next(it)) {
        assert_null(memmem(kv_key(it).data, kv_key(it).size, secret, size));
        assert_null(memmem(kv_value(it).data, kv_value(it).size, secret, size));
        records++;
    }
    kv_iterator_free(it);
    assert_true(records >= 2);
}

static void expect_not_in_log(struct fixture *f, const char *secret)
{
    FILE *file = fopen(f->log, "r");
    char line[4096];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_null(strstr(line, secret));
    }
    fclose(file);
}

static void test_no_secret_is_kept_in_the_clear(void **state)
{
    struct fixture *f = *state;
    uint64_t generation;
    struct made made;
    char hex[65];

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    generation = generation_of(f, made.access_key);
    assert_int_equal(authenticate(f, made.access_key, generation), 0);
    assert_int_equal(authenticate(f, made.access_key, 1), -EKEYREVOKED);
    assert_int_equal(signing_key(f, made.access_key, &generation, hex), 0);
    expect_not_in_store(f->kv, made.secret_key);
    kv_memory_fail_after(f->kv, 0);
    assert_int_equal(iam_key_delete(f->iam, made.access_key), -EROFS);
    expect_not_in_log(f, made.secret_key);
    expect_not_in_log(f, hex);
}

static void test_wrong_master_key(void **state)
{
    struct fixture *f = *state;
    struct iam *other = NULL;
    struct made made;
    char path[128], line[1024];
    bool told = false;
    FILE *file;

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    snprintf(path, sizeof(path), "%s/other.key", f->directory);
    assert_int_equal(iam_open(f->kv, path, &other), -ENOENT);
    assert_int_equal(access(path, F_OK), -1); /* no new one beside the keys */
    file = fopen(path, "w");
    fputs("00112233445566778899aabbccddeeff"
          "00112233445566778899aabbccddeeff\n",
          file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(iam_open(f->kv, path, &other), -EACCES);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(iam_open(f->kv, path, &other), -EKEYREJECTED);
    assert_null(other);
    file = fopen(f->log, "r");
    while (fgets(line, sizeof(line), file) != NULL) {
        told |= strstr(line, "not sealed under this master key") != NULL;
    }
    fclose(file);
    assert_true(told);
}

static void test_failed_commit_changes_nothing(void **state)
{
    struct iam_new_account user = {.name = "bob"};
    struct fixture *f = *state;
    struct iam_credentials key;
    uint64_t generation;
    struct made made;

    add_user(f, (struct iam_new_account){.name = "alice"}, &made);
    generation = generation_of(f, made.access_key);
    kv_memory_fail_after(f->kv, 0);
    assert_int_equal(iam_account_add(f->iam, &user, NULL, &key), -EROFS);
    assert_string_equal(key.secret_key, "");
    assert_int_equal(add_key(f, "alice", &key), -EROFS);
    assert_int_equal(delete_user(f, "alice"), -EROFS);
    assert_int_equal(iam_key_enable(f->iam, made.access_key, false), -EROFS);
    assert_string_equal(key.secret_key, "");
    assert_int_equal(iam_key_rotate(f->iam, made.access_key, NULL, &key),
                     -EROFS);
    assert_int_equal(authenticate(f, made.access_key, generation), 0);
}

static size_t read_master(struct fixture *f, char text[256])
{
    FILE *file = fopen(f->master, "r");
    size_t size = fread(text, 1, 255, file);

    fclose(file);
    text[size] = '\0';
    return size;
}

static void write_master(struct fixture *f, const char *first,
                         const char *second)
{
    FILE *file = fopen(f->master, "w");

    fprintf(file, "%.64s\n", first);
    if (second != NULL) {
        fprintf(file, "%.64s\n", second);
    }
    fclose(file);
}

static void check_keys(struct fixture *f, const struct made *made,
                       char hex[][65], size_t count)
{
    uint64_t generation;
    char now[65];
    size_t i;

    for (i = 0; i < count; i++) {
        assert_int_equal(signing_key(f, made[i].access_key, &generation, now),
                         0);
        assert_string_equal(now, hex[i]);
        assert_int_equal(authenticate(f, made[i].access_key, generation), 0);
    }
}

/* The store as it is, in one that has not failed. */
static void take_over(struct fixture *f)
{
    struct kv_iterator *it = kv_iterate(f->kv);
    struct kv_batch *batch = kv_batch_new();
    struct kv *next = kv_open_memory();

    for (kv_seek(it, SLICE_LITERAL("")); kv_valid(it); kv_next(it)) {
        kv_batch_put(batch, kv_key(it), kv_value(it));
    }
    assert_int_equal(kv_commit(next, batch), 0);
    kv_batch_free(batch);
    kv_iterator_free(it);
    iam_close(f->iam);
    kv_close(f->kv);
    f->kv = next;
}

#define MANY 150 /* more than two batches */

static void test_master_key_rotation(void **state)
{
    static const char fresh[] = "00112233445566778899aabbccddeeff"
                                "00112233445566778899aabbccddeeff";
    struct fixture *f = *state;
    static struct made made[MANY];
    static char hex[MANY][65];
    char before[256], after[256], name[16];
    uint64_t generation, same;
    size_t i;

    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "a%zu", i);
        add_user(f, (struct iam_new_account){.name = name}, &made[i]);
        assert_int_equal(
            signing_key(f, made[i].access_key, &generation, hex[i]), 0);
    }
    read_master(f, before);
    assert_int_equal(iam_master_rotate(f->iam), 0);
    assert_int_equal(read_master(f, after), 65);
    assert_string_not_equal(before, after);
    check_keys(f, made, hex, MANY);
    same = generation_of(f, made[MANY - 1].access_key);
    assert_true(same == generation); /* nothing that is cached grows stale */
    reopen(f);
    check_keys(f, made, hex, MANY);
    write_master(f, before, NULL); /* the old key opens nothing */
    iam_close(f->iam);
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), -EKEYREJECTED);
    write_master(f, fresh, after); /* as a crash after the first step */
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), 0);
    check_keys(f, made, hex, MANY);
    assert_int_equal(read_master(f, before), 65);
    assert_memory_equal(before, fresh, 64);
    reopen(f);
    check_keys(f, made, hex, MANY);
    iam_close(f->iam);
    write_master(f, after, fresh); /* and in the midst of the second */
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), 0);
    check_keys(f, made, hex, MANY);
    kv_memory_fail_after(f->kv, 1);
    assert_int_equal(iam_master_rotate(f->iam), -EROFS);
    assert_int_equal(read_master(f, before), 130);
    check_keys(f, made, hex, MANY);
    take_over(f); /* some are sealed under each */
    assert_int_equal(iam_open(f->kv, f->master, &f->iam), 0);
    check_keys(f, made, hex, MANY);
    assert_int_equal(read_master(f, after), 65);
    assert_memory_equal(before, after, 65);
}

static void put_raw(struct kv *kv, const char *key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new();

    kv_batch_put(batch, slice_from_string(key), value);
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
}

static void test_damaged_records(void **state)
{
    struct fixture *f = *state;
    struct arena *arena = arena_new();
    Meta__User user = META__USER__INIT;
    struct iam *other;

    user.id.data = (uint8_t *)"short";
    user.id.len = 5;
    user.name.data = (uint8_t *)"name";
    user.name.len = 4;
    put_raw(f->kv, "Ishort", meta_pack(arena, META_RECORD_USER, &user.base));
    assert_int_equal(iam_open(f->kv, f->master, &other), -EBADMSG);
    put_raw(f->kv, "Ishort", SLICE_LITERAL("damaged"));
    assert_int_equal(iam_open(f->kv, f->master, &other), -EBADMSG);
    arena_free(arena);
}

/* --- threads ---------------------------------------------------------------*/

struct asker {
    struct fixture *f;
    const char *access_key;
    uint64_t generation;
    atomic_bool *stop;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    uint8_t key[IAM_KEY_SIZE];
    struct iam_identity identity;
    uint64_t generation;
    int rc;

    while (!atomic_load(asker->stop)) {
        rc = iam_authenticate(asker->f->iam,
                              slice_from_string(asker->access_key),
                              asker->generation, (struct slice){0}, &identity);
        if (rc != 0 || strcmp(identity.name, "alice") != 0) {
            return asker;
        }
        rc =
            iam_signing_key(asker->f->iam, slice_from_string(asker->access_key),
                            SLICE_LITERAL("20130524"), SLICE_LITERAL("r"),
                            SLICE_LITERAL("s3"), key, &generation);
        if (rc != 0 || generation != asker->generation) {
            return asker;
        }
    }
    return NULL;
}

static void test_changes_beside_questions(void **state)
{
    struct fixture *f = *state;
    atomic_bool stop = false;
    struct asker asker = {f, NULL, 0, &stop};
    pthread_t threads[2];
    struct made alice, bob;
    void *failed;
    int i;

    add_user(f, (struct iam_new_account){.name = "alice"}, &alice);
    asker.access_key = alice.access_key;
    asker.generation = generation_of(f, alice.access_key);
    for (i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, ask, &asker);
    }
    for (i = 0; i < 200; i++) {
        add_user(f, (struct iam_new_account){.name = "bob"}, &bob);
        assert_int_equal(iam_key_enable(f->iam, bob.access_key, false), 0);
        assert_int_equal(delete_user(f, "bob"), 0);
    }
    atomic_store(&stop, true);
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_made_up_user),
        TEST(test_given_keys_and_derivation),
        TEST(test_what_is_refused),
        TEST(test_kept_over_a_restart),
        TEST(test_deleted_key),
        TEST(test_generation_changes_with_the_secret),
        TEST(test_disabled_key),
        TEST(test_second_key_and_user_delete),
        TEST(test_anonymous),
        TEST(test_list),
        TEST(test_last_operator),
        TEST(test_rotated_key),
        TEST(test_no_secret_is_kept_in_the_clear),
        TEST(test_wrong_master_key),
        TEST(test_failed_commit_changes_nothing),
        TEST(test_master_key_rotation),
        TEST(test_damaged_records),
        TEST(test_changes_beside_questions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
