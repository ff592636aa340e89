/*
 * Where to and as whom: options, the environment, and the files of AWS's
 * clients, in this order.
 */
#include "transfer/private.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256u << 10)

/* --- s3://bucket/prefix ----------------------------------------------------*/
static bool good_bucket(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!islower((unsigned char)name[i]) &&
            !isdigit((unsigned char)name[i]) && name[i] != '-' &&
            name[i] != '.') {
            return false;
        }
    }
    return size >= 3 && size <= 63;
}

int url_split(const char *url, char **bucket, char **prefix)
{
    const char *name = url + 5;

    if (strncmp(url, "s3://", 5) != 0) {
        return -EINVAL;
    }
    const size_t size = strcspn(name, "/");
    const char *rest = name + size + (name[size] == '/' ? 1 : 0);
    const size_t rest_size = strlen(rest);
    if (!good_bucket(name, size) ||
        key_fault(slice_of(rest, rest_size)) != NULL) {
        return -EINVAL;
    }
    const bool slash = rest_size == 0 || rest[rest_size - 1] == '/';
    *bucket = strndup(name, size);
    *prefix = xmalloc(rest_size + 2);
    invariant(*bucket != NULL);
    snprintf(*prefix, rest_size + 2, "%s%s", rest, slash ? "" : "/");
    return 0;
}

