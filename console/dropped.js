// The files of a drop.

const MOST = 100000; // files, that a page can bear

const once = start => new Promise(start);

/** [{path, file}]: those of directories with their paths. */
export async function dropped(items) {
    const found = [];
    const read = async (entry, path) => {
        if (entry.isFile) {
            found.push({path: path + entry.name, file: await once(
                (resolve, reject) => entry.file(resolve, reject))});
            if (found.length > MOST) {
                throw new Error(`These are more than ${MOST} files: use `
                    + "a tool, such as aws s3 sync.");
            }
            return;
        }
        const reader = entry.createReader();
        for (let entries = [null]; entries.length;) {
            entries = await once(
                (resolve, reject) => reader.readEntries(resolve, reject));
            for (const inner of entries) {
                await read(inner, `${path}${entry.name}/`);
            }
        }
    };
    // All at once: the list is empty when this function is left.
    const entries = [...items].map(item => item.webkitGetAsEntry())
        .filter(entry => entry);
    for (const entry of entries) {
        await read(entry, "");
    }
    return found;
}
