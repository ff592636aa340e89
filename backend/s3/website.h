/*
 * Private to s3/: buckets as websites. The configuration is kept in the
 * bucket's record as it was read; GET_WEBSITE answers as S3's website endpoint
 * does: pages for errors, redirects, no XML.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html
 */
#ifndef S3_WEBSITE_H
#define S3_WEBSITE_H

#include "s3/call.h"

/* --- the document (website_document.c) -------------------------------------*/
/* The request's body, in the call's arena. NULL: the call has failed. */
Meta__Website *website_read(struct s3_call *call);
void website_write(struct buffer *out, const Meta__Website *website);

/* --- rules (website_rules.c): pure -----------------------------------------*/
/* The first rule for a key, before it is looked for (status 0) or when that
 * has failed with a status. NULL: there is none. */
const Meta__WebsiteRule *website_find_rule(const Meta__Website *website,
                                           struct slice key, unsigned status);
/* A request of which something is redirected. */
struct website_request {
    struct slice key;
    struct slice query; /* as it was sent, without "?" */
    struct slice host;  /* as the client named it, with the port */
    bool secure;        /* it came over TLS */
};
/* Appends the value of Location; `prefix` is that of the redirect's rule. */
void website_location(struct buffer *out, const Meta__WebsiteRedirect *redirect,
                      struct slice prefix,
                      const struct website_request *request);
/* Appends a URI that somebody wrote, percent-encoding what must not be in a
 * header. */
void website_uri(struct buffer *out, struct slice text);

/* --- pages (website_page.c) ------------------------------------------------*/
/* Is the call one to a website endpoint? Its errors are pages then. */
bool website_is(const struct s3_call *call);
/* call_error_field() of such a call. */
void website_error_field(struct s3_call *call, const char *name,
                         struct slice value);
/* Ends the call with the page of an error. */
void website_fail(struct s3_call *call, enum s3_error error,
                  struct slice message);
/* Ends the call with 302 to `location`, and a page that says so. */
void website_found(struct s3_call *call, struct slice location);
/* Headers that say which error the bucket's own document stands for. */
void website_error_headers(struct s3_call *call, enum s3_error error);
/* Before website_fail(): the custom document cannot be sent, and why. */
void website_no_document(struct s3_call *call, enum s3_error error,
                         struct slice key);

#endif
