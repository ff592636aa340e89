/*
 * Signature version 4: header and query. The input is a request's head,
 * "METHOD TARGET", then lines "name: value".
 */
#include "fuzz_core.h"

#include "s3_sigv4.h"
#include "s3_uri.h"

#include <openssl/hmac.h>

#define FIELDS_MAX 64
#define NOW        1369353600 /* 20130524T000000Z */

static void to_lower(s3_str_t *name)
{
    for (size_t i = 0; i < name->len; i++) {
        if (name->data[i] >= 'A' && name->data[i] <= 'Z') {
            name->data[i] |= 0x20;
        }
    }
}

/* As nginx splits a head. */
static size_t read_headers(struct input *input, s3_field_t *headers)
{
    size_t count = 0;

    while (input->size > 0 && count < FIELDS_MAX) {
        struct input line = input_until(input, '\n');
        s3_field_t *field = &headers[count++];
        field->name = fuzz_str(input_until(&line, ':'));
        to_lower(&field->name);
        while (line.size > 0 && line.data[0] == ' ') {
            input_take(&line, 1);
        }
        field->value = fuzz_str(line);
    }
    return count;
}

static void hex(const unsigned char *bytes, size_t size, unsigned char *out)
{
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = (unsigned char)"0123456789abcdef"[bytes[i] >> 4];
        out[2 * i + 1] = (unsigned char)"0123456789abcdef"[bytes[i] & 15];
    }
}

/* Whoever has the key and signs what was to be signed gets in; one bit off
 * stays out. */
static void sign_and_verify(const s3_sigv4_request_t *request, s3_sigv4_t *auth,
                            const s3_error_t *error, const unsigned char *key)
{
    unsigned char mac[32], signature[S3_SIGV4_SIGNATURE_LEN];
    unsigned size = sizeof(mac);
    s3_error_t again;
    s3_field_t fields[S3_ERROR_FIELDS_MAX];

    memcpy(fields, error->fields, sizeof(fields));
    s3_field_t *text = s3_field_find(fields, error->nfields, "StringToSign");
    MUST(text != NULL);
    MUST(HMAC(EVP_sha256(), key, S3_SIGV4_KEY_LEN, text->value.data,
              text->value.len, mac, &size) != NULL);
    hex(mac, sizeof(mac), signature);
    auth->signature = (s3_str_t){sizeof(signature), signature};
    MUST(s3_sigv4_verify(&fuzz_memory, request, auth, key, &again) == S3_OK);
    signature[0] = signature[0] == '0' ? '1' : '0';
    MUST(s3_sigv4_verify(&fuzz_memory, request, auth, key, &again) ==
         S3_ERR_SignatureDoesNotMatch);
}

static void authenticate(const s3_sigv4_request_t *request)
{
    static const unsigned char key[S3_SIGV4_KEY_LEN] =
        "a key of 32 bytes, no more.";
    s3_sigv4_t auth;
    s3_error_t error;
    enum s3_error code = s3_sigv4_parse(&fuzz_memory, request, &auth, &error);

    if (code != S3_OK) {
        MUST(code < S3_ERROR_COUNT && code == error.code);
        MUST(error.nfields <= S3_ERROR_FIELDS_MAX);
        return;
    }
    if (auth.anonymous) {
        return;
    }
    MUST(auth.date.len == 8);
    code = s3_sigv4_verify(&fuzz_memory, request, &auth, key, &error);
    MUST(code != S3_OK); /* nobody has that key */
    if (code == S3_ERR_SignatureDoesNotMatch) {
        sign_and_verify(request, &auth, &error, key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct input line = input_until(&input, '\n');
    s3_field_t headers[FIELDS_MAX], args[FIELDS_MAX];
    s3_sigv4_request_t request = {.now = NOW};

    request.method = fuzz_str(input_until(&line, ' '));
    s3_str_t target = fuzz_str(line);
    if (s3_uri_split(&target, &request.path, &request.query) == 0) {
        int count =
            s3_uri_parse_query(&fuzz_memory, &request.query, args, FIELDS_MAX);
        if (count >= 0) {
            request.args = args;
            request.nargs = (size_t)count;
            request.headers = headers;
            request.nheaders = read_headers(&input, headers);
            MUST(!s3_sigv4_is_sts(&request) || count > 0);
            authenticate(&request);
        }
    }
    fuzz_free_all();
    return 0;
}
