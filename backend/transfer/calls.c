/*
 * S3's operations that a transfer needs, but for listing and reading.
 */
#include "transfer/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (256u << 10)
#define NUMBER    24 /* of a decimal number, with its NUL */

static int not_understood(struct client *client, const char *what)
{
    snprintf(client->why, sizeof(client->why), "%s: not understood", what);
    return -EPROTO;
}

static bool copy_text(char *out, size_t capacity, struct slice text)
{
    if (text.size == 0 || text.size >= capacity) {
        return false;
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

/* --- checksums -------------------------------------------------------------*/
static void crc_text(char out[CHECKSUM_MAX], uint64_t crc)
{
    uint8_t bytes[8];

    put_u64be(bytes, crc);
    base64_encode(out, bytes, sizeof(bytes));
}

int piece_digest(struct piece *piece, bool tls)
{
    uint8_t *data = xmalloc(READ_SIZE), value[DIGEST_SIZE_MAX];
    struct digester *digester =
        digester_new(DIGEST_CRC64NVME | (tls ? 0 : DIGEST_SHA256));
    uint64_t done = 0;
    int error = 0;

    while (done < piece->size && error == 0) {
        const uint64_t left = piece->size - done;
        const ssize_t n =
            pread(piece->fd, data, left < READ_SIZE ? left : READ_SIZE,
                  (off_t)(piece->offset + done));
        if (n > 0) {
            digester_update(digester, data, (size_t)n);
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? -ESTALE : -errno;
        }
    }
    digester_final(digester, DIGEST_CRC64NVME, value);
    piece->crc = get_u64be(value);
    piece->sha256[0] = '\0';
    if (!tls) {
        hex_encode(piece->sha256, value,
                   digester_final(digester, DIGEST_SHA256, value));
    }
    digester_free(digester);
    free(data);
    return error;
}

/* --- what is known of an object --------------------------------------------*/
static void read_mtime(struct facts *facts, const struct answer *answer)
{
    const char *stored = answer_header(answer, MTIME_HEADER);
    const char *modified = answer_header(answer, "last-modified");

    const time_t seconds = modified != NULL ? curl_getdate(modified, NULL) : 0;

    facts->modified.tv_sec = seconds > 0 ? seconds : 0;
    facts->has_mtime = stored != NULL && mtime_parse(stored, &facts->mtime);
    if (!facts->has_mtime) {
        facts->mtime = facts->modified;
    }
}

/* Of a PUT without a key of AWS's KMS or of the client's, the ETag is the MD5.
 */
static void read_etag(struct facts *facts, const struct answer *answer)
{
    const char *etag = answer_header(answer, "etag");
    const char *sealed = answer_header(answer, "x-amz-server-side-encryption");

    facts->etag[0] = '\0';
    if (etag == NULL ||
        !copy_text(facts->etag, sizeof(facts->etag), slice_from_string(etag))) {
        return;
    }
    if (strlen(etag) == 34 && etag[0] == '"' &&
        (sealed == NULL || strcmp(sealed, "AES256") == 0) &&
        hex_decode(facts->checksum, slice_of(etag + 1, 32)) == 0) {
        facts->digest = DIGEST_MD5;
        facts->checksum_size = 16;
    }
}

/* Preferred to the ETag, if it is of all bytes. */
static void read_checksum(struct facts *facts, const struct answer *answer)
{
    static const struct {
        const char *header;
        enum digest digest;
        int size;
    } known[] = {
        {"x-amz-checksum-crc64nvme", DIGEST_CRC64NVME, 8},
        {"x-amz-checksum-crc32c", DIGEST_CRC32C, 4},
        {"x-amz-checksum-crc32", DIGEST_CRC32, 4},
        {"x-amz-checksum-sha256", DIGEST_SHA256, 32},
        {"x-amz-checksum-sha1", DIGEST_SHA1, 20},
    };
    const char *type = answer_header(answer, "x-amz-checksum-type");

    if (type != NULL && strcmp(type, "FULL_OBJECT") != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const char *text = answer_header(answer, known[i].header);
        uint8_t value[DIGEST_SIZE_MAX];
        if (text != NULL &&
            base64_decode(value, sizeof(value), slice_from_string(text)) ==
                known[i].size) {
            memcpy(facts->checksum, value, sizeof(value));
            facts->checksum_size = (size_t)known[i].size;
            facts->digest = known[i].digest;
            return;
        }
    }
}

void facts_read(struct facts *facts, const struct answer *answer)
{
    const char *size = answer_header(answer, "content-length");

    memset(facts, 0, sizeof(*facts));
    if (size != NULL) {
        slice_to_u64(slice_from_string(size), &facts->size);
    }
    read_mtime(facts, answer);
    read_etag(facts, answer);
    read_checksum(facts, answer);
}

static void add_version(struct request *request, const char *version)
{
    if (version != NULL) {
        request_query(request, "versionId", version);
    }
}

int call_head_all(struct client *client, const char *key, const char *version,
                  bool *found, struct facts *facts, struct answer *answer)
{
    struct request request = {.method = "HEAD", .key = key, .fd = -1};

    add_version(&request, version);
    request_header(&request, "x-amz-checksum-mode", "ENABLED");
    int error = client_send(client, &request, answer);
    *found = error == 0;
    if (error == 0) {
        facts_read(facts, answer);
    } else if (error == -EREMOTEIO && answer->status == 404) {
        error = 0;
    }
    return error;
}

int call_head(struct client *client, const char *key, bool *found,
              struct facts *facts)
{
    struct answer answer = {0};
    const int error = call_head_all(client, key, NULL, found, facts, &answer);

    answer_free(&answer);
    return error;
}

/* --- whole objects ---------------------------------------------------------*/
static bool is_of_class(const struct answer *answer)
{
    return slice_equal_string(answer->code, "InvalidStorageClass") ||
           slice_equal_string(answer->code, "NotImplemented");
}

/* Of a request that has all other headers. */
static int send_stored_as(struct client *client, struct request *request,
                          const struct stored_as *as, struct answer *answer)
{
    for (unsigned i = 0; i < as->count; i++) {
        request_header(request, as->fields[i].name, as->fields[i].value);
    }
    if (as->storage_class == NULL) {
        return client_send(client, request, answer);
    }
    request_header(request, "x-amz-storage-class", as->storage_class);
    const int error = client_send(client, request, answer);
    if (error != -EREMOTEIO || !is_of_class(answer)) {
        return error;
    }
    request->header_count--;
    return client_send(client, request, answer);
}

static void add_piece(struct request *request, const struct piece *piece,
                      char crc[CHECKSUM_MAX])
{
    request->fd = piece->fd;
    request->offset = piece->offset;
    request->size = piece->size;
    request->sha256 = piece->sha256;
    crc_text(crc, piece->crc);
    request_header(request, "x-amz-checksum-crc64nvme", crc);
}

/* An endpoint that knows the algorithm tells the value again. */
static bool was_verified(const struct answer *answer, const char *crc)
{
    const char *told = answer_header(answer, "x-amz-checksum-crc64nvme");

    return told != NULL && strcmp(told, crc) == 0;
}

int call_put(struct client *client, const char *key, const struct piece *piece,
             const struct stored_as *as, bool *verified)
{
    struct request request = {.method = "PUT", .key = key};
    struct answer answer = {0};
    char crc[CHECKSUM_MAX];

    add_piece(&request, piece, crc);
    const int error = send_stored_as(client, &request, as, &answer);
    *verified = error == 0 && was_verified(&answer, crc);
    answer_free(&answer);
    return error;
}

/* --- uploads in parts ------------------------------------------------------*/
static struct xml_node *parse(struct answer *answer, const char *root)
{
    return xml_in_parse(answer->arena,
                        slice_of(answer->body.data, answer->body.size), root);
}

/* "2013-05-24T00:00:00.000Z"; 1970 if it is no time. */
static struct timespec parse_time(struct arena *arena, struct slice text)
{
    struct timespec time = {0};
    struct tm parts = {0};
    unsigned ms = 0;
    const char *rest =
        strptime(arena_string(arena, text), "%Y-%m-%dT%H:%M:%S", &parts);

    if (rest != NULL) {
        time.tv_sec = timegm(&parts);
        if (sscanf(rest, ".%3uZ", &ms) == 1) {
            time.tv_nsec = ms * 1000000L;
        }
    }
    return time;
}

/* Not all endpoints tell. */
static bool is_or_none(struct slice text, const char *value)
{
    return text.size == 0 || slice_equal_string(text, value);
}

/* It may have been begun by call_create_upload(): others' are let be. */
static bool is_our_upload(const struct xml_node *node)
{
    return slice_equal_string(node->name, "Upload") &&
           is_or_none(xml_in_text(node, "ChecksumAlgorithm"), "CRC64NVME") &&
           is_or_none(xml_in_text(node, "ChecksumType"), "FULL_OBJECT");
}

/* The last one begun of the uploads that a page holds of this key. */
static void pick_upload(struct answer *answer, const struct xml_node *root,
                        const char *key, struct found_upload *found)
{
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        struct slice name;
        if (!is_our_upload(node) ||
            listed_key(answer->arena, root, xml_in_text(node, "Key"), &name) !=
                0 ||
            !slice_equal_string(name, key)) {
            continue;
        }
        const struct timespec begun =
            parse_time(answer->arena, xml_in_text(node, "Initiated"));
        if (times_compare(begun, found->begun) >= 0 &&
            copy_text(found->id, sizeof(found->id),
                      xml_in_text(node, "UploadId"))) {
            found->begun = begun;
        }
    }
}

/* Keys that only begin like this one come after it: the first page of up to
 * 1,000 holds its uploads. */
int call_find_upload(struct client *client, const char *key,
                     struct found_upload *found)
{
    struct request request = {.method = "GET", .fd = -1};
    struct answer answer = {0};

    memset(found, 0, sizeof(*found));
    request_query(&request, "uploads", "");
    request_query(&request, "prefix", key);
    request_query(&request, "encoding-type", "url");
    int error = client_send(client, &request, &answer);
    if (error == 0) {
        const struct xml_node *root =
            parse(&answer, "ListMultipartUploadsResult");
        if (root != NULL) {
            pick_upload(&answer, root, key, found);
        } else {
            error = not_understood(client, "ListMultipartUploads");
        }
    }
    answer_free(&answer);
    return error;
}

int call_create_upload(struct client *client, const char *key,
                       const struct stored_as *as, char id[ID_MAX])
{
    struct request request = {.method = "POST", .key = key, .fd = -1};
    struct answer answer = {0};

    request_query(&request, "uploads", "");
    request_header(&request, "x-amz-checksum-algorithm", "CRC64NVME");
    request_header(&request, "x-amz-checksum-type", "FULL_OBJECT");
    int error = send_stored_as(client, &request, as, &answer);
    if (error == 0) {
        const struct xml_node *root =
            parse(&answer, "InitiateMultipartUploadResult");
        if (root == NULL ||
            !copy_text(id, ID_MAX, xml_in_text(root, "UploadId"))) {
            error = not_understood(client, "CreateMultipartUpload");
        }
    }
    answer_free(&answer);
    return error;
}

int call_abort_upload(struct client *client, const char *key, const char *id)
{
    struct request request = {.method = "DELETE", .key = key, .fd = -1};
    struct answer answer = {0};

    request_query(&request, "uploadId", id);
    int error = client_send(client, &request, &answer);
    if (error == -EREMOTEIO && answer.status == 404) {
        error = 0;
    }
    answer_free(&answer);
    return error;
}

static void read_part(const struct xml_node *node, struct part *parts,
                      unsigned count)
{
    const struct slice crc = xml_in_text(node, "ChecksumCRC64NVME");
    uint8_t value[8];
    uint64_t number;

    if (slice_to_u64(xml_in_text(node, "PartNumber"), &number) != 0 ||
        number == 0 || number > count) {
        return;
    }
    struct part *part = &parts[number - 1];
    if (slice_to_u64(xml_in_text(node, "Size"), &part->size) != 0 ||
        !copy_text(part->etag, sizeof(part->etag), xml_in_text(node, "ETag"))) {
        part->size = 0;
        return;
    }
    part->has_crc = crc.size > 0 && base64_decode(value, sizeof(value), crc) ==
                                        (int)sizeof(value);
    part->crc = part->has_crc ? get_u64be(value) : 0;
}

/* One page. *marker: where the next begins; empty: it was the last. */
static int list_parts_page(struct client *client, const char *key,
                           const char *id, char marker[NUMBER],
                           struct part *parts, unsigned count)
{
    struct request request = {.method = "GET", .key = key, .fd = -1};
    struct answer answer = {0};

    request_query(&request, "uploadId", id);
    if (marker[0] != '\0') {
        request_query(&request, "part-number-marker", marker);
    }
    int error = client_send(client, &request, &answer);
    const struct xml_node *root =
        error == 0 ? parse(&answer, "ListPartsResult") : NULL;
    if (error == 0 && root == NULL) {
        error = not_understood(client, "ListParts");
    }
    for (const struct xml_node *node = root != NULL ? root->first : NULL;
         node != NULL; node = node->next) {
        if (slice_equal_string(node->name, "Part")) {
            read_part(node, parts, count);
        }
    }
    if (root == NULL ||
        !slice_equal_string(xml_in_text(root, "IsTruncated"), "true") ||
        !copy_text(marker, NUMBER, xml_in_text(root, "NextPartNumberMarker"))) {
        marker[0] = '\0';
    }
    answer_free(&answer);
    return error;
}

int call_list_parts(struct client *client, const char *key, const char *id,
                    struct part *parts, unsigned count)
{
    char marker[NUMBER] = "";
    int error = 0;

    for (unsigned pages = 0; pages < PARTS_MAX && error == 0; pages++) {
        error = list_parts_page(client, key, id, marker, parts, count);
        if (marker[0] == '\0') {
            break;
        }
    }
    return error;
}

int call_put_part(struct client *client, const char *key, const char *id,
                  unsigned number, const struct piece *piece, struct part *part)
{
    struct request request = {.method = "PUT", .key = key};
    struct answer answer = {0};
    char text[NUMBER], crc[CHECKSUM_MAX];

    snprintf(text, sizeof(text), "%u", number);
    request_query(&request, "partNumber", text);
    request_query(&request, "uploadId", id);
    add_piece(&request, piece, crc);
    int error = client_send(client, &request, &answer);
    if (error == 0) {
        const char *etag = answer_header(&answer, "etag");
        part->size = piece->size;
        part->crc = piece->crc;
        part->has_crc = was_verified(&answer, crc);
        if (etag == NULL || !copy_text(part->etag, sizeof(part->etag),
                                       slice_from_string(etag))) {
            error = not_understood(client, "UploadPart");
        }
    }
    answer_free(&answer);
    return error;
}

/* The list of the parts; the CRC and the size of all bytes. */
static void write_parts(struct buffer *out, const struct part *parts,
                        unsigned count, bool with_crc, uint64_t *crc,
                        uint64_t *size)
{
    buffer_append_string(out,
                         "<CompleteMultipartUpload "
                         "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned i = 0; i < count; i++) {
        char text[CHECKSUM_MAX];
        buffer_printf(out, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
        for (const char *c = parts[i].etag; *c != '\0'; c++) {
            if (*c != '"' && *c != '<' && *c != '&') {
                buffer_append(out, c, 1);
            }
        }
        buffer_append_string(out, "</ETag>");
        if (with_crc) {
            crc_text(text, parts[i].crc);
            buffer_printf(out, "<ChecksumCRC64NVME>%s</ChecksumCRC64NVME>",
                          text);
        }
        buffer_append_string(out, "</Part>");
        *crc = i == 0 ? parts[i].crc
                      : crc_combine(DIGEST_CRC64NVME, *crc, parts[i].crc,
                                    parts[i].size);
        *size += parts[i].size;
    }
    buffer_append_string(out, "</CompleteMultipartUpload>");
}

int call_complete_upload(struct client *client, const char *key, const char *id,
                         const struct part *parts, unsigned count,
                         bool with_crc)
{
    struct request request = {.method = "POST", .key = key, .fd = -1};
    struct answer answer = {0};
    struct buffer body = {0};
    char size_text[NUMBER], crc_header[CHECKSUM_MAX];
    uint64_t crc = 0, size = 0;

    write_parts(&body, parts, count, with_crc, &crc, &size);
    snprintf(size_text, sizeof(size_text), "%llu", (unsigned long long)size);
    crc_text(crc_header, crc);
    request.body = slice_of(body.data, body.size);
    request_query(&request, "uploadId", id);
    request_header(&request, "content-type", "application/xml");
    request_header(&request, "x-amz-mp-object-size", size_text);
    if (with_crc) {
        request_header(&request, "x-amz-checksum-crc64nvme", crc_header);
        request_header(&request, "x-amz-checksum-type", "FULL_OBJECT");
    }
    int error = client_send(client, &request, &answer);
    if (error == 0 && parse(&answer, "CompleteMultipartUploadResult") == NULL) {
        client_read_error(client, &request, &answer);
        error = -EREMOTEIO;
    }
    answer_free(&answer);
    buffer_free(&body);
    return error;
}

/* --- tags ------------------------------------------------------------------*/
int call_tags(struct client *client, const char *key, const char *version,
              struct buffer *tags)
{
    struct request request = {.method = "GET", .key = key, .fd = -1};
    struct answer answer = {0};

    request_query(&request, "tagging", "");
    add_version(&request, version);
    int error = client_send(client, &request, &answer);
    const struct xml_node *root = error == 0 ? parse(&answer, "Tagging") : NULL;
    if (error == 0 && (root == NULL || root->first == NULL)) {
        error = not_understood(client, "GetObjectTagging");
    }
    for (const struct xml_node *tag = error == 0 ? root->first->first : NULL;
         tag != NULL; tag = tag->next) {
        buffer_append_string(tags, tags->size > 0 ? "&" : "");
        uri_encode(tags, xml_in_text(tag, "Key"), false);
        buffer_append_string(tags, "=");
        uri_encode(tags, xml_in_text(tag, "Value"), false);
    }
    buffer_append(tags, "", 1);
    answer_free(&answer);
    return error;
}

/* --- versions --------------------------------------------------------------*/
int call_delete(struct client *client, const char *key)
{
    struct request request = {.method = "DELETE", .key = key, .fd = -1};
    struct answer answer = {0};
    const int error = client_send(client, &request, &answer);

    answer_free(&answer);
    return error;
}

int call_versioning(struct client *client, bool *enabled)
{
    struct request request = {.method = "GET", .fd = -1};
    struct answer answer = {0};

    request_query(&request, "versioning", "");
    int error = client_send(client, &request, &answer);
    const struct xml_node *root =
        error == 0 ? parse(&answer, "VersioningConfiguration") : NULL;
    if (error == 0 && root == NULL) {
        error = not_understood(client, "GetBucketVersioning");
    }
    *enabled = root != NULL &&
               slice_equal_string(xml_in_text(root, "Status"), "Enabled");
    answer_free(&answer);
    return error;
}
