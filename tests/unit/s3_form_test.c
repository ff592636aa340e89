/* multipart/form-data: the same events whatever the split of the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "s3/form.h"

#include <stdio.h>
#include <string.h>

/* Events as text: "<name|filename>bytes/" for a part, "." for the end, "!"
 * for an error. */
struct run {
    char log[4096];
    size_t size;
};

static void note(struct run *run, const void *text, size_t size)
{
    assert_true(run->size + size < sizeof(run->log));
    memcpy(run->log + run->size, text, size);
    run->size += size;
    run->log[run->size] = '\0';
}

static void note_part(struct run *run, const struct form *form)
{
    note(run, "<", 1);
    note(run, form->name.data, form->name.size);
    if (form->filename.data != NULL) {
        note(run, "|", 1);
        note(run, form->filename.data, form->filename.size);
    }
    note(run, ">", 1);
}

static bool feed(struct form *form, struct run *run, const uint8_t *data,
                 size_t size)
{
    const uint8_t *at = data;
    enum form_event event;

    do {
        struct slice bytes;

        event = form_parse(form, &at, data + size, &bytes);
        switch (event) {
        case FORM_PART:
            note_part(run, form);
            break;
        case FORM_DATA:
            assert_true(bytes.size > 0);
            note(run, bytes.data, bytes.size);
            break;
        case FORM_PART_END:
            note(run, "/", 1);
            break;
        case FORM_DONE:
            note(run, ".", 1);
            break;
        case FORM_ERROR:
            note(run, "!", 1);
            return false;
        default:
            assert_ptr_equal(at, data + size);
        }
    } while (event != FORM_AGAIN);
    return true;
}

static void open_form(struct form *form, struct run *run)
{
    form_open(form, SLICE_LITERAL("XyZ"));
    run->size = 0;
    run->log[0] = '\0';
}

/* In one piece, at every split in two, and byte by byte. */
static void gives(const void *input, size_t size, const char *wanted)
{
    static struct form form;
    static struct run run;
    const uint8_t *data = input;

    open_form(&form, &run);
    feed(&form, &run, data, size);
    assert_string_equal(run.log, wanted);
    for (size_t cut = 1; cut < size; cut++) {
        open_form(&form, &run);
        if (feed(&form, &run, data, cut)) {
            feed(&form, &run, data + cut, size - cut);
        }
        assert_string_equal(run.log, wanted);
    }
    open_form(&form, &run);
    for (size_t i = 0; i < size && feed(&form, &run, data + i, 1); i++) {
    }
    assert_string_equal(run.log, wanted);
}
#define GIVES(text, wanted) gives(text, sizeof(text) - 1, wanted)
#define PART(name)          "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void forms(void **state)
{
    (void)state;
    GIVES("--XyZ\r\n" PART("a") "1\r\n--XyZ\r\n" PART("b") "\r\n--XyZ--\r\n",
          "<a>1/<b>/.");
    GIVES("preamble\r\n--XyZ\r\n" PART("a") "1\r\n--XyZ--", "<a>1/.");
    GIVES("\r\n--XyZ\r\n" PART("a") "1\r\n--XyZ--epilogue\r\n--XyZ\r\n",
          "<a>1/.");
    GIVES("--XyZ \t \r\n" PART("a") "1\r\n--XyZ  \r\n" PART("b") "2", /* cut */
          "<a>1/<b>2");
    GIVES("--XyZ--", ".");
    GIVES("", "");
    GIVES("--Xy\r\n--XyZ\r\n" PART("a") "1\r\n--XyZ--", "<a>1/.");
}

static void delimiters_in_data(void **state)
{
    (void)state;
    GIVES("--XyZ\r\n" PART("a") "\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy\r\n--XyZ--",
          "<a>\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy/.");
    GIVES("--XyZ\r\n" PART("a") "--XyZ--\n--XyZ--\r--XyZ\r\n--XyZ--",
          "<a>--XyZ--\n--XyZ--\r--XyZ/.");
    GIVES("--XyZ\r\n" PART("a") "\r\n\r\n--XyZ--", "<a>\r\n/.");
    GIVES("--XyZ\r\n" PART("a") "\r\n-\r\n--XyZ--", "<a>\r\n-/.");
}

