/*
 * Private to s3/: CORS in a call's answer.
 */
#ifndef S3_CORS_CALL_H
#define S3_CORS_CALL_H

#include "s3/call.h"

/* Adds the headers that a browser looks for to the answer of a request with
 * an Origin, whatever the answer is. Once, when the call is done. */
void cors_answer(struct s3_call *call);

#endif
