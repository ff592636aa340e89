/*
 * s3ctl import, export and migrate: their command line.
 */
#include "ctl/ctl.h"
#include "ctl/transfer_watch.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage_text[] =
    "usage: s3ctl import [OPTIONS] DIR s3://BUCKET[/PREFIX]\n"
    "       s3ctl export [OPTIONS] s3://BUCKET[/PREFIX] DIR\n"
    "       s3ctl migrate [OPTIONS] s3://BUCKET[/PREFIX] s3://BUCKET[/PREFIX]\n"
    "Moves what is not the same on the other side: call it again to go on "
    "with\n"
    "what was interrupted.\n"
    "\n"
    "  --endpoint URL          ($AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL)\n"
    "  --profile NAME          of ~/.aws/credentials; without it the keys are\n"
    "                          $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and\n"
    "                          $AWS_SESSION_TOKEN, or those of $AWS_PROFILE\n"
    "  --region NAME           ($AWS_REGION, or us-east-1)\n"
    "  --ca-file FILE          of the endpoint's certificate ($AWS_CA_BUNDLE)\n"
    "  -j, --jobs N            transfers at once, 1 to 64 (8)\n"
    "  -n, --dry-run           name what would be moved, move nothing\n"
    "  -v, --verbose           name what is moved\n"
    "      --json              the result as JSON\n"
    "import:\n"
    "  --follow                symbolic links, which are left out otherwise\n"
    "  --types FILE            mime.types, of nginx's form or mime-support's\n"
    "                          (/etc/nginx/mime.types, /etc/mime.types)\n"
    "  --cache-control TEXT    of every object\n"
    "  --part-size SIZE        files that are larger go in parts of it; with "
    "K,\n"
    "                          M or G (16M); of migrate, too\n"
    "migrate:\n"
    "  --from URL              the endpoint that is read (--endpoint)\n"
    "  --from-profile NAME     of ~/.aws/credentials (the same keys)\n"
    "  --from-region NAME      (--region)\n"
    "  --versions              older versions and delete markers, too\n"
    "\n"
    "exit: 0 all is there, 1 refused, 2 usage, 3 no answer, 4 some files are\n"
    "not there; stderr names them\n";

enum {
    OPTION_ENDPOINT = 256,
    OPTION_PROFILE,
    OPTION_REGION,
    OPTION_CA_FILE,
    OPTION_JSON,
    OPTION_FOLLOW,
    OPTION_TYPES,
    OPTION_CACHE_CONTROL,
    OPTION_PART_SIZE,
    OPTION_FROM,
    OPTION_FROM_PROFILE,
    OPTION_FROM_REGION,
    OPTION_VERSIONS,
};

const struct option transfer_options[] = {
    {"endpoint", required_argument, NULL, OPTION_ENDPOINT},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"region", required_argument, NULL, OPTION_REGION},
    {"ca-file", required_argument, NULL, OPTION_CA_FILE},
    {"jobs", required_argument, NULL, 'j'},
    {"dry-run", no_argument, NULL, 'n'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"types", required_argument, NULL, OPTION_TYPES},
    {"cache-control", required_argument, NULL, OPTION_CACHE_CONTROL},
    {"part-size", required_argument, NULL, OPTION_PART_SIZE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"from-profile", required_argument, NULL, OPTION_FROM_PROFILE},
    {"from-region", required_argument, NULL, OPTION_FROM_REGION},
    {"versions", no_argument, NULL, OPTION_VERSIONS},
    {NULL, 0, NULL, 0},
};

bool is_transfer(const char *word)
{
    return strcmp(word, "import") == 0 || strcmp(word, "export") == 0 ||
           strcmp(word, "migrate") == 0;
}

enum mode { MODE_IMPORT, MODE_EXPORT, MODE_MIGRATE };

static _Noreturn void exit_usage(const char *why)
{
    fprintf(stderr, "s3ctl: %s\n%s", why, usage_text);
    exit(CTL_USAGE);
}

/* --- values ----------------------------------------------------------------*/
static uint64_t take_number(const char *text, uint64_t least, uint64_t most,
                            const char *why)
{
    uint64_t value;

    if (slice_to_u64(slice_from_string(text), &value) != 0 || value < least ||
        value > most) {
        exit_usage(why);
    }
    return value;
}

static uint64_t take_size(const char *text)
{
    uint64_t size;

    if (!ctl_parse_size(text, &size) || size < TRANSFER_PART_MIN ||
        size > TRANSFER_PART_MAX) {
        exit_usage("--part-size is from 5M to 5G");
    }
    return size;
}

/* A header's value that every side signs alike. */
static const char *take_header(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' ||
            (*c == ' ' && (c == text || c[1] == ' ' || c[1] == '\0'))) {
            exit_usage("--cache-control is not a header's value");
        }
    }
    return text[0] != '\0' ? text : NULL;
}