/* --- ~/.aws ----------------------------------------------------------------*/
static struct slice trim(struct slice text)
{
    while (text.size > 0 && isspace(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && isspace(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static char *copy(struct slice text)
{
    char *out = xmalloc(text.size + 1);

    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return out;
}

static struct slice take_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    const size_t size = end != NULL ? (size_t)(end - text->data) : text->size;
    const struct slice line = slice_of(text->data, size);

    text->data += size + (end != NULL ? 1 : 0);
    text->size -= size + (end != NULL ? 1 : 0);
    return line;
}

/* "[profile x]", as ~/.aws/config has it, is x. */
static bool is_section(struct slice line, const char *section)
{
    static const char word[] = "profile ";
    struct slice name = trim(slice_of(line.data + 1, line.size - 1));

    if (name.size == 0 || name.data[name.size - 1] != ']') {
        return false;
    }
    name.size--;
    if (slice_has_prefix(name, SLICE_LITERAL(word))) {
        name = slice_of(name.data + sizeof(word) - 1,
                        name.size - (sizeof(word) - 1));
    }
    return slice_equal_string(trim(name), section);
}

char *ini_find(struct slice text, const char *section, const char *name)
{
    bool inside = false;

    while (text.size > 0) {
        const struct slice line = trim(take_line(&text));
        const uint8_t *equals =
            line.size > 0 ? memchr(line.data, '=', line.size) : NULL;

        if (line.size > 0 && line.data[0] == '[') {
            inside = is_section(line, section);
        } else if (inside && equals != NULL && line.data[0] != '#' &&
                   line.data[0] != ';') {
            const size_t size = (size_t)(equals - line.data);
            if (slice_equal_string(trim(slice_of(line.data, size)), name)) {
                return copy(trim(slice_of(equals + 1, line.size - size - 1)));
            }
        }
    }
    return NULL;
}

static char *file_find(const char *variable, const char *usual,
                       const char *section, const char *name)
{
    const char *given = getenv(variable), *home = getenv("HOME");
    char path[4096];

    snprintf(path, sizeof(path), "%s%s%s",
             given != NULL ? given : (home != NULL ? home : ""),
             given != NULL ? "" : "/", given != NULL ? "" : usual);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    uint8_t *content = xmalloc(FILE_MAX);
    setvbuf(file, NULL, _IONBF, 0); /* no copy of a secret stays */
    const size_t size = fread(content, 1, FILE_MAX, file);
    fclose(file);
    char *found = ini_find(slice_of(content, size), section, name);
    OPENSSL_cleanse(content, size);
    free(content);
    return found;
}

static char *from_credentials(const char *profile, const char *name)
{
    return file_find("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", profile,
                     name);
}

/* --- who -------------------------------------------------------------------*/
static char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? xstrdup(value) : NULL;
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* A profile that is named goes before the environment's keys. */
static int find_credentials(struct endpoint *endpoint, const char *profile,
                            char why[TRANSFER_WHY_MAX])
{
    if (profile == NULL) {
        endpoint->access_key = from_environment("AWS_ACCESS_KEY_ID");
        endpoint->secret_key = from_environment("AWS_SECRET_ACCESS_KEY");
        endpoint->token = from_environment("AWS_SESSION_TOKEN");
        profile =
            getenv("AWS_PROFILE") != NULL ? getenv("AWS_PROFILE") : "default";
    }
    if (endpoint->access_key == NULL) {
        endpoint->access_key = from_credentials(profile, "aws_access_key_id");
        free(endpoint->secret_key);
        endpoint->secret_key =
            from_credentials(profile, "aws_secret_access_key");
        free(endpoint->token);
        endpoint->token = from_credentials(profile, "aws_session_token");
    }
    if (endpoint->access_key == NULL || endpoint->secret_key == NULL) {
        snprintf(why, TRANSFER_WHY_MAX,
                 "no credentials: neither AWS_ACCESS_KEY_ID and "
                 "AWS_SECRET_ACCESS_KEY nor the profile %s in "
                 "~/.aws/credentials",
                 profile);
        return -EINVAL;
    }
    if (!is_plain(endpoint->access_key) || endpoint->access_key[0] == '\0' ||
        strlen(endpoint->secret_key) > SIGNING_SECRET_MAX ||
        (endpoint->token != NULL && !is_plain(endpoint->token))) {
        snprintf(why, TRANSFER_WHY_MAX, "the credentials are malformed");
        return -EINVAL;
    }
    return 0;
}

static char *find_region(const struct transfer_options *options)
{
    const char *profile =
        options->profile != NULL ? options->profile : getenv("AWS_PROFILE");
    char *region = options->region != NULL ? xstrdup(options->region) : NULL;

    region = region != NULL ? region : from_environment("AWS_REGION");
    region = region != NULL ? region : from_environment("AWS_DEFAULT_REGION");
    region = region != NULL
                 ? region
                 : file_find("AWS_CONFIG_FILE", ".aws/config",
                             profile != NULL ? profile : "default", "region");
    return region != NULL ? region : xstrdup("us-east-1");
}

/* --- where -----------------------------------------------------------------*/
/* Of an http or https address with nothing behind the host. */
static int set_address(struct endpoint *endpoint, const char *address)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL,
         *query = NULL, *user = NULL;
    CURLU *url = curl_url();
    int error = -EINVAL;

    invariant(url != NULL);
    if (curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
        curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK &&
        strcmp(path, "/") == 0 &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
        struct buffer name = {0}, base = {0};
        buffer_append_string(&name, host);
        if (curl_url_get(url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) ==
            CURLUE_OK) {
            buffer_printf(&name, ":%s", port);
        }
        endpoint->host = copy(slice_of(name.data, name.size));
        buffer_printf(&base, "%s://%s", scheme, endpoint->host);
        endpoint->base = copy(slice_of(base.data, base.size));
        endpoint->tls = strcmp(scheme, "https") == 0;
        buffer_free(&name);
        buffer_free(&base);
        error = 0;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_free(user);
    curl_url_cleanup(url);
    return error;
}

static int find_address(struct endpoint *endpoint, const char *given,
                        char why[TRANSFER_WHY_MAX])
{
    const char *address = given;

    address = address != NULL ? address : getenv("AWS_ENDPOINT_URL_S3");
    address = address != NULL ? address : getenv("AWS_ENDPOINT_URL");
    if (address == NULL) {
        snprintf(why, TRANSFER_WHY_MAX,
                 "no endpoint: neither --endpoint nor AWS_ENDPOINT_URL");
        return -EINVAL;
    }
    if (set_address(endpoint, address) != 0) {
        snprintf(why, TRANSFER_WHY_MAX,
                 "%s: not the address of an endpoint, such as "
                 "https://s3.example.org",
                 address);
        return -EINVAL;
    }
    return 0;
}

int endpoint_open(struct endpoint *endpoint,
                  const struct transfer_options *options,
                  char why[TRANSFER_WHY_MAX])
{
    const char *ca_file =
        options->ca_file != NULL ? options->ca_file : getenv("AWS_CA_BUNDLE");

    if (url_split(options->url, &endpoint->bucket, &endpoint->prefix) != 0) {
        snprintf(why, TRANSFER_WHY_MAX, "%s: not s3://BUCKET[/PREFIX]",
                 options->url);
        return -EINVAL;
    }
    endpoint->ca_file = ca_file != NULL ? xstrdup(ca_file) : NULL;
    endpoint->region = find_region(options);
    if (!is_plain(endpoint->region)) {
        snprintf(why, TRANSFER_WHY_MAX, "the region is malformed");
        return -EINVAL;
    }
    const int error = find_address(endpoint, options->endpoint, why);
    return error != 0 ? error
                      : find_credentials(endpoint, options->profile, why);
}

char *key_below(const struct endpoint *endpoint, const char *name)
{
    struct buffer key = {0};

    buffer_printf(&key, "%s%s", endpoint->prefix, name);
    buffer_append(&key, "", 1);
    return (char *)key.data;
}

static void wipe(char *secret)
{
    if (secret != NULL) {
        OPENSSL_cleanse(secret, strlen(secret));
        free(secret);
    }
}

void endpoint_close(struct endpoint *endpoint)
{
    free(endpoint->base);
    free(endpoint->host);
    free(endpoint->bucket);
    free(endpoint->prefix);
    free(endpoint->region);
    free(endpoint->ca_file);
    free(endpoint->access_key);
    wipe(endpoint->secret_key);
    wipe(endpoint->token);
}
