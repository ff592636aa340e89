/*
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
#include "s3/worm.h"

#include "s3/authorize.h"

#include <strings.h>
#include <time.h>

#define DAY_MS     (24ull * 60 * 60 * 1000)
#define MODE       "x-amz-object-lock-mode"
#define UNTIL      "x-amz-object-lock-retain-until-date"
#define LEGAL_HOLD "x-amz-object-lock-legal-hold"

/* --- what is allowed: pure -------------------------------------------------*/
static bool runs(const Meta__Retention *retention, uint64_t now_ms)
{
    return retention != NULL && retention->mode != META__LOCK_MODE__NO_LOCK &&
           retention->until_ms > now_ms;
}

bool worm_protects(const Meta__Object *object, uint64_t now_ms, bool bypass)
{
    if (object->legal_hold == META__LEGAL_HOLD__HOLD_ON) {
        return true;
    }
    return runs(object->retention, now_ms) &&
           (object->retention->mode != META__LOCK_MODE__GOVERNANCE || !bypass);
}

bool worm_may_change(const Meta__Object *object, const Meta__Retention *wanted,
                     uint64_t now_ms, bool bypass)
{
    const Meta__Retention *old = object->retention;

    if (!runs(old, now_ms) ||
        (old->mode == META__LOCK_MODE__GOVERNANCE && bypass)) {
        return true;
    }
    return wanted != NULL && wanted->mode == old->mode &&
           wanted->until_ms >= old->until_ms; /* W3 */
}

bool worm_bypass(struct s3_call *call, struct slice key)
{
    struct slice value =
        call_request_header(call, "x-amz-bypass-governance-retention");

    return value.size == 4 &&
           strncasecmp((const char *)value.data, "true", 4) == 0 &&
           call_may(call, "s3:BypassGovernanceRetention", call->bucket, key,
                    NULL);
}

Meta__LockMode worm_parse_mode(struct slice text)
{
    if (slice_equal_string(text, "GOVERNANCE")) {
        return META__LOCK_MODE__GOVERNANCE;
    }
    return slice_equal_string(text, "COMPLIANCE") ? META__LOCK_MODE__COMPLIANCE
                                                  : META__LOCK_MODE__NO_LOCK;
}

const char *worm_mode_name(Meta__LockMode mode)
{
    return mode == META__LOCK_MODE__GOVERNANCE ? "GOVERNANCE" : "COMPLIANCE";
}

bool worm_check_bucket(struct s3_call *call)
{
    if (call->bucket->object_lock) {
        return true;
    }
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "Bucket is missing Object Lock Configuration");
    return false;
}

/* --- new versions ----------------------------------------------------------*/
static bool take_retention(struct s3_call *call, struct slice mode,
                           struct slice until, Meta__Object *object)
{
    Meta__Retention *retention = arena_alloc(call->arena, sizeof(*retention));

    meta__retention__init(retention);
    if (mode.data == NULL || until.data == NULL) {
        call_fail_argument(call, mode.data == NULL ? MODE : UNTIL,
                           slice_of(NULL, 0),
                           UNTIL " and " MODE " must both be supplied");
        return false;
    }
    retention->mode = worm_parse_mode(mode);
    if (retention->mode == META__LOCK_MODE__NO_LOCK) {
        call_fail_argument(call, MODE, mode, "Unknown wormMode directive.");
        return false;
    }
    if (time_parse_iso8601(until, &retention->until_ms) != 0) {
        call_fail_argument(call, UNTIL, until,
                           "The retain until date must be provided in ISO "
                           "8601 format");
        return false;
    }
    if (retention->until_ms <= clock_wall_ms()) {
        call_fail_argument(call, UNTIL, until,
                           "The retain until date must be in the future!");
        return false;
    }
    object->retention = retention;
    return true;
}

static bool take_legal_hold(struct s3_call *call, struct slice text,
                            Meta__Object *object)
{
    if (slice_equal_string(text, "ON")) {
        object->legal_hold = META__LEGAL_HOLD__HOLD_ON;
    } else if (slice_equal_string(text, "OFF")) {
        object->legal_hold = META__LEGAL_HOLD__HOLD_OFF;
    } else {
        call_fail_argument(call, LEGAL_HOLD, text,
                           "Legal Hold must be either of 'ON' or 'OFF'");
        return false;
    }
    return true;
}

bool worm_take(struct s3_call *call, Meta__Object *object)
{
    struct slice mode = call_request_header(call, MODE);
    struct slice until = call_request_header(call, UNTIL);
    struct slice hold = call_request_header(call, LEGAL_HOLD);

    if (mode.data == NULL && until.data == NULL && hold.data == NULL) {
        return true;
    }
    if (!worm_check_bucket(call)) {
        return false;
    }
    if ((mode.data != NULL || until.data != NULL) &&
        !take_retention(call, mode, until, object)) {
        return false;
    }
    return hold.data == NULL || take_legal_hold(call, hold, object);
}

/* Years are those of the calendar. */
static uint64_t add_years(uint64_t ms, unsigned years)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    tm.tm_year += (int)years;
    return (uint64_t)timegm(&tm) * 1000 + ms % 1000;
}

void worm_default(struct s3_call *call, Meta__Object *object)
{
    const Meta__DefaultRetention *rule = call->bucket->default_retention;
    Meta__Retention *retention;

    if (!call->bucket->object_lock || rule == NULL ||
        rule->mode == META__LOCK_MODE__NO_LOCK || object->delete_marker ||
        object->retention != NULL) {
        return;
    }
    retention = arena_alloc(call->arena, sizeof(*retention));
    meta__retention__init(retention);
    retention->mode = rule->mode;
    retention->until_ms = rule->years > 0
                              ? add_years(object->mtime_ms, rule->years)
                              : object->mtime_ms + rule->days * DAY_MS;
    object->retention = retention;
}

bool worm_check_integrity(struct s3_call *call,
                          const Meta__Retention *retention,
                          Meta__LegalHold legal_hold, const char *what)
{
    bool locked =
        retention != NULL || legal_hold != META__LEGAL_HOLD__NEVER_HELD ||
        (call->bucket->object_lock && call->bucket->default_retention != NULL);

    if (!locked || body_has_integrity(call)) {
        return true;
    }
    call_fail_message(call, S3_ERR_InvalidRequest,
                      "Content-MD5 OR x-amz-checksum- HTTP header is required "
                      "for %s requests with Object Lock parameters",
                      what);
    return false;
}

/* --- versions that are read ------------------------------------------------*/
void worm_headers(struct s3_call *call, const Meta__Object *object)
{
    const Meta__Retention *retention = object->retention;
    char until[32];

    if (retention != NULL && retention->mode != META__LOCK_MODE__NO_LOCK) {
        time_iso8601(until, retention->until_ms);
        call_header(call, MODE, "%s", worm_mode_name(retention->mode));
        call_header(call, UNTIL, "%s", until);
    }
    if (object->legal_hold != META__LEGAL_HOLD__NEVER_HELD) {
        call_header(call, LEGAL_HOLD, "%s",
                    object->legal_hold == META__LEGAL_HOLD__HOLD_ON ? "ON"
                                                                    : "OFF");
    }
}