/* --- options ---------------------------------------------------------------*/
/* Of an import only, but for the size of parts. */
static bool take_import_option(struct transfer_options *options, enum mode mode,
                               int option)
{
    if (mode == MODE_MIGRATE ? option != OPTION_PART_SIZE
                             : mode != MODE_IMPORT) {
        return false;
    }
    switch (option) {
    case OPTION_FOLLOW:
        options->follow = true;
        return true;
    case OPTION_TYPES:
        options->types = optarg;
        return true;
    case OPTION_CACHE_CONTROL:
        options->cache_control = take_header(optarg);
        return true;
    case OPTION_PART_SIZE:
        options->part_size = take_size(optarg);
        return true;
    default:
        return false;
    }
}

static bool take_migrate_option(struct transfer_options *options, int option)
{
    switch (option) {
    case OPTION_FROM:
        options->from_endpoint = optarg;
        return true;
    case OPTION_FROM_PROFILE:
        options->from_profile = optarg;
        return true;
    case OPTION_FROM_REGION:
        options->from_region = optarg;
        return true;
    case OPTION_VERSIONS:
        options->versions = true;
        return true;
    default:
        return false;
    }
}

static void take_option(struct transfer_options *options,
                        struct transfer_show *show, enum mode mode, int option)
{
    switch (option) {
    case OPTION_ENDPOINT:
        options->endpoint = optarg;
        break;
    case OPTION_PROFILE:
        options->profile = optarg;
        break;
    case OPTION_REGION:
        options->region = optarg;
        break;
    case OPTION_CA_FILE:
        options->ca_file = optarg;
        break;
    case 'j':
        options->jobs = (unsigned)take_number(optarg, 1, TRANSFER_JOBS_MAX,
                                              "--jobs is from 1 to 64");
        break;
    case 'n':
        options->dry_run = show->dry_run = show->names = true;
        break;
    case 'v':
        show->names = true;
        break;
    case OPTION_JSON:
        show->json = true;
        break;
    case 'h':
        fputs(usage_text, stdout);
        exit(CTL_OK);
    default:
        if (!take_import_option(options, mode, option) &&
            !(mode == MODE_MIGRATE && take_migrate_option(options, option))) {
            exit_usage("no such option here");
        }
    }
}

/* --- the command -----------------------------------------------------------*/
enum ctl_exit ctl_exit_of(enum transfer_result result)
{
    switch (result) {
    case TRANSFER_REFUSED:
        return CTL_REFUSED;
    case TRANSFER_USAGE:
        return CTL_USAGE;
    case TRANSFER_UNREACHABLE:
        return CTL_UNREACHABLE;
    case TRANSFER_DONE:
        break;
    }
    return CTL_OK;
}

static enum ctl_exit run(const struct transfer_options *options,
                         struct transfer_show *show, enum mode mode)
{
    const struct transfer_watch watch = {
        .context = show,
        .progress = transfer_show_progress,
        .note = transfer_show_note,
    };
    struct transfer_counts counts;
    char why[TRANSFER_WHY_MAX];

    signal(SIGPIPE, SIG_IGN); /* a connection that breaks is tried again */
    transfer_show_begin(show);
    const enum transfer_result result =
        mode == MODE_IMPORT   ? transfer_import(options, &watch, &counts, why)
        : mode == MODE_EXPORT ? transfer_export(options, &watch, &counts, why)
                              : transfer_migrate(options, &watch, &counts, why);
    transfer_show_end(show, &counts, result == TRANSFER_DONE ? NULL : why);
    return result == TRANSFER_DONE && counts.failed > 0 ? CTL_INCOMPLETE
                                                        : ctl_exit_of(result);
}

static void take_sides(struct transfer_options *options, enum mode mode,
                       char **sides)
{
    if (mode == MODE_MIGRATE) {
        options->from_url = sides[0];
    } else {
        options->directory = sides[mode == MODE_IMPORT ? 0 : 1];
    }
    options->url = sides[mode == MODE_EXPORT ? 0 : 1];
}

enum ctl_exit run_transfer(const struct ctl_given *before, int argc,
                           char **argv)
{
    static const char *const done[] = {"imported", "exported", "migrated"};
    const enum mode mode = strcmp(argv[0], "import") == 0   ? MODE_IMPORT
                           : strcmp(argv[0], "export") == 0 ? MODE_EXPORT
                                                            : MODE_MIGRATE;
    struct transfer_show show = {.done = done[mode], .json = before->json};
    struct transfer_options options = {
        .jobs = TRANSFER_JOBS,
        .part_size = TRANSFER_PART_SIZE,
    };
    int option;

    if (before->help) {
        take_option(&options, &show, mode, 'h');
    }
    while ((option = getopt_long(argc, argv, "j:nvh", transfer_options,
                                 NULL)) != -1) {
        take_option(&options, &show, mode, option);
    }
    if (argc - optind != 2) {
        exit_usage(mode == MODE_MIGRATE ? "two buckets are needed"
                                        : "a directory and a bucket are "
                                          "needed");
    }
    take_sides(&options, mode, argv + optind);
    if (mode == MODE_EXPORT && !options.dry_run &&
        mkdir(options.directory, 0777) != 0 && errno != EEXIST) {
        perror(options.directory);
        return CTL_USAGE;
    }
    return run(&options, &show, mode);
}
