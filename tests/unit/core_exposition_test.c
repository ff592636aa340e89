/* core/: counters, and metrics as text. */
#include "core_fixture.h"

#include "s3_counters.h"
#include "s3_exposition.h"

#include <stdio.h>

static void no_free(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

static ProtobufCAllocator allocator = {core_alloc, no_free, &core_pool};

static void check(struct metrics *metrics, s3_exposition_e exposition,
                  const char *wanted)
{
    Wire__Metrics *parts[] = {&metrics->message};
    s3_str_t out;

    assert_false(metrics->failed);
    assert_int_equal(s3_exposition(&core_memory, parts, 1, exposition, &out),
                     0);
    core_assert_str(out, wanted);
}

static void samples(void **state)
{
    struct metrics metrics;
    Wire__MetricFamily *family;

    (void)state;
    metrics_init(&metrics, &allocator);
    metrics_gauge(&metrics, "empty", "Has no samples.");
    family = metrics_counter(&metrics, "a_total", "Back\\slash,\nline.");
    metrics_add(&metrics, family, 9007199254740991.0, "path",
                "/\"q\"\\\n\xff\xc3\xa9", "b", "<&>", NULL);
    metrics_add(&metrics, family, 0.25, NULL);
    metrics_add(&metrics, family, -3, NULL);

    check(&metrics, S3_EXPOSITION_PROMETHEUS,
          "# HELP a_total Back\\\\slash,\\nline.\n"
          "# TYPE a_total counter\n"
          "a_total{path=\"/\\\"q\\\"\\\\\\n\xef\xbf\xbd\xc3\xa9\",b=\"<&>\"} "
          "9007199254740991\n"
          "a_total 0.25\n"
          "a_total -3\n");
    check(&metrics, S3_EXPOSITION_JSON,
          "{\n\"a_total\":{\"type\":\"counter\",\"help\":\"Back\\\\slash,"
          "\xef\xbf\xbdline.\",\"samples\":[\n"
          "{\"labels\":{\"path\":\"/\\\"q\\\"\\\\\xef\xbf\xbd\xef\xbf\xbd"
          "\xc3\xa9\",\"b\":\"<&>\"},\"value\":9007199254740991},\n"
          "{\"labels\":{},\"value\":0.25},\n{\"labels\":{},\"value\":-3}]}}\n");
}

static void html(void **state)
{
    struct metrics metrics;
    Wire__Metrics *parts[] = {&metrics.message};
    s3_str_t out;

    (void)state;
    metrics_init(&metrics, &allocator);
    metrics_add(&metrics, metrics_gauge(&metrics, "g", "<script>"), 7, "path",
                "\"<b>&", NULL);
    assert_int_equal(
        s3_exposition(&core_memory, parts, 1, S3_EXPOSITION_HTML, &out), 0);
    out.data[out.len] = '\0';
    assert_non_null(strstr((char *)out.data,
                           "<h2>g</h2>\n<p>&lt;script&gt;</p>\n<table>\n"
                           "<tr><td>path &quot;&lt;b&gt;&amp;</td>"
                           "<td class=\"n\">7</td></tr>\n</table>\n"
                           "</body></html>\n"));
}

static void histogram(void **state)
{
    struct metric_histogram seen = {{0}, 0};
    struct metrics metrics;
    Wire__MetricFamily *family;
    char wanted[4096];
    int size;

    (void)state;
    metric_observe(&seen, 0);
    metric_observe(&seen, 100);
    metric_observe(&seen, 101);
    metric_observe(&seen, 10000001);
    metrics_init(&metrics, &allocator);
    family = metrics_histogram(&metrics, "h_seconds", "H.");
    metrics_add_histogram(&metrics, family, &(struct metric_histogram){{0}, 0},
                          "p", "never", NULL);
    metrics_add_histogram(&metrics, family, &seen, "p", "x", NULL);

    size = snprintf(wanted, sizeof(wanted),
                    "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
                    "h_seconds_bucket{p=\"x\",le=\"0.0001\"} 2\n");
    static const char *const bounds[] = {"0.00025", "0.0005", "0.001", "0.0025",
                                         "0.005",   "0.01",   "0.025", "0.05",
                                         "0.1",     "0.25",   "0.5",   "1",
                                         "2.5",     "5",      "10"};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        size += snprintf(wanted + size, sizeof(wanted) - (size_t)size,
                         "h_seconds_bucket{p=\"x\",le=\"%s\"} 3\n", bounds[i]);
    }
    snprintf(wanted + size, sizeof(wanted) - (size_t)size,
             "h_seconds_bucket{p=\"x\",le=\"+Inf\"} 4\n"
             "h_seconds_sum{p=\"x\"} 10.000202\n"
             "h_seconds_count{p=\"x\"} 4\n");
    check(&metrics, S3_EXPOSITION_PROMETHEUS, wanted);
}

/* A histogram that came without its buckets, a type that is not known. */
static void strange(void **state)
{
    struct metrics metrics;
    Wire__MetricFamily *family;

    (void)state;
    metrics_init(&metrics, &allocator);
    family = metrics_histogram(&metrics, "h", "H.");
    metrics_add(&metrics, family, 1, NULL);
    family = metrics_gauge(&metrics, "g", "G.");
    family->type = (Wire__MetricFamily__Type)7;
    metrics_add(&metrics, family, 2, NULL);
    check(&metrics, S3_EXPOSITION_PROMETHEUS,
          "# HELP h H.\n# TYPE h histogram\nh 1\n"
          "# HELP g G.\n# TYPE g gauge\ng 2\n");
}

