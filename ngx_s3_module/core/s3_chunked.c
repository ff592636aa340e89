
/*
 * The aws-chunked decoder.  Only lines are copied, into the bounded buffer
 * of the context; the bytes of a chunk are passed on as slices of the input.
 *
 * Lines end with CRLF.  A trailer's value may end with a lone LF before it:
 * the documentation's example of a signed trailer is read so by some clients.
 */

#include "s3_chunked.h"
#include "s3_string.h"


typedef enum {
    sw_chunk = 0,       /* a chunk's line */
    sw_data,
    sw_data_end,        /* CRLF after the bytes, in line */
    sw_last,            /* the empty chunk has been passed on */
    sw_trailer,
    sw_done,
    sw_error
} s3_chunked_state_e;


static s3_chunked_event_e s3_chunked_error(s3_chunked_t *chunked,
    enum s3_error error);
static int s3_chunked_line(s3_chunked_t *chunked, unsigned char **pos,
    unsigned char *last);
static s3_chunked_event_e s3_chunked_data(s3_chunked_t *chunked,
    unsigned char **pos, unsigned char *last, s3_str_t *data);
static s3_chunked_event_e s3_chunked_head(s3_chunked_t *chunked);
static int s3_chunked_size(s3_str_t *text, uint64_t *size);
static int s3_chunked_extensions(s3_chunked_t *chunked, s3_str_t *rest);
static int s3_chunked_signature(s3_chunked_t *chunked, const s3_str_t *hex);
static s3_chunked_event_e s3_chunked_trailer(s3_chunked_t *chunked);
static int s3_chunked_trailer_name(s3_str_t *name);
static int s3_chunked_trailer_value(s3_str_t *value);


void
s3_chunked_init(s3_chunked_t *chunked, s3_payload_e payload, uint64_t expected)
{
    memset(chunked, 0, sizeof(s3_chunked_t));

    chunked->state = sw_chunk;
    chunked->expected = expected;

    chunked->is_signed = payload == S3_PAYLOAD_STREAMING_SIGNED
                         || payload == S3_PAYLOAD_STREAMING_SIGNED_TRAILER;

    chunked->has_trailer = payload == S3_PAYLOAD_STREAMING_SIGNED_TRAILER
                         || payload == S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER;
}


s3_chunked_event_e
s3_chunked_parse(s3_chunked_t *chunked, unsigned char **pos,
    unsigned char *last, s3_str_t *data)
{
    int                 rc;
    s3_chunked_event_e  event;

    for ( ;; ) {

        switch (chunked->state) {

        case sw_data:
            return s3_chunked_data(chunked, pos, last, data);

        case sw_last:
            /* from here on has_signature means that of the trailer */
            chunked->has_signature = 0;
            chunked->state = sw_trailer;
            break;

        case sw_done:
            return S3_CHUNKED_DONE;

        case sw_error:
            return S3_CHUNKED_ERROR;
        }

        rc = s3_chunked_line(chunked, pos, last);

        if (rc == 0) {
            return S3_CHUNKED_AGAIN;
        }

        if (rc < 0) {
            return s3_chunked_error(chunked, chunked->state == sw_trailer
                                             ? S3_ERR_MalformedTrailerError
                                             : S3_ERR_IncompleteBody);
        }

        switch (chunked->state) {

        case sw_chunk:
            event = s3_chunked_head(chunked);
            break;

        case sw_data_end:
            if (chunked->line_len != 0) {
                return s3_chunked_error(chunked, S3_ERR_IncompleteBody);
            }

            chunked->state = sw_chunk;
            event = S3_CHUNKED_CHUNK;
            break;

        default: /* sw_trailer */
            event = s3_chunked_trailer(chunked);
            break;
        }

        chunked->line_len = 0;

        if (event != S3_CHUNKED_AGAIN) {
            return event;
        }
    }
}


static s3_chunked_event_e
s3_chunked_error(s3_chunked_t *chunked, enum s3_error error)
{
    chunked->state = sw_error;
    chunked->error = error;

    return S3_CHUNKED_ERROR;
}


/* 1: line and line_len have a line without its CRLF, 0: again, -1: too long */

static int
s3_chunked_line(s3_chunked_t *chunked, unsigned char **pos,
    unsigned char *last)
{
    size_t         max;
    unsigned char  c;

    max = chunked->state == sw_data_end ? 2 : S3_CHUNKED_LINE_MAX;

    while (*pos < last) {

        if (chunked->line_len == max) {
            return -1;
        }

        c = *(*pos)++;

        chunked->line[chunked->line_len++] = c;

        if (c == '\n' && chunked->line_len >= 2
            && chunked->line[chunked->line_len - 2] == '\r')
        {
            chunked->line_len -= 2;
            return 1;
        }
    }

    return 0;
}


static s3_chunked_event_e
s3_chunked_data(s3_chunked_t *chunked, unsigned char **pos,
    unsigned char *last, s3_str_t *data)
{
    size_t  len;

    len = (size_t) (last - *pos);

    if (len == 0) {
        return S3_CHUNKED_AGAIN;
    }

    if (len > chunked->chunk_left) {
        len = (size_t) chunked->chunk_left;
    }

    data->data = *pos;
    data->len = len;

    *pos += len;

    chunked->chunk_left -= len;
    chunked->decoded += len;

    if (chunked->chunk_left == 0) {
        chunked->state = sw_data_end;
    }

    return S3_CHUNKED_DATA;
}


