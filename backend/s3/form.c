#include "s3/form.h"

#include <string.h>
#include <strings.h>

enum state {
    PREAMBLE,
    AFTER,      /* right behind a delimiter */
    AFTER_DASH, /* and one '-' */
    PADDING,    /* blanks behind it */
    PADDING_LF,
    HEADERS,
    BODY,
    EPILOGUE,
    FAILED,
};

/* --- header values: token, and parameters ----------------------------------*/
static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct slice *text)
{
    while (text->size > 0 && is_blank(text->data[0])) {
        *text = slice_of(text->data + 1, text->size - 1);
    }
}

static bool same_word(struct slice text, const char *word)
{
    return text.size == strlen(word) &&
           strncasecmp((const char *)text.data, word, text.size) == 0;
}

/* Up to one of the characters, or the end. */
static struct slice take_word(struct slice *text, const char *ends)
{
    struct slice word = *text;
    size_t size = 0;

    while (size < text->size &&
           strchr(ends, text->data[size]) == NULL) { /* also ends at a NUL */
        size++;
    }
    *text = slice_of(text->data + size, text->size - size);
    word.size = size;
    while (word.size > 0 && is_blank(word.data[word.size - 1])) {
        word.size--;
    }
    return word;
}

/* What the quotes hold, with \" made into " where it stands: browsers send
 * other backslashes as they are, in paths of files. */
static bool take_quoted(struct slice *text, struct slice *value)
{
    uint8_t *out = (uint8_t *)text->data + 1;
    size_t size = 0;

    for (size_t i = 1; i < text->size; i++) {
        if (text->data[i] == '"') {
            *value = slice_of(out, size);
            *text = slice_of(text->data + i + 1, text->size - i - 1);
            return true;
        }
        if (text->data[i] == '\\' && i + 1 < text->size &&
            text->data[i + 1] == '"') {
            i++;
        }
        out[size++] = text->data[i];
    }
    return false;
}

/* "; name=value"; the bytes of a quoted value may be moved within it. False
 * if it is not well-formed. */
static bool take_parameter(struct slice *text, struct slice *name,
                           struct slice *value)
{
    if (text->data[0] != ';') {
        return false;
    }
    *text = slice_of(text->data + 1, text->size - 1);
    skip_blanks(text);
    *name = take_word(text, "=;");
    *value = slice_of("", 0);
    if (name->size == 0) {
        return text->size == 0; /* a last ';' */
    }
    if (text->size == 0 || text->data[0] != '=') {
        return false;
    }
    *text = slice_of(text->data + 1, text->size - 1);
    skip_blanks(text);
    if (text->size > 0 && text->data[0] == '"') {
        if (!take_quoted(text, value)) {
            return false;
        }
    } else {
        *value = take_word(text, ";");
    }
    skip_blanks(text);
    return true;
}

bool form_is_type(struct slice content_type)
{
    skip_blanks(&content_type);
    return same_word(take_word(&content_type, ";"), "multipart/form-data");
}

bool form_boundary(struct slice content_type, uint8_t out[FORM_BOUNDARY_MAX],
                   size_t *size)
{
    uint8_t copy[512];
    struct slice text, name, value;

    if (content_type.size > sizeof(copy)) {
        return false;
    }
    if (content_type.size > 0) {
        memcpy(copy, content_type.data, content_type.size);
    }
    text = slice_of(copy, content_type.size);
    take_word(&text, ";");
    while (text.size > 0) {
        if (!take_parameter(&text, &name, &value)) {
            return false;
        }
        if (!same_word(name, "boundary")) {
            continue;
        }
        if (value.size == 0 || value.size > FORM_BOUNDARY_MAX ||
            memchr(value.data, '\r', value.size) != NULL) {
            return false;
        }
        memcpy(out, value.data, value.size);
        *size = value.size;
        return true;
    }
    return false;
}

/* --- a part's headers ------------------------------------------------------*/
static bool read_disposition(struct form *form, struct slice value)
{
    struct slice name, parameter;

    skip_blanks(&value);
    if (form->name.data != NULL ||
        !same_word(take_word(&value, ";"), "form-data")) {
        return false;
    }
    while (value.size > 0) {
        if (!take_parameter(&value, &name, &parameter)) {
            return false;
        }
        if (same_word(name, "name") && form->name.data == NULL) {
            form->name = parameter;
        } else if (same_word(name, "filename") && form->filename.data == NULL) {
            form->filename = parameter;
        } else if (same_word(name, "name") || same_word(name, "filename")) {
            return false; /* twice: which one counts? */
        }
    }
    return form->name.size > 0;
}