static bool tells(const s3_counters_t *counters, const char *line)
{
    struct metrics metrics;
    Wire__Metrics *parts[] = {&metrics.message};
    s3_str_t out;

    metrics_init(&metrics, &allocator);
    s3_counters_tell(counters, &metrics);
    assert_false(metrics.failed);
    assert_int_equal(
        s3_exposition(&core_memory, parts, 1, S3_EXPOSITION_PROMETHEUS, &out),
        0);
    out.data[out.len] = '\0';
    return strstr((char *)out.data, line) != NULL;
}

static void counters(void **state)
{
    static s3_counters_t all; /* zeros */
    s3_counted_t request = {.operation = WIRE__OPERATION__GET_OBJECT,
                            .status = 200,
                            .received = 10,
                            .sent = 1000,
                            .began = 1000,
                            .authenticated = 1500,
                            .replied = 3500,
                            .ended = 33500};

    (void)state;
    s3_counters_count(&all, &request);
    s3_counters_count(&all, &request);
    request.status = 418;
    s3_counters_count(&all, &request);
    request.operation = WIRE__OPERATION__NOT_IMPLEMENTED;
    request.replied = 0;
    request.status = 501;
    s3_counters_count(&all, &request);
    request.operation = WIRE__OPERATION__NONE;
    request.authenticated = 0;
    request.status = 400;
    s3_counters_count(&all, &request);
    request.hot = 1;
    request.authenticated = 1500;
    request.replied = 0;
    request.operation = 1000000;
    s3_counters_count(&all, &request);

#define IS(line) assert_true(tells(&all, line "\n"))
    IS("\ns3_requests_total{operation=\"GetObject\",code=\"200\"} 2");
    IS("\ns3_requests_total{operation=\"GetObject\",code=\"other\"} 1");
    IS("\ns3_requests_total{operation=\"NotImplemented\",code=\"501\"} 1");
    IS("\ns3_requests_total{operation=\"Unknown\",code=\"400\"} 2");
    IS("\ns3_received_bytes_total{operation=\"GetObject\"} 30");
    IS("\ns3_sent_bytes_total{operation=\"GetObject\"} 3000");
    IS("\ns3_request_duration_seconds_sum{operation=\"GetObject\"} 0.0975");
    IS("\ns3_request_phase_duration_seconds_count{phase=\"auth\"} 5");
    IS("\ns3_request_phase_duration_seconds_count{phase=\"backend\"} 3");
    IS("\ns3_request_phase_duration_seconds_sum{phase=\"send\"} 0.122");
    assert_false(tells(&all, "operation=\"PutObject\""));
}

static void out_of_memory(void **state)
{
    static s3_counters_t all;
    s3_counted_t request = {.operation = WIRE__OPERATION__GET_OBJECT,
                            .status = 200,
                            .received = 1,
                            .authenticated = 1};
    struct metrics metrics;
    size_t limit = 0;

    (void)state;
    s3_counters_count(&all, &request);
    do {
        core_reset();
        core_pool.limit = limit++;
        metrics_init(&metrics, &allocator);
        s3_counters_tell(&all, &metrics);
    } while (metrics.failed);
    assert_in_range(limit, 20, 1000);
}

static void chosen(const char *format, const char *accept, int wanted)
{
    s3_str_t none = {0, NULL}, f = none, a = none;
    s3_exposition_e exposition = S3_EXPOSITION_PROMETHEUS;
    int rc;

    if (format != NULL) {
        f = core_str(format);
    }
    if (accept != NULL) {
        a = core_str(accept);
    }
    rc = s3_exposition_choose(&f, &a, &exposition);
    assert_int_equal(rc != 0 ? rc : (int)exposition, wanted);
}

static void choice(void **state)
{
    (void)state;
    chosen(NULL, NULL, S3_EXPOSITION_PROMETHEUS);
    chosen(NULL, "*/*", S3_EXPOSITION_PROMETHEUS);
    chosen(NULL,
           "application/openmetrics-text;version=1.0.0;q=0.5,"
           "text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
           S3_EXPOSITION_PROMETHEUS);
    chosen(NULL, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*",
           S3_EXPOSITION_HTML);
    chosen(NULL, "application/json", S3_EXPOSITION_JSON);
    chosen(NULL, "text/html;q=0.1, application/json;q=0.2", S3_EXPOSITION_JSON);
    chosen(NULL, "text/html;q=0", S3_EXPOSITION_PROMETHEUS);
    chosen("json", "text/html", S3_EXPOSITION_JSON);
    chosen("html", NULL, S3_EXPOSITION_HTML);
    chosen("prometheus", "text/html", S3_EXPOSITION_PROMETHEUS);
    chosen("JSON", NULL, -1);
    chosen("", NULL, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(samples), core_test(html),     core_test(histogram),
        core_test(strange), core_test(counters), core_test(out_of_memory),
        core_test(choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
