/*
 * Private to ctl/: results for people. Text that comes from elsewhere reaches
 * the terminal without what would steer it.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include "base/base.h"
#include <jansson.h>

#define SHOW_SIZE 32 /* bytes of a number in words */

/* Of an object; "" or 0 if there is none. */
const char *show_text(const json_t *object, const char *name);
long long show_number(const json_t *object, const char *name);

/* Prints a line: what steers a terminal is ? in it. */
void show_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same on stderr, after "s3ctl: ". */
void show_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says that a list is not all of them, if it is not, and what chooses. */
void show_truncated(const json_t *result, const char *choices);

/* "2026-01-02 03:04:05", UTC. */
const char *show_time(long long ms, char text[SHOW_SIZE]);
/* "12.3 MiB" */
const char *show_bytes(uint64_t bytes, char text[SHOW_SIZE]);

/* Prints the value and a line feed: on a terminal in ASCII, so that nothing in
 * it steers that. `flags`: as of json_dumpf(). */
void show_json(const json_t *value, size_t flags);

/* A table: each column is as wide as what stands in it. */
struct table;
/* Ends with NULL. Columns whose title begins with ">" are set to the right;
 * lives as long as the table. */
struct table *table_new(const char *const *titles);
/* The next cell of the row, or the first one of the next row. */
void table_add(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of its own below the row, which is complete. */
void table_note(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints and frees it. */
void table_end(struct table *table);

/* How many columns a terminal shows it in. */
size_t show_width(const char *text);

#endif
