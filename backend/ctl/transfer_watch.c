/*
 * Import and export, for people and for programs.
 */
#include "ctl/transfer_watch.h"
#include "ctl/safe_text.h"
#include "ctl/show.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 24
#define LINE_US   (10 * 1000000ull) /* between lines, where there is no bar */
#define NOTES_MAX 1000u             /* in the JSON */
/* What a file costs beside its bytes, in bytes: for the estimate. */
#define FILE_COST (64ull << 10)

/* --- text ------------------------------------------------------------------*/
static const char *time_text(double seconds, char text[32])
{
    const uint64_t whole = (uint64_t)seconds;

    snprintf(text, 32, "%llu:%02u:%02u", (unsigned long long)(whole / 3600),
             (unsigned)(whole / 60 % 60), (unsigned)(whole % 60));
    return text;
}

static double seconds_since(uint64_t begun_us)
{
    return (double)(clock_monotonic_us() - begun_us) / 1e6;
}

/* --- progress --------------------------------------------------------------*/
static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static void append_state(struct buffer *line, const struct transfer_show *show,
                         const struct transfer_counts *counts)
{
    const double elapsed = seconds_since(show->begun_us);
    const uint64_t files = counts->moved + counts->same + counts->failed;
    const uint64_t in_flight = counts->wire_bytes > counts->moved_bytes
                                   ? counts->wire_bytes
                                   : counts->moved_bytes;
    const uint64_t bytes =
        at_most(counts->same_bytes + in_flight, counts->bytes_total);
    const double total =
        (double)counts->bytes_total + (double)(counts->files_total * FILE_COST);
    const double done = (double)bytes + (double)(files * FILE_COST);
    const double moved =
        (double)in_flight + (double)(counts->moved * FILE_COST);
    char a[32], b[32], c[32], d[32];

    buffer_printf(
        line, "%3.0f%%  %s of %s  %llu of %llu files  %s/s",
        total > 0 ? 100 * done / total : 100, show_bytes(bytes, a),
        show_bytes(counts->bytes_total, b), (unsigned long long)files,
        (unsigned long long)counts->files_total,
        show_bytes((uint64_t)((double)counts->wire_bytes / elapsed), c));
    if (moved > 0 && elapsed > 1 && total >= done) {
        buffer_printf(line, "  %s left",
                      time_text(elapsed * (total - done) / moved, d));
    }
}

static void append_bar(struct buffer *line,
                       const struct transfer_counts *counts)
{
    const uint64_t files = counts->moved + counts->same + counts->failed;
    const uint64_t total =
        counts->bytes_total + counts->files_total * FILE_COST;
    const uint64_t done =
        at_most(counts->same_bytes + counts->wire_bytes, counts->bytes_total) +
        files * FILE_COST;
    const unsigned width =
        total > 0 ? (unsigned)(at_most(done, total) * BAR_WIDTH / total)
                  : BAR_WIDTH;

    buffer_append_string(line, "[");
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        buffer_append_string(line, i < width ? "#" : "-");
    }
    buffer_append_string(line, "] ");
}

void transfer_show_progress(void *context, const struct transfer_counts *counts)
{
    struct transfer_show *show = context;
    struct buffer line = {0};

    if (show->terminal) {
        buffer_append_string(&line, "\r");
        append_bar(&line, counts);
        append_state(&line, show, counts);
        buffer_append_string(&line, "\x1b[K"); /* to the line's end */
        show->bar = true;
    } else if (!show->json && clock_monotonic_us() - show->told_us > LINE_US) {
        append_state(&line, show, counts);
        buffer_append_string(&line, "\n");
        show->told_us = clock_monotonic_us();
    }
    if (line.size > 0) {
        fwrite(line.data, 1, line.size, stderr);
        fflush(stderr);
    }
    buffer_free(&line);
}

static void clear_bar(struct transfer_show *show)
{
    if (show->bar) {
        fputs("\r\x1b[K", stderr);
        show->bar = false;
    }
}

