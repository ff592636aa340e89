#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t now(clockid_t clock, uint64_t per_second)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * per_second +
           (uint64_t)time.tv_nsec / (1000000000 / per_second);
}

uint64_t clock_wall_ms(void)
{
    return now(CLOCK_REALTIME, 1000);
}

uint64_t clock_monotonic_us(void)
{
    return now(CLOCK_MONOTONIC, 1000000);
}

#define JUMP_MS 5000 /* no clock that is kept right is so far off at once */
#define HELD_US 1000000u

int64_t clock_jumped(struct clock_watch *watch)
{
    const uint64_t before_us = clock_monotonic_us();
    const uint64_t wall_ms = clock_wall_ms();
    const uint64_t after_us = clock_monotonic_us();
    int64_t ahead_ms, jump_ms;

    if (after_us - before_us > HELD_US) {
        return 0; /* stopped between the clocks: they cannot be compared */
    }
    ahead_ms = (int64_t)wall_ms - (int64_t)(after_us / 1000);
    jump_ms = watch->looked ? ahead_ms - watch->ahead_ms : 0;
    *watch = (struct clock_watch){ahead_ms, true};
    return jump_ms >= JUMP_MS || jump_ms <= -JUMP_MS ? jump_ms : 0;
}

#define DAY_MS            86400000u
#define DAYS_OF_4_YEARS   1461u  /* the last one is a leap year */
#define DAYS_OF_CENTURY   36524u /* the last year of most is none */
#define DAYS_OF_400_YEARS 146097u
#define DAYS_BEFORE_1970  719468u /* since 1 March of the year 0 */

static unsigned at_most(unsigned value, unsigned limit)
{
    return value < limit ? value : limit;
}

/* Years from March on, so that the leap day is the last one: a day that a
 * fifth year, or a fifth century, would begin with. */
static void date_of(uint64_t days, uint64_t *year, unsigned *month,
                    unsigned *day)
{
    const uint64_t since = days + DAYS_BEFORE_1970;
    unsigned left = (unsigned)(since % DAYS_OF_400_YEARS);
    const unsigned centuries = at_most(left / DAYS_OF_CENTURY, 3);
    left -= centuries * DAYS_OF_CENTURY;
    const unsigned fours = left / DAYS_OF_4_YEARS;
    left -= fours * DAYS_OF_4_YEARS;
    const unsigned years = at_most(left / 365, 3);
    left -= years * 365;
    const unsigned months = (5 * left + 2) / 153; /* five have 153 days */

    *day = left - (153 * months + 2) / 5 + 1;
    *month = months < 10 ? months + 3 : months - 9;
    *year = since / DAYS_OF_400_YEARS * 400 + 100 * centuries + 4 * fours +
            years + (*month <= 2);
}

/* Two digits and what follows them. */
static char *put_two(char *out, unsigned value, char after)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
    out[2] = after;
    return out + 3;
}

#define DATE_SIZE 11 /* bytes of 2026-01-02T */

static void put_date(char out[DATE_SIZE + 1], uint64_t days)
{
    unsigned month, day, shown;
    uint64_t year;

    date_of(days, &year, &month, &day);
    shown = (unsigned)(year % 10000);
    put_two(out, shown / 100, '\0');
    out = put_two(out + 2, shown % 100, '-');
    out = put_two(out, month, '-');
    out = put_two(out, day, 'T');
    *out = '\0';
}

/* By itself: gmtime_r() takes a lock, and a listing has a thousand times, most
 * of them of one day. */
void time_iso8601(char out[TIME_ISO8601_SIZE + 1], uint64_t ms)
{
    static _Thread_local struct {
        uint64_t days;
        char text[DATE_SIZE + 1];
    } last = {0, "1970-01-01T"};
    const unsigned of_day = (unsigned)(ms % DAY_MS);

    if (ms / DAY_MS != last.days) {
        last.days = ms / DAY_MS;
        put_date(last.text, last.days);
    }
    memcpy(out, last.text, DATE_SIZE);
    out = put_two(out + DATE_SIZE, of_day / 3600000, ':');
    out = put_two(out, of_day / 60000 % 60, ':');
    out = put_two(out, of_day / 1000 % 60, '.');
    *out++ = (char)('0' + of_day % 1000 / 100);
    out = put_two(out, of_day % 100, 'Z');
    *out = '\0';
}

void time_http(char out[TIME_HTTP_SIZE + 1], uint64_t ms)
{
    static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun",
                                        "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr",
                                       "May", "Jun", "Jul", "Aug",
                                       "Sep", "Oct", "Nov", "Dec"};
    const unsigned second = (unsigned)(ms % DAY_MS / 1000);
    unsigned month, day, shown;
    uint64_t year;

    date_of(ms / DAY_MS, &year, &month, &day);
    shown = (unsigned)(year % 10000);
    memcpy(out, weekdays[ms / DAY_MS % 7], 3);
    memcpy(out + 3, ", ", 2);
    put_two(out + 5, day, ' ');
    memcpy(out + 8, months[month - 1], 3);
    out[11] = ' ';
    put_two(out + 12, shown / 100, ' ');
    put_two(out + 14, shown % 100, ' ');
    put_two(out + 17, second / 3600, ':');
    put_two(out + 20, second / 60 % 60, ':');
    put_two(out + 23, second % 60, ' ');
    memcpy(out + 26, "GMT", 4);
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    invariant(pthread_cond_init(condition, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex,
                          uint64_t deadline_us)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_us / 1000000),
                                      .tv_nsec =
                                          (long)(deadline_us % 1000000) * 1000};

    return pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT;
}
