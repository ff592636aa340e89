#include "s3/call.h"

#include <errno.h>
#include <time.h>

/* Digits of exactly this number; advances. */
static bool take_number(const char **at, int digits, int *value)
{
    *value = 0;
    for (; digits > 0; digits--, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *value = 10 * *value + (**at - '0');
    }
    return true;
}

static bool take_character(const char **at, char c)
{
    return *(*at)++ == c;
}

/* ".678", of any length. */
static bool take_fraction(const char **at, unsigned *ms)
{
    unsigned unit = 100;

    *ms = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    if (**at < '0' || **at > '9') {
        return false;
    }
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) {
        *ms += unit * (unsigned)(**at - '0');
    }
    return true;
}

static bool take_zone(const char **at, int64_t *seconds)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;

    *seconds = 0;
    if (**at == 'Z') {
        (*at)++;
        return true;
    }
    if ((**at != '+' && **at != '-') || !(*at)++ ||
        !take_number(at, 2, &hours) || !take_character(at, ':') ||
        !take_number(at, 2, &minutes) || hours > 14 || minutes > 59) {
        return false;
    }
    *seconds = (int64_t)sign * (hours * 60 + minutes) * 60;
    return true;
}

int time_parse_iso8601(struct slice text, uint64_t *ms)
{
    char copy[64];
    const char *at = copy;
    struct tm tm = {0}, same;
    unsigned fraction;
    int64_t zone, seconds;

    if (text.size == 0 || text.size >= sizeof(copy)) {
        return -EINVAL;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (!take_number(&at, 4, &tm.tm_year) || !take_character(&at, '-') ||
        !take_number(&at, 2, &tm.tm_mon) || !take_character(&at, '-') ||
        !take_number(&at, 2, &tm.tm_mday) || !take_character(&at, 'T') ||
        !take_number(&at, 2, &tm.tm_hour) || !take_character(&at, ':') ||
        !take_number(&at, 2, &tm.tm_min) || !take_character(&at, ':') ||
        !take_number(&at, 2, &tm.tm_sec) || !take_fraction(&at, &fraction) ||
        !take_zone(&at, &zone) || at != copy + text.size) {
        return -EINVAL;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    same = tm;
    seconds = (int64_t)timegm(&same) - zone;
    /* timegm() takes the 31st of February: it makes another day of it. */
    if (seconds < 0 || same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59) {
        return -EINVAL;
    }
    *ms = (uint64_t)seconds * 1000 + fraction;
    return 0;
}