/* --- notes -----------------------------------------------------------------*/
static void keep_note(json_t *notes, const char *name, const char *why)
{
    struct buffer a = {0}, b = {0};

    if (json_array_size(notes) < NOTES_MAX) {
        json_array_append_new(notes, json_pack("{s:s, s:s}", "name",
                                               safe_text(&a, name), "why",
                                               safe_text(&b, why)));
    }
    buffer_free(&a);
    buffer_free(&b);
}

static void print_note(struct transfer_show *show, const char *word,
                       const char *name, const char *why)
{
    struct buffer a = {0}, b = {0};

    clear_bar(show);
    fprintf(stderr, "%s: %s: %s\n", word, safe_text(&a, name),
            safe_text(&b, why));
    buffer_free(&a);
    buffer_free(&b);
}

void transfer_show_note(void *context, enum transfer_note note,
                        const char *name, const char *why)
{
    struct transfer_show *show = context;
    struct buffer text = {0};

    if (note == TRANSFER_MOVED) {
        if (show->names && !show->json) {
            clear_bar(show);
            printf("%s\n", safe_text(&text, name));
            fflush(stdout);
        }
    } else {
        const bool failed = note == TRANSFER_FAILED;
        keep_note(failed ? show->failed : show->left_out, name, why);
        print_note(show, failed ? "failed" : "left out", name, why);
    }
    buffer_free(&text);
}

/* --- beginning and end -----------------------------------------------------*/
void transfer_show_begin(struct transfer_show *show)
{
    show->terminal = isatty(STDERR_FILENO) == 1;
    show->begun_us = clock_monotonic_us();
    show->told_us = show->begun_us;
    show->failed = json_array();
    show->left_out = json_array();
}

static void print_json(const struct transfer_show *show,
                       const struct transfer_counts *counts, const char *error)
{
    struct buffer text = {0};
    json_t *result = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:O, "
        "s:O}",
        "files", (json_int_t)counts->files_total, "bytes",
        (json_int_t)counts->bytes_total, "moved", (json_int_t)counts->moved,
        "moved_bytes", (json_int_t)counts->moved_bytes, "same",
        (json_int_t)counts->same, "left_out", (json_int_t)counts->left_out,
        "failed", (json_int_t)counts->failed, "unverified",
        (json_int_t)counts->unverified, "body_bytes",
        (json_int_t)counts->wire_bytes, "parts_kept",
        (json_int_t)counts->parts_kept, "seconds",
        seconds_since(show->begun_us), "dry_run", show->dry_run, "failures",
        show->failed, "left_out_names", show->left_out);

    invariant(result != NULL);
    if (error != NULL) {
        json_object_set_new(result, "error",
                            json_string(safe_text(&text, error)));
    }
    show_json(result, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(result);
    buffer_free(&text);
}

static void print_count(const char *format, uint64_t count)
{
    if (count > 0) {
        printf(format, (unsigned long long)count);
    }
}

static void print_summary(const struct transfer_show *show,
                          const struct transfer_counts *counts)
{
    char a[32], b[32];

    printf("%s%s %llu files, %s, in %s", show->dry_run ? "would have " : "",
           show->done, (unsigned long long)counts->moved,
           show_bytes(counts->moved_bytes, a),
           time_text(seconds_since(show->begun_us), b));
    print_count("; %llu were there already", counts->same);
    print_count("; %llu left out", counts->left_out);
    print_count("; %llu not verified: the endpoint has no checksum of them",
                counts->unverified);
    print_count("; %llu FAILED", counts->failed);
    putchar('\n');
}

void transfer_show_end(struct transfer_show *show,
                       const struct transfer_counts *counts, const char *error)
{
    struct buffer text = {0};

    clear_bar(show);
    if (show->json) {
        print_json(show, counts, error);
    } else if (error == NULL || counts->moved + counts->same > 0) {
        print_summary(show, counts);
    }
    if (error != NULL) {
        fprintf(stderr, "s3ctl: %s\n", safe_text(&text, error));
    }
    json_decref(show->failed);
    json_decref(show->left_out);
    buffer_free(&text);
}
