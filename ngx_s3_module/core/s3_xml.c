
/* The error document. */

#include "s3_string.h"
#include "s3_xml.h"


/* Of one element's text; what is longer is cut. */
#define S3_XML_TEXT_MAX  (256 * 1024)


static size_t s3_xml_element_size(const s3_field_t *element);
static unsigned char *s3_xml_element(unsigned char *dst,
    const s3_field_t *element);
static unsigned char *s3_xml_tag(unsigned char *dst, const char *open,
    const s3_str_t *name);
static size_t s3_xml_escape(unsigned char *dst, const s3_str_t *text);
static const char *s3_xml_entity(const unsigned char *p, size_t len);


static const s3_str_t  s3_xml_head =
    s3_string("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
static const s3_str_t  s3_xml_tail = s3_string("</Error>");


int
s3_xml_error(s3_memory_t *memory, const s3_error_t *error,
    const s3_str_t *resource, const s3_str_t *request_id,
    const s3_str_t *host_id, s3_str_t *out)
{
    size_t          i, n, size;
    s3_field_t      elements[S3_ERROR_FIELDS_MAX + 5];
    unsigned char  *p;

    n = 0;

    s3_str_set(&elements[n].name, "Code");
    elements[n].value.data = (unsigned char *) s3_error_code(error->code);
    elements[n].value.len = strlen(s3_error_code(error->code));
    n++;

    s3_str_set(&elements[n].name, "Message");
    elements[n].value = error->message;

    if (error->message.len == 0) {
        elements[n].value.data =
                               (unsigned char *) s3_error_message(error->code);
        elements[n].value.len = strlen(s3_error_message(error->code));
    }

    n++;

    for (i = 0; i < error->nfields && i < S3_ERROR_FIELDS_MAX; i++) {
        elements[n++] = error->fields[i];
    }

    if (resource) {
        s3_str_set(&elements[n].name, "Resource");
        elements[n++].value = *resource;
    }

    if (request_id) {
        s3_str_set(&elements[n].name, "RequestId");
        elements[n++].value = *request_id;
    }

    if (host_id) {
        s3_str_set(&elements[n].name, "HostId");
        elements[n++].value = *host_id;
    }

    size = s3_xml_head.len + s3_xml_tail.len;

    for (i = 0; i < n; i++) {
        size += s3_xml_element_size(&elements[i]);
    }

    p = s3_alloc(memory, size);
    if (p == NULL) {
        return -1;
    }

    out->data = p;
    out->len = size;

    p = s3_str_copy(p, &s3_xml_head);

    for (i = 0; i < n; i++) {
        p = s3_xml_element(p, &elements[i]);
    }

    (void) s3_str_copy(p, &s3_xml_tail);

    return 0;
}


void
s3_error_init(s3_error_t *error, enum s3_error code)
{
    error->code = code;
    s3_str_null(&error->message);
    error->nfields = 0;
}


void
s3_error_add(s3_error_t *error, const char *name, const s3_str_t *value)
{
    s3_field_t  *field;

    if (error->nfields == S3_ERROR_FIELDS_MAX) {
        return;
    }

    field = &error->fields[error->nfields++];

    field->name.data = (unsigned char *) name;
    field->name.len = strlen(name);
    field->value = *value;
}


static size_t
s3_xml_element_size(const s3_field_t *element)
{
    return 2 * element->name.len + sizeof("<></>") - 1
           + s3_xml_escape(NULL, &element->value);
}


static unsigned char *
s3_xml_element(unsigned char *dst, const s3_field_t *element)
{
    dst = s3_xml_tag(dst, "<", &element->name);
    dst += s3_xml_escape(dst, &element->value);

    return s3_xml_tag(dst, "</", &element->name);
}


static unsigned char *
s3_xml_tag(unsigned char *dst, const char *open, const s3_str_t *name)
{
    while (*open) {
        *dst++ = (unsigned char) *open++;
    }

    dst = s3_str_copy(dst, name);
    *dst++ = '>';

    return dst;
}


/* Returns the length; writes only if there is a dst. */

static size_t
s3_xml_escape(unsigned char *dst, const s3_str_t *text)
{
    size_t                len, size;
    const char           *entity;
    const unsigned char  *p, *last;

    p = text->data;
    last = p + (text->len < S3_XML_TEXT_MAX ? text->len : S3_XML_TEXT_MAX);
    size = 0;

    while (p < last) {
        len = s3_utf8_sequence(p, last);
        entity = s3_xml_entity(p, len);

        if (entity) {
            if (dst) {
                memcpy(dst + size, entity, strlen(entity));
            }

            size += strlen(entity);
            p += len ? len : 1;
            continue;
        }

        if (dst) {
            memcpy(dst + size, p, len);
        }

        size += len;
        p += len;
    }

    return size;
}


/* What to write in place of the sequence, or NULL: the sequence itself. */

static const char *
s3_xml_entity(const unsigned char *p, size_t len)
{
    static const char  replacement[] = "\xef\xbf\xbd";

    if (len == 0) {
        return replacement;
    }

    if (len == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe) {
        return replacement;         /* U+FFFE, U+FFFF */
    }

    if (len > 1) {
        return NULL;
    }

    switch (p[0]) {

    case '&':
        return "&amp;";

    case '<':
        return "&lt;";

    case '>':
        return "&gt;";

    case '"':
        return "&quot;";

    case '\r':
        return "&#13;";

    case '\t':
    case '\n':
        return NULL;
    }

    return p[0] < 0x20 ? replacement : NULL;
}
