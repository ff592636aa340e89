/* One JSON object a line. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define LINE_MAX    (6 * MESSAGE_MAX + 512)

static atomic_int level_now = LOG_LEVEL_INFO;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER; /* over output */
static int output = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, (int)level);
}

int log_open(const char *path)
{
    int fd = STDERR_FILENO, old;

    if (path != NULL) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0) {
            return -errno;
        }
    }

    pthread_rwlock_wrlock(&lock);
    old = output;
    output = fd;
    pthread_rwlock_unlock(&lock);

    if (old != STDERR_FILENO) {
        close(old);
    }
    return 0;
}

/* Escapes into a JSON string; stops before `end`. Returns the new end. */
static char *escape(char *out, const char *end, const void *data, size_t size)
{
    const uint8_t *in = data;

    for (size_t i = 0; i < size && end - out > 6; i++) {
        if (in[i] == '"' || in[i] == '\\') {
            *out++ = '\\';
            *out++ = (char)in[i];
        } else if (in[i] < 0x20 || in[i] >= 0x7f) {
            out += sprintf(out, "\\u%04x", in[i]);
        } else {
            *out++ = (char)in[i];
        }
    }
    return out;
}

static char *start_line(char *out, size_t size, const char *level)
{
    uint64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    size_t used;

    gmtime_r(&seconds, &tm);
    used = strftime(out, size, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
    return out + used +
           snprintf(out + used, size - used, ".%03uZ\",\"level\":\"%s\"",
                    (unsigned)(now % 1000), level);
}

static void write_line(const char *line, size_t size)
{
    pthread_rwlock_rdlock(&lock);
    /* A log that cannot be written has nowhere to say so. */
    if (write(output, line, size) < 0) {
        errno = 0;
    }
    pthread_rwlock_unlock(&lock);
}

void log_at(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char message[MESSAGE_MAX], line[LINE_MAX], *p;
    const char *end = line + sizeof(line) - 4;
    va_list args;
    int size;

    if ((int)level < atomic_load(&level_now)) {
        return;
    }

    va_start(args, format);
    size = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (size < 0) {
        return;
    }
    if ((size_t)size >= sizeof(message)) {
        size = sizeof(message) - 1;
    }

    p = start_line(line, sizeof(line), names[level]);
    p += sprintf(p, ",\"message\":\"");
    p = escape(p, end, message, (size_t)size);
    memcpy(p, "\"}\n", 3);
    write_line(line, (size_t)(p + 3 - line));
}

void log_failing(int *last, const char *what, int error)
{
    if (error == *last || error == -ECANCELED) {
        return;
    }
    *last = error;
    if (error != 0) {
        log_error("%s fails: %s; it is tried again", what, strerror(-error));
    } else {
        log_info("%s works again", what);
    }
}

/* Of a request, up to its status, without the end of the object. */
static char *put_request(char *p, const char *end,
                         const struct log_request *request)
{
    p += snprintf(p, 128, ",\"request\":\"%.32s\",\"operation\":\"%.40s\"",
                  request->id, request->operation);
    p += sprintf(p, ",\"bucket\":\"");
    p = escape(p, end, request->bucket.data, request->bucket.size);
    p += sprintf(p, "\",\"key\":\"");
    p = escape(p, end, request->key.data, request->key.size);
    return p + snprintf(p, 200,
                        "\",\"status\":%u,\"error\":\"%.60s\",\"us\":%llu",
                        request->status, request->error,
                        (unsigned long long)request->us);
}

/* What is neither waited for nor the work of s3d is the other side's: the
 * client that sends and receives. */
static char *put_phases(char *p, const struct log_request *request)
{
    uint64_t waited = 0;

    p += sprintf(p, ",\"phases\":{");
    for (unsigned i = 0; i < PHASES; i++) {
        waited += request->phases.us[i];
        p += sprintf(p, "\"%s\":%llu,", phase_name(i),
                     (unsigned long long)request->phases.us[i]);
    }
    return p +
           sprintf(p, "\"work\":%llu,\"client\":%llu}",
                   (unsigned long long)(request->steps_us > waited
                                            ? request->steps_us - waited
                                            : 0),
                   (unsigned long long)(request->us > request->steps_us
                                            ? request->us - request->steps_us
                                            : 0));
}

void log_request(const struct log_request *request, bool slow)
{
    char line[LINE_MAX], *p;
    const char *end = line + sizeof(line) - 512;

    if (LOG_LEVEL_INFO >= atomic_load(&level_now)) {
        p = start_line(line, sizeof(line), "info");
        p = put_request(p, end, request);
        p += sprintf(p, "}\n");
        write_line(line, (size_t)(p - line));
    }
    if (slow && LOG_LEVEL_WARN >= atomic_load(&level_now)) {
        p = start_line(line, sizeof(line), "warn");
        p += sprintf(p, ",\"message\":\"slow request\"");
        p = put_request(p, end, request);
        p = put_phases(p, request);
        p += sprintf(p, "}\n");
        write_line(line, (size_t)(p - line));
    }
}
