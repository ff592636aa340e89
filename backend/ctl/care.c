/*
 * Scrub and heal, for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 40

static bool is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static void print_redundancy(const json_t *result)
{
    const json_t *ledger = json_object_get(result, "ledger");
    json_t *left = json_object_get(ledger, "by_losses_left"), *count;
    const char *losses;
    printf("redundancy   %s\n", is_true(result, "fully_redundant")
                                    ? "full: proven by the last scrub"
                                : show_number(ledger, "queued") > 0
                                    ? "reduced"
                                    : "not proven: no scrub has passed since "
                                      "the drives changed, or one is away");
    printf("drives       %lld of %lld usable\n",
           show_number(result, "drives_ok"), show_number(result, "drives"));
    json_object_foreach(left, losses, count)
    {
        printf("blobs        %lld bear the loss of %s more\n",
               (long long)json_integer_value(count), losses);
    }
    if (show_number(ledger, "unreadable") > 0) {
        printf("blobs        %lld UNREADABLE: too few shards are there\n",
               show_number(ledger, "unreadable"));
    }
    if (show_number(ledger, "waiting") > 0) {
        printf("waiting      %lld, for a drive\n",
               show_number(ledger, "waiting"));
    }
}

void print_heal(const json_t *result, const char *argument)
{
    const json_t *heal = json_object_get(result, "heal");
    const json_t *today = json_object_get(result, "today");
    (void)argument;
    print_redundancy(result);
    printf("healing      %lld now, %lld done, %lld bytes written",
           show_number(heal, "active"), show_number(heal, "healed"),
           show_number(heal, "bytes"));
    if (json_object_get(heal, "estimate_seconds") != NULL) {
        printf(", about %lld s to go", show_number(heal, "estimate_seconds"));
    }
    printf("\ntoday        %lld shards bad, %lld rebuilt (%lld bytes)\n",
           show_number(today, "shards_bad"),
           show_number(today, "shards_repaired"),
           show_number(today, "bytes_repaired"));
}

static void print_pass(const char *name, const json_t *pass)
{
    char text[SHOW_SIZE];
    if (pass == NULL) {
        return;
    }
    printf("%-12s began %s: %lld blobs, %lld bytes; %lld shards bad, "
           "%lld references dangle\n",
           name, show_time(show_number(pass, "started_ms"), text),
           show_number(pass, "blobs"), show_number(pass, "bytes"),
           show_number(pass, "shards_bad"), show_number(pass, "dangling"));
}

static void print_dangling(const json_t *pass)
{
    size_t i;
    const json_t *object;
    json_array_foreach(json_object_get(pass, "dangling_objects"), i, object)
    {
        const char *version = show_text(object, "version_id");
        show_line("dangling     %s/%s%s%s", show_text(object, "bucket"),
                  show_text(object, "key"),
                  version[0] != '\0' ? " version " : "", version);
    }
}

void print_scrub(const json_t *result, const char *argument)
{
    const json_t *scrub = json_object_get(result, "scrub");
    (void)argument;
    print_redundancy(result);
    printf("scrub        %s, %lld passes, up to %lld bytes a second\n",
           is_true(scrub, "walking")   ? "looks for what changed drives held"
           : is_true(scrub, "running") ? "runs"
           : is_true(scrub, "stopped") ? "stopped"
                                       : "rests",
           show_number(scrub, "passes"), show_number(scrub, "rate"));
    print_pass("this pass", json_object_get(scrub, "pass"));
    print_pass("last pass", json_object_get(scrub, "last"));
    print_dangling(json_object_get(scrub, "last"));
}

/* On a terminal the line is drawn over. */
bool watch_heal(const json_t *result, bool json)
{
    const json_t *ledger = json_object_get(result, "ledger");
    const json_t *heal = json_object_get(result, "heal");
    const long long rest =
        show_number(ledger, "queued") - show_number(ledger, "waiting");
    const long long done = show_number(heal, "healed");
    const int filled =
        rest + done > 0 ? (int)(BAR_WIDTH * done / (rest + done)) : BAR_WIDTH;
    char bar[BAR_WIDTH + 1];
    if (json) {
        show_json(result, JSON_COMPACT);
        fflush(stdout);
        return rest == 0;
    }
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    printf("%s[%s] %lld of %lld", isatty(STDOUT_FILENO) ? "\r\033[K" : "", bar,
           done, rest + done);
    if (rest > 0 && json_object_get(heal, "estimate_seconds") != NULL) {
        printf(", about %lld s to go", show_number(heal, "estimate_seconds"));
    }
    if (show_number(ledger, "waiting") > 0) {
        printf(", %lld wait for a drive", show_number(ledger, "waiting"));
    }
    if (!isatty(STDOUT_FILENO) || rest == 0) {
        putchar('\n');
    }
    fflush(stdout);
    return rest == 0;
}