static void part_headers(void **state)
{
    (void)state;
    GIVES("--XyZ\r\nX: y\r\ncontent-disposition:form-data;name=a\r\n"
          "Content-Type: text/plain\r\n\r\n1\r\n--XyZ--",
          "<a>1/.");
    GIVES("--XyZ\r\nContent-Disposition: FORM-DATA; Name=\"f\"; "
          "filename=\"C:\\dir\\a;b=\\\"c\\\".txt\"\r\n\r\n1\r\n--XyZ--",
          "<f|C:\\dir\\a;b=\"c\".txt>1/.");
    GIVES("--XyZ\r\nContent-Disposition: form-data; filename=\"\"; name=f;"
          "\r\n\r\n1\r\n--XyZ--",
          "<f|>1/.");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=f; "
          "filename*=utf-8''x\r\n\r\n1\r\n--XyZ--",
          "<f>1/.");
}

static void malformed(void **state)
{
    (void)state;
    GIVES("--XyZ\r\n\r\n1\r\n--XyZ--", "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data\r\n\r\n1", "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n1", "!");
    GIVES("--XyZ\r\nContent-Disposition: file; name=\"a\"\r\n\r\n1", "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1", "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1",
          "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=a; filename=b; "
          "filename=c\r\n\r\n1",
          "!");
    GIVES("--XyZ\r\n"
          "no colon\r\n" PART("a") "1",
          "!");
    GIVES("--XyZ\r\nContent-Disposition: form-data; name=a\r\n" PART("b") "1",
          "!");
    GIVES("--XyZq\r\n" PART("a"), "!");
    GIVES("--XyZ\n" PART("a"), "!");
    GIVES("--XyZ-\r\n", "!");
    GIVES("--XyZ\r" PART("a"), "!");
    GIVES("--XyZ\r\n" PART("a") "1\r\n--XyZabc", "<a>1/!");
}

static void headers_are_bounded(void **state)
{
    static struct form form;
    static struct run run;
    static uint8_t blank[FORM_HEADERS_MAX + 1];

    (void)state;
    memset(blank, 'x', sizeof(blank));
    open_form(&form, &run);
    assert_true(feed(&form, &run, (const uint8_t *)"--XyZ\r\n", 7));
    assert_true(feed(&form, &run, blank, sizeof(blank) - 1));
    assert_false(feed(&form, &run, blank, 1));
    assert_false(feed(&form, &run, blank, 1));
}

static void has_boundary(const char *type, const char *wanted)
{
    uint8_t boundary[FORM_BOUNDARY_MAX];
    size_t size = 0;

    if (wanted == NULL) {
        assert_false(form_boundary(slice_from_string(type), boundary, &size));
        return;
    }
    assert_true(form_boundary(slice_from_string(type), boundary, &size));
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(boundary, wanted, size);
}

#define TEN "0123456789"

static void boundaries(void **state)
{
    (void)state;
    has_boundary("multipart/form-data; boundary=abc", "abc");
    has_boundary("multipart/form-data;boundary=\"a b;c\"", "a b;c");
    has_boundary("Multipart/Form-Data; charset=utf-8; BOUNDARY=abc ; x=y",
                 "abc");
    has_boundary("multipart/form-data; boundary=" TEN TEN TEN TEN TEN TEN TEN,
                 TEN TEN TEN TEN TEN TEN TEN);
    has_boundary(
        "multipart/form-data; boundary=" TEN TEN TEN TEN TEN TEN TEN "0", NULL);
    has_boundary("multipart/form-data", NULL);
    has_boundary("multipart/form-data; boundary=", NULL);
    has_boundary("multipart/form-data; boundary=\"abc", NULL);
    has_boundary("multipart/form-data boundary=abc", NULL);
    assert_true(form_is_type(SLICE_LITERAL("multipart/form-data")));
    assert_true(form_is_type(SLICE_LITERAL("Multipart/form-data ; x")));
    assert_false(form_is_type(SLICE_LITERAL("multipart/form-dat")));
    assert_false(form_is_type(SLICE_LITERAL("text/html")));
    assert_false(form_is_type(slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),        cmocka_unit_test(delimiters_in_data),
        cmocka_unit_test(part_headers), cmocka_unit_test(malformed),
        cmocka_unit_test(boundaries),   cmocka_unit_test(headers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
