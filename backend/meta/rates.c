/*
 * Limits of what is a second's: requests, and bytes in either direction. Each
 * has one number, the time at which as much as was let through would have come
 * at an even rate (GCRA).
 *
 *   R1  A request is refused if that is more than a second ahead: so a second's
 *       worth may come at once.
 *   R2  Bytes are not refused, but have their turn: it begins where the turn of
 *       whoever came before ends. What is to be sent waits for the beginning;
 *       what has come, for the end. A transfer takes one turn at a time, so
 *       that all have the same share, and nobody has to know how many there
 *       are.
 *   R3  What was not used is gone, but for CATCH_UP_NS of it: so long a
 *       transfer may be late for its turn.
 */
#include "meta/limits.h"

#define SECOND_NS   UINT64_C(1000000000)
#define CATCH_UP_NS (SECOND_NS / 10)
/* Workers and clients wait longer than that for a byte; who shares so little
 * with so many is let through too soon. */
#define TURN_MAX_NS   (30 * SECOND_NS)
#define TURNS         32u /* in a second, of who has all of it */
#define TURN_MIN_SIZE (64u << 10)
#define TURN_MAX_SIZE (UINT64_C(1) << 32) /* of which a limit takes notice */

/* Whom a request concerns; any may be NULL. */
#define CONCERNED 3
struct concerned {
    struct account *accounts[CONCERNED];
};

static struct account *account_of(const struct limits *limits, struct slice id)
{
    struct owner *owner = id.size > 0 ? limits_find_owner(limits, id) : NULL;

    return owner != NULL ? &owner->account : NULL;
}

static struct concerned find(const struct limits *limits,
                             const struct meta_asker *asker)
{
    struct bucket *bucket =
        asker->bucket != 0 ? limits_find_bucket(limits, asker->bucket) : NULL;

    return (struct concerned){{
        bucket != NULL ? &bucket->account : NULL,
        account_of(limits, asker->account),
        account_of(limits, asker->user),
    }};
}

static bool nobody_is_rated(struct limits *limits)
{
    return atomic_load_explicit(&limits->rated, memory_order_relaxed) == 0;
}

static uint64_t now_ns(void)
{
    return clock_monotonic_us() * 1000;
}

/* 0: none. */
static uint64_t limit_of(const struct account *account, enum rate rate)
{
    if (account == NULL) {
        return 0;
    }
    switch (rate) {
    case RATE_DOWNLOAD:
        return account->quota.download;
    case RATE_UPLOAD:
        return account->quota.upload;
    default:
        return account->quota.requests;
    }
}

static bool has_rate(const struct account *account)
{
    for (unsigned rate = 0; rate < RATES; rate++) {
        if (limit_of(account, rate) != 0) {
            return true;
        }
    }
    return false;
}

bool meta_is_rated(struct meta *meta, const struct meta_asker *asker)
{
    struct limits *limits = meta->limits;
    struct concerned concerned;
    bool rated = false;

    if (nobody_is_rated(limits)) {
        return false;
    }
    pthread_mutex_lock(&limits->lock);
    concerned = find(limits, asker);
    for (unsigned i = 0; i < CONCERNED; i++) {
        rated |= has_rate(concerned.accounts[i]);
    }
    pthread_mutex_unlock(&limits->lock);
    return rated;
}

/* --- requests (R1) ---------------------------------------------------------*/

/* What one request takes of a second. */
static uint64_t share_ns(const struct account *account)
{
    const uint64_t limit = limit_of(account, RATE_REQUESTS);

    return limit < SECOND_NS ? SECOND_NS / limit : 1;
}

/* 0, or how long until a request is within the limit. */
static uint64_t wait_ns(const struct account *account, uint64_t now)
{
    uint64_t until;

    if (limit_of(account, RATE_REQUESTS) == 0 ||
        account->even_ns[RATE_REQUESTS] <= now) {
        return 0;
    }
    until = account->even_ns[RATE_REQUESTS] + share_ns(account);
    return until > now + SECOND_NS ? until - now - SECOND_NS : 0;
}

static void take(struct account *account, uint64_t now)
{
    if (limit_of(account, RATE_REQUESTS) != 0) {
        uint64_t *even_ns = &account->even_ns[RATE_REQUESTS];

        *even_ns = (*even_ns < now ? now : *even_ns) + share_ns(account);
    }
}

