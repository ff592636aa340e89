/* Many clients, one key. */
#include "s3_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLIENTS    64
#define ROUNDS     6
#define VALUE_SIZE 300000u /* more than one DATA piece */

static struct s3_fixture fixture;
static pthread_barrier_t barrier;
static atomic_uint created, refused, torn, failures;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static void all_clients(void *(*client)(void *))
{
    pthread_t threads[CLIENTS];

    assert_int_equal(pthread_barrier_init(&barrier, NULL, CLIENTS), 0);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, client, (void *)i),
                         0);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void *create(void *argument)
{
    char body[32];
    struct s3_answer answer;

    pthread_barrier_wait(&barrier);
    snprintf(body, sizeof(body), "client %u", (unsigned)(uintptr_t)argument);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = "once",
                            .body = body,
                            .size = strlen(body),
                            .headers = FIELDS("if-none-match", "*")});
    if (answer.status == 200)
        atomic_fetch_add(&created, 1);
    else if (answer.status == 412)
        atomic_fetch_add(&refused, 1);
    s3_answer_free(&answer);
    return NULL;
}

static void one_creator_wins(void **state)
{
    (void)state;
    all_clients(create);
    assert_int_equal(created, 1);
    assert_int_equal(refused, CLIENTS - 1);
}

/* A value is one byte repeated; its length tells the byte too. */
static void write_value(uint8_t byte)
{
    size_t size = VALUE_SIZE + byte;
    uint8_t *data = xmalloc(size);
    struct s3_answer answer;

    memset(data, byte, size);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = "one",
                            .body = data,
                            .size = size});
    if (answer.status != 200)
        atomic_fetch_add(&failures, 1);
    s3_answer_free(&answer);
    free(data);
}

static void read_value(bool segments)
{
    struct s3_answer answer;
    bool whole;

    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                            .bucket = "b",
                            .key = "one",
                            .segments = segments});
    if (answer.status != 200 || answer.failed)
        atomic_fetch_add(&failures, 1);
    whole = answer.body.size >= VALUE_SIZE &&
            answer.body.size == VALUE_SIZE + answer.body.data[0] &&
            answer.length == answer.body.size;
    for (size_t i = 1; whole && i < answer.body.size; i++)
        whole = answer.body.data[i] == answer.body.data[0];
    if (!whole)
        atomic_fetch_add(&torn, 1);
    s3_answer_free(&answer);
}

static void *read_and_write(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;

    pthread_barrier_wait(&barrier);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if ((self + round) % 3 == 0)
            write_value((uint8_t)(1 + self));
        else
            read_value((self + round) % 3 == 1);
    }
    return NULL;
}

static void reads_are_whole(void **state)
{
    (void)state;
    write_value(200);
    all_clients(read_and_write);
    assert_int_equal(failures, 0);
    assert_int_equal(torn, 0);
}

/* Of those who saw the same ETag one replaces it. */
static char seen_etag[4096];
static atomic_uint swapped;

static void *swap(void *argument)
{
    struct s3_answer answer;
    char body[32];

    pthread_barrier_wait(&barrier);
    snprintf(body, sizeof(body), "swap %u", (unsigned)(uintptr_t)argument);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = "swapped",
                            .body = body,
                            .size = strlen(body),
                            .headers = FIELDS("if-match", seen_etag)});
    if (answer.status == 200)
        atomic_fetch_add(&swapped, 1);
    else if (answer.status != 412)
        atomic_fetch_add(&failures, 1);
    s3_answer_free(&answer);
    return NULL;
}

static void one_swap_wins(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = "swapped",
                            .body = "start",
                            .size = 5});
    snprintf(seen_etag, sizeof(seen_etag), "%s", s3_header(&answer, "ETag"));
    s3_answer_free(&answer);
    all_clients(swap);
    assert_int_equal(failures, 0);
    assert_int_equal(swapped, 1);
}

/* Writers, deleters and copiers of one key and its copy: no call fails, and
 * what is left is whole. */
static void *churn(void *argument)
{
    const char *const *source = FIELDS("x-amz-copy-source", "b/one");
    unsigned self = (unsigned)(uintptr_t)argument;

    pthread_barrier_wait(&barrier);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct s3_case c = {.operation = WIRE__OPERATION__DELETE_OBJECT,
                            .bucket = "b",
                            .key = "one"};
        struct s3_answer answer;

        if ((self + round) % 3 == 0) {
            write_value((uint8_t)(1 + self));
            continue;
        }
        if ((self + round) % 3 == 1) {
            c.operation = WIRE__OPERATION__COPY_OBJECT;
            c.key = "two";
            c.headers = source;
        }
        s3_run(&fixture, &answer, c);
        if (answer.status >= 500)
            atomic_fetch_add(&failures, 1);
        s3_answer_free(&answer);
    }
    return NULL;
}

static void churned(void **state)
{
    (void)state;
    all_clients(churn);
    assert_int_equal(failures, 0);
    write_value(7);
    read_value(false);
    assert_int_equal(torn, 0);
}

/* Groups of keys in orders of each client's own, among writers of the same
 * keys: nobody waits for ever, and each answer names every key. */
#define KEYS 100u

static void delete_keys(unsigned self)
{
    struct buffer document = {NULL, 0, 0};
    struct s3_answer answer;
    char text[32];
    uint8_t md5[DIGEST_SIZE_MAX];
    struct digester *digester = digester_new(DIGEST_MD5);

    buffer_append_string(&document, "<Delete>");
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned key = (i * (2 * self + 1) + self) % KEYS;
        buffer_printf(&document, "<Object><Key>k%u</Key></Object>", key);
    }
    buffer_append_string(&document, "</Delete>");
    digester_update(digester, document.data, document.size);
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(text, md5, 16);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__DELETE_OBJECTS,
                            .bucket = "b",
                            .headers = FIELDS("content-md5", text),
                            .body = (char *)document.data,
                            .size = document.size});
    if (answer.status != 200 ||
        memmem(answer.body.data, answer.body.size, "<Error>", 7) != NULL)
        atomic_fetch_add(&failures, 1);
    s3_answer_free(&answer);
    buffer_free(&document);
}

static void *delete_or_put(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;
    struct s3_answer answer;
    char key[16];

    pthread_barrier_wait(&barrier);
    if (self % 4 == 0) {
        delete_keys(self);
        return NULL;
    }
    snprintf(key, sizeof(key), "k%u", self % KEYS);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = key,
                            .body = "x",
                            .size = 1});
    if (answer.status != 200)
        atomic_fetch_add(&failures, 1);
    s3_answer_free(&answer);
    return NULL;
}

static void groups_of_keys(void **state)
{
    (void)state;
    all_clients(delete_or_put);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_creator_wins), cmocka_unit_test(reads_are_whole),
        cmocka_unit_test(one_swap_wins),    cmocka_unit_test(churned),
        cmocka_unit_test(groups_of_keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
