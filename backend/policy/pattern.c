/*
 * Patterns: text, '*', '?' and policy variables.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 *
 * A variable's value is text, whatever bytes it has: a '*' in a user's name is
 * no wildcard.
 */
#include "policy/private.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

bool slice_equal_fold(struct slice a, struct slice b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

const uint8_t *slice_find(struct slice text, char byte)
{
    return text.size == 0 ? NULL : memchr(text.data, byte, text.size);
}

struct slice slice_head(struct slice text, size_t size)
{
    invariant(size <= text.size);
    return slice_of(text.data, size);
}

struct slice slice_tail(struct slice text, size_t size)
{
    invariant(size <= text.size);
    return size == 0 ? text : slice_of(text.data + size, text.size - size);
}

bool text_is_fixed(struct slice text)
{
    return slice_find(text, '*') == NULL && slice_find(text, '?') == NULL &&
           slice_find(text, '$') == NULL;
}

/* --- compiling -------------------------------------------------------------*/

static struct piece *add(struct pattern *pattern, enum piece_type type,
                         struct slice text)
{
    struct piece *piece = &pattern->pieces[pattern->count++];

    *piece = (struct piece){.type = type, .text = text};
    return piece;
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] == ' ') {
        text = slice_tail(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] == ' ') {
        text = slice_head(text, text.size - 1);
    }
    return text;
}

/* "key" or "key, 'default'". */
static bool add_variable(struct pattern *pattern, struct slice inside)
{
    const uint8_t *comma = slice_find(inside, ',');
    struct slice key = inside;
    struct slice fallback = {NULL, 0};

    if (comma != NULL) {
        key = slice_head(inside, (size_t)(comma - inside.data));
        fallback = trim(slice_tail(inside, key.size + 1));
        if (fallback.size < 2 || fallback.data[0] != '\'' ||
            fallback.data[fallback.size - 1] != '\'') {
            return false;
        }
        fallback = slice_of(fallback.data + 1, fallback.size - 2);
    }
    key = trim(key);
    if (slice_find(key, ':') == NULL ||
        pattern->variables == PATTERN_VARIABLES_MAX) {
        return false;
    }
    struct piece *piece = add(pattern, PIECE_VARIABLE, key);
    piece->fallback = fallback;
    piece->variable = pattern->variables++;
    return true;
}

/* `text` begins with "${". Returns the bytes used, or 0. */
static size_t compile_braces(struct pattern *pattern, struct slice text)
{
    const uint8_t *end = slice_find(text, '}');

    if (end == NULL) {
        return 0;
    }
    struct slice inside =
        slice_of(text.data + 2, (size_t)(end - text.data) - 2);
    if (inside.size == 1 && strchr("*?$", inside.data[0]) != NULL) {
        add(pattern, PIECE_TEXT, inside);
    } else if (!add_variable(pattern, inside)) {
        return 0;
    }
    return inside.size + 3;
}

static size_t text_length(struct slice text, unsigned flags)
{
    size_t size = 0;

    while (size < text.size) {
        uint8_t byte = text.data[size];
        if ((flags & PATTERN_WILDCARDS) && (byte == '*' || byte == '?')) {
            break;
        }
        if ((flags & PATTERN_VARIABLES) && byte == '$' &&
            size + 1 < text.size && text.data[size + 1] == '{') {
            break;
        }
        size++;
    }
    return size;
}

/* At most: each special byte is a piece, with text before it and at the end. */
static size_t pieces_max(struct slice text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.size; i++) {
        if (strchr("*?$", text.data[i]) != NULL) {
            count += 2;
        }
    }
    return count;
}

bool pattern_compile(struct arena *arena, struct slice text, unsigned flags,
                     struct pattern *pattern)
{
    *pattern = (struct pattern){
        .pieces = arena_alloc(arena, pieces_max(text) * sizeof(struct piece)),
        .fold = (flags & PATTERN_FOLD) != 0,
    };
    while (text.size > 0) {
        size_t used = text_length(text, flags);
        if (used > 0) {
            add(pattern, PIECE_TEXT, slice_head(text, used));
        } else if (text.data[0] == '$') {
            used = compile_braces(pattern, text);
            if (used == 0) {
                return false;
            }
        } else {
            add(pattern, text.data[0] == '*' ? PIECE_ANY : PIECE_ONE,
                slice_head(text, 1));
            used = 1;
        }
        text = slice_tail(text, used);
    }
    return true;
}

