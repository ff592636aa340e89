#include "http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int month_of(const char *name)
{
    for (int i = 0; i < 12; i++) {
        if (strcmp(months[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The three forms of RFC 9110, 5.6.7; clients send ISO 8601 as well. */
static bool scan_date(const char *text, struct tm *tm)
{
    char weekday[10], month[4];
    int used = 0;

    memset(tm, 0, sizeof(*tm));
    if (sscanf(text, "%9[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT%n", weekday,
               &tm->tm_mday, month, &tm->tm_year, &tm->tm_hour, &tm->tm_min,
               &tm->tm_sec, &used) == 7 &&
        used > 0) {
        tm->tm_mon = month_of(month);
    } else if (sscanf(text, "%9[A-Za-z], %2d-%3s-%2d %2d:%2d:%2d GMT%n",
                      weekday, &tm->tm_mday, month, &tm->tm_year, &tm->tm_hour,
                      &tm->tm_min, &tm->tm_sec, &used) == 7 &&
               used > 0) {
        tm->tm_mon = month_of(month);
        tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
    } else if (sscanf(text, "%9[A-Za-z] %3s %2d %2d:%2d:%2d %4d%n", weekday,
                      month, &tm->tm_mday, &tm->tm_hour, &tm->tm_min,
                      &tm->tm_sec, &tm->tm_year, &used) == 7 &&
               used > 0) {
        tm->tm_mon = month_of(month);
    } else if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm->tm_year,
                      &tm->tm_mon, &tm->tm_mday, &tm->tm_hour, &tm->tm_min,
                      &tm->tm_sec, &used) == 6 &&
               used > 0) {
        tm->tm_mon -= 1;
        used += (int)strspn(text + used, ".0123456789");
        used += text[used] == 'Z';
    } else {
        return false;
    }
    return text[used] == '\0';
}

int time_parse_http(struct slice text, uint64_t *ms)
{
    char copy[64];
    struct tm tm;
    time_t seconds;

    if (text.size >= sizeof(copy)) {
        return -EINVAL;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strlen(copy) != text.size || !scan_date(copy, &tm)) {
        return -EINVAL;
    }
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
        tm.tm_sec < 0 || tm.tm_sec > 60 || tm.tm_year < 1970) {
        return -EINVAL;
    }
    tm.tm_year -= 1900;
    seconds = timegm(&tm);
    if (seconds < 0) {
        return -EINVAL;
    }
    *ms = (uint64_t)seconds * 1000;
    return 0;
}
