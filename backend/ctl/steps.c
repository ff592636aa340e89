/*
 * Commands that answer in steps, so that s3d serves others meanwhile.
 */
#include "ctl/ctl.h"

#define LIST_MAX 50000 /* entries: then it is truncated */

/* Lists get longer, numbers add up, all else is as it was said last. */
static void add(json_t *whole, json_t *step)
{
    const char *name;
    json_t *value;
    json_object_foreach(step, name, value)
    {
        json_t *before = json_object_get(whole, name);
        if (json_is_array(value) && json_is_array(before)) {
            json_array_extend(before, value);
        } else if (json_is_integer(value) && json_is_integer(before)) {
            json_integer_set(before, json_integer_value(before) +
                                         json_integer_value(value));
        } else {
            json_object_set(whole, name, value);
        }
    }
}

static bool is_full(const json_t *whole)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)whole, name, value)
    {
        if (json_array_size(value) >= LIST_MAX) {
            return true;
        }
    }
    return false;
}

enum ctl_exit ask_on(const char *socket, const char *command,
                     const json_t *arguments, json_t **result)
{
    json_t *asked = json_copy((json_t *)arguments), *next;
    enum ctl_exit status = client_ask(socket, command, asked, result);
    while (status == CTL_OK &&
           (next = json_object_get(*result, "next")) != NULL) {
        json_t *step = NULL;
        json_object_set(asked, "from", next);
        json_object_del(*result, "next");
        if (is_full(*result)) {
            break;
        }
        status = client_ask(socket, command, asked, &step);
        add(*result, step);
        json_decref(step);
    }
    json_decref(asked);
    return status;
}
