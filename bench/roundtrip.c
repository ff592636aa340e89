/*
 * The way between worker and s3d and back, for what the hot index does not
 * answer: a connection for each request under way, as it is, beside one for
 * each worker, on which the frames of several requests travel together.
 *
 *   roundtrip [ROUNDS [SECONDS [WORKERS [REQUESTS]]]]
 *
 * REQUESTS are under way in each worker. s3d's side is its pool on libuv; a
 * worker waits in epoll as nginx does. Both spend on a request what a GET of
 * 4 KiB costs them beside this way, so that as many requests meet on it. The
 * two take turns; CPU is user and system time.
 */
#include "server/private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX  16u
#define REQUESTS_MAX 32u /* their answers fit into a socket */
#define THREADS      8u

/* What they spend: nginx on an answer of the hot index, s3d on its step. */
#define WORKER_US 20u
#define SERVER_US 18u

/* REQUEST and END; REPLY, DATA and END. */
#define QUESTION     360u
#define HEAD         400u
#define BODY         4096u
#define REQUEST_SIZE (FRAME_HEADER_SIZE + QUESTION + FRAME_HEADER_SIZE)
#define REPLY_SIZE                                                             \
    (FRAME_HEADER_SIZE + HEAD + FRAME_HEADER_SIZE + BODY + FRAME_HEADER_SIZE)

static const uint8_t zeros[BODY];
static uint64_t loops_per_us;
static bool batched; /* one connection for each worker */

