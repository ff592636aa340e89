// Uploads in parts that nobody has completed: their parts take space until
// they are aborted.

import {listUploads, send} from "./s3.js";
import {confirm} from "./dialog.js";
import {el, button, fill, table} from "./dom.js";
import {date} from "./format.js";

export async function unfinished(bucket, signal) {
    const box = el("div");
    const refresh = async () => {
        const uploads = await listUploads(bucket, signal);
        fill(box, uploads.length ? table("Unfinished uploads",
            ["Key", ["Begun", "minor"], ["", "end"]],
            uploads.map(({key, begun, id}) => [key,
                el("span", {class: "dim"}, date(begun)),
                button("Abort", () => confirm("Abort upload",
                    `The parts of “${key}” that are there are deleted.`,
                    "Abort", async () => {
                        await send("DELETE",
                            {bucket, key, query: {uploadId: id}});
                        await refresh();
                    }), "quiet")]))
            : el("p", {class: "empty"}, "Every upload has ended."));
    };
    await refresh();
    return box;
}