/* --- matching --------------------------------------------------------------*/

/* False: a variable has neither one value nor a default. */
static bool resolve(const struct pattern *pattern,
                    const struct policy_request *request, struct slice *values)
{
    struct slice found[POLICY_VALUES_MAX];

    for (size_t i = 0; pattern->variables > 0 && i < pattern->count; i++) {
        const struct piece *piece = &pattern->pieces[i];
        if (piece->type != PIECE_VARIABLE) {
            continue;
        }
        size_t count = request->values(request->context, piece->text, found);
        invariant(count <= POLICY_VALUES_MAX);
        if (count == 1) {
            values[piece->variable] = found[0];
        } else if (count == 0 && piece->fallback.data != NULL) {
            values[piece->variable] = piece->fallback;
        } else {
            return false;
        }
    }
    return true;
}

struct matcher {
    const struct pattern *pattern;
    const struct slice *values; /* of the variables */
    size_t piece;               /* next to match */
    size_t offset;              /* in its text */
};

static struct slice piece_text(const struct matcher *matcher)
{
    const struct piece *piece = &matcher->pattern->pieces[matcher->piece];

    return piece->type == PIECE_VARIABLE ? matcher->values[piece->variable]
                                         : piece->text;
}

/* The piece to match next, past those that are used up; NULL at the end. */
static const struct piece *settle(struct matcher *matcher)
{
    while (matcher->piece < matcher->pattern->count &&
           matcher->offset == piece_text(matcher).size) {
        matcher->piece++;
        matcher->offset = 0;
    }
    return matcher->piece < matcher->pattern->count
               ? &matcher->pattern->pieces[matcher->piece]
               : NULL;
}

static size_t character_size(struct slice text, size_t at)
{
    size_t size = 1;

    while (at + size < text.size && (text.data[at + size] & 0xC0) == 0x80) {
        size++;
    }
    return size;
}

/* Takes what comes next of the text: the bytes used, or 0. */
static size_t step(struct matcher *matcher, const struct piece *piece,
                   struct slice text, size_t at)
{
    if (piece->type == PIECE_ONE) {
        matcher->offset++;
        return character_size(text, at);
    }
    uint8_t wanted = piece_text(matcher).data[matcher->offset];
    uint8_t byte = text.data[at];
    if (matcher->pattern->fold) {
        wanted = lower(wanted);
        byte = lower(byte);
    }
    if (wanted != byte) {
        return 0;
    }
    matcher->offset++;
    return 1;
}

/* Only the last '*' is ever tried again, one byte further on: an earlier one
 * that took more could not match what this one cannot. */
static bool match(struct matcher matcher, struct slice text)
{
    struct matcher star = matcher;
    size_t at = 0, star_at = 0;
    bool has_star = false;

    for (;;) {
        const struct piece *piece = settle(&matcher);
        if (piece != NULL && piece->type == PIECE_ANY) {
            matcher.offset++;
            star = matcher;
            star_at = at;
            has_star = true;
            continue;
        }
        if (at == text.size) {
            return piece == NULL;
        }
        size_t used = piece == NULL ? 0 : step(&matcher, piece, text, at);
        at += used;
        if (used == 0) {
            if (!has_star) {
                return false;
            }
            matcher = star;
            at = ++star_at;
        }
    }
}

enum match pattern_match(const struct pattern *pattern,
                         const struct policy_request *request,
                         struct slice text)
{
    struct slice values[PATTERN_VARIABLES_MAX];

    if (!resolve(pattern, request, values)) {
        return MATCH_UNKNOWN;
    }
    return match((struct matcher){.pattern = pattern, .values = values}, text)
               ? MATCH_YES
               : MATCH_NO;
}
