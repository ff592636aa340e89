/* Websites: the configuration put, told and refused; which rule leads where. */
#include "s3_fixture.h"

#include "s3/website.h"

#define XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define SITE(rest)                                                             \
    "<WebsiteConfiguration" XMLNS ">" rest "</WebsiteConfiguration>"
#define INDEX       "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
#define RULES(rest) SITE(INDEX "<RoutingRules>" rest "</RoutingRules>")
#define RULE(rest)  "<RoutingRule>" rest "</RoutingRule>"
#define TO_HOST     "<Redirect><HostName>h</HostName></Redirect>"
#define ALL(rest)   "<RedirectAllRequestsTo>" rest "</RedirectAllRequestsTo>"
#define IF(rest)    "<Condition>" rest "</Condition>"
#define PREFIX(p)   "<KeyPrefixEquals>" p "</KeyPrefixEquals>"
#define ERROR(code)                                                            \
    "<HttpErrorCodeReturnedEquals>" code "</HttpErrorCodeReturnedEquals>"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static struct s3_case put(const char *document)
{
    return S3_CASE(PUT_BUCKET_WEBSITE, NULL, .body = document,
                   .size = strlen(document));
}

/* --- configuration ---------------------------------------------------------*/
static void is(const char *document)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_WEBSITE, NULL));
    assert_int_equal(answer.status, 200);
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1, document);
    s3_answer_free(&answer);
}

static void test_kept(void **state)
{
    static const char *const documents[] = {
        SITE(INDEX),
        SITE(INDEX "<ErrorDocument><Key>e/404.html</Key></ErrorDocument>"),
        SITE(ALL("<HostName>example.com</HostName>")),
        SITE(ALL("<Protocol>https</Protocol><HostName>example.com</HostName>")),
        RULES(RULE(TO_HOST)),
        RULES(RULE(IF(PREFIX("docs/") ERROR(
            "404")) "<Redirect><Protocol>http</Protocol><HostName>h</HostName>"
                    "<ReplaceKeyPrefixWith></ReplaceKeyPrefixWith>"
                    "<HttpRedirectCode>308</HttpRedirectCode></Redirect>")
                  RULE(IF(ERROR("403")) "<Redirect><ReplaceKeyWith>a &amp; "
                                        "b</ReplaceKeyWith>"
                                        "</Redirect>")),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        s3_expect(&fixture, 200, put(documents[i]));
        is(documents[i]);
    }
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_WEBSITE, NULL));
    s3_expect(&fixture, 404, S3_CASE(GET_BUCKET_WEBSITE, NULL));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_WEBSITE, NULL));
}

static void refused(const char *document, const char *code, const char *message)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, put(document));
    assert_error(&answer, code, 400);
    if (message != NULL) {
        assert_contains(&answer, message);
    }
    s3_answer_free(&answer);
}

