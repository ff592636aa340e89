// Deleting many objects, a page at a time, with what is below prefixes.

import {deleteObjects, everything, S3Error} from "./s3.js";
import {toast} from "./dom.js";
import {count} from "./format.js";

/** Deletes these objects, and all that `list` tells below these prefixes; what
 * cannot be deleted holds up nothing. work: {signal, tell} of a dialog. */
export async function deleteAll(bucket, {objects, prefixes, list},
    {signal, tell}) {
    let done = 0;
    const failed = [];
    const remove = async page => {
        const errors = await deleteObjects(bucket, page, signal);
        failed.push(...errors);
        done += page.length - errors.length;
        tell(`${count(done)} deleted …`);
    };
    try {
        await remove(objects);
        for (const prefix of prefixes) {
            for await (const page of everything(list, bucket, prefix, signal)) {
                await remove(page);
            }
        }
    } finally {
        toast(`${signal.aborted ? "Stopped. " : ""}Deleted: ${count(done)}.`);
    }
    if (failed.length) {
        const [{key, code, message}] = failed;
        throw new S3Error(200, code, `${message} (${key}; `
            + `${count(failed.length)} were not deleted)`);
    }
}