static s3_chunked_event_e
s3_chunked_head(s3_chunked_t *chunked)
{
    uint64_t  size;
    s3_str_t  rest, text;

    rest.data = chunked->line;
    rest.len = chunked->line_len;

    text = s3_str_token(&rest, ';');

    if (s3_chunked_size(&text, &size) != 0) {
        return s3_chunked_error(chunked, S3_ERR_IncompleteBody);
    }

    if (size && chunked->small_seen) {
        return s3_chunked_error(chunked, S3_ERR_InvalidChunkSizeError);
    }

    if (size > chunked->expected - chunked->decoded
        || (size == 0 && chunked->decoded != chunked->expected))
    {
        return s3_chunked_error(chunked, S3_ERR_IncompleteBody);
    }

    chunked->has_signature = 0;

    if (chunked->is_signed && s3_chunked_extensions(chunked, &rest) != 0) {
        return s3_chunked_error(chunked, S3_ERR_SignatureDoesNotMatch);
    }

    chunked->chunk_size = size;
    chunked->chunk_left = size;
    chunked->small_seen = size < S3_CHUNKED_CHUNK_MIN;

    chunked->state = size ? sw_data : sw_last;

    return size ? S3_CHUNKED_AGAIN : S3_CHUNKED_CHUNK;
}


static int
s3_chunked_size(s3_str_t *text, uint64_t *size)
{
    int     digit;
    size_t  i;

    /* 16 digits cannot overflow */

    if (text->len == 0 || text->len > 16) {
        return -1;
    }

    *size = 0;

    for (i = 0; i < text->len; i++) {
        digit = s3_hex_digit(text->data[i]);

        if (digit < 0) {
            return -1;
        }

        *size = *size << 4 | (uint64_t) digit;
    }

    return 0;
}


static int
s3_chunked_extensions(s3_chunked_t *chunked, s3_str_t *rest)
{
    s3_str_t  value, name;

    while (rest->len) {
        value = s3_str_token(rest, ';');
        name = s3_str_token(&value, '=');

        if (s3_str_is(&name, "chunk-signature")) {

            if (chunked->has_signature) {
                return -1;
            }

            if (s3_chunked_signature(chunked, &value) != 0) {
                return -1;
            }
        }
    }

    return chunked->has_signature ? 0 : -1;
}


static int
s3_chunked_signature(s3_chunked_t *chunked, const s3_str_t *hex)
{
    size_t  i;

    if (hex->len != S3_SIGV4_SIGNATURE_LEN) {
        return -1;
    }

    for (i = 0; i < hex->len; i++) {
        if (s3_hex_digit(hex->data[i]) < 0) {
            return -1;
        }
    }

    memcpy(chunked->signature, hex->data, S3_SIGV4_SIGNATURE_LEN);
    chunked->has_signature = 1;

    return 0;
}


static s3_chunked_event_e
s3_chunked_trailer(s3_chunked_t *chunked)
{
    s3_str_t  name, value;

    if (chunked->line_len == 0) {

        if (chunked->is_signed && chunked->has_trailer
            && !chunked->has_signature)
        {
            return s3_chunked_error(chunked, S3_ERR_MalformedTrailerError);
        }

        chunked->state = sw_done;
        return S3_CHUNKED_DONE;
    }

    value.data = chunked->line;
    value.len = chunked->line_len;

    /* nothing may follow the signature */

    if (!chunked->has_trailer || chunked->has_signature
        || memchr(value.data, ':', value.len) == NULL)
    {
        return s3_chunked_error(chunked, S3_ERR_MalformedTrailerError);
    }

    name = s3_str_token(&value, ':');

    if (s3_chunked_trailer_name(&name) != 0
        || s3_chunked_trailer_value(&value) != 0)
    {
        return s3_chunked_error(chunked, S3_ERR_MalformedTrailerError);
    }

    if (s3_str_is(&name, "x-amz-trailer-signature")) {

        if (!chunked->is_signed || s3_chunked_signature(chunked, &value) != 0)
        {
            return s3_chunked_error(chunked, S3_ERR_MalformedTrailerError);
        }

        return S3_CHUNKED_AGAIN;
    }

    if (chunked->ntrailers == S3_CHUNKED_TRAILERS_MAX) {
        return s3_chunked_error(chunked, S3_ERR_MalformedTrailerError);
    }

    chunked->ntrailers++;

    chunked->trailer.name = name;
    chunked->trailer.value = value;

    return S3_CHUNKED_TRAILER;
}


static int
s3_chunked_trailer_name(s3_str_t *name)
{
    size_t         i;
    unsigned char  c;

    if (name->len == 0) {
        return -1;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (c >= 'A' && c <= 'Z') {
            name->data[i] = (unsigned char) (c | 0x20);
            continue;
        }

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
            || c == '_' || c == '.')
        {
            continue;
        }

        return -1;
    }

    return 0;
}


static int
s3_chunked_trailer_value(s3_str_t *value)
{
    size_t  i;

    if (value->len && value->data[value->len - 1] == '\n') {
        value->len--;
    }

    *value = s3_str_trim(value);

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            return -1;
        }
    }

    return 0;
}
