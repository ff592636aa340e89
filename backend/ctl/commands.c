/*
 * The commands, and their results for people.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <stdio.h>

/* --- results ---------------------------------------------------------------*/
static void print_done(const json_t *result, const char *argument)
{
    (void)result;
    show_line("done%s%s", argument[0] != '\0' ? ": " : "", argument);
}

static void print_key(const json_t *result, const char *argument)
{
    static const char *const members[][2] = {
        {"account", "number"}, {"id", "id"}, {"arn", "arn"}};
    show_line("name        %s", argument);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (show_text(result, members[i][1])[0] != '\0') {
            show_line("%-11s %s", members[i][0],
                      show_text(result, members[i][1]));
        }
    }
    show_line("access key  %s", show_text(result, "access_key"));
    show_line("secret key  %s", show_text(result, "secret_key"));
    show_line("The secret key is not shown again.");
}

static void print_json(const json_t *result, const char *argument)
{
    (void)argument;
    show_json(result, JSON_INDENT(2));
}

static void print_simulated(const json_t *result, const char *argument)
{
    const char *policy = show_text(result, "policy");
    const char *sid = show_text(result, "sid");
    (void)argument;
    show_line(
        "%s (%s%s)", show_text(result, "decision"), show_text(result, "source"),
        json_is_true(json_object_get(result, "explicit")) ? ", explicit" : "");
    if (json_object_get(result, "statement") != NULL) {
        show_line("by statement %lld%s%s%s%s", show_number(result, "statement"),
                  sid[0] != '\0' ? " " : "", sid,
                  policy[0] != '\0' ? " of " : "", policy);
    }
}

static const char *yes_or_no(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name)) ? "yes" : "no";
}

