/*
 * Private to s3/: operations that may take longer than others wait for them.
 *
 * What copies bytes does it in steps of bounded time. While worker and client
 * can be expected to wait for it in silence, the call is not done between
 * them (s3_call_is_working()), and its answer is like any other's. Then the
 * reply begins, whatever comes of the call: 200, the headers that are known,
 * and the XML declaration, a blank after each further step, and at last the
 * document, which may be that of an error. As S3 does it:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
#ifndef S3_WORK_H
#define S3_WORK_H

#include "s3/call.h"

/* What the steps need is in call->operation_data. */
struct s3_work_kind {
    /* Goes on until the call has ended, or work_step_is_over(). */
    void (*step)(struct s3_call *call);
    /* Headers of the reply that are known before its end. */
    void (*announce)(struct s3_call *call);
    /* Of what is neither the call's nor in its arena. */
    void (*free)(struct s3_call *call);
};

/* From run(): takes the first step. */
void work_begin(struct s3_call *call, const struct s3_work_kind *kind);
/* Takes another one; the call may have ended then, or its reply begun. */
void work_go_on(struct s3_call *call);
bool work_step_is_over(const struct s3_call *call);
/* Of a call at any time; once is enough. */
void work_free(struct s3_call *call);

#endif
