/*
 * Accept-Encoding: every coding is ranked once, the best first, and what comes
 * before an equal one came before it.
 */
#include "fuzz.h"

#include "s3_accept.h"

#define CODINGS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const s3_coding_t all[CODINGS] = {{.name = s3_string("br")},
                                             {.name = s3_string("zstd")},
                                             {.name = s3_string("gzip")},
                                             {.name = s3_string("identity")}};
    s3_coding_t codings[CODINGS];
    uint8_t *text = input_copy((struct input){data, size});
    s3_str_t value = {size, text};
    size_t rank[CODINGS], seen = 0;

    memcpy(codings, all, sizeof(all));
    s3_accept(&value, codings, CODINGS);
    for (size_t i = 0; i < CODINGS; i++) {
        for (rank[i] = 0; rank[i] < CODINGS; rank[i]++) {
            if (codings[i].name.data == all[rank[i]].name.data) {
                seen |= (size_t)1 << rank[i];
                break;
            }
        }
        MUST(codings[i].q <= 1000);
        MUST(i == 0 || codings[i - 1].q > codings[i].q ||
             (codings[i - 1].q == codings[i].q && rank[i - 1] < rank[i]));
    }
    MUST(seen == (1u << CODINGS) - 1);
    free(text);
    return 0;
}
