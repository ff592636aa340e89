/*
 * Completed uploads are not remembered for ever.
 *
 * Upload ids begin with the time of their creation, so the records that may
 * be old enough come first; what began long ago and was completed lately
 * stays.
 */
#include "s3/multipart.h"

#define REMEMBERED_MS        (7ull * 24 * 60 * 60 * 1000)
#define FORGOTTEN_PER_COMMIT 1000

/* One commit's worth from the scan's place on. */
static int forget_some(struct meta *meta, struct meta_scan *scan,
                       struct slice last, uint64_t before_ms)
{
    struct meta_batch *batch = meta_batch_new(meta);
    struct arena *arena = arena_new();
    unsigned seen = 0;
    int rc = 0;

    while (rc == 0 && seen < FORGOTTEN_PER_COMMIT && meta_scan_valid(scan) &&
           slice_compare(meta_scan_key(scan), last) < 0) {
        Meta__Completed *completed;

        rc = meta_scan_completed_record(scan, arena, &completed);
        if (rc == 0) {
            if (completed->completed_ms < before_ms) {
                meta_delete_completed(batch, meta_scan_key(scan));
            }
            seen++;
            meta_scan_next(scan);
        }
    }
    if (rc == 0) {
        rc = meta_commit(batch);
    }
    arena_free(arena);
    meta_batch_free(batch);
    return rc;
}

int s3_forget_completed(struct s3_service *service)
{
    const uint64_t now_ms = clock_wall_ms();
    const uint64_t before_ms =
        now_ms > REMEMBERED_MS ? now_ms - REMEMBERED_MS : 0;
    char text[UPLOAD_ID_TIME_SIZE + 1];
    struct slice last = slice_of(text, UPLOAD_ID_TIME_SIZE);
    struct meta_scan *scan = meta_scan_completed(service->meta);
    int rc = 0;

    upload_id_time(text, before_ms);
    while (rc == 0 && meta_scan_valid(scan) &&
           slice_compare(meta_scan_key(scan), last) < 0) {
        rc = forget_some(service->meta, scan, last, before_ms);
    }
    rc = rc != 0 ? rc : meta_scan_error(scan);
    meta_scan_free(scan);
    return rc;
}
