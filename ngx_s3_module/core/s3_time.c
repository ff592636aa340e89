
/* Times as SigV4 and HTTP write them. */

#include "s3_string.h"
#include "s3_time.h"


typedef struct {
    int  year;
    int  month;     /* 1..12 */
    int  day;
    int  hour;
    int  minute;
    int  second;
} s3_time_t;


static time_t s3_time_value(const s3_time_t *tm);
static void s3_time_fields(time_t value, s3_time_t *tm);
static int s3_time_number(const unsigned char *p, size_t len);
static int s3_time_month(const unsigned char *p);
static int s3_time_clock(const unsigned char *p, s3_time_t *tm);
static int s3_time_weekday(const s3_str_t *text, const char *const *names);
static time_t s3_time_parse_fixdate(const s3_str_t *text);
static time_t s3_time_parse_rfc850(const s3_str_t *text);
static time_t s3_time_parse_asctime(const s3_str_t *text);
static unsigned char *s3_time_digits(unsigned char *p, int value, int len);


static const char *const  s3_time_months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static const char *const  s3_time_days[] = {
    "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", NULL
};

static const char *const  s3_time_long_days[] = {
    "Sunday", "Monday", "Tuesday", "Wednesday",
    "Thursday", "Friday", "Saturday", NULL
};


time_t
s3_time_parse_amz(const s3_str_t *text)
{
    s3_time_t       tm;
    unsigned char  *p;

    p = text->data;

    if (text->len != S3_TIME_AMZ_LEN || p[8] != 'T' || p[15] != 'Z') {
        return -1;
    }

    tm.year = s3_time_number(p, 4);
    tm.month = s3_time_number(p + 4, 2);
    tm.day = s3_time_number(p + 6, 2);
    tm.hour = s3_time_number(p + 9, 2);
    tm.minute = s3_time_number(p + 11, 2);
    tm.second = s3_time_number(p + 13, 2);

    return s3_time_value(&tm);
}


time_t
s3_time_parse_http(const s3_str_t *text)
{
    time_t  value;

    value = s3_time_parse_fixdate(text);

    if (value == -1) {
        value = s3_time_parse_rfc850(text);
    }

    if (value == -1) {
        value = s3_time_parse_asctime(text);
    }

    return value;
}


void
s3_time_format_amz(time_t time, unsigned char *out)
{
    s3_time_t  tm;

    s3_time_fields(time, &tm);

    out = s3_time_digits(out, tm.year, 4);
    out = s3_time_digits(out, tm.month, 2);
    out = s3_time_digits(out, tm.day, 2);
    *out++ = 'T';
    out = s3_time_digits(out, tm.hour, 2);
    out = s3_time_digits(out, tm.minute, 2);
    out = s3_time_digits(out, tm.second, 2);
    *out = 'Z';
}


void
s3_time_format_iso(time_t time, unsigned char *out)
{
    s3_time_t  tm;

    s3_time_fields(time, &tm);

    out = s3_time_digits(out, tm.year, 4);
    *out++ = '-';
    out = s3_time_digits(out, tm.month, 2);
    *out++ = '-';
    out = s3_time_digits(out, tm.day, 2);
    *out++ = 'T';
    out = s3_time_digits(out, tm.hour, 2);
    *out++ = ':';
    out = s3_time_digits(out, tm.minute, 2);
    *out++ = ':';
    out = s3_time_digits(out, tm.second, 2);
    *out = 'Z';
}


/* A negative field is one that was not a number. */

static time_t
s3_time_value(const s3_time_t *tm)
{
    int   leap, days;
    long  year, day;

    static const int  month_days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (tm->year < 1970 || tm->month < 1 || tm->month > 12 || tm->day < 1
        || tm->hour < 0 || tm->hour > 23 || tm->minute < 0 || tm->minute > 59
        || tm->second < 0 || tm->second > 59)
    {
        return -1;
    }

    leap = tm->year % 4 == 0 && (tm->year % 100 != 0 || tm->year % 400 == 0);

    days = month_days[tm->month - 1] + (tm->month == 2 && leap);

    if (tm->day > days) {
        return -1;
    }

    /* the year starts in March: Gauss' formula, as ngx_parse_http_time() */

    year = tm->month <= 2 ? tm->year - 1 : tm->year;
    day = (tm->month + 9) % 12;

    day = 365 * year + year / 4 - year / 100 + year / 400
          + (day * 153 + 2) / 5 + tm->day - 1 - 719468;

    return (time_t) day * 86400 + tm->hour * 3600 + tm->minute * 60
           + tm->second;
}


