/*
 * io_uring beside threads, for what s3d writes: prints microseconds of time and
 * of processor, medians of rounds in which the sides take turns.
 *
 *   uring DIRECTORY [ROUNDS]
 *
 *   commit   4 KiB appended to each of six files and synced, waited for
 *   stripe   256 KiB to each of six files past the page cache, two stripes
 *            under way at once
 *
 * Threads: one for each file, that sleeps until it has something to do, as a
 * drive's lane and its sync. io_uring: one submission for all six, a write and
 * a linked fdatasync each.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES   6u
#define SMALL   (4u << 10)
#define UNIT    (256u << 10)
#define DEPTH   2u
#define COMMITS 200u
#define STRIPES 64u
#define MOST    101u
#define QUEUE   (2 * FILES * DEPTH)

struct file {
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned asked, done; /* writes */
    bool stop;
};

static struct file files[FILES];
static uint8_t *data;
static size_t size; /* of a write */
static bool synced; /* each write */
static struct io_uring ring;

static void fail(const char *what, int error)
{
    fprintf(stderr, "uring: %s: %s\n", what, strerror(error));
    exit(1);
}

/* --- threads ---------------------------------------------------------------*/

static void write_one(const struct file *file, unsigned number)
{
    if (pwrite(file->fd, data, size, (off_t)(number * size)) != (ssize_t)size ||
        (synced && fdatasync(file->fd) != 0)) {
        fail("write", errno);
    }
}

static void *lane(void *argument)
{
    struct file *file = argument;

    pthread_mutex_lock(&file->mutex);
    for (;;) {
        while (file->asked == file->done && !file->stop) {
            pthread_cond_wait(&file->changed, &file->mutex);
        }
        if (file->asked == file->done) {
            break;
        }
        pthread_mutex_unlock(&file->mutex);
        write_one(file, file->done);
        pthread_mutex_lock(&file->mutex);
        file->done++;
        pthread_cond_broadcast(&file->changed);
    }
    pthread_mutex_unlock(&file->mutex);
    return NULL;
}

static void threads_start(void)
{
    for (unsigned i = 0; i < FILES; i++) {
        pthread_mutex_lock(&files[i].mutex);
        files[i].asked++;
        pthread_cond_broadcast(&files[i].changed);
        pthread_mutex_unlock(&files[i].mutex);
    }
}

static void threads_wait(unsigned done)
{
    for (unsigned i = 0; i < FILES; i++) {
        pthread_mutex_lock(&files[i].mutex);
        while (files[i].done < done) {
            pthread_cond_wait(&files[i].changed, &files[i].mutex);
        }
        pthread_mutex_unlock(&files[i].mutex);
    }
}

static void by_threads(unsigned count, unsigned depth)
{
    for (unsigned i = 0; i < FILES; i++) {
        files[i].asked = files[i].done = 0;
        files[i].stop = false;
        if (pthread_create(&files[i].thread, NULL, lane, &files[i]) != 0) {
            fail("thread", EAGAIN);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        threads_start();
        threads_wait(i + 1 >= depth ? i + 2 - depth : 0);
    }
    threads_wait(count);
    for (unsigned i = 0; i < FILES; i++) {
        pthread_mutex_lock(&files[i].mutex);
        files[i].stop = true;
        pthread_cond_broadcast(&files[i].changed);
        pthread_mutex_unlock(&files[i].mutex);
        pthread_join(files[i].thread, NULL);
    }
}

/* --- io_uring --------------------------------------------------------------*/

static void uring_start(unsigned number)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

        invariant(entry != NULL);
        io_uring_prep_write(entry, (int)i, data, (unsigned)size, number * size);
        entry->flags |= IOSQE_FIXED_FILE;
        if (synced) {
            entry->flags |= IOSQE_IO_LINK;
            entry = io_uring_get_sqe(&ring);
            invariant(entry != NULL);
            io_uring_prep_fsync(entry, (int)i, IORING_FSYNC_DATASYNC);
            entry->flags |= IOSQE_FIXED_FILE;
        }
    }
}

static void uring_wait(unsigned count)
{
    int error = io_uring_submit_and_wait(&ring, count);

    for (; error >= 0 && count > 0; count--) {
        struct io_uring_cqe *result;

        error = io_uring_wait_cqe(&ring, &result);
        if (error == 0) {
            error = result->res < 0 ? result->res : 0;
            io_uring_cqe_seen(&ring, result);
        }
    }
    if (error < 0) {
        fail("io_uring", -error);
    }
}

static void by_uring(unsigned count, unsigned depth)
{
    const unsigned each = FILES * (synced ? 2 : 1);
    unsigned waiting = 0;

    for (unsigned i = 0; i < count; i++) {
        uring_start(i);
        waiting += each;
        if (i + 1 >= depth) {
            uring_wait(each);
            waiting -= each;
        }
    }
    uring_wait(waiting);
}

/* --- measuring -------------------------------------------------------------*/

static uint64_t cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double values[], unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare);
    return values[count / 2];
}

static void open_files(const char *directory, int flags, int fds[FILES])
{
    for (unsigned i = 0; i < FILES; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/uring%u", directory, i);
        unlink(path);
        fds[i] =
            open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
        if (fds[i] < 0) {
            fail(path, errno);
        }
        files[i].fd = fds[i];
        unlink(path);
    }
}

static void measure(const char *what, const char *directory, unsigned rounds,
                    unsigned count, unsigned depth)
{
    static const char *const names[] = {"threads", "io_uring"};
    double time[2][MOST], cpu[2][MOST];

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned turn = 0; turn < 2; turn++) {
            const unsigned side = (round + turn) % 2;
            int fds[FILES], error;
            uint64_t began, used;

            open_files(directory, synced ? 0 : O_DIRECT, fds);
            error = io_uring_register_files(&ring, fds, FILES);
            if (error != 0) {
                fail("io_uring_register_files", -error);
            }
            began = clock_monotonic_us();
            used = cpu_us();
            (side == 0 ? by_threads : by_uring)(count, depth);
            cpu[side][round] = (double)(cpu_us() - used) / count;
            time[side][round] = (double)(clock_monotonic_us() - began) / count;
            io_uring_unregister_files(&ring);
            for (unsigned i = 0; i < FILES; i++) {
                close(fds[i]);
            }
        }
    }
    for (unsigned side = 0; side < 2; side++) {
        printf("%-8s %-8s %8.0f us, processor %6.0f us\n", what, names[side],
               median(time[side], rounds), median(cpu[side], rounds));
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 11;
    int error = io_uring_queue_init(QUEUE, &ring, 0);

    if (argc < 2 || rounds == 0 || rounds > MOST) {
        fprintf(stderr, "usage: uring DIRECTORY [ROUNDS]\n");
        return 2;
    }
    if (error != 0) {
        fail("io_uring_queue_init", -error);
    }
    for (unsigned i = 0; i < FILES; i++) {
        pthread_mutex_init(&files[i].mutex, NULL);
        pthread_cond_init(&files[i].changed, NULL);
    }
    data = aligned_alloc(SMALL, UNIT);
    invariant(data != NULL);
    memset(data, 7, UNIT);
    size = SMALL;
    synced = true;
    measure("commit", argv[1], rounds, COMMITS, 1);
    size = UNIT;
    synced = false;
    measure("stripe", argv[1], rounds, STRIPES, DEPTH);
    io_uring_queue_exit(&ring);
    free(data);
    return 0;
}
