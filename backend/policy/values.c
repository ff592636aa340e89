/*
 * Numbers, dates, booleans and networks, as conditions write them. No libc
 * parser that a locale could change.
 */
#include "policy/private.h"

#include <arpa/inet.h>

#define DIGITS_MAX 15 /* that a double holds exactly */

bool value_number(struct slice text, double *number)
{
    size_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = i > 0 && text.data[0] == '-';
    bool fraction = false, seen = false;
    unsigned digits = 0; /* from the first that is no zero */
    double mantissa = 0, scale = 1;

    for (; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '.' && !fraction && seen) {
            fraction = true;
            continue;
        }
        if (byte < '0' || byte > '9') {
            return false;
        }
        /* Who counts keys takes any zeros before a number. */
        seen = true;
        if (digits > 0 || fraction || byte != '0') {
            digits++;
        }
        if (digits > DIGITS_MAX) {
            return false;
        }
        mantissa = mantissa * 10 + (byte - '0');
        scale *= fraction ? 10 : 1;
    }
    if (!seen || text.data[text.size - 1] == '.') {
        return false;
    }
    *number = (negative ? -mantissa : mantissa) / scale;
    return true;
}

bool value_bool(struct slice text, bool *value)
{
    *value = slice_equal_fold(text, SLICE_LITERAL("true"));
    return *value || slice_equal_fold(text, SLICE_LITERAL("false"));
}

/* --- dates -----------------------------------------------------------------*/

/* Exactly `digits` of them; moves on. */
static bool take_number(struct slice *text, size_t digits, int *number)
{
    *number = 0;
    if (text->size < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return false;
        }
        *number = *number * 10 + (text->data[i] - '0');
    }
    *text = slice_tail(*text, digits);
    return true;
}

static bool take_byte(struct slice *text, char byte)
{
    if (text->size == 0 || text->data[0] != (uint8_t)byte) {
        return false;
    }
    *text = slice_tail(*text, 1);
    return true;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar, by counting from
 * a March in which a cycle of 400 years begins. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

static bool take_day(struct slice *text, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    int year, month, day;

    if (!take_number(text, 4, &year) || !take_byte(text, '-') ||
        !take_number(text, 2, &month) || !take_byte(text, '-') ||
        !take_number(text, 2, &day) || year < 1 || month < 1 || month > 12) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] + (leap && month == 2)) {
        return false;
    }
    *days = days_of(year, month, day);
    return true;
}

/* Up to nine digits after the point; only milliseconds count. */
static bool take_fraction(struct slice *text, int64_t *ms)
{
    int64_t unit = 100;
    size_t digits = 0;
    int digit;

    if (!take_byte(text, '.')) {
        return true;
    }
    while (take_number(text, 1, &digit)) {
        *ms += digit * unit;
        unit /= 10;
        digits++;
    }
    return digits > 0 && digits <= 9;
}

/* "Z" or "+hh:mm" (or "+hhmm"); the offset in minutes. */
static bool take_zone(struct slice *text, int64_t *minutes)
{
    int hour, minute;

    *minutes = 0;
    if (take_byte(text, 'Z')) {
        return true;
    }
    bool west = take_byte(text, '-');
    if (!west && !take_byte(text, '+')) {
        return false;
    }
    if (!take_number(text, 2, &hour)) {
        return false;
    }
    take_byte(text, ':');
    if (!take_number(text, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *minutes = (west ? -1 : 1) * (hour * 60 + minute);
    return true;
}

static bool take_time(struct slice *text, int64_t *ms)
{
    int hour, minute, second = 0;
    int64_t zone;

    if (!take_number(text, 2, &hour) || !take_byte(text, ':') ||
        !take_number(text, 2, &minute)) {
        return false;
    }
    if (take_byte(text, ':') &&
        (!take_number(text, 2, &second) || !take_fraction(text, ms))) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 60 || !take_zone(text, &zone)) {
        return false;
    }
    *ms += ((hour * 60 + minute - zone) * 60 + second) * 1000;
    return true;
}

bool value_date(struct slice text, int64_t *date_ms)
{
    double seconds;
    int64_t days, ms = 0;

    if (value_number(text, &seconds)) {
        *date_ms = (int64_t)(seconds * 1000);
        return true;
    }
    if (!take_day(&text, &days)) {
        return false;
    }
    if (text.size > 0 &&
        (!take_byte(&text, 'T') || !take_time(&text, &ms) || text.size > 0)) {
        return false;
    }
    *date_ms = days * 86400 * 1000 + ms;
    return true;
}

/* --- networks --------------------------------------------------------------*/

static bool parse_address(struct slice text, struct network *network)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    char string[INET6_ADDRSTRLEN];

    if (text.size >= sizeof(string) || slice_find(text, '\0') != NULL) {
        return false;
    }
    snprintf(string, sizeof(string), "%.*s", (int)text.size,
             text.size > 0 ? (const char *)text.data : "");
    if (inet_pton(AF_INET, string, network->address) == 1) {
        network->size = 4;
        return true;
    }
    if (inet_pton(AF_INET6, string, network->address) != 1) {
        return false;
    }
    network->size = 16;
    if (memcmp(network->address, mapped, sizeof(mapped)) == 0) {
        memmove(network->address, network->address + 12, 4);
        network->size = 4;
    }
    return true;
}

bool value_network(struct slice text, struct network *network)
{
    const uint8_t *slash = slice_find(text, '/');
    struct slice address = text;
    uint64_t bits;

    memset(network, 0, sizeof(*network));
    if (slash != NULL) {
        address = slice_head(text, (size_t)(slash - text.data));
    }
    if (!parse_address(address, network)) {
        return false;
    }
    network->bits = network->size * 8;
    if (slash == NULL) {
        return true;
    }
    struct slice prefix = slice_tail(text, address.size + 1);
    if (prefix.size > 3 || slice_to_u64(prefix, &bits) != 0) {
        return false;
    }
    /* The prefix of a mapped address counts its 96 bits. */
    bool mapped = network->size == 4 && slice_find(address, ':') != NULL;
    if (mapped) {
        if (bits < 96) {
            return false;
        }
        bits -= 96;
    }
    if (bits > network->bits) {
        return false;
    }
    network->bits = (unsigned)bits;
    return true;
}

bool network_contains(const struct network *outer, const struct network *inner)
{
    size_t bytes = outer->bits / 8;
    unsigned rest = outer->bits % 8;

    if (outer->size != inner->size || outer->bits > inner->bits ||
        memcmp(outer->address, inner->address, bytes) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xFF00u >> rest);
    return rest == 0 ||
           ((outer->address[bytes] ^ inner->address[bytes]) & mask) == 0;
}
