#include "ctl/show.h"
#include "base/utf8.h"
#include "ctl/safe_text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#define COLUMNS_MAX 16

/* --- of results ------------------------------------------------------------*/
const char *show_text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

long long show_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void show_truncated(const json_t *result, const char *choices)
{
    if (json_is_true(json_object_get(result, "truncated"))) {
        printf("There are more: %s shows some of them.\n", choices);
    }
}

const char *show_bytes(uint64_t bytes, char text[SHOW_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(text, SHOW_SIZE, "%llu B", (unsigned long long)bytes);
        return text;
    }
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(text, SHOW_SIZE, "%.1f %s", value, units[unit]);
    return text;
}

const char *show_time(long long ms, char text[SHOW_SIZE])
{
    const time_t seconds = (time_t)(ms / 1000);
    struct tm parts;

    text[0] = '\0';
    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(text, SHOW_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
    }
    return text;
}

/* Safe to be printed; to be freed. */
static char *format_safe(const char *format, va_list arguments)
{
    struct buffer safe = {0};
    char *text = NULL;

    invariant(vasprintf(&text, format, arguments) >= 0);
    char *copy = xstrdup(safe_text(&safe, text));
    buffer_free(&safe);
    free(text);
    return copy;
}

void show_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *text = format_safe(format, arguments);
    va_end(arguments);
    puts(text);
    free(text);
}

void show_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *text = format_safe(format, arguments);
    va_end(arguments);
    fprintf(stderr, "s3ctl: %s\n", text);
    free(text);
}

void show_json(const json_t *value, size_t flags)
{
    const bool terminal = isatty(STDOUT_FILENO) == 1;
    json_dumpf(value, stdout, flags | (terminal ? JSON_ENSURE_ASCII : 0));
    putchar('\n');
}

/* Without a locale that knows the character it counts as one column. */
size_t show_width(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text), width = 0;

    while (left > 0) {
        uint32_t character = 0;
        const size_t size = utf8_decode(at, left, &character);
        const int columns = size > 1 ? wcwidth((wchar_t)character) : 1;
        width += columns >= 0 ? (size_t)columns : 1;
        at += size > 0 ? size : 1;
        left -= size > 0 ? size : 1;
    }
    return width;
}

/* --- tables ----------------------------------------------------------------*/
struct cell {
    char *text;
    bool note; /* a line below a row */
};

struct table {
    const char *const *titles;
    unsigned columns;
    struct cell *cells;
    size_t count, capacity;
    size_t widths[COLUMNS_MAX];
    unsigned next; /* column */
};

static bool to_the_right(const struct table *table, unsigned column)
{
    return table->titles[column][0] == '>';
}

static const char *title_of(const struct table *table, unsigned column)
{
    return table->titles[column] + (to_the_right(table, column) ? 1 : 0);
}

struct table *table_new(const char *const *titles)
{
    struct table *table = xcalloc(1, sizeof(*table));

    table->titles = titles;
    for (; titles[table->columns] != NULL; table->columns++) {
        invariant(table->columns < COLUMNS_MAX);
        table->widths[table->columns] =
            show_width(title_of(table, table->columns));
    }
    return table;
}

static struct cell *append(struct table *table, const char *format,
                           va_list arguments)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity > 0 ? 2 * table->capacity : 64;
        table->cells =
            xrealloc(table->cells, table->capacity * sizeof(*table->cells));
    }
    struct cell *cell = &table->cells[table->count++];
    *cell = (struct cell){.text = format_safe(format, arguments)};
    return cell;
}

void table_add(struct table *table, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const struct cell *cell = append(table, format, arguments);
    va_end(arguments);
    const size_t width = show_width(cell->text);
    if (width > table->widths[table->next]) {
        table->widths[table->next] = width;
    }
    table->next = table->next + 1 < table->columns ? table->next + 1 : 0;
}

void table_note(struct table *table, const char *format, ...)
{
    va_list arguments;

    invariant(table->next == 0);
    va_start(arguments, format);
    append(table, format, arguments)->note = true;
    va_end(arguments);
}

/* What is last in a line has nothing after it. */
static void print_cell(const struct table *table, unsigned column,
                       const char *text)
{
    const size_t width = show_width(text), most = table->widths[column];
    const int blank = width < most ? (int)(most - width) : 0;
    const bool last = column + 1 == table->columns;

    if (to_the_right(table, column)) {
        printf("%*s%s%s", blank, "", text, last ? "\n" : "  ");
    } else {
        printf("%s%*s%s", text, last ? 0 : blank, "", last ? "\n" : "  ");
    }
}

void table_end(struct table *table)
{
    unsigned column = 0;

    for (unsigned i = 0; i < table->columns; i++) {
        print_cell(table, i, title_of(table, i));
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->cells[i].note) {
            printf("      %s\n", table->cells[i].text);
        } else {
            print_cell(table, column, table->cells[i].text);
            column = column + 1 < table->columns ? column + 1 : 0;
        }
        free(table->cells[i].text);
    }
    invariant(column == 0);
    free(table->cells);
    free(table);
}
