/*
 * The commands, and their results for people.
 */
#include "ctl/ctl.h"
#include <stdio.h>
#include <string.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL ? value : "";
}

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_done(const json_t *result, const char *argument)
{
    (void)result;
    printf("done: %s\n", argument);
}

static void print_key(const json_t *result, const char *argument)
{
    printf("user        %s\n", argument);
    printf("access key  %s\n", text(result, "access_key"));
    printf("secret key  %s\n", text(result, "secret_key"));
    printf("The secret key is not shown again.\n");
}

static void print_user_keys(const json_t *keys)
{
    size_t i;
    json_t *key;
    json_array_foreach(keys, i, key)
    {
        const bool enabled = json_is_true(json_object_get(key, "enabled"));
        printf("  %s%s", text(key, "access_key"), enabled ? "" : " (disabled)");
    }
}

static void print_users(const json_t *result, const char *argument)
{
    size_t i;
    json_t *user;
    (void)argument;
    printf("%-24s %-5s %-64s  %s\n", "NAME", "ROOT", "ID", "KEYS");
    json_array_foreach(json_object_get(result, "users"), i, user)
    {
        const bool root = json_is_true(json_object_get(user, "root"));
        printf("%-24s %-5s %-64s", text(user, "name"), root ? "yes" : "no",
               text(user, "id"));
        print_user_keys(json_object_get(user, "access_keys"));
        putchar('\n');
    }
}

static void print_size(long long bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    printf(" %8.1f %-3s", value, units[unit]);
}

static void print_drives(const json_t *drives)
{
    size_t i;
    json_t *drive;
    printf("\n%-5s %-8s %12s %12s %8s  %-12s %s\n", "DRIVE", "STATE", "TOTAL",
           "FREE", "EXTENTS", "DOMAIN", "DIRECTORY");
    json_array_foreach(drives, i, drive)
    {
        printf("%-5lld %-8s", number(drive, "index"), text(drive, "state"));
        print_size(number(drive, "total_bytes"));
        print_size(number(drive, "free_bytes"));
        printf(" %8lld  %-12s %s\n", number(drive, "extents"),
               text(drive, "domain"), text(drive, "directory"));
    }
}

static void print_status(const json_t *result, const char *argument)
{
    const json_t *connections = json_object_get(result, "connections");
    json_t *requests = json_object_get(result, "requests"), *count;
    const char *operation;
    (void)argument;
    printf("s3d %s, up %lld s\n", text(result, "version"),
           number(result, "uptime_seconds"));
    printf("connections: %lld request, %lld control, %lld admin; "
           "%lld requests under way\n",
           number(connections, "request"), number(connections, "control"),
           number(connections, "admin"), number(result, "in_flight"));
    print_drives(json_object_get(result, "drives"));
    printf("\n%-28s %12s\n", "REQUESTS", "COUNT");
    json_object_foreach(requests, operation, count) printf(
        "%-28s %12lld\n", operation, (long long)json_integer_value(count));
    printf("%-28s %12lld\n", "5xx", number(result, "server_errors"));
    printf("%-28s %12lld\n", "aborted", number(result, "aborted"));
}

const struct ctl_command ctl_commands[] = {
    {"user add", "user.add", "name", "NAME", true, print_key},
    {"user list", "user.list", NULL, "", false, print_users},
    {"user delete", "user.delete", "name", "NAME", false, print_done},
    {"key add", "key.add", "user", "USER", false, print_key},
    {"key delete", "key.delete", "access_key", "KEY", false, print_done},
    {"key enable", "key.enable", "access_key", "KEY", false, print_done},
    {"key disable", "key.disable", "access_key", "KEY", false, print_done},
    {"kms key add", "kms.key.add", "key", "KEY", false, print_done},
    {"kms key rotate", "kms.key.rotate", "key", "KEY", false, print_done},
    {"kms key enable", "kms.key.enable", "key", "KEY", false, print_done},
    {"kms key disable", "kms.key.disable", "key", "KEY", false, print_done},
    {"kms key list", "kms.key.list", NULL, "", false, print_kms_keys},
    {"status", "status", NULL, "", false, print_status},
    {NULL, NULL, NULL, NULL, false, NULL},
};
