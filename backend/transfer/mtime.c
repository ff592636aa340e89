/*
 * Times of files as rclone writes them: "1354040105.123456789", without zeros
 * at the end.
 */
#include "transfer/private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NANOSECONDS 1000000000L

void mtime_format(struct timespec time, char out[MTIME_TEXT_MAX])
{
    const bool negative = time.tv_sec < 0;

    if (negative) {
        time.tv_sec = -time.tv_sec;
        if (time.tv_nsec > 0) {
            time.tv_sec--;
            time.tv_nsec = NANOSECONDS - time.tv_nsec;
        }
    }
    int size =
        snprintf(out, MTIME_TEXT_MAX, "%s%lld.%09ld", negative ? "-" : "",
                 (long long)time.tv_sec, time.tv_nsec);
    while (out[size - 1] == '0') {
        size--;
    }
    if (out[size - 1] == '.') {
        size--;
    }
    out[size] = '\0';
}

/* Up to nine digits; what is finer is dropped. */
static bool parse_fraction(const char *text, long *nanoseconds)
{
    long unit = NANOSECONDS;

    *nanoseconds = 0;
    for (; isdigit((unsigned char)*text); text++) {
        unit /= 10;
        *nanoseconds += (*text - '0') * unit;
    }
    return *text == '\0';
}

bool mtime_parse(const char *text, struct timespec *time)
{
    const bool negative = *text == '-';
    char *end;

    text += negative ? 1 : 0;
    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    errno = 0;
    const long long seconds = strtoll(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    time->tv_sec = (time_t)seconds;
    time->tv_nsec = 0;
    if (*end == '.' ? !parse_fraction(end + 1, &time->tv_nsec) : *end != '\0') {
        return false;
    }
    if (negative) {
        time->tv_sec = -time->tv_sec;
        if (time->tv_nsec > 0) {
            time->tv_sec--;
            time->tv_nsec = NANOSECONDS - time->tv_nsec;
        }
    }
    return true;
}