static void check(bool good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static uint64_t cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void spin(uint64_t loops)
{
    for (volatile uint64_t i = 0; i < loops; i++) {
        ;
    }
}

static void calibrate(void)
{
    const uint64_t loops = 50 * 1000 * 1000, begin = cpu_us();

    spin(loops);
    loops_per_us = loops / (cpu_us() - begin + 1);
}

/* Frames of which the first begins with the request's number. */
static void put_frames(struct buffer *out, enum frame_type type, uint32_t size,
                       uint32_t number, bool body)
{
    uint8_t head[HEAD] = {0};

    put_u32le(head, number);
    frame_append(out, type, head, size);
    if (body) {
        frame_append(out, FRAME_DATA, zeros, BODY);
    }
    frame_append(out, FRAME_END, NULL, 0);
}

static uint32_t take_frames(const uint8_t *in)
{
    struct frame_header header;

    check(frame_decode(in, &header) == 0 &&
              frame_check(&header, in + FRAME_HEADER_SIZE) == 0,
          "a frame");
    return get_u32le(in + FRAME_HEADER_SIZE);
}

/* --- s3d -------------------------------------------------------------------*/
struct way {
    uv_pipe_t pipe;
    uint8_t in[REQUESTS_MAX * REQUEST_SIZE];
    size_t held; /* bytes of `in` */
    struct buffer out;
    bool gone;
};

struct request {
    struct job job; /* the first */
    struct way *way;
    uint8_t frames[REQUEST_SIZE];
    uint32_t number;
};

static struct pool *pool;
static uv_prepare_t before_waiting;
static struct way *ways;
static unsigned way_count, ways_open;

static void on_way_closed(uv_handle_t *handle)
{
    (void)handle;
    if (--ways_open == 0) {
        uv_close((uv_handle_t *)&before_waiting, NULL);
        pool_close(pool);
    }
}

static void way_close(struct way *way)
{
    if (!way->gone) {
        way->gone = true;
        uv_close((uv_handle_t *)&way->pipe, on_way_closed);
    }
}

static void way_flush(struct way *way)
{
    const uv_buf_t all =
        uv_buf_init((char *)way->out.data, (unsigned)way->out.size);
    int sent;

    if (way->gone || way->out.size == 0) {
        return;
    }
    sent = uv_try_write((uv_stream_t *)&way->pipe, &all, 1);
    check(sent < 0 || sent == (int)all.len, "a whole write");
    if (sent < 0) {
        way_close(way); /* the worker has ended */
    }
    way->out.size = 0;
}

static void request_run(struct job *job)
{
    struct request *request = (struct request *)job;

    request->number = take_frames(request->frames);
    spin(SERVER_US * loops_per_us);
}

static void request_done(struct job *job)
{
    struct request *request = (struct request *)job;
    struct way *way = request->way;

    put_frames(&way->out, FRAME_REPLY, HEAD, request->number, true);
    if (!batched) {
        way_flush(way);
    }
    free(request);
}

/* All jobs that were there have been run: their answers leave together. */
static void on_prepare(uv_prepare_t *prepare)
{
    (void)prepare;
    for (unsigned i = 0; i < way_count; i++) {
        way_flush(&ways[i]);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct way *way = handle->data;

    (void)suggested;
    *buffer = uv_buf_init((char *)way->in + way->held,
                          (unsigned)(sizeof(way->in) - way->held));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct way *way = stream->data;
    size_t at = 0;

    (void)buffer;
    if (count < 0) {
        way_close(way);
        return;
    }
    way->held += (size_t)count;
    for (; way->held - at >= REQUEST_SIZE; at += REQUEST_SIZE) {
        struct request *request = xmalloc(sizeof(*request));

        request->job.run = request_run;
        request->job.done = request_done;
        request->way = way;
        memcpy(request->frames, way->in + at, REQUEST_SIZE);
        pool_submit(pool, &request->job);
    }
    way->held -= at;
    memmove(way->in, way->in + at, way->held);
}

static void serve(const int *sockets, unsigned count)
{
    uv_loop_t loop;

    ways = xcalloc(count, sizeof(*ways));
    way_count = ways_open = count;
    check(uv_loop_init(&loop) == 0, "uv_loop_init");
    pool = pool_new(&loop, THREADS);
    uv_prepare_init(&loop, &before_waiting);
    if (batched) {
        uv_prepare_start(&before_waiting, on_prepare);
    }
    for (unsigned i = 0; i < count; i++) {
        ways[i].pipe.data = &ways[i];
        check(uv_pipe_init(&loop, &ways[i].pipe, 0) == 0 &&
                  uv_pipe_open(&ways[i].pipe, sockets[i]) == 0 &&
                  uv_read_start((uv_stream_t *)&ways[i].pipe, on_room,
                                on_read) == 0,
              "uv_pipe");
    }
    pool_run(pool);
}

/* --- a worker --------------------------------------------------------------*/
struct upstream {
    int socket;
    uint8_t in[REQUESTS_MAX * REPLY_SIZE];
    size_t held;
    struct buffer out;
};

/* As ngx_http_upstream does before the first bytes of a request. */
static void test_connection(int socket)
{
    int error = 0;
    socklen_t size = sizeof(error);

    check(getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0,
          "getsockopt");
}

static void send_out(struct upstream *upstream)
{
    const struct iovec all = {upstream->out.data, upstream->out.size};

    if (!batched) {
        test_connection(upstream->socket);
    }
    check(writev(upstream->socket, &all, 1) == (ssize_t)upstream->out.size,
          "writev");
    upstream->out.size = 0;
}

/* Returns how many answers came; the next requests have been sent. */
static unsigned on_answers(struct upstream *upstream)
{
    const ssize_t count = recv(upstream->socket, upstream->in + upstream->held,
                               sizeof(upstream->in) - upstream->held, 0);
    unsigned answers = 0;
    size_t at = 0;

    check(count > 0, "recv");
    upstream->held += (size_t)count;
    for (; upstream->held - at >= REPLY_SIZE; at += REPLY_SIZE) {
        const uint32_t number = take_frames(upstream->in + at);

        spin(WORKER_US * loops_per_us);
        put_frames(&upstream->out, FRAME_REQUEST, QUESTION, number, false);
        answers++;
    }
    upstream->held -= at;
    memmove(upstream->in, upstream->in + at, upstream->held);
    if (answers > 0) {
        send_out(upstream);
    }
    return answers;
}

static uint64_t work(const int *sockets, unsigned count, unsigned requests,
                     uint64_t until_us)
{
    struct upstream *upstreams = xcalloc(count, sizeof(*upstreams));
    struct epoll_event events[REQUESTS_MAX];
    const int epoll = epoll_create1(0);
    uint64_t answers = 0;

    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {EPOLLIN, {.ptr = &upstreams[i]}};

        upstreams[i].socket = sockets[i];
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event) == 0,
              "epoll_ctl");
        for (unsigned j = 0; j < requests / count; j++) {
            put_frames(&upstreams[i].out, FRAME_REQUEST, QUESTION, j, false);
        }
        send_out(&upstreams[i]);
    }
    while (clock_monotonic_us() < until_us) {
        const int ready = epoll_wait(epoll, events, REQUESTS_MAX, 1000);

        for (int i = 0; i < ready; i++) {
            answers += on_answers(events[i].data.ptr);
        }
    }
    return answers;
}

