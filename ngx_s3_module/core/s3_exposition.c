
#include "s3_exposition.h"
#include "s3_accept.h"
#include "s3_string.h"

#include <math.h>
#include <stdio.h>


/*
 * Writes everything twice: first without memory, for the length.
 */

typedef struct {
    unsigned char  *p;        /* NULL: only counted */
    size_t          len;
} s3_writer_t;

typedef struct {
    unsigned char   c;
    const char     *text;
} s3_escape_t;


static const s3_escape_t  s3_prometheus_help[] = {
    { '\\', "\\\\" }, { '\n', "\\n" }, { 0, NULL }
};

static const s3_escape_t  s3_prometheus_label[] = {
    { '\\', "\\\\" }, { '\n', "\\n" }, { '"', "\\\"" }, { 0, NULL }
};

static const s3_escape_t  s3_json[] = {
    { '\\', "\\\\" }, { '"', "\\\"" }, { 0, NULL }
};

static const s3_escape_t  s3_html[] = {
    { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" },
    { 0, NULL }
};


static int s3_exposition_find(const s3_str_t *name,
    s3_exposition_e *exposition);
static const char *s3_type(const Wire__MetricFamily *family);
static void s3_write(s3_writer_t *w, const char *text, size_t len);
static void s3_write_text(s3_writer_t *w, const char *text);
static void s3_write_escaped(s3_writer_t *w, const char *text,
    const s3_escape_t *escapes);
static void s3_write_number(s3_writer_t *w, double value,
    s3_exposition_e exposition);
static void s3_prometheus(s3_writer_t *w, const Wire__MetricFamily *family);
static void s3_prometheus_histogram(s3_writer_t *w,
    const Wire__MetricFamily *family, const Wire__MetricSample *sample);
static void s3_prometheus_line(s3_writer_t *w,
    const Wire__MetricFamily *family, const char *suffix,
    const Wire__MetricSample *sample, const double *bound, double value);
static void s3_json_family(s3_writer_t *w, const Wire__MetricFamily *family,
    int first);
static void s3_json_sample(s3_writer_t *w, const Wire__MetricFamily *family,
    const Wire__MetricSample *sample);
static void s3_html_family(s3_writer_t *w, const Wire__MetricFamily *family);
static void s3_html_sample(s3_writer_t *w, const Wire__MetricFamily *family,
    const Wire__MetricSample *sample);
static int s3_is_histogram(const Wire__MetricFamily *family,
    const Wire__MetricSample *sample);
static double s3_observed(const Wire__MetricSample *sample);
static double s3_quantile(const Wire__MetricFamily *family,
    const Wire__MetricSample *sample, double quantile);
static void s3_expose(s3_writer_t *w, Wire__Metrics *const *parts, size_t n,
    s3_exposition_e exposition);


int
s3_exposition_choose(const s3_str_t *format, const s3_str_t *accept,
    s3_exposition_e *exposition)
{
    /* the suffix is what the type is called in ?format= */

    s3_coding_t  types[] = {
        { .name = s3_string("text/plain"), .suffix = s3_string("prometheus") },
        { .name = s3_string("application/json"), .suffix = s3_string("json") },
        { .name = s3_string("text/html"), .suffix = s3_string("html") }
    };

    if (format->data) {
        return s3_exposition_find(format, exposition);
    }

    s3_accept(accept, types, s3_nelts(types));

    if (types[0].q == 0) {
        *exposition = S3_EXPOSITION_PROMETHEUS;
        return 0;
    }

    return s3_exposition_find(&types[0].suffix, exposition);
}


static int
s3_exposition_find(const s3_str_t *name, s3_exposition_e *exposition)
{
    int  i;

    static const char  *names[] = { "prometheus", "json", "html" };

    for (i = S3_EXPOSITION_PROMETHEUS; i <= S3_EXPOSITION_HTML; i++) {
        if (s3_str_is(name, names[i])) {
            *exposition = (s3_exposition_e) i;
            return 0;
        }
    }

    return -1;
}


s3_str_t
s3_exposition_type(s3_exposition_e exposition)
{
    static const s3_str_t  types[] = {
        s3_string("text/plain; version=0.0.4; charset=utf-8"),
        s3_string("application/json"),
        s3_string("text/html; charset=utf-8")
    };

    return types[exposition];
}


int
s3_exposition(s3_memory_t *memory, Wire__Metrics *const *parts, size_t n,
    s3_exposition_e exposition, s3_str_t *out)
{
    s3_writer_t  w;

    w.p = NULL;
    w.len = 0;

    s3_expose(&w, parts, n, exposition);

    out->data = s3_alloc(memory, w.len + 1);
    if (out->data == NULL) {
        return -1;
    }

    out->len = w.len;

    w.p = out->data;
    w.len = 0;

    s3_expose(&w, parts, n, exposition);

    return 0;
}


static void
s3_expose(s3_writer_t *w, Wire__Metrics *const *parts, size_t n,
    s3_exposition_e exposition)
{
    int                        first;
    size_t                     i, k;
    const Wire__MetricFamily  *family;

    static const char  html[] =
        "<!DOCTYPE html>\n"
        "<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<title>s3 status</title>\n"
        "<style>\n"
        ":root { color-scheme: light dark }\n"
        "body { font: 14px/1.4 sans-serif; max-width: 60em; margin: 1em auto;"
        " padding: 0 1em }\n"
        "h2 { font: bold 15px monospace; margin: 1.5em 0 0 }\n"
        "p { margin: 0 0 .4em; opacity: .8 }\n"
        "table { border-collapse: collapse }\n"
        "td, th { padding: .1em 1em .1em 0; text-align: left }\n"
        "td.n { text-align: right; font-variant-numeric: tabular-nums }\n"
        "</style></head><body>\n"
        "<h1>s3 status</h1>\n"
        "<p><a href=\"?format=prometheus\">Prometheus</a> "
        "<a href=\"?format=json\">JSON</a></p>\n";

    if (exposition == S3_EXPOSITION_JSON) {
        s3_write_text(w, "{");

    } else if (exposition == S3_EXPOSITION_HTML) {
        s3_write_text(w, html);
    }

    first = 1;

    for (i = 0; i < n; i++) {
        for (k = 0; k < parts[i]->n_families; k++) {
            family = parts[i]->families[k];

            if (family->n_samples == 0) {
                continue;
            }

            switch (exposition) {

            case S3_EXPOSITION_JSON:
                s3_json_family(w, family, first);
                break;

            case S3_EXPOSITION_HTML:
                s3_html_family(w, family);
                break;

            default:
                s3_prometheus(w, family);
            }

            first = 0;
        }
    }

    if (exposition == S3_EXPOSITION_JSON) {
        s3_write_text(w, "}\n");

    } else if (exposition == S3_EXPOSITION_HTML) {
        s3_write_text(w, "</body></html>\n");
    }
}


/* Prometheus */

static void
s3_prometheus(s3_writer_t *w, const Wire__MetricFamily *family)
{
    size_t                     i;
    const Wire__MetricSample  *sample;

    s3_write_text(w, "# HELP ");
    s3_write_text(w, family->name);
    s3_write_text(w, " ");
    s3_write_escaped(w, family->help, s3_prometheus_help);
    s3_write_text(w, "\n# TYPE ");
    s3_write_text(w, family->name);
    s3_write_text(w, " ");
    s3_write_text(w, s3_type(family));
    s3_write_text(w, "\n");

    for (i = 0; i < family->n_samples; i++) {
        sample = family->samples[i];

        if (s3_is_histogram(family, sample)) {
            s3_prometheus_histogram(w, family, sample);

        } else {
            s3_prometheus_line(w, family, "", sample, NULL, sample->value);
        }
    }
}


static void
s3_prometheus_histogram(s3_writer_t *w, const Wire__MetricFamily *family,
    const Wire__MetricSample *sample)
{
    double  count, bound;
    size_t  i;

    count = 0;

    for (i = 0; i < sample->n_buckets; i++) {
        count += sample->buckets[i];
        bound = (i < family->n_bounds) ? family->bounds[i] : INFINITY;

        s3_prometheus_line(w, family, "_bucket", sample, &bound, count);
    }

    s3_prometheus_line(w, family, "_sum", sample, NULL, sample->value);
    s3_prometheus_line(w, family, "_count", sample, NULL, count);
}


static void
s3_prometheus_line(s3_writer_t *w, const Wire__MetricFamily *family,
    const char *suffix, const Wire__MetricSample *sample, const double *bound,
    double value)
{
    size_t       i;
    const char  *separator;

    s3_write_text(w, family->name);
    s3_write_text(w, suffix);

    separator = "{";

    for (i = 0; i < sample->n_labels; i++) {
        s3_write_text(w, separator);
        s3_write_text(w, sample->labels[i]->name);
        s3_write_text(w, "=\"");
        s3_write_escaped(w, sample->labels[i]->value, s3_prometheus_label);
        s3_write_text(w, "\"");

        separator = ",";
    }

    if (bound) {
        s3_write_text(w, separator);
        s3_write_text(w, "le=\"");
        s3_write_number(w, *bound, S3_EXPOSITION_PROMETHEUS);
        s3_write_text(w, "\"");

        separator = ",";
    }

    s3_write_text(w, separator[0] == ',' ? "} " : " ");
    s3_write_number(w, value, S3_EXPOSITION_PROMETHEUS);
    s3_write_text(w, "\n");
}


/* JSON: {"name":{"type":..,"help":..,"samples":[{"labels":{},"value":1}]}} */

static void
s3_json_family(s3_writer_t *w, const Wire__MetricFamily *family, int first)
{
    size_t  i;

    s3_write_text(w, first ? "\n\"" : ",\n\"");
    s3_write_escaped(w, family->name, s3_json);
    s3_write_text(w, "\":{\"type\":\"");
    s3_write_text(w, s3_type(family));
    s3_write_text(w, "\",\"help\":\"");
    s3_write_escaped(w, family->help, s3_json);
    s3_write_text(w, "\",\"samples\":[");

    for (i = 0; i < family->n_samples; i++) {
        s3_write_text(w, i ? ",\n" : "\n");
        s3_json_sample(w, family, family->samples[i]);
    }

    s3_write_text(w, "]}");
}


static void
s3_json_sample(s3_writer_t *w, const Wire__MetricFamily *family,
    const Wire__MetricSample *sample)
{
    size_t  i;

    s3_write_text(w, "{\"labels\":{");

    for (i = 0; i < sample->n_labels; i++) {
        s3_write_text(w, i ? ",\"" : "\"");
        s3_write_escaped(w, sample->labels[i]->name, s3_json);
        s3_write_text(w, "\":\"");
        s3_write_escaped(w, sample->labels[i]->value, s3_json);
        s3_write_text(w, "\"");
    }

    if (!s3_is_histogram(family, sample)) {
        s3_write_text(w, "},\"value\":");
        s3_write_number(w, sample->value, S3_EXPOSITION_JSON);
        s3_write_text(w, "}");
        return;
    }

    s3_write_text(w, "},\"count\":");
    s3_write_number(w, s3_observed(sample), S3_EXPOSITION_JSON);
    s3_write_text(w, ",\"sum\":");
    s3_write_number(w, sample->value, S3_EXPOSITION_JSON);
    s3_write_text(w, ",\"buckets\":[");

    for (i = 0; i < sample->n_buckets; i++) {
        s3_write_text(w, i ? ",{\"le\":" : "{\"le\":");
        s3_write_number(w, i < family->n_bounds ? family->bounds[i] : INFINITY,
                        S3_EXPOSITION_JSON);
        s3_write_text(w, ",\"count\":");
        s3_write_number(w, sample->buckets[i], S3_EXPOSITION_JSON);
        s3_write_text(w, "}");
    }

    s3_write_text(w, "]}");
}


/* HTML */

static void
s3_html_family(s3_writer_t *w, const Wire__MetricFamily *family)
{
    size_t  i;

    s3_write_text(w, "<h2>");
    s3_write_escaped(w, family->name, s3_html);
    s3_write_text(w, "</h2>\n<p>");
    s3_write_escaped(w, family->help, s3_html);
    s3_write_text(w, "</p>\n<table>\n");

    if (family->type == WIRE__METRIC_FAMILY__TYPE__HISTOGRAM) {
        s3_write_text(w, "<tr><th></th><th>count</th><th>mean</th>"
                         "<th>50% up to</th><th>95% up to</th>"
                         "<th>99% up to</th></tr>\n");
    }

    for (i = 0; i < family->n_samples; i++) {
        s3_html_sample(w, family, family->samples[i]);
    }

    s3_write_text(w, "</table>\n");
}


static void
s3_html_sample(s3_writer_t *w, const Wire__MetricFamily *family,
    const Wire__MetricSample *sample)
{
    size_t  i, n;
    double  values[5];

    s3_write_text(w, "<tr><td>");

    for (i = 0; i < sample->n_labels; i++) {
        s3_write_text(w, i ? ", " : "");
        s3_write_escaped(w, sample->labels[i]->name, s3_html);
        s3_write_text(w, " ");
        s3_write_escaped(w, sample->labels[i]->value, s3_html);
    }

    s3_write_text(w, "</td>");

    values[0] = sample->value;
    n = 1;

    if (s3_is_histogram(family, sample)) {
        values[0] = s3_observed(sample);
        values[1] = values[0] > 0 ? sample->value / values[0] : 0;
        values[2] = s3_quantile(family, sample, 0.5);
        values[3] = s3_quantile(family, sample, 0.95);
        values[4] = s3_quantile(family, sample, 0.99);
        n = 5;
    }

    for (i = 0; i < n; i++) {
        s3_write_text(w, "<td class=\"n\">");
        s3_write_number(w, values[i], S3_EXPOSITION_HTML);
        s3_write_text(w, "</td>");
    }

    s3_write_text(w, "</tr>\n");
}


/* Families and samples */

static const char *
s3_type(const Wire__MetricFamily *family)
{
    switch (family->type) {

    case WIRE__METRIC_FAMILY__TYPE__COUNTER:
        return "counter";

    case WIRE__METRIC_FAMILY__TYPE__HISTOGRAM:
        return "histogram";

    default:
        return "gauge";
    }
}


/* One that came without its buckets is as good as none. */

static int
s3_is_histogram(const Wire__MetricFamily *family,
    const Wire__MetricSample *sample)
{
    return family->type == WIRE__METRIC_FAMILY__TYPE__HISTOGRAM
           && sample->n_buckets == family->n_bounds + 1;
}


static double
s3_observed(const Wire__MetricSample *sample)
{
    size_t  i;
    double  count;

    count = 0;

    for (i = 0; i < sample->n_buckets; i++) {
        count += sample->buckets[i];
    }

    return count;
}


/* The bound of the bucket that it is in. */

static double
s3_quantile(const Wire__MetricFamily *family, const Wire__MetricSample *sample,
    double quantile)
{
    size_t  i;
    double  wanted, count;

    wanted = s3_observed(sample) * quantile;
    count = 0;

    for (i = 0; i < family->n_bounds; i++) {
        count += sample->buckets[i];

        if (count >= wanted) {
            return family->bounds[i];
        }
    }

    return INFINITY;
}


/* The writer */

static void
s3_write(s3_writer_t *w, const char *text, size_t len)
{
    if (w->p) {
        memcpy(w->p + w->len, text, len);
    }

    w->len += len;
}


static void
s3_write_text(s3_writer_t *w, const char *text)
{
    s3_write(w, text, strlen(text));
}


static void
s3_write_escaped(s3_writer_t *w, const char *text, const s3_escape_t *escapes)
{
    size_t                n;
    const s3_escape_t    *escape;
    const unsigned char  *p, *last;

    p = (const unsigned char *) text;
    last = p + strlen(text);

    while (p < last) {
        for (escape = escapes; escape->text && escape->c != *p; escape++) {
            /* void */
        }

        if (escape->text) {
            s3_write_text(w, escape->text);
            p++;
            continue;
        }

        n = s3_utf8_sequence(p, last);

        if (n == 0 || *p < 0x20) {
            s3_write_text(w, "\xef\xbf\xbd");
            p++;
            continue;
        }

        s3_write(w, (const char *) p, n);
        p += n;
    }
}


static void
s3_write_number(s3_writer_t *w, double value, s3_exposition_e exposition)
{
    char  text[40];

    if (!isfinite(value)) {
        s3_write_text(w, exposition == S3_EXPOSITION_JSON ? "null"
                         : isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }

    /* whole numbers are exact up to 2^53 */

    if (fabs(value) < 9007199254740992.0 && value == (double) (int64_t) value) {
        (void) snprintf(text, sizeof(text), "%lld", (long long) value);

    } else {
        (void) snprintf(text, sizeof(text), "%.15g", value);
    }

    s3_write_text(w, text);
}