static void test_refused(void **state)
{
    static const struct {
        const char *document, *code, *message;
    } cases[] = {
        {"", "MissingRequestBodyError", NULL},
        {"<Other/>", "MalformedXML", NULL},
        {SITE("<Other/>"), "MalformedXML", NULL},
        {SITE(INDEX INDEX), "MalformedXML", NULL},
        {SITE(""), "InvalidArgument",
         "A value for IndexDocument Suffix must be provided if "
         "RedirectAllRequestsTo is empty"},
        {SITE("<IndexDocument/>"), "MalformedXML", NULL},
        {SITE("<IndexDocument><Suffix></Suffix></IndexDocument>"),
         "InvalidArgument", "The IndexDocument Suffix is not well formed"},
        {SITE("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"),
         "InvalidArgument", "<ArgumentValue>a/b</ArgumentValue>"},
        {SITE(INDEX "<ErrorDocument/>"), "MalformedXML", NULL},
        {SITE(INDEX "<ErrorDocument><Key></Key></ErrorDocument>"),
         "InvalidArgument", "The ErrorDocument Key is not well formed"},
        {SITE(ALL("<HostName>h</HostName>") INDEX), "InvalidArgument",
         "RedirectAllRequestsTo cannot be provided in conjunction with other "
         "Routing Rules."},
        {SITE(ALL("<Protocol>http</Protocol>")), "MalformedXML", NULL},
        {SITE(ALL("<HostName></HostName>")), "InvalidRequest",
         "A host name must be provided to redirect all requests (e.g. "
         "&quot;example.com&quot;)."},
        {SITE(ALL("<HostName>h</HostName><Protocol>ftp</Protocol>")),
         "InvalidRequest", "Invalid protocol, protocol can be http or https."},
        {SITE(INDEX "<RoutingRules/>"), "MalformedXML", NULL},
        {RULES("<Other/>"), "MalformedXML", NULL},
        {RULES(RULE("")), "MalformedXML", NULL},
        {RULES(RULE("<Redirect/>")), "MalformedXML", NULL},
        {RULES(RULE(TO_HOST TO_HOST)), "MalformedXML", NULL},
        {RULES(RULE("<Redirect><HostName></HostName></Redirect>")),
         "InvalidRequest", "The HostName cannot be blank."},
        {RULES(RULE("<Condition/>" TO_HOST)), "InvalidRequest",
         "Condition cannot be empty."},
        {RULES(RULE(IF("<Other>x</Other>") TO_HOST)), "MalformedXML", NULL},
        {RULES(RULE(IF(ERROR("200")) TO_HOST)), "InvalidRequest",
         "The provided HTTP error code (200) is not valid. Valid codes are "
         "4XX or 5XX."},
        {RULES(RULE(IF(ERROR("418")) TO_HOST)), "InvalidRequest", "code (418)"},
        {RULES(RULE(IF(ERROR("506")) TO_HOST)), "InvalidRequest", "code (506)"},
        {RULES(RULE(IF(ERROR("4xx")) TO_HOST)), "MalformedXML", NULL},
        {RULES(RULE("<Redirect><HttpRedirectCode>300</HttpRedirectCode>"
                    "</Redirect>")),
         "InvalidRequest",
         "The provided HTTP redirect code (300) is not valid. Valid codes are "
         "3XX except 300."},
        {RULES(RULE("<Redirect><HttpRedirectCode>306</HttpRedirectCode>"
                    "</Redirect>")),
         "InvalidRequest", "redirect code (306)"},
        {RULES(RULE("<Redirect><HttpRedirectCode>309</HttpRedirectCode>"
                    "</Redirect>")),
         "InvalidRequest", "redirect code (309)"},
        {RULES(RULE("<Redirect><HttpRedirectCode>3xx</HttpRedirectCode>"
                    "</Redirect>")),
         "MalformedXML", NULL},
        {RULES(RULE("<Redirect><ReplaceKeyWith>a</ReplaceKeyWith>"
                    "<ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"
                    "</Redirect>")),
         "InvalidRequest",
         "You can only define ReplaceKeyPrefix or ReplaceKey but not both."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refused(cases[i].document, cases[i].code, cases[i].message);
    }
    s3_expect(&fixture, 404, S3_CASE(GET_BUCKET_WEBSITE, NULL));
}

static void test_number_of_rules(void **state)
{
    struct buffer out = {0};

    (void)state;
    for (unsigned count = 50; count <= 51; count++) {
        out.size = 0;
        buffer_append_string(&out,
                             "<WebsiteConfiguration>" INDEX "<RoutingRules>");
        for (unsigned i = 0; i < count; i++) {
            buffer_append_string(&out, RULE(TO_HOST));
        }
        buffer_append_string(&out, "</RoutingRules></WebsiteConfiguration>");
        buffer_append(&out, "", 1);
        if (count == 50) {
            s3_expect(&fixture, 200, put((char *)out.data));
        } else {
            refused((char *)out.data, "InvalidRequest",
                    "51 routing rules provided, the number of routing rules in "
                    "a website configuration is limited to 50.");
        }
    }
    buffer_free(&out);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_WEBSITE, NULL));
}

