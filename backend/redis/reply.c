/* Parts of replies. */
#include "redis/redis.h"

const redisReply *redis_element(const redisReply *reply, size_t index)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
                   index < reply->elements
               ? reply->element[index]
               : NULL;
}

struct slice redis_text(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_STRING
               ? slice_of(reply->str, reply->len)
               : (struct slice){NULL, 0};
}

const redisReply *redis_value(const redisReply *map, const char *name)
{
    for (size_t i = 0; redis_element(map, i + 1) != NULL; i += 2) {
        if (slice_equal_string(redis_text(redis_element(map, i)), name)) {
            return redis_element(map, i + 1);
        }
    }
    return NULL;
}