/* Later than a limit was set, and so never below 0. */
static void give_back(struct account *account)
{
    if (limit_of(account, RATE_REQUESTS) != 0 &&
        account->even_ns[RATE_REQUESTS] >= share_ns(account)) {
        account->even_ns[RATE_REQUESTS] -= share_ns(account);
    }
}

uint64_t meta_count_request(struct meta *meta, const struct meta_asker *asker)
{
    struct limits *limits = meta->limits;
    struct concerned concerned;
    uint64_t now, wait = 0;

    if (nobody_is_rated(limits)) {
        return 0;
    }
    now = now_ns();
    pthread_mutex_lock(&limits->lock);
    concerned = find(limits, asker);
    for (unsigned i = 0; i < CONCERNED; i++) {
        const uint64_t own = wait_ns(concerned.accounts[i], now);

        wait = own > wait ? own : wait;
    }
    for (unsigned i = 0; i < CONCERNED && wait == 0; i++) {
        take(concerned.accounts[i], now);
    }
    pthread_mutex_unlock(&limits->lock);
    return (wait + 999999) / 1000000;
}

void meta_uncount_request(struct meta *meta, const struct meta_asker *asker)
{
    struct limits *limits = meta->limits;
    struct concerned concerned;

    if (nobody_is_rated(limits)) {
        return;
    }
    pthread_mutex_lock(&limits->lock);
    concerned = find(limits, asker);
    for (unsigned i = 0; i < CONCERNED; i++) {
        give_back(concerned.accounts[i]);
    }
    pthread_mutex_unlock(&limits->lock);
}

/* --- bandwidth (R2, R3) ----------------------------------------------------*/

static enum rate rate_of(enum meta_direction direction)
{
    return direction == META_DOWNLOAD ? RATE_DOWNLOAD : RATE_UPLOAD;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What it has to wait for (R2); 0: there is no limit. */
static uint64_t take_turn(struct account *account, enum rate rate,
                          uint64_t bytes, uint64_t now)
{
    const uint64_t limit = limit_of(account, rate);
    uint64_t *even_ns, begin;

    if (limit == 0) {
        return 0;
    }
    even_ns = &account->even_ns[rate];
    begin = least(*even_ns, now + TURN_MAX_NS);
    if (begin + CATCH_UP_NS < now) {
        begin = now - CATCH_UP_NS;
    }
    *even_ns = begin + bytes * SECOND_NS / limit;
    return rate == RATE_UPLOAD ? least(*even_ns, now + TURN_MAX_NS) : begin;
}

uint64_t meta_take_turn(struct meta *meta, const struct meta_asker *asker,
                        enum meta_direction direction, uint64_t bytes)
{
    struct limits *limits = meta->limits;
    struct concerned concerned;
    uint64_t now, wait = 0;

    if (nobody_is_rated(limits)) {
        return 0;
    }
    bytes = least(bytes, TURN_MAX_SIZE);
    now = now_ns();
    pthread_mutex_lock(&limits->lock);
    concerned = find(limits, asker);
    for (unsigned i = 0; i < CONCERNED; i++) {
        const uint64_t own =
            take_turn(concerned.accounts[i], rate_of(direction), bytes, now);

        wait = own > wait ? own : wait;
    }
    pthread_mutex_unlock(&limits->lock);
    return wait / 1000;
}

uint64_t meta_turn_size(struct meta *meta, const struct meta_asker *asker,
                        enum meta_direction direction)
{
    struct limits *limits = meta->limits;
    struct concerned concerned;
    uint64_t smallest = UINT64_MAX;

    if (nobody_is_rated(limits)) {
        return UINT64_MAX;
    }
    pthread_mutex_lock(&limits->lock);
    concerned = find(limits, asker);
    for (unsigned i = 0; i < CONCERNED; i++) {
        const uint64_t limit =
            limit_of(concerned.accounts[i], rate_of(direction));

        if (limit != 0) {
            smallest = least(smallest, limit / TURNS);
        }
    }
    pthread_mutex_unlock(&limits->lock);
    return smallest > TURN_MIN_SIZE ? smallest : TURN_MIN_SIZE;
}
