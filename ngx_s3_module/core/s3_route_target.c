
/* Which bucket and key a request means, by its host and path. */

#include "s3_route_target.h"
#include "s3_string.h"
#include "s3_uri.h"


static s3_str_t s3_route_hostname(const s3_str_t *host);
static int s3_route_virtual(const s3_route_request_t *request,
    s3_str_t *bucket);
static int s3_route_is_under(const s3_str_t *host, const s3_str_t *domain);
static enum s3_error s3_route_check_key(const s3_str_t *key);
static enum s3_error s3_route_check_bucket(const s3_str_t *name, int create);
static int s3_route_is_ip(const s3_str_t *name);
static int s3_route_ends(const s3_str_t *name, const char *suffix);


/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */

static const char *const  s3_route_reserved_prefixes[] = {
    "xn--", "sthree-", "amzn-s3-demo-"
};

static const char *const  s3_route_reserved_suffixes[] = {
    "-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"
};


/* Without port and the root's dot. */

static s3_str_t
s3_route_hostname(const s3_str_t *host)
{
    size_t    i;
    s3_str_t  name;

    name = *host;

    if (name.len && name.data[0] == '[') {
        s3_str_null(&name);         /* an IPv6 address has no buckets */
        return name;
    }

    for (i = 0; i < name.len; i++) {
        if (name.data[i] == ':') {
            name.len = i;
        }
    }

    if (name.len && name.data[name.len - 1] == '.') {
        name.len--;
    }

    return name;
}


/* Of the domains that fit the longest wins; no bucket: path style. */

static int
s3_route_virtual(const s3_route_request_t *request, s3_str_t *bucket)
{
    size_t    i, longest;
    s3_str_t  host;

    host = s3_route_hostname(&request->host);
    longest = 0;

    for (i = 0; i < request->ndomains; i++) {
        if (request->domains[i].len > longest
            && s3_route_is_under(&host, &request->domains[i]))
        {
            longest = request->domains[i].len;
        }
    }

    if (longest == 0 || host.len == longest || host.data == NULL) {
        return 0;
    }

    bucket->data = host.data;
    bucket->len = host.len - longest - 1;

    return 1;
}


static int
s3_route_is_under(const s3_str_t *host, const s3_str_t *domain)
{
    size_t          i;
    unsigned char  *p, one, two;

    if (host->len < domain->len) {
        return 0;
    }

    p = host->data + (host->len - domain->len);

    for (i = 0; i < domain->len; i++) {
        one = p[i];
        two = domain->data[i];

        one = (one >= 'A' && one <= 'Z') ? (unsigned char) (one | 0x20) : one;
        two = (two >= 'A' && two <= 'Z') ? (unsigned char) (two | 0x20) : two;

        if (one != two) {
            return 0;
        }
    }

    return host->len == domain->len || p[-1] == '.';
}


enum s3_error
s3_route_target(s3_memory_t *memory, const s3_route_request_t *request,
    s3_route_t *route)
{
    size_t          i;
    s3_str_t        path;
    enum s3_error   rc;
    unsigned char  *p;

    if (s3_uri_decode(memory, &request->path, 0, &path) != 0) {
        return S3_ERR_InvalidURI;
    }

    if (path.len == 0 || path.data[0] != '/') {
        return S3_ERR_InvalidURI;
    }

    path.data++;
    path.len--;

    if (s3_route_virtual(request, &route->bucket)) {

        /* names of hosts have no case, names of buckets have */

        p = s3_alloc(memory, route->bucket.len + 1);
        if (p == NULL) {
            return S3_ERR_InternalError;
        }

        for (i = 0; i < route->bucket.len; i++) {
            p[i] = route->bucket.data[i];

            if (p[i] >= 'A' && p[i] <= 'Z') {
                p[i] |= 0x20;
            }
        }

        route->bucket.data = p;

    } else {

        if (path.len == 0) {
            return S3_OK;           /* the service */
        }

        route->bucket = s3_str_token(&path, '/');
    }

    route->key = path;

    rc = s3_route_check_bucket(&route->bucket,
                               s3_str_is(&request->method, "PUT")
                               && route->key.len == 0);

    return rc != S3_OK ? rc : s3_route_check_key(&route->key);
}


static enum s3_error
s3_route_check_key(const s3_str_t *key)
{
    size_t          len;
    unsigned char  *p, *last;

    p = key->data;
    last = p + key->len;

    while (p < last) {
        len = s3_utf8_sequence(p, last);

        if (len == 0 || *p == '\0') {
            return S3_ERR_InvalidURI;
        }

        p += len;
    }

    return key->len > S3_ROUTE_KEY_MAX ? S3_ERR_KeyTooLongError : S3_OK;
}


/*
 * Names that S3 reserves, or whose labels no host may have, are refused only
 * where one would come to be.
 */

static enum s3_error
s3_route_check_bucket(const s3_str_t *name, int create)
{
    size_t         i;
    unsigned char  c, previous;

    if (name->len < 3 || name->len > 63) {
        return S3_ERR_InvalidBucketName;
    }

    previous = '.';

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (c == '.') {

            if (previous == '.') {
                return S3_ERR_InvalidBucketName;
            }

        } else if (c == '-') {

            if (i == 0) {
                return S3_ERR_InvalidBucketName;
            }

        } else if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return S3_ERR_InvalidBucketName;
        }

        previous = c;
    }

    if (previous == '.' || previous == '-' || s3_route_is_ip(name)) {
        return S3_ERR_InvalidBucketName;
    }

    if (!create) {
        return S3_OK;
    }

    for (i = 1; i < name->len; i++) {
        if ((name->data[i - 1] == '.' && name->data[i] == '-')
            || (name->data[i - 1] == '-' && name->data[i] == '.'))
        {
            return S3_ERR_InvalidBucketName;
        }
    }

    for (i = 0; i < s3_nelts(s3_route_reserved_prefixes); i++) {
        if (s3_str_starts(name, s3_route_reserved_prefixes[i])) {
            return S3_ERR_InvalidBucketName;
        }
    }

    for (i = 0; i < s3_nelts(s3_route_reserved_suffixes); i++) {
        if (s3_route_ends(name, s3_route_reserved_suffixes[i])) {
            return S3_ERR_InvalidBucketName;
        }
    }

    return S3_OK;
}


/* Four groups of digits: no name may look like an address. */

static int
s3_route_is_ip(const s3_str_t *name)
{
    size_t  i, dots;

    dots = 0;

    for (i = 0; i < name->len; i++) {

        if (name->data[i] == '.') {
            dots++;

        } else if (name->data[i] < '0' || name->data[i] > '9') {
            return 0;
        }
    }

    return dots == 3;
}


static int
s3_route_ends(const s3_str_t *name, const char *suffix)
{
    size_t  len;

    len = strlen(suffix);

    return name->len >= len
           && memcmp(name->data + name->len - len, suffix, len) == 0;
}