static bool read_headers(struct form *form)
{
    struct slice text = slice_of(form->headers, form->headers_size - 2);

    form->name = form->filename = slice_of(NULL, 0);
    while (text.size > 0) {
        const uint8_t *end = memmem(text.data, text.size, "\r\n", 2);
        struct slice line, name;

        invariant(end != NULL); /* HEADERS ends with an empty line */
        line = slice_of(text.data, (size_t)(end - text.data));
        text = slice_of(end + 2, text.size - line.size - 2);
        name = take_word(&line, ":");
        if (line.size == 0 || line.data[0] != ':' || name.size == 0) {
            return false;
        }
        if (same_word(name, "content-disposition") &&
            !read_disposition(form, slice_of(line.data + 1, line.size - 1))) {
            return false;
        }
    }
    return form->name.data != NULL;
}

/* True at the end of the headers. */
static bool take_headers(struct form *form, const uint8_t **at,
                         const uint8_t *end)
{
    while (*at < end) {
        size_t size;

        if (form->headers_size == sizeof(form->headers)) {
            form->state = FAILED;
            return false;
        }
        form->headers[form->headers_size++] = *(*at)++;
        size = form->headers_size;
        if ((size == 2 && memcmp(form->headers, "\r\n", 2) == 0) ||
            (size >= 4 &&
             memcmp(form->headers + size - 4, "\r\n\r\n", 4) == 0)) {
            return true;
        }
    }
    return false;
}

/* --- looking for the delimiter ---------------------------------------------*/
/* How many bytes at the end of `text` may be the beginning of one. */
static size_t held_back(const struct form *form, struct slice text)
{
    size_t size = form->delimiter_size - 1;

    if (size > text.size) {
        size = text.size;
    }
    while (size > 0 &&
           memcmp(text.data + text.size - size, form->delimiter, size) != 0) {
        size--;
    }
    return size;
}

/* After a part of the delimiter. No CR is in it but the first byte, so that
 * what breaks the match can only begin a new one. */
static enum form_event scan_on(struct form *form, const uint8_t **at,
                               const uint8_t *end, struct slice *data)
{
    while (*at < end && form->matched < form->delimiter_size &&
           **at == form->delimiter[form->matched]) {
        form->matched++;
        (*at)++;
    }
    if (form->matched == form->delimiter_size) {
        form->matched = 0;
        form->state = AFTER;
        return FORM_PART_END;
    }
    if (*at == end) {
        return FORM_AGAIN;
    }
    *data = slice_of(form->delimiter, form->matched);
    form->matched = 0;
    return FORM_DATA;
}

static enum form_event scan(struct form *form, const uint8_t **at,
                            const uint8_t *end, struct slice *data)
{
    struct slice text = slice_of(*at, (size_t)(end - *at));
    const uint8_t *found;

    if (form->matched > 0) {
        return scan_on(form, at, end, data);
    }
    found = memmem(text.data, text.size, form->delimiter, form->delimiter_size);
    if (found != NULL) {
        text.size = (size_t)(found - text.data);
    } else {
        text.size -= held_back(form, text);
    }
    *at += text.size;
    if (text.size > 0) {
        *data = text;
        return FORM_DATA;
    }
    return scan_on(form, at, end, data);
}

/* The few bytes behind a delimiter: what comes next? */
static void take_after(struct form *form, uint8_t c)
{
    switch (form->state) {
    case AFTER:
        if (c == '-') {
            form->state = AFTER_DASH;
            return;
        }
        break;
    case AFTER_DASH:
        form->state = c == '-' ? EPILOGUE : FAILED;
        return;
    case PADDING:
        break;
    default: /* PADDING_LF */
        form->state = c == '\n' ? HEADERS : FAILED;
        form->headers_size = 0;
        return;
    }
    form->state = c == '\r' ? PADDING_LF : is_blank(c) ? PADDING : FAILED;
}

/* --- the machine -----------------------------------------------------------*/
void form_open(struct form *form, struct slice boundary)
{
    invariant(boundary.size > 0 && boundary.size <= FORM_BOUNDARY_MAX);
    memset(form, 0, offsetof(struct form, headers));
    form->headers_size = 0;
    form->state = PREAMBLE;
    form->matched = 2; /* the first delimiter may be the first line */
    memcpy(form->delimiter, "\r\n--", 4);
    memcpy(form->delimiter + 4, boundary.data, boundary.size);
    form->delimiter_size = 4 + boundary.size;
}

enum form_event form_parse(struct form *form, const uint8_t **at,
                           const uint8_t *end, struct slice *data)
{
    while (*at < end) {
        enum form_event event;

        switch (form->state) {
        case PREAMBLE:
            (void)scan(form, at, end, data);
            break;
        case BODY:
            event = scan(form, at, end, data);
            if (event != FORM_AGAIN) {
                return event;
            }
            break;
        case HEADERS:
            if (!take_headers(form, at, end)) {
                break;
            }
            form->state = read_headers(form) ? BODY : FAILED;
            if (form->state == BODY) {
                return FORM_PART;
            }
            break;
        case EPILOGUE:
            *at = end;
            break;
        case FAILED:
            return FORM_ERROR;
        default:
            take_after(form, *(*at)++);
            if (form->state == EPILOGUE) {
                return FORM_DONE;
            }
        }
    }
    return form->state == FAILED ? FORM_ERROR : FORM_AGAIN;
}