static void print_accounts(const json_t *result, const char *argument)
{
    static const char *const titles[] = {"NAME", "NUMBER", "OPERATOR", "ID",
                                         NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *account;
    (void)argument;
    json_array_foreach(json_object_get(result, "accounts"), i, account)
    {
        table_add(table, "%s", show_text(account, "name"));
        table_add(table, "%s", show_text(account, "number"));
        table_add(table, "%s", yes_or_no(account, "operator"));
        table_add(table, "%s", show_text(account, "id"));
    }
    table_end(table);
}

static void print_entities(const json_t *result, const char *argument)
{
    static const char *const titles[] = {"NAME", "ID", "ARN", NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *entity;
    (void)argument;
    json_array_foreach(json_object_get(result, "list"), i, entity)
    {
        table_add(table, "%s", show_text(entity, "name"));
        table_add(table, "%s", show_text(entity, "id"));
        table_add(table, "%s", show_text(entity, "arn"));
    }
    table_end(table);
}

static void print_keys(const json_t *result, const char *argument)
{
    static const char *const titles[] = {"KEY", "ENABLED", "USER",
                                         "DESCRIPTION", NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *key;
    (void)argument;
    json_array_foreach(json_object_get(result, "list"), i, key)
    {
        const char *user = show_text(key, "user");
        table_add(table, "%s", show_text(key, "access_key"));
        table_add(table, "%s", yes_or_no(key, "enabled"));
        table_add(table, "%s", user[0] != '\0' ? user : "(root)");
        table_add(table, "%s", show_text(key, "description"));
    }
    table_end(table);
}

static void print_buckets(const json_t *result, const char *argument)
{
    static const char *const titles[] = {
        "BUCKET",        "ACCOUNT",    ">OBJECTS", ">BYTES",
        "CREATED (UTC)", "VERSIONING", NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *bucket;
    char bytes[SHOW_SIZE], time[SHOW_SIZE];
    (void)argument;
    json_array_foreach(json_object_get(result, "buckets"), i, bucket)
    {
        table_add(table, "%s", show_text(bucket, "name"));
        table_add(table, "%s", show_text(bucket, "account"));
        table_add(table, "%lld", show_number(bucket, "objects"));
        table_add(table, "%s",
                  show_bytes((uint64_t)show_number(bucket, "bytes"), bytes));
        table_add(table, "%s",
                  show_time(show_number(bucket, "created_ms"), time));
        table_add(table, "%s", show_text(bucket, "versioning"));
    }
    table_end(table);
    show_truncated(result, "--prefix or --account");
}

static void print_mirrors(const json_t *metadata)
{
    static const char *const titles[] = {"METADATA", "",          ">JOURNALED",
                                         ">APPLIED", "DIRECTORY", NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *mirror;
    if (json_is_true(json_object_get(metadata, "read_only"))) {
        printf("\nREAD-ONLY: the metadata take no changes, as too many mirrors "
               "failed at once.\nBring their drives back and start s3d "
               "again.\n");
    }
    json_array_foreach(json_object_get(metadata, "mirrors"), i, mirror)
    {
        const bool primary = json_is_true(json_object_get(mirror, "primary"));
        table_add(table, "%s", show_text(mirror, "state"));
        table_add(table, "%s", primary ? "primary" : "");
        table_add(table, "%lld", show_number(mirror, "journaled"));
        table_add(table, "%lld", show_number(mirror, "applied"));
        table_add(table, "%s", show_text(mirror, "directory"));
    }
    putchar('\n');
    table_end(table);
}

static void print_archive(const json_t *archive)
{
    const long long copies = show_number(archive, "copies");
    if (copies == 0) {
        printf("archive   none is up to date\n");
        return;
    }
    printf("archive   on %lld drives, %lld bytes each\n", copies,
           show_number(archive, "snapshot_bytes") +
               show_number(archive, "log_bytes"));
}

static void print_requests(const json_t *result)
{
    static const char *const titles[] = {"REQUESTS", ">COUNT", NULL};
    struct table *table = table_new(titles);
    json_t *requests = json_object_get(result, "requests"), *count;
    const char *operation;
    json_object_foreach(requests, operation, count)
    {
        table_add(table, "%s", operation);
        table_add(table, "%lld", (long long)json_integer_value(count));
    }
    table_add(table, "5xx");
    table_add(table, "%lld", show_number(result, "server_errors"));
    table_add(table, "aborted");
    table_add(table, "%lld", show_number(result, "aborted"));
    putchar('\n');
    table_end(table);
}

/* Of the wall clock, if s3d has seen one. */
static void print_jump(const json_t *jump)
{
    const long long ms = show_number(jump, "ms");
    char when[SHOW_SIZE];
    if (ms != 0) {
        printf("the clock jumped %lld s %s, to %s UTC\n", llabs(ms) / 1000,
               ms > 0 ? "forward" : "back",
               show_time(show_number(jump, "time"), when));
    }
}

static void print_status(const json_t *result, const char *argument)
{
    const json_t *connections = json_object_get(result, "connections");
    (void)argument;
    show_line("s3d %s, up %lld s", show_text(result, "version"),
              show_number(result, "uptime_seconds"));
    printf("connections: %lld request, %lld control, %lld admin; "
           "%lld requests under way\n",
           show_number(connections, "request"),
           show_number(connections, "control"),
           show_number(connections, "admin"), show_number(result, "in_flight"));
    print_jump(json_object_get(result, "clock_jump"));
    print_drives(result, "");
    print_mirrors(json_object_get(result, "metadata"));
    print_archive(
        json_object_get(json_object_get(result, "metadata"), "archive"));
    if (json_array_size(json_object_get(result, "events")) > 0) {
        putchar('\n');
        print_events(result, "");
    }
    print_requests(result);
}

/* --- the table -------------------------------------------------------------*/
/* clang-format off */
#define NAME     {"name", "NAME", false}
#define POLICY   {"policy", "POLICY", false}
#define GROUP    {"group", "GROUP", false}
#define DOCUMENT {"document", "FILE", true}
#define KMS_KEY  {"key", "KEY", false}
#define DRIVE    {"drive", "N", false}
#define KEY      {"access_key", "KEY", false}
#define IN_BUCKET {"bucket", "[BUCKET]", false}
#define USER     {"user", "[USER]", false}
#define DIRECTORY {"directory", "DIR", false}
#define BACKUP   {"backup", "FILE", false}
#define BUCKET   {"bucket", "s3://BUCKET[/PREFIX]", false}
#define NEW_USER (CTL_ACCOUNT | CTL_PATH | CTL_KEYS)
#define GRANTED(kind)                                                          \
    {kind " attach", kind ".attach", {NAME, POLICY}, CTL_ACCOUNT, print_done,  \
     "give it a managed policy (name or ARN)"},                                \
        {kind " detach", kind ".detach", {NAME, POLICY}, CTL_ACCOUNT,          \
         print_done, "take it away"},                                          \
        {kind " put-policy", kind ".put-policy", {NAME, POLICY, DOCUMENT},     \
         CTL_ACCOUNT, print_done, "an inline policy from a file"},             \
    {                                                                          \
        kind " delete-policy", kind ".delete-policy", {NAME, POLICY},          \
            CTL_ACCOUNT, print_done, "delete an inline policy"                 \
    }
#define SEEN(kind)                                                             \
    {kind " list", kind ".list", {{0}}, CTL_ACCOUNT, print_entities, ""},      \
    {                                                                          \
        kind " show", kind ".show", {NAME}, CTL_ACCOUNT, print_json,           \
            "all about it, as JSON"                                            \
    }

const struct ctl_command ctl_commands[] = {
    {"account add", "account.add", {NAME}, CTL_OPERATOR | CTL_KEYS, print_key,
     "an account; its root user's key is shown once"},
    {"account list", "account.list", {{0}}, 0, print_accounts, ""},
    {"account show", "account.show", {NAME}, 0, print_json, "and its keys"},
    {"account block",
     "account.block",
     {NAME, {"public_access_block", "WHAT", false}},
     0,
     print_done,
     "public access to its buckets: all, none, BlockPublicAcls,..."},
    {"account delete", "account.delete", {NAME}, 0, print_done,
     "one without users, groups, roles and policies"},
    {"user add", "user.add", {NAME}, NEW_USER, print_key,
     "a user without rights; its key is shown once"},
    SEEN("user"),
    {"user delete", "user.delete", {NAME}, CTL_ACCOUNT, print_done,
     "with its keys and inline policies"},
    {"user join", "user.join", {NAME, GROUP}, CTL_ACCOUNT, print_done, ""},
    {"user leave", "user.leave", {NAME, GROUP}, CTL_ACCOUNT, print_done, ""},
    GRANTED("user"),
    {"group add", "group.add", {NAME}, CTL_ACCOUNT | CTL_PATH, print_done, ""},
    SEEN("group"),
    {"group delete", "group.delete", {NAME}, CTL_ACCOUNT, print_done,
     "one without members and policies"},
    GRANTED("group"),
    {"role add", "role.add", {NAME, DOCUMENT},
     CTL_ACCOUNT | CTL_PATH | CTL_DESCRIPTION, print_done,
     "FILE: the trust policy, who may assume it"},
    SEEN("role"),
    {"role trust", "role.trust", {NAME, DOCUMENT}, CTL_ACCOUNT, print_done,
     "another trust policy"},
    {"role delete", "role.delete", {NAME}, CTL_ACCOUNT, print_done,
     "its sessions end"},
    GRANTED("role"),
    {"policy add", "policy.add", {NAME, DOCUMENT},
     CTL_ACCOUNT | CTL_PATH | CTL_DESCRIPTION, print_done,
     "a managed policy, for many to have"},
    SEEN("policy"),
    {"policy update", "policy.update", {NAME, DOCUMENT}, CTL_ACCOUNT,
     print_done, "for all who have it, at once"},
    {"policy delete", "policy.delete", {NAME}, CTL_ACCOUNT, print_done,
     "one that nobody has"},
    {"policy simulate",
     "policy.simulate",
     {{"principal", "WHO", false},
      {"action", "ACTION", false},
      {"resource", "RESOURCE", false}},
     CTL_CONTEXT,
     print_simulated,
     "may it, and why; WHO: an ARN, a key, anonymous"},
    {"key add", "key.add", {USER}, CTL_ACCOUNT | CTL_KEYS, print_key,
     "one more key; without USER: the root user's"},
    {"key list", "key.list", {USER}, CTL_ACCOUNT, print_keys, ""},
    {"key disable", "key.disable", {KEY}, 0, print_done, "works no more"},
    {"key enable", "key.enable", {KEY}, 0, print_done, "works again"},
    {"key rotate", "key.rotate", {KEY}, CTL_SECRET, print_key,
     "another secret; the old one works no more"},
    {"key delete", "key.delete", {KEY}, 0, print_done, ""},
    {"service-account add", "service-account.add", {USER},
     CTL_ACCOUNT | CTL_KEYS | CTL_POLICY | CTL_DESCRIPTION, print_key,
     "a key that may what its user may, or less"},
    {"service-account list", "service-account.list", {USER}, CTL_ACCOUNT,
     print_keys, ""},
    {"service-account policy", "service-account.policy", {KEY, DOCUMENT}, 0,
     print_done, "narrows it anew"},
    {"service-account delete", "key.delete", {KEY}, 0, print_done, ""},
    {"master-key rotate", "master-key.rotate", {{0}}, 0, print_done,
     "seals the secrets of all access keys anew"},
    {"kms key add", "kms.key.add", {KMS_KEY}, 0, print_done,
     "one more master key, for SSE-KMS"},
    {"kms key list", "kms.key.list", {{0}}, 0, print_kms_keys,
     "the keyring's master keys"},
    {"kms key disable", "kms.key.disable", {KMS_KEY}, 0, print_done,
     "neither encrypts nor decrypts"},
    {"kms key enable", "kms.key.enable", {KMS_KEY}, 0, print_done, ""},
    {"kms key rotate", "kms.key.rotate", {KMS_KEY}, 0, print_done,
     "a new version wraps from now on; also SSE-S3"},
    {"kms rewrap status", "kms.rewrap.status", {{0}}, 0, print_rewrap,
     "how far it is"},
    {"kms rewrap", "kms.rewrap", {{0}}, 0, print_done,
     "moves object keys to the newest versions of master keys"},
    {"bucket list", "bucket.list", {{0}}, CTL_ACCOUNT | CTL_PREFIX, print_buckets,
     "all buckets, or those of --account or with a --prefix"},
    {"bucket show", "bucket.show", {{"bucket", "BUCKET", false}}, 0, print_json,
     "all about it, as JSON"},
    {"uploads list", "uploads.list", {IN_BUCKET}, CTL_AGE, print_uploads,
     "multipart uploads that are neither completed nor aborted"},
    {"uploads abort", "uploads.abort", {IN_BUCKET}, CTL_AGE | CTL_AGED | CTL_DRY_RUN,
     print_aborted, "those that are --older-than AGE; their parts' space comes back"},
    {"heal start", "heal.start", {{0}}, 0, print_done,
     "what waits for a drive is tried again"},
    {"heal status", "heal.status", {{0}}, CTL_WATCH, print_heal,
     "what is short of shards, and what is done"},
    {"heal", "heal.status", {{0}}, CTL_WATCH, print_heal, "the same"},
    {"scrub start", "scrub.start", {{0}}, 0, print_done,
     "verify every byte from the beginning, at the full rate"},
    {"scrub stop", "scrub.stop", {{0}}, 0, print_done,
     "until it is started, or s3d is"},
    {"scrub status", "scrub.status", {{0}}, 0, print_scrub,
     "how far it is, and what it found"},
    {"durability", "durability", {{0}}, 0, print_durability,
     "of the last week, month and year, as measured"},
    {"reclaim start", "reclaim.start", {{0}}, 0, print_done,
     "look at once for space that can come back"},
    {"reclaim status", "reclaim.status", {{0}}, 0, print_reclaim,
     "what came back, and what was moved for it"},
    {"events status", "events.status", {{0}}, 0, print_events,
     "targets of event notifications, and what waits for them"},
    {"rebalance start", "rebalance.start", {{0}}, 0, print_done,
     "make drives evenly full, also if they nearly are"},
    {"rebalance stop", "rebalance.stop", {{0}}, 0, print_done,
     "until it is started, or s3d is"},
    {"rebalance status", "rebalance.status", {{0}}, 0, print_rebalance,
     "how full drives are, and what is moved"},
    {"events tail", "events.tail", {{0}}, CTL_FILTER | CTL_EVENT, NULL,
     "follows events as they happen, a line of JSON each"},
    {"backup accept", "backup.accept", {{0}}, CTL_YES, print_done,
     "of what was restored: what came later is reclaimed"},
    {"quota set", "quota.set", {IN_BUCKET}, CTL_ACCOUNT | CTL_USER | CTL_LIMITS,
     print_done, "limits of a bucket, of all buckets of --account, of a --user"},
    {"quota show", "quota.show", {IN_BUCKET}, CTL_ACCOUNT | CTL_FILTER, print_usage_of,
     "who has limits, and how much of them is used"},
    {"quota remove", "quota.remove", {IN_BUCKET}, CTL_ACCOUNT | CTL_USER, print_done,
     "all limits of a bucket, of --account, or of a --user"},
    {"usage verify", "usage.verify", {{0}}, 0, print_recount,
     "count everything anew, and compare"},
    {"usage repair", "usage.repair", {{0}}, 0, print_recount,
     "the same, and put right what differs"},
    {"usage", "usage.show", {IN_BUCKET}, CTL_ACCOUNT | CTL_FILTER, print_usage_of,
     "what buckets and accounts have stored"},
    {"drive list", "drive.list", {{0}}, 0, print_drives, "and their states"},
    {"drive replace", "drive.replace", {DRIVE}, CTL_YES, print_replaced,
     "a new disk is there, blank; without --yes: what it means"},
    {"drive drain", "drive.drain", {DRIVE}, 0, print_drained,
     "what is on it goes to other drives"},
    {"drive use", "drive.use", {DRIVE}, 0, print_done,
     "it is no longer drained"},
    {"drive remove", "drive.remove", {DRIVE}, CTL_YES | CTL_FORCE,
     print_removed, "take it out for ever; with --force if it is lost"},
    {"status", "status", {{0}}, 0, print_status,
     "drives, connections, requests"},
    {"top", NULL, {{0}}, CTL_ONCE, NULL,
     "requests now, by operation and bucket, and those under way"},
    {"trace", NULL, {{"request", "[REQUEST-ID]", false}}, CTL_FOLLOW | CTL_FILTER, NULL,
     "one request's way and times; or --follow, of each"},
    {"bench drives", NULL, {{0}}, CTL_BENCH, NULL,
     "how fast each drive is, and which is slow; --size of a file"},
    {"bench", NULL, {{0}}, CTL_ENDPOINT | CTL_BENCH, NULL,
     "how fast an endpoint is, in a bucket that is made and removed"},
    {"doctor", NULL, {{0}}, CTL_CONFIG | CTL_NGINX, NULL,
     "what is wrong on this machine, and how to mend it"},
    {"completion bash", NULL, {{0}}, 0, NULL,
     "a script that completes s3ctl's command line"},
    {"completion zsh", NULL, {{0}}, 0, NULL, "the same for zsh"},
    {"rebuild", NULL, {{0}}, CTL_CONFIG, NULL,
     "the metadata from the drives, when all mirrors are lost; s3d must not run"},
    {"backup create", NULL, {DIRECTORY}, 0, NULL,
     "the metadata as they are now, in a file; DIR -: on stdout"},
    {"backup journal", NULL, {DIRECTORY}, CTL_WATCH, NULL,
     "what was committed since the last file there"},
    {"backup verify", NULL, {BACKUP}, CTL_POINT, NULL,
     "whether it is whole, and of what"},
    {"restore", NULL, {BACKUP}, CTL_CONFIG | CTL_POINT, NULL,
     "the metadata from a backup and the drives; s3d must not run"},
    {"import", NULL, {DIRECTORY, BUCKET}, 0, NULL,
     "files become objects (import --help)"},
    {"export", NULL, {BUCKET, DIRECTORY}, 0, NULL, "and back"},
    {"migrate", NULL, {BUCKET, BUCKET}, 0, NULL,
     "from any endpoint to any other"},
    {"purge", NULL, {{0}}, CTL_CONFIG | CTL_TEST | CTL_STATUS, NULL,
     "tell caches what has changed, until a signal"},
    {NULL, NULL, {{0}}, 0, NULL, NULL},
};
/* clang-format on */

const struct ctl_program ctl_programs[] = {
    {"bench", run_bench},
    {"bench drives", run_bench_drives},
    {"doctor", run_doctor},
    {"completion bash", run_completion_bash},
    {"completion zsh", run_completion_zsh},
    {"top", run_top},
    {"trace", run_trace},
    {"rebuild", run_rebuild},
    {"restore", run_rebuild},
    {"backup create", run_backup_create},
    {"backup journal", run_backup_journal},
    {"backup verify", run_backup_verify},
    {"purge", run_purge},
    {NULL, NULL},
};
