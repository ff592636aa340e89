
#include "s3_accept.h"
#include "s3_string.h"


static int s3_accept_is(const s3_str_t *name, const s3_str_t *coding);
static unsigned s3_accept_q(s3_str_t *parameters);
static void s3_accept_sort(s3_coding_t *codings, size_t n);


void
s3_accept(const s3_str_t *value, s3_coding_t *codings, size_t n)
{
    size_t    i;
    unsigned  q, any, named;
    s3_str_t  rest, item, name;

    static const s3_str_t  star = s3_string("*");

    for (i = 0; i < n; i++) {
        codings[i].q = 0;
    }

    any = 0;
    named = 0;                           /* bits: codings that are named */
    rest = *value;

    while (rest.len) {
        item = s3_str_token(&rest, ',');
        name = s3_str_token(&item, ';');
        name = s3_str_trim(&name);
        q = s3_accept_q(&item);

        if (s3_str_same(&name, &star)) {
            any = q;
            continue;
        }

        for (i = 0; i < n; i++) {
            if (s3_accept_is(&name, &codings[i].name)) {
                codings[i].q = q;
                named |= 1u << i;
            }
        }
    }

    for (i = 0; i < n; i++) {
        if (!(named & (1u << i))) {
            codings[i].q = any;
        }
    }

    s3_accept_sort(codings, n);
}


/* Without regard to case; "x-gzip" is an old name of gzip. */

static int
s3_accept_is(const s3_str_t *name, const s3_str_t *coding)
{
    size_t         i;
    s3_str_t       text;
    unsigned char  c;

    text = *name;

    if (text.len == sizeof("x-gzip") - 1 && (text.data[0] | 0x20) == 'x'
        && text.data[1] == '-')
    {
        text.data += 2;
        text.len -= 2;
    }

    if (text.len != coding->len) {
        return 0;
    }

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != coding->data[i]) {
            return 0;
        }
    }

    return 1;
}


/* "q=0.5" among the parameters, in thousandths; malformed: 0. */

static unsigned
s3_accept_q(s3_str_t *parameters)
{
    size_t    i;
    unsigned  q, digit;
    s3_str_t  text;

    while (parameters->len) {
        text = s3_str_token(parameters, ';');
        text = s3_str_trim(&text);

        if (text.len < 2 || (text.data[0] | 0x20) != 'q'
            || text.data[1] != '=')
        {
            continue;
        }

        if (text.len == 2 || text.len > 7
            || (text.data[2] != '0' && text.data[2] != '1')
            || (text.len > 3 && text.data[3] != '.'))
        {
            return 0;
        }

        q = (text.data[2] - '0') * 1000;
        digit = 100;

        for (i = 4; i < text.len; i++) {
            if (text.data[i] < '0' || text.data[i] > '9') {
                return 0;
            }

            q += (text.data[i] - '0') * digit;
            digit /= 10;
        }

        return q > 1000 ? 1000 : q;
    }

    return 1000;
}


static void
s3_accept_sort(s3_coding_t *codings, size_t n)
{
    size_t       i, k;
    s3_coding_t  coding;

    for (i = 1; i < n; i++) {
        coding = codings[i];

        for (k = i; k > 0 && codings[k - 1].q < coding.q; k--) {
            codings[k] = codings[k - 1];
        }

        codings[k] = coding;
    }
}
