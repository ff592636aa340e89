// What the numbers of s3_status mean. Pure: from its JSON to what is drawn.
// The names are docs/monitoring.md's.

export function samples(metrics, name) {
    return metrics[name]?.samples ?? [];
}

/** The value with these labels; undefined if it is not told. */
export function value(metrics, name, labels = {}) {
    return samples(metrics, name).find(sample => Object.entries(labels)
        .every(([key, label]) => sample.labels[key] === label))?.value;
}

export function total(metrics, name, wanted = () => true) {
    return samples(metrics, name).filter(({labels}) => wanted(labels))
        .reduce((sum, sample) => sum + sample.value, 0);
}

// --- over time --------------------------------------------------------------

/** Counts per bucket of all operations, [[le, count], ...]; a listener's
 * request lasts as long as it listens, and says nothing of speed. */
function durations(metrics) {
    const counts = new Map();
    for (const {labels, buckets} of samples(metrics,
        "s3_request_duration_seconds")) {
        for (const {le, count} of labels.operation === "ListenNotification"
            ? [] : buckets ?? []) {
            const bound = typeof le === "number" ? le : Infinity;
            counts.set(bound, (counts.get(bound) ?? 0) + count);
        }
    }
    return counts;
}

/** Where a part of them lies, straight lines within a bucket assumed; null:
 * nothing was counted. */
export function quantile(buckets, part) {
    const sorted = [...buckets].sort((a, b) => a[0] - b[0]);
    const wanted = part * sorted.reduce((sum, [, count]) => sum + count, 0);
    let below = 0, from = 0;
    for (const [bound, count] of sorted) {
        if (count > 0 && below + count >= wanted) {
            return bound === Infinity ? from
                : from + (bound - from) * (wanted - below) / count;
        }
        below += count;
        from = bound === Infinity ? from : bound;
    }
    return null;
}

/** What went on between two readings; null after a restart of nginx. */
export function point(before, after, time, seconds) {
    const per = (name, wanted) =>
        (total(after, name, wanted) - total(before, name, wanted)) / seconds;
    const by = digit => ({code}) => code.startsWith(digit);
    const old = durations(before);
    const spent = [...durations(after)].map(
        ([bound, count]) => [bound, count - (old.get(bound) ?? 0)]);
    const all = per("s3_requests_total");
    if (all < 0) {
        return null;
    }
    const refused = per("s3_requests_total", by("4"));
    const failed = per("s3_requests_total", by("5"));
    return {time, good: all - refused - failed, refused, failed,
        received: per("s3_received_bytes_total"),
        sent: per("s3_sent_bytes_total"),
        median: quantile(spent, 0.5), slowest: quantile(spent, 0.99)};
}

// --- drives -----------------------------------------------------------------

export function drives(metrics) {
    return samples(metrics, "s3d_drive_info").map(({labels}) => {
        const {drive, directory, domain} = labels;
        const of = name => value(metrics, `s3d_drive_${name}`, {drive});
        const latencies = samples(metrics, "s3d_drive_latency_seconds")
            .filter(sample => sample.labels.drive === drive
                && sample.labels.percentile === "95")
            .map(sample => sample.value).filter(Number.isFinite);
        return {drive, directory, domain, ok: of("ok") === 1,
            slow: of("slow") === 1, full: of("full") === 1,
            draining: of("draining") === 1, failures: of("failures_total") ?? 0,
            size: of("size_bytes") ?? 0, free: of("free_bytes") ?? 0,
            inFlight: of("operations_in_flight") ?? 0,
            operations: total(metrics, "s3d_drive_recent_operations",
                sample => sample.drive === drive),
            latency: latencies.length ? Math.max(...latencies) : null};
    });
}

// --- redundancy -------------------------------------------------------------

export function redundancy(metrics) {
    const queued = value(metrics, "s3d_heal_queue_blobs") ?? 0;
    const healed = value(metrics, "s3d_heal_healed_blobs") ?? 0;
    return {full: value(metrics, "s3d_fully_redundant") === 1,
        queued, healed, waiting: value(metrics, "s3d_heal_waiting_blobs") ?? 0,
        remaining: value(metrics, "s3d_heal_remaining_seconds") ?? 0,
        unreadable: value(metrics, "s3d_unreadable_blobs") ?? 0,
        reduced: samples(metrics, "s3d_reduced_blobs")
            .map(sample => ({left: Number(sample.labels.losses_left),
                blobs: sample.value}))
            .filter(({blobs}) => blobs > 0)};
}

// --- health -----------------------------------------------------------------

/** What an operator should know, worst first: [{level: "bad" | "warn", text}] */
export function concerns(metrics) {
    const found = [];
    const bad = (when, text) => when && found.push({level: "bad", text});
    const warn = (when, text) => when && found.push({level: "warn", text});
    if (value(metrics, "s3_up") !== 1) {
        return [{level: "bad", text: "s3d does not answer."}];
    }
    const blobs = count => count === 1 ? "1 blob" : `${count} blobs`;
    const ledger = redundancy(metrics);
    const endangered = ledger.reduced.find(({left}) => left === 0)?.blobs ?? 0;
    const all = drives(metrics);
    const names = wanted =>
        all.filter(wanted).map(({drive}) => drive).join(", ");
    const lost = names(drive => !drive.ok);
    const slow = names(drive => drive.ok && drive.slow);
    const full = names(drive => drive.ok && drive.full);
    const mirrors = samples(metrics, "s3d_metadata_mirror_ok");
    const away = mirrors.filter(sample => sample.value !== 1).length;

    bad(ledger.unreadable, `${blobs(ledger.unreadable)} cannot be read: too `
        + "few shards are there.");
    bad(value(metrics, "s3d_metadata_read_only") === 1,
        "Metadata take no change any more: s3d only reads.");
    bad(endangered, `Not one more loss is borne by ${blobs(endangered)}.`);
    bad(mirrors.length && away === mirrors.length,
        "No metadata mirror is whole.");
    warn(lost, `Not in use: drive ${lost}.`);
    warn(slow, `Much slower than the others: drive ${slow}.`);
    warn(full, `Full: drive ${full}.`);
    warn(away && away < mirrors.length,
        `${away} of ${mirrors.length} metadata mirrors are away.`);
    warn(ledger.queued && !endangered,
        `Short of shards: ${blobs(ledger.queued)}.`);
    warn(!ledger.full && !ledger.queued && !ledger.unreadable,
        "Full redundancy is not proven yet.");
    samples(metrics, "s3d_events_target_up")
        .filter(sample => sample.value !== 1).forEach(sample => warn(true,
            `The target ${sample.labels.target} takes no events.`));
    warn(value(metrics, "s3d_scrub_stopped") === 1, "The scrub is stopped.");
    warn(all.length === 1, "One drive: nothing may be lost.");
    return found;
}
