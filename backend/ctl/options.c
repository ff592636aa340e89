#include "ctl/options.h"
#include "ctl/ctl.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64
#define AGE_MAX  1000000 /* of any unit */
#define FIRST    256 /* of getopt's numbers for the rows: no letter is one */

/* --- values ----------------------------------------------------------------*/
bool ctl_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMG";
    const size_t size = strlen(text);
    const char *unit = size > 0 ? strchr(units, text[size - 1]) : NULL;
    const unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t count;
    if (slice_to_u64(slice_of(text, size - (unit != NULL ? 1 : 0)), &count) !=
            0 ||
        count > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = count << shift;
    return true;
}

/* --- options with a meaning of their own -----------------------------------*/
/* KEY=VALUE */
static bool take_context(struct ctl_given *given, const char *value)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value) {
        return false;
    }
    if (given->context == NULL) {
        given->context = json_object();
    }
    char *key = strndup(value, (size_t)(equals - value));
    invariant(key != NULL);
    const bool set =
        json_object_set_new(given->context, key, json_string(equals + 1)) == 0;
    free(key);
    return set;
}

static bool take_event(struct ctl_given *given, const char *value)
{
    if (given->events == NULL) {
        given->events = json_array();
    }
    return json_array_append_new(given->events, json_string(value)) == 0;
}

static bool take_size(struct ctl_given *given, const char *value)
{
    return given->size_count < CTL_SIZES_MAX &&
           ctl_parse_size(value, &given->sizes[given->size_count++]);
}

/* "30d": of seconds, minutes, hours, days or weeks. */
static bool take_age(struct ctl_given *given, const char *value)
{
    static const char units[] = "smhdw";
    static const uint64_t seconds[] = {1, 60, 3600, 86400, 7 * 86400};
    const size_t size = strlen(value);
    const char *unit = size > 0 ? strchr(units, value[size - 1]) : NULL;
    uint64_t count;
    if (unit == NULL || slice_to_u64(slice_of(value, size - 1), &count) != 0 ||
        count > AGE_MAX) {
        return false;
    }
    given->older_than_s = count * seconds[unit - units];
    return true;
}

static bool take_json(struct ctl_given *given, const char *value)
{
    (void)value;
    return given->json = true;
}

static bool take_help(struct ctl_given *given, const char *value)
{
    (void)value;
    return given->help = true;
}

/* --- the table -------------------------------------------------------------*/
#define AT(member) offsetof(struct ctl_given, member), NULL
#define ONLY       0, NULL /* that it was given */

/* clang-format off */
const struct ctl_option_row ctl_options[] = {
    {"account", 0, "NAME", CTL_ACCOUNT, AT(account),
     "of another account than the operator's"},
    {"operator", 0, NULL, CTL_OPERATOR, ONLY,
     "account add: may do everything everywhere"},
    {"access-key", 0, "KEY", CTL_KEYS, AT(access_key),
     "instead of a made-up one; its secret must be given"},
    {"secret-key-file", 0, "FILE", CTL_SECRET, AT(secret_key_file),
     "the secret; key rotate: instead of a made-up one"},
    {"path", 0, "/PATH/", CTL_PATH, AT(path),
     "of a user, group, role or policy"},
    {"description", 0, "TEXT", CTL_DESCRIPTION, AT(description),
     "of a role, policy or service account"},
    {"yes", 0, NULL, CTL_YES, ONLY, "drive replace, drive remove, backup accept: do it"},
    {"force", 0, NULL, CTL_FORCE, ONLY,
     "drive remove: what is on it counts as lost"},
    {"context", 0, "KEY=VALUE", CTL_CONTEXT, 0, take_context,
     "policy simulate: of a condition, repeatable"},
    {"policy-file", 0, "FILE", CTL_POLICY, AT(policy_file),
     "service-account add: narrows what it may"},
    {"bucket", 0, "NAME", CTL_BUCKET, AT(bucket), "only what is in this bucket"},
    {"prefix", 0, "TEXT", CTL_PREFIX, AT(prefix),
     "only keys that begin so; usage, quota show: buckets"},
    {"suffix", 0, "TEXT", CTL_EVENT, AT(suffix),
     "events tail: only keys that end so"},
    {"event", 0, "TYPE", CTL_EVENT, 0, take_event,
     "events tail: such as s3:ObjectCreated:*, repeatable"},
    {"bytes", 0, "N", CTL_LIMITS, AT(bytes),
     "quota set: N may end in K, M, G, T or P; 0 is none"},
    {"objects", 0, "N", CTL_LIMITS, AT(objects),
     "quota set: versions, delete markers, parts of uploads"},
    {"requests", 0, "N", CTL_LIMITS, AT(requests), "quota set: a second's"},
    {"download", 0, "N", CTL_LIMITS, AT(download),
     "quota set: bytes a second that clients get"},
    {"upload", 0, "N", CTL_LIMITS, AT(upload),
     "quota set: bytes a second that clients send"},
    {"user", 0, "NAME", CTL_USER, AT(user),
     "quota: of this user, of the operator's account or of --account"},
    {"watch", 0, NULL, CTL_WATCH, ONLY,
     "heal: until nothing is left; backup journal: every ten seconds"},
    {"journal", 0, "DIR", CTL_POINT, AT(journal),
     "restore, backup verify: and what the journal's files there have"},
    {"until", 0, "POINT", CTL_POINT, AT(until),
     "up to a commit, or a moment such as 2025-01-02T03:04:05Z"},
    {"older-than", 0, "AGE", CTL_AGE, 0, take_age,
     "uploads: begun so long ago: 12h, 7d, 2w; or with m, s"},
    {"dry-run", 0, NULL, CTL_DRY_RUN, ONLY,
     "uploads abort: only say what would be aborted"},
    {"test", 0, NULL, CTL_TEST, ONLY, "purge: only read the configuration"},
    {"status", 0, NULL, CTL_STATUS, ONLY,
     "purge: what its edges have confirmed"},
    {"follow", 0, NULL, CTL_FOLLOW, ONLY, "trace: each request as it ends"},
    {"once", 0, NULL, CTL_ONCE, ONLY, "top: of one second, then end"},
    {"endpoint", 0, "URL", CTL_ENDPOINT, AT(endpoint),
     "bench: ($AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL)"},
    {"profile", 0, "NAME", CTL_ENDPOINT, AT(profile),
     "bench: of ~/.aws/credentials (AWS's variables)"},
    {"region", 0, "NAME", CTL_ENDPOINT, AT(region),
     "bench: ($AWS_REGION, or us-east-1)"},
    {"ca-file", 0, "FILE", CTL_ENDPOINT, AT(ca_file),
     "bench: of the endpoint's certificate ($AWS_CA_BUNDLE)"},
    {"concurrency", 0, "N", CTL_ENDPOINT, AT(concurrency),
     "bench: requests at once, 1 to 256 (8)"},
    {"size", 0, "SIZE", CTL_BENCH, 0, take_size,
     "bench: of objects, with K, M or G, repeatable (4K and 64M)"},
    {"duration", 0, "SECONDS", CTL_BENCH, AT(duration),
     "bench: of each operation (5; of drives: 2)"},
    {"count", 0, "N", CTL_BENCH, AT(count),
     "bench: requests of each operation; of drives: syncs"},
    {"nginx-conf", 0, "FILE", CTL_NGINX, AT(nginx_conf),
     "doctor: instead of the one that nginx -V names"},
    {"config", 'c', "FILE", CTL_CONFIG, AT(config),
     "rebuild, restore, doctor: s3d's configuration; purge: its own"},
    {"socket", 's', "SOCKET", 0, AT(socket),
     "s3d's admin socket ($" CTL_SOCKET_ENV ", or " CTL_SOCKET ")"},
    {"json", 0, NULL, 0, 0, take_json, "the result as JSON"},
    {"help", 'h', NULL, 0, 0, take_help, "show this"},
    {NULL, 0, NULL, 0, 0, NULL, NULL},
};
/* clang-format on */

