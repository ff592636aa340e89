/*
 * Targets for the service of s3_fixture.h, and what waits for them:
 *
 *   s3_open_events(&fixture, 0, EVENTS_BLOCK);
 *   s3_expect(&fixture, 200, s3_notify(&fixture, "b", ALL_EVENTS));
 *   ...
 *   s3_take_events(&fixture, arena, &events, &count);
 */
#ifndef S3_EVENTS_FIXTURE_H
#define S3_EVENTS_FIXTURE_H

#include "s3_fixture.h"

/* Events of the configuration that s3_notify() puts. */
#define ALL_EVENTS                                                             \
    "<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>"       \
    "<Event>s3:ObjectTagging:*</Event><Event>s3:ObjectAcl:Put</Event>"

static char s3_events_document[2048];

/* The targets "queue" and "topic". */
static inline void s3_open_events(struct s3_fixture *fixture,
                                  uint64_t limit_events,
                                  enum events_overflow overflow)
{
    const struct events_target_options targets[] = {
        {.name = "queue",
         .kind = EVENTS_STREAM,
         .overflow = overflow,
         .limit_events = limit_events},
        {.name = "topic",
         .kind = EVENTS_PUBSUB,
         .overflow = overflow,
         .limit_events = limit_events},
    };
    const struct events_options options = {
        .region = FIXTURE_REGION, .targets = targets, .count = 2};

    fixture->service.events = events_open(fixture->service.meta, &options);
}

static inline void s3_close_events(struct s3_fixture *fixture)
{
    events_close(fixture->service.events);
    fixture->service.events = NULL;
}

/* The whole: extensions, a bucket "b", targets without a limit. */
static inline struct arena *s3_events_begin(struct s3_fixture *fixture)
{
    s3_fixture_open(fixture);
    fixture->service.extensions = true;
    s3_make_bucket(fixture, "b");
    s3_open_events(fixture, 0, EVENTS_BLOCK);
    return arena_new();
}

static inline void s3_events_end(struct s3_fixture *fixture,
                                 struct arena *arena)
{
    arena_free(arena);
    s3_close_events(fixture);
    s3_fixture_close(fixture);
}

/* The number of the account that owns buckets. */
static inline void s3_account(struct s3_fixture *fixture, char number[13])
{
    struct iam_identity identity;

    assert_int_equal(
        iam_authenticate(fixture->service.iam, slice_from_string(FIXTURE_KEY),
                         fixture->generation, (struct slice){0}, &identity),
        0);
    memcpy(number, identity.account, 13);
    iam_identity_release(&identity);
}

/* The queue is told of `events`: <Event> elements, a <Filter> behind them. */
static inline struct s3_case s3_notify(struct s3_fixture *fixture,
                                       const char *bucket, const char *events)
{
    char account[13];

    s3_account(fixture, account);
    snprintf(s3_events_document, sizeof(s3_events_document),
             "<NotificationConfiguration><QueueConfiguration><Id>rule</Id>"
             "<Queue>arn:aws:sqs:" FIXTURE_REGION ":%s:queue</Queue>%s"
             "</QueueConfiguration></NotificationConfiguration>",
             account, events);
    return (struct s3_case){.operation =
                                WIRE__OPERATION__PUT_BUCKET_NOTIFICATION,
                            .bucket = bucket,
                            .body = s3_events_document,
                            .size = strlen(s3_events_document)};
}

/* All that waits for the queue. */
static inline void s3_list_events(struct s3_fixture *fixture,
                                  struct arena *arena, Meta__Event ***events,
                                  size_t *count)
{
    struct meta_outbox *outbox =
        events_target_outbox(events_target(fixture->service.events, 0));

    assert_int_equal(
        meta_list_events(outbox, arena, 0, 65536, SIZE_MAX, events, count), 0);
}

/* The same; it waits no more. */
static inline void s3_take_events(struct s3_fixture *fixture,
                                  struct arena *arena, Meta__Event ***events,
                                  size_t *count)
{
    struct meta_outbox *outbox =
        events_target_outbox(events_target(fixture->service.events, 0));
    uint64_t removed = 0;

    s3_list_events(fixture, arena, events, count);
    if (*count > 0) {
        assert_int_equal(
            meta_trim_events(outbox, (*events)[*count - 1]->sequence, &removed),
            0);
    }
    assert_int_equal(removed, *count);
}

#endif
