/*
 * Elements of Contents, Version and DeleteMarker. They are written as text,
 * without a look at each name: there are ten thousand in a page.
 */
#include "s3/list_common.h"
#include "s3/ownership.h"

void entry_key(struct buffer *out, const struct list_query *query,
               struct slice key)
{
    buffer_append_literal(out, "<Key>");
    if (query->url) {
        uri_encode(out, key, true); /* leaves nothing to be escaped */
    } else {
        xml_escape(out, key);
    }
    buffer_append_literal(out, "</Key>");
}

void entry_modified(struct buffer *out, const struct meta_listed *listed)
{
    char text[TIME_ISO8601_SIZE + 1];

    time_iso8601(text, listed->mtime_ms);
    buffer_append_literal(out, "<LastModified>");
    buffer_append(out, text, TIME_ISO8601_SIZE);
    buffer_append_literal(out, "</LastModified>");
}

void entry_content(struct buffer *out, const struct meta_listed *listed)
{
    buffer_append_literal(out, "<ETag>&quot;");
    xml_escape(out, listed->etag);
    buffer_append_literal(out, "&quot;</ETag>");
    if (listed->checksum != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        buffer_append_literal(out, "<ChecksumAlgorithm>");
        buffer_append_string(out, checksum_name(listed->checksum));
        if (listed->checksum_type == META__CHECKSUM_TYPE__COMPOSITE) {
            buffer_append_literal(out, "</ChecksumAlgorithm>"
                                       "<ChecksumType>COMPOSITE"
                                       "</ChecksumType>");
        } else {
            buffer_append_literal(out, "</ChecksumAlgorithm>"
                                       "<ChecksumType>FULL_OBJECT"
                                       "</ChecksumType>");
        }
    }
    buffer_append_literal(out, "<Size>");
    buffer_append_number(out, listed->size);
    buffer_append_literal(out, "</Size>");
}

void entry_storage_class(struct buffer *out, const struct meta_listed *listed)
{
    buffer_append_literal(out, "<StorageClass>");
    if (listed->storage_class.size > 0) {
        xml_escape(out, listed->storage_class);
    } else {
        buffer_append_literal(out, "STANDARD");
    }
    buffer_append_literal(out, "</StorageClass>");
}

void entry_owner(struct s3_call *call, struct buffer *out,
                 struct entry_owner *last, const struct meta_listed *listed)
{
    const struct slice id = slice_of(last->id.data, last->id.size);

    if (last->xml.size == 0 || !slice_equal(id, listed->owner)) {
        last->id.size = last->xml.size = 0;
        buffer_append(&last->id, listed->owner.data, listed->owner.size);
        list_owner(call, &last->xml, "Owner",
                   ownership_of_record(call->bucket, listed->owner));
    }
    buffer_append(out, last->xml.data, last->xml.size);
}

void entry_owner_free(struct entry_owner *last)
{
    buffer_free(&last->id);
    buffer_free(&last->xml);
}