/* --- rules -----------------------------------------------------------------*/
static ProtobufCBinaryData bytes(const char *text)
{
    return fixture_string(text);
}

static void test_first_rule(void **state)
{
    Meta__WebsiteRule rules[4], *list[4];
    Meta__Website website = META__WEBSITE__INIT;
    static const struct {
        const char *key;
        unsigned status;
        int rule; /* -1: none */
    } cases[] = {
        {"docs/a", 0, 0},   {"docs/", 0, 0},   {"docs", 0, -1},
        {"docs/a", 404, 1}, {"other", 404, 2}, {"img/x", 403, -1},
        {"img/x", 404, 2},  {"img/x", 503, 3}, {"", 0, -1},
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        meta__website_rule__init(&rules[i]);
        list[i] = &rules[i];
    }
    rules[0].prefix = bytes("docs/");
    rules[1].prefix = bytes("docs/");
    rules[1].error = 404;
    rules[2].error = 404;
    rules[3].prefix = bytes("img/");
    rules[3].error = 503;
    website.rules = list;
    website.n_rules = 4;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(website_find_rule(&website,
                                           slice_from_string(cases[i].key),
                                           cases[i].status),
                         cases[i].rule < 0 ? NULL : &rules[cases[i].rule]);
    }
}

#define P META__WEBSITE_REPLACE__REPLACE_PREFIX
#define K META__WEBSITE_REPLACE__REPLACE_KEY

static void test_locations(void **state)
{
    static const struct {
        const char *protocol, *host;
        Meta__WebsiteReplace replace;
        const char *replacement, *prefix, *key, *query;
        bool secure;
        const char *location;
    } cases[] = {
        {"", "", 0, "", "", "", "", false, "http://asked:81/"},
        {"", "", 0, "", "", "a/b", "", true, "https://asked:81/a/b"},
        {"https", "h", 0, "", "", "a b", "", false, "https://h/a%20b"},
        {"http", "h", 0, "", "", "a?b#c%", "", true, "http://h/a%3Fb%23c%25"},
        {"", "h", 0, "", "", "a", "x=%20&y\n", false, "http://h/a?x=%20&y%0A"},
        {"", "h", P, "documents/", "docs/", "docs/x.html", "y=1", false,
         "http://h/documents/x.html?y=1"},
        {"", "h", P, "", "docs/", "docs/x", "", false, "http://h/x"},
        {"", "h", P, "#!/", "", "x/y", "", false, "http://h/#!/x/y"},
        {"", "h", P, "resize?key=", "", "a&b", "", false,
         "http://h/resize?key=a%26b"},
        {"", "h", K, "error.html", "x", "xy", "y=1", false,
         "http://h/error.html"},
        {"", "h\r\nX: y", K, "a\r\nb \xc3\xa9", "", "k", "", false,
         "http://h%0D%0AX:%20y/a%0D%0Ab%20%C3%A9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Meta__WebsiteRedirect redirect = META__WEBSITE_REDIRECT__INIT;
        const struct website_request request = {
            .key = slice_from_string(cases[i].key),
            .query = slice_from_string(cases[i].query),
            .host = SLICE_LITERAL("asked:81"),
            .secure = cases[i].secure,
        };
        struct buffer out = {0};

        redirect.protocol = bytes(cases[i].protocol);
        redirect.host = bytes(cases[i].host);
        redirect.replace = cases[i].replace;
        redirect.replacement = bytes(cases[i].replacement);
        website_location(&out, &redirect, slice_from_string(cases[i].prefix),
                         &request);
        buffer_append(&out, "", 1);
        assert_string_equal((char *)out.data, cases[i].location);
        buffer_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_number_of_rules),
        cmocka_unit_test(test_first_rule),
        cmocka_unit_test(test_locations),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
