/* The types of events, as S3 calls them; those of our own begin with s3d. */
#include "events/events.h"

#define GROUP_SIZE 10 /* of types with one wildcard: records.proto */

static const struct type {
    Meta__EventType type;
    const char *name;
} types[] = {
    {META__EVENT_TYPE__TEST_EVENT, "s3:TestEvent"},
    {META__EVENT_TYPE__REDUCED_REDUNDANCY_LOST_OBJECT,
     "s3:ReducedRedundancyLostObject"},
    {META__EVENT_TYPE__LIFECYCLE_TRANSITION, "s3:LifecycleTransition"},
    {META__EVENT_TYPE__INTELLIGENT_TIERING, "s3:IntelligentTiering"},
    {META__EVENT_TYPE__OBJECT_CREATED_ANY, "s3:ObjectCreated:*"},
    {META__EVENT_TYPE__OBJECT_CREATED_PUT, "s3:ObjectCreated:Put"},
    {META__EVENT_TYPE__OBJECT_CREATED_POST, "s3:ObjectCreated:Post"},
    {META__EVENT_TYPE__OBJECT_CREATED_COPY, "s3:ObjectCreated:Copy"},
    {META__EVENT_TYPE__OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD,
     "s3:ObjectCreated:CompleteMultipartUpload"},
    {META__EVENT_TYPE__OBJECT_REMOVED_ANY, "s3:ObjectRemoved:*"},
    {META__EVENT_TYPE__OBJECT_REMOVED_DELETE, "s3:ObjectRemoved:Delete"},
    {META__EVENT_TYPE__OBJECT_REMOVED_DELETE_MARKER_CREATED,
     "s3:ObjectRemoved:DeleteMarkerCreated"},
    {META__EVENT_TYPE__OBJECT_RESTORE_ANY, "s3:ObjectRestore:*"},
    {META__EVENT_TYPE__OBJECT_RESTORE_POST, "s3:ObjectRestore:Post"},
    {META__EVENT_TYPE__OBJECT_RESTORE_COMPLETED, "s3:ObjectRestore:Completed"},
    {META__EVENT_TYPE__OBJECT_RESTORE_DELETE, "s3:ObjectRestore:Delete"},
    {META__EVENT_TYPE__REPLICATION_ANY, "s3:Replication:*"},
    {META__EVENT_TYPE__REPLICATION_OPERATION_FAILED,
     "s3:Replication:OperationFailedReplication"},
    {META__EVENT_TYPE__REPLICATION_OPERATION_MISSED_THRESHOLD,
     "s3:Replication:OperationMissedThreshold"},
    {META__EVENT_TYPE__REPLICATION_OPERATION_REPLICATED_AFTER_THRESHOLD,
     "s3:Replication:OperationReplicatedAfterThreshold"},
    {META__EVENT_TYPE__REPLICATION_OPERATION_NOT_TRACKED,
     "s3:Replication:OperationNotTracked"},
    {META__EVENT_TYPE__LIFECYCLE_EXPIRATION_ANY, "s3:LifecycleExpiration:*"},
    {META__EVENT_TYPE__LIFECYCLE_EXPIRATION_DELETE,
     "s3:LifecycleExpiration:Delete"},
    {META__EVENT_TYPE__LIFECYCLE_EXPIRATION_DELETE_MARKER_CREATED,
     "s3:LifecycleExpiration:DeleteMarkerCreated"},
    {META__EVENT_TYPE__OBJECT_TAGGING_ANY, "s3:ObjectTagging:*"},
    {META__EVENT_TYPE__OBJECT_TAGGING_PUT, "s3:ObjectTagging:Put"},
    {META__EVENT_TYPE__OBJECT_TAGGING_DELETE, "s3:ObjectTagging:Delete"},
    {META__EVENT_TYPE__OBJECT_ACL_PUT, "s3:ObjectAcl:Put"},
    {META__EVENT_TYPE__HEALING_ANY, "s3d:Healing:*"},
    {META__EVENT_TYPE__HEALING_COMPLETED, "s3d:Healing:Completed"},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

const char *events_type_name(Meta__EventType type)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i].type == type) {
            return types[i].name;
        }
    }
    return NULL;
}

Meta__EventType events_type_parse(struct slice name)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (slice_equal_string(name, types[i].name)) {
            return types[i].type;
        }
    }
    return META__EVENT_TYPE__NO_EVENT;
}

static bool is_wildcard(Meta__EventType type)
{
    return type >= GROUP_SIZE && type % GROUP_SIZE == 0;
}

bool events_type_matches(Meta__EventType pattern, Meta__EventType type)
{
    return pattern == type ||
           (is_wildcard(pattern) && pattern / GROUP_SIZE == type / GROUP_SIZE);
}

bool events_types_overlap(Meta__EventType a, Meta__EventType b)
{
    return events_type_matches(a, b) || events_type_matches(b, a);
}
