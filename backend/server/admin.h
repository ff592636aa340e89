/*
 * Private to server/: the commands of s3ctl. Each takes a JSON object and
 * answers one; an error is {"error": "what is wrong"}.
 */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "server/private.h"
#include <jansson.h>

/* Buckets and accounts in an answer. Of some hundred bytes each: far below what
 * a reply may have in all its frames. */
#define ADMIN_ENTRIES_MAX 50000

struct admin_command;

struct admin_call {
    struct server *server;
    struct iam *iam;
    const struct admin_command *command;
    json_t *arguments;
    struct buffer *out;         /* the reply: empty until the end */
    struct admin_sequel sequel; /* what comes after the reply */
};

struct admin_command {
    const char *name; /* "user.add" */
    int (*run)(struct admin_call *call);
    enum iam_kind kind; /* of entities: what the command is about */
};

/* Tables that end with an entry without a name. */
extern const struct admin_command admin_account_commands[];
extern const struct admin_command admin_backup_commands[];
extern const struct admin_command admin_bucket_commands[];
extern const struct admin_command admin_drive_commands[];
extern const struct admin_command admin_durability_commands[];
extern const struct admin_command admin_entity_commands[];
extern const struct admin_command admin_key_commands[];
extern const struct admin_command admin_kms_commands[];
extern const struct admin_command admin_care_commands[];
extern const struct admin_command admin_rebalance_commands[];
extern const struct admin_command admin_reclaim_commands[];
extern const struct admin_command admin_event_commands[];
extern const struct admin_command admin_policy_commands[];
extern const struct admin_command admin_quota_commands[];
extern const struct admin_command admin_upload_commands[];
extern const struct admin_command admin_usage_commands[];
extern const struct admin_command admin_request_commands[];

/* NULL if it is missing or not a string. */
const char *admin_text(const struct admin_call *call, const char *name);
/* Replies that the command is refused; returns the error. */
int admin_refuse(struct admin_call *call, int error, const char *message);
/* The same in words for what iam.h's functions say; `message` is what is
 * wrong with a policy, or "". 0 replies {}. */
int admin_outcome(struct admin_call *call, int error, const char *message);
/* Gives up the object. */
int admin_reply(struct admin_call *call, json_t *object);
/* The account named by the argument, or the operator's; an error was replied.
 */
int admin_account(struct admin_call *call, struct iam_account *account);
/* The drives, of `status` and `drive.list`. (admin_drives.c) */
json_t *admin_drives(struct server *server);
/* The targets of events, of `status` and `events.status`. (admin_events.c) */
json_t *admin_events(struct publisher *publisher);
/* How far a drive is drained. (admin_rebalance.c) */
json_t *admin_drain_json(const struct rebalance_status *now, unsigned index);
void admin_add_time(json_t *object, const char *name, uint64_t ms);
void admin_add_credentials(json_t *object,
                           const struct iam_credentials *credentials);
/* A policy document in the argument; data == NULL if it is missing. */
struct slice admin_document(const struct admin_call *call, const char *name);

#endif
