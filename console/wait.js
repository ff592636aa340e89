// Waiting, for the next try.

const FIRST = 500, LONGEST = 30000; // milliseconds

/** How long to wait before a try, of which there were `failed`: twice as long
 * each time, and not all at once. */
export function backOff(failed) {
    return Math.min(LONGEST, FIRST * 2 ** (failed - 1))
        * (0.75 + Math.random() / 2);
}

/** Ends after that time, or when the network is back; rejects when aborted. */
export function pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
        const over = new AbortController();
        const end = settle => value => {
            clearTimeout(timer);
            over.abort();
            settle(value);
        };
        const timer = setTimeout(end(resolve), milliseconds);
        addEventListener("online", end(resolve), {signal: over.signal});
        signal?.addEventListener("abort", () => end(reject)(signal.reason),
            {signal: over.signal});
        if (signal?.aborted) {
            end(reject)(signal.reason);
        }
    });
}