/* --- both ------------------------------------------------------------------*/
struct result {
    double rate, worker_us, server_us; /* per second; for each request */
};

static double spent_us(pid_t pid)
{
    struct rusage usage;
    int status = 0;

    check(wait4(pid, &status, 0, &usage) == pid && status == 0, "a process");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static struct result run(unsigned seconds, unsigned workers, unsigned requests)
{
    const unsigned each = batched ? 1 : requests, all = workers * each;
    const uint64_t until_us = clock_monotonic_us() + 1000000ull * seconds;
    uint64_t *answers =
        mmap(NULL, WORKERS_MAX * sizeof(*answers), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int near[WORKERS_MAX * REQUESTS_MAX], far[WORKERS_MAX * REQUESTS_MAX];
    pid_t server, pids[WORKERS_MAX];
    struct result result = {0};
    double count = 0;

    check(answers != MAP_FAILED, "mmap");
    for (unsigned i = 0; i < all; i++) {
        int pair[2];

        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0,
              "socketpair");
        near[i] = pair[0];
        far[i] = pair[1];
    }
    for (unsigned w = 0; w < workers; w++) {
        check((pids[w] = fork()) >= 0, "fork");
        if (pids[w] == 0) {
            answers[w] = work(near + w * each, each, requests, until_us);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < all; i++) {
        close(near[i]);
    }
    check((server = fork()) >= 0, "fork");
    if (server == 0) {
        serve(far, all);
        _exit(0);
    }
    for (unsigned i = 0; i < all; i++) {
        close(far[i]);
    }
    for (unsigned w = 0; w < workers; w++) {
        result.worker_us += spent_us(pids[w]);
        count += (double)answers[w];
    }
    result.server_us = spent_us(server) / count;
    result.worker_us /= count;
    result.rate = count / seconds;
    munmap(answers, WORKERS_MAX * sizeof(*answers));
    return result;
}

static unsigned argument(int argc, char **argv, int at, unsigned otherwise,
                         unsigned limit)
{
    const unsigned value =
        argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;

    return value < 1 ? 1 : value < limit ? value : limit;
}

int main(int argc, char **argv)
{
    const unsigned rounds = argument(argc, argv, 1, 5, 1000);
    const unsigned seconds = argument(argc, argv, 2, 1, 1000);
    const unsigned workers = argument(argc, argv, 3, 2, WORKERS_MAX);
    const unsigned requests = argument(argc, argv, 4, 16, REQUESTS_MAX);

    signal(SIGPIPE, SIG_IGN);
    calibrate();
    puts("                         a second   worker us   s3d us   together");
    for (unsigned i = 0; i < 2 * rounds; i++) {
        struct result result;

        batched = i % 2 == 1;
        result = run(seconds, workers, requests);
        printf("%-22s %10.0f %11.1f %8.1f %10.1f\n",
               batched ? "one for each worker" : "one for each request",
               result.rate, result.worker_us, result.server_us,
               result.worker_us + result.server_us);
        fflush(stdout);
    }
    return 0;
}
