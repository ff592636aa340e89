/*
 * Private to post_*.c: an upload from a browser's form, on its way.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
 *
 * Fields come first, at most POST_PREFIX_MAX bytes with all that frames them.
 * When the field named "file" begins they are complete: they say who uploads
 * what, and their policy whether that is allowed; only then the file is
 * stored. What follows it is not looked at.
 */
#ifndef S3_POST_H
#define S3_POST_H

#include "s3/call.h"
#include "s3/form.h"
#include "s3/post_policy.h"

#define POST_PREFIX_MAX   20480u /* bytes of the form before the file's own */
#define POST_FIELDS_MAX   512u   /* no more fit */
#define POST_EXPANDED_MAX 65536u /* bytes of values after ${filename} */

enum post_part { POST_FIELD, POST_FILE, POST_IGNORED };

struct post {
    struct form form;
    enum post_part part;           /* the one that is coming */
    bool complete;                 /* the form's last delimiter has come */
    uint64_t length;               /* bytes of the whole form, as announced */
    uint64_t taken;                /* bytes that have come */
    uint8_t text[POST_PREFIX_MAX]; /* of names and values */
    size_t text_size;
    struct post_field fields[POST_FIELDS_MAX];
    size_t count;

    bool has_file;
    struct slice filename;       /* data == NULL: the form does not tell */
    uint64_t file_size;          /* bytes so far */
    uint64_t file_guess;         /* bytes, if nothing follows it */
    uint64_t size_min, size_max; /* bytes that are allowed */
    uint64_t signed_ms;          /* when, as X-Amz-Date says; 0: nobody did */
    Meta__Object object;
};

/* --- post_form.c ---------------------------------------------------------- */
/* Value of a field; data == NULL if it is absent, size 0 if it is empty. */
struct slice post_value(const struct post *post, const char *name);
/* Once the fields are complete: puts the name of the file into them, and sees
 * that none is there twice. False: the call has failed. */
bool post_complete_fields(struct s3_call *call, struct post *post);
/* From here on call->request has the fields as headers. False: the call has
 * failed. */
bool post_take_headers(struct s3_call *call, const struct post *post);
/* InvalidArgument: the form must contain that field. Returns false. */
bool post_fail_missing(struct s3_call *call, const char *name);

/* --- post_auth.c ---------------------------------------------------------- */
/* Who signed the policy, nobody if there is none: sets call->identity. False:
 * the call has failed. */
bool post_authenticate(struct s3_call *call, struct post *post);

#endif