/* --- parsing ---------------------------------------------------------------*/
/* The table as getopt_long() wants it. */
static void describe(struct option names[ROWS_MAX + 1],
                     char letters[2 * ROWS_MAX + 1])
{
    unsigned at = 0;
    invariant(sizeof(ctl_options) / sizeof(ctl_options[0]) <= ROWS_MAX + 1);
    for (unsigned i = 0; ctl_options[i].name != NULL; i++) {
        const bool takes = ctl_options[i].value != NULL;
        names[i] = (struct option){ctl_options[i].name,
                                   takes ? required_argument : no_argument,
                                   NULL, (int)(FIRST + i)};
        names[i + 1] = (struct option){NULL, 0, NULL, 0};
        if (ctl_options[i].letter != '\0') {
            letters[at++] = ctl_options[i].letter;
            letters[at] = ':';
            at += takes;
        }
    }
    letters[at] = '\0';
}

static const struct ctl_option_row *find(int option)
{
    const struct ctl_option_row *row = ctl_options;
    for (; row->name != NULL; row++) {
        if (option == FIRST + (row - ctl_options) ||
            (option == row->letter && option != '\0')) {
            return row;
        }
    }
    return NULL;
}

static bool take(const struct ctl_option_row *row, struct ctl_given *given)
{
    given->options |= row->option;
    if (row->take != NULL) {
        return row->take(given, optarg);
    }
    if (row->value != NULL) {
        *(const char **)((char *)given + row->offset) = optarg;
    }
    return true;
}

bool ctl_options_parse(int argc, char **argv, struct ctl_given *given)
{
    struct option names[ROWS_MAX + 1];
    char letters[2 * ROWS_MAX + 1];
    bool good = true;
    int option;
    describe(names, letters);
    while ((option = getopt_long(argc, argv, letters, names, NULL)) != -1) {
        const struct ctl_option_row *row = find(option);
        if (row != NULL && !take(row, given)) {
            fprintf(stderr, "s3ctl: --%s: not a %s\n", row->name, row->value);
            row = NULL;
        }
        good = good && row != NULL;
    }
    return good;
}

int ctl_options_before(int argc, char **argv, struct ctl_given *given)
{
    struct option names[ROWS_MAX + 1];
    char letters[2 * ROWS_MAX + 2] = "+"; /* up to the first word */
    bool common = true;
    int option;
    describe(names, letters + 1);
    opterr = 0;
    while (common &&
           (option = getopt_long(argc, argv, letters, names, NULL)) != -1) {
        const struct ctl_option_row *row = find(option);
        common = row != NULL && row->option == 0 && take(row, given);
    }
    const int first = common ? optind : argc;
    opterr = 1;
    optind = 0; /* getopt_long() begins anew */
    return first;
}

bool ctl_options_fit(unsigned options, const struct ctl_given *given)
{
    unsigned left = given->options;
    if ((options & CTL_AGED) != 0 && (left & CTL_AGE) == 0) {
        return false;
    }
    if ((left & CTL_KEYS) != 0) {
        if ((left & CTL_SECRET) == 0) {
            return false;
        }
        left &= ~(unsigned)CTL_SECRET;
    }
    return (left & ~options) == 0;
}
