/*
 * What a request asks the hot index: the same bytes on both sides, which the
 * answer is found by. What is not in them cannot change the answer.
 *
 * Pure: no I/O, no allocation; any thread.
 */
#ifndef HOT_QUESTION_H
#define HOT_QUESTION_H

#include "base/base.h"
#include "wire.pb-c.h"

#define HOT_QUESTION_MAX 2048u

struct hot_question {
    uint8_t data[HOT_QUESTION_MAX];
    size_t size;
};

/* GET and HEAD of an object, of a file (what of `file` objects are chosen and
 * described by) or of a website's key. False: there is no such question, or it
 * is too long; *question is not to be used. */
bool hot_ask(struct hot_question *question, Wire__Operation operation,
             struct slice bucket, struct slice key,
             const Wire__FileRequest *file);

/* What a header of a request, its name in lower case, is to the index. Of
 * headers that s3d would get: a policy that asks for one keeps the answer out
 * of the index. */
enum hot_header_kind {
    HOT_HEADER_UNKNOWN,   /* the request is for s3d */
    HOT_HEADER_HARMLESS,  /* it says nothing about the answer */
    HOT_HEADER_CHECKSUMS, /* it asks for those that an entry may have */
    HOT_HEADER_SELECTS    /* a condition or a range */
};
enum hot_header_kind hot_header_of(struct slice name, struct slice value);

#endif
