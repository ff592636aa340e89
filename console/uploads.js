// Uploads in parts that nobody has completed: their parts take space until
// they are aborted.

import {listUploads, send} from "./s3.js";
import {confirm} from "./dialog.js";
import {button, el, live, table} from "./dom.js";
import {date} from "./format.js";

export function unfinished(bucket, signal) {
    return live(async refresh => {
        const uploads = await listUploads(bucket, signal);
        const abort = ({key, id}) => confirm("Abort upload",
            `The parts of “${key}” that are there are deleted.`, "Abort",
            async () => {
                await send("DELETE", {bucket, key, query: {uploadId: id}});
                await refresh();
            });
        return uploads.length ? table("Unfinished uploads",
            ["Key", ["Begun", "minor"], ["", "end"]],
            uploads.map(upload => [upload.key,
                el("span", {class: "dim"}, date(upload.begun)),
                button("Abort", () => abort(upload), "quiet")]))
            : el("p", {class: "empty"}, "Every upload has ended.");
    });
}
