#include "s3/call.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes that are characters, and stand for themselves: all but & < > ". */
static const bool xml_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '%'] = true,  ['\'' ... ';'] = true,
    ['='] = true,         ['?' ... 0x7f] = true,
};

/* https://www.w3.org/TR/xml/#charsets: what a document may hold. */
static bool xml_holds(uint32_t character)
{
    return character == '\t' || character == '\n' || character == '\r' ||
           (character >= 0x20 && character <= 0xd7ff) ||
           (character >= 0xe000 && character <= 0xfffd) || character >= 0x10000;
}

static const char *xml_entity(uint32_t character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\r': /* a parser would turn it into a line feed */
        return "&#13;";
    default:
        return NULL;
    }
}

/* The first from `at` on that is not plain. */
static inline size_t pass_plain(struct slice text, size_t at)
{
    const uint8_t *p = text.data;

    while (text.size - at >= 4 &&
           (xml_plain[p[at]] & xml_plain[p[at + 1]] & xml_plain[p[at + 2]] &
            xml_plain[p[at + 3]])) {
        at += 4;
    }
    while (at < text.size && xml_plain[p[at]]) {
        at++;
    }
    return at;
}

void xml_escape(struct buffer *out, struct slice text)
{
    size_t at = 0, plain = 0; /* [plain, at) is copied as it is */

    for (;;) {
        at = pass_plain(text, at);
        if (at == text.size) {
            break;
        }
        uint32_t character = 0;
        size_t length = utf8_decode(text.data + at, text.size - at, &character);
        const char *instead = NULL;

        if (length == 0 || !xml_holds(character)) {
            instead = REPLACEMENT;
        } else {
            instead = xml_entity(character);
        }
        if (length == 0) {
            length = 1;
        }
        if (instead != NULL) {
            buffer_append(out, text.data + plain, at - plain);
            buffer_append_string(out, instead);
            plain = at + length;
        }
        at += length;
    }
    if (plain < at) {
        buffer_append(out, text.data + plain, at - plain);
    }
}

void xml_open_document(struct buffer *out, const char *root)
{
    buffer_append_string(out, XML_DECLARATION "<");
    buffer_append_string(out, root);
    buffer_append_string(out,
                         " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
}

void xml_open(struct buffer *out, const char *name)
{
    buffer_append_string(out, "<");
    buffer_append_string(out, name);
    buffer_append_string(out, ">");
}

void xml_close(struct buffer *out, const char *name)
{
    buffer_append_string(out, "</");
    buffer_append_string(out, name);
    buffer_append_string(out, ">");
}

void xml_text(struct buffer *out, const char *name, struct slice value)
{
    xml_open(out, name);
    xml_escape(out, value);
    xml_close(out, name);
}

void xml_string(struct buffer *out, const char *name, const char *value)
{
    xml_text(out, name, slice_from_string(value));
}

void xml_number(struct buffer *out, const char *name, uint64_t value)
{
    xml_open(out, name);
    buffer_append_number(out, value);
    xml_close(out, name);
}

void xml_bool(struct buffer *out, const char *name, bool value)
{
    xml_string(out, name, value ? "true" : "false");
}

void xml_time(struct buffer *out, const char *name, uint64_t ms)
{
    char text[TIME_ISO8601_SIZE + 1];

    time_iso8601(text, ms);
    xml_string(out, name, text);
}

void xml_quoted(struct buffer *out, const char *name, struct slice etag)
{
    xml_open(out, name);
    buffer_append_string(out, "&quot;");
    xml_escape(out, etag);
    buffer_append_string(out, "&quot;");
    xml_close(out, name);
}

void xml_checksum(struct s3_call *call, struct buffer *out,
                  const Meta__Checksum *checksum, unsigned parts)
{
    if (checksum == NULL ||
        checksum->algorithm == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return;
    }
    xml_string(out, checksum_element(checksum->algorithm),
               checksum_text(call, checksum, parts));
    xml_string(out, "ChecksumType",
               checksum->type == META__CHECKSUM_TYPE__COMPOSITE
                   ? "COMPOSITE"
                   : "FULL_OBJECT");
}