static void
s3_time_fields(time_t value, s3_time_t *tm)
{
    long  days, seconds, era, year, day;

    if (value < 0) {
        value = 0;
    }

    if (value > 253402300799) {     /* 9999-12-31T23:59:59Z */
        value = 253402300799;
    }

    days = (long) (value / 86400);
    seconds = (long) (value % 86400);

    tm->hour = (int) (seconds / 3600);
    tm->minute = (int) (seconds / 60 % 60);
    tm->second = (int) (seconds % 60);

    /* days of the 400-year era that starts in March */

    days += 719468;
    era = days / 146097;
    day = days % 146097;

    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;

    tm->month = (int) ((5 * day + 2) / 153);
    tm->day = (int) (day - (153 * tm->month + 2) / 5 + 1);
    tm->month = tm->month < 10 ? tm->month + 3 : tm->month - 9;
    tm->year = (int) (year + era * 400 + (tm->month <= 2));
}


static int
s3_time_number(const unsigned char *p, size_t len)
{
    int  value;

    value = 0;

    while (len--) {
        if (*p < '0' || *p > '9') {
            return -1;
        }

        value = value * 10 + (*p++ - '0');
    }

    return value;
}


static int
s3_time_month(const unsigned char *p)
{
    int  i;

    for (i = 0; i < 12; i++) {
        if (memcmp(p, s3_time_months[i], 3) == 0) {
            return i + 1;
        }
    }

    return -1;
}


/* "08:49:37"; a leap second counts as the one before */

static int
s3_time_clock(const unsigned char *p, s3_time_t *tm)
{
    if (p[2] != ':' || p[5] != ':') {
        return -1;
    }

    tm->hour = s3_time_number(p, 2);
    tm->minute = s3_time_number(p + 3, 2);
    tm->second = s3_time_number(p + 6, 2);

    if (tm->second == 60) {
        tm->second = 59;
    }

    return 0;
}


/* The length of the day's name at the start, or 0. */

static int
s3_time_weekday(const s3_str_t *text, const char *const *names)
{
    for ( /* void */ ; *names; names++) {
        if (s3_str_starts(text, *names)) {
            return (int) strlen(*names);
        }
    }

    return 0;
}


/* "Sun, 06 Nov 1994 08:49:37 GMT" */

static time_t
s3_time_parse_fixdate(const s3_str_t *text)
{
    s3_time_t       tm;
    unsigned char  *p;

    p = text->data;

    if (text->len != 29 || s3_time_weekday(text, s3_time_days) == 0
        || p[3] != ',' || p[4] != ' ' || p[7] != ' ' || p[11] != ' '
        || p[16] != ' ' || memcmp(p + 25, " GMT", 4) != 0
        || s3_time_clock(p + 17, &tm) != 0)
    {
        return -1;
    }

    tm.day = s3_time_number(p + 5, 2);
    tm.month = s3_time_month(p + 8);
    tm.year = s3_time_number(p + 12, 4);

    return s3_time_value(&tm);
}


/*
 * "Sunday, 06-Nov-94 08:49:37 GMT".  Without a clock the two digits of the
 * year cannot mean "at most 50 years ahead"; 70..99 are the last century's.
 */

static time_t
s3_time_parse_rfc850(const s3_str_t *text)
{
    int             len;
    s3_time_t       tm;
    unsigned char  *p;

    len = s3_time_weekday(text, s3_time_long_days);

    if (len == 0 || text->len != (size_t) len + 24) {
        return -1;
    }

    p = text->data + len;

    if (p[0] != ',' || p[1] != ' ' || p[4] != '-' || p[8] != '-'
        || p[11] != ' ' || memcmp(p + 20, " GMT", 4) != 0
        || s3_time_clock(p + 12, &tm) != 0)
    {
        return -1;
    }

    tm.day = s3_time_number(p + 2, 2);
    tm.month = s3_time_month(p + 5);
    tm.year = s3_time_number(p + 9, 2);

    if (tm.year >= 0) {
        tm.year += tm.year >= 70 ? 1900 : 2000;
    }

    return s3_time_value(&tm);
}


/* "Sun Nov  6 08:49:37 1994" */

static time_t
s3_time_parse_asctime(const s3_str_t *text)
{
    s3_time_t       tm;
    unsigned char  *p;

    p = text->data;

    if (text->len != 24 || s3_time_weekday(text, s3_time_days) == 0
        || p[3] != ' ' || p[7] != ' ' || p[10] != ' ' || p[19] != ' '
        || s3_time_clock(p + 11, &tm) != 0)
    {
        return -1;
    }

    tm.day = p[8] == ' ' ? s3_time_number(p + 9, 1) : s3_time_number(p + 8, 2);
    tm.month = s3_time_month(p + 4);
    tm.year = s3_time_number(p + 20, 4);

    return s3_time_value(&tm);
}


static unsigned char *
s3_time_digits(unsigned char *p, int value, int len)
{
    int  i;

    for (i = len - 1; i >= 0; i--) {
        p[i] = (unsigned char) ('0' + value % 10);
        value /= 10;
    }

    return p + len;
}
