/* edgeemo_file.c: a student as one file of bytes; see edgeemo_file.h. */
#include "edgeemo_file.h"

#include <string.h>

#include "edgeemo_internal.h"

#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("Os") /* runs once: small before fast */
#endif

enum { MAGIC = 0x46454745, CHECKED_FROM = 16 }; /* "EGEF"; behind the CRC */

/* The beginning of a file. Places count bytes from it, and are multiples of four. */
typedef struct head {
    int32_t magic, version, bytes;
    uint32_t crc;
    int32_t sample_rate, least, classes_at, classes;
    float low, high;
    int32_t inputs; /* of the confidence; 0 if there is none */
    float bias;
    int32_t blob_at, blob_bytes;
    int32_t tables_at; /* edgeemo_tables_head, then the arrays, each filled up to four bytes */
    int32_t confidence_at; /* centers, scales, weights */
    int32_t names_at, names_bytes;
    uint8_t digest[EDGEEMO_DIGEST_BYTES];
} head;

/* Does an edgeemo_tables fit into what a file has for it? */
typedef char tables_fit[sizeof(edgeemo_tables) <= sizeof ((edgeemo_file *)0)->tables ? 1 : -1];

/* `count` bytes at a place lie inside the file. */
static int32_t lies_inside(const head *h, int32_t at, uint64_t count)
{
    return at >= (int32_t)sizeof *h && at % 4 == 0 && at <= h->bytes
           && count <= (uint64_t)(h->bytes - at);
}

static int32_t are_finite(const void *floats, size_t bytes)
{
    const uint32_t *at = floats, *end = at + bytes / 4;
    while (at < end && (*at & 0x7f800000u) != 0x7f800000u)
        at++;
    return at == end;
}

/* Nothing that a table says leads out of the arrays of a front end. */
static int32_t leads_inside(const edgeemo_tables *t)
{
    int32_t m = t->fft / 2, last = 0, edge = 0;
    for (int32_t i = 0; i < 4; i++)
        last = t->quarters[i] > last ? t->quarters[i] : last;
    for (int32_t k = 0; k <= m / 4; k++)
        if (t->permutation[k] % sizeof(edgeemo_complex)
            || (int32_t)(t->permutation[k] / sizeof(edgeemo_complex)) + last >= m)
            return 0;
    for (int32_t i = 0; i < t->bands + 2; i++) {
        if (t->edge[i] < edge || t->edge[i] > m + 1)
            return 0;
        edge = t->edge[i];
    }
    return 1;
}

static int32_t open_tables(edgeemo_tables *t, const head *h)
{
    if (!lies_inside(h, h->tables_at, sizeof(edgeemo_tables_head)))
        return EDGEEMO_ERR_BLOB;
    const uint8_t *at = (const uint8_t *)h + h->tables_at;
    edgeemo_tables_head th;
    memcpy(&th, at, sizeof th);
    if (th.fft < 64 || th.fft > 1024 || (th.fft & (th.fft - 1)) || th.win_length < 2
        || th.win_length > th.fft || th.hop < 1 || th.hop > 65536 || th.bands < 1
        || th.bands > th.fft / 2 || !are_finite(&th.floor, sizeof th.floor)
        || !are_finite(&th.log_scale, sizeof th.log_scale) || !(th.floor > 0))
        return EDGEEMO_ERR_BLOB;
    *t = (edgeemo_tables){
        .win_length = th.win_length, .hop = th.hop, .fft = th.fft, .bands = th.bands,
        .spectrum = th.spectrum, .floor_mode = th.floor_mode, .floor = th.floor,
        .log_scale = th.log_scale, .arithmetic = &edgeemo_float_arithmetic,
    };
    memcpy(t->quarters, th.quarters, sizeof t->quarters);
    size_t bytes[EDGEEMO_ARRAYS], place = sizeof th;
    const void *arrays[EDGEEMO_ARRAYS];
    edgeemo_array_bytes(t, bytes);
    for (int32_t i = 0; i < EDGEEMO_ARRAYS; i++) {
        arrays[i] = at + place;
        place += (bytes[i] + 3) / 4 * 4;
        if (!lies_inside(h, h->tables_at, place)
            || (i < EDGEEMO_FLOAT_ARRAYS && !are_finite(arrays[i], bytes[i])))
            return EDGEEMO_ERR_BLOB;
    }
    t->window = arrays[0];
    t->twiddles = arrays[1];
    t->cosines = arrays[2];
    t->mel_weights = arrays[3];
    t->norm = arrays[4];
    t->permutation = arrays[5];
    t->edge = arrays[6];
    if (!leads_inside(t))
        return EDGEEMO_ERR_BLOB;
    return edgeemo_has_parts_for(t) ? EDGEEMO_OK : EDGEEMO_ERR_CHOICE;
}

static int32_t open_confidence(edgeemo_confidence *c, const head *h)
{
    if (h->inputs < 1 || !lies_inside(h, h->confidence_at, 4 * sizeof(float) * (uint64_t)h->inputs))
        return EDGEEMO_ERR_BLOB;
    const float *center = (const void *)((const uint8_t *)h + h->confidence_at);
    *c = (edgeemo_confidence){h->inputs, h->bias, center, center + h->inputs, center + 2 * h->inputs};
    for (int32_t i = 0; i < h->inputs; i++)
        if (!(c->scale[i] > 0))
            return EDGEEMO_ERR_BLOB;
    return are_finite(center, 4 * sizeof(float) * (size_t)h->inputs)
                   && are_finite(&h->bias, sizeof h->bias)
               ? EDGEEMO_OK
               : EDGEEMO_ERR_BLOB;
}

static int32_t open_names(edgeemo_file *file, const head *h)
{
    int32_t count = 0;
    if (h->names_bytes < 1 || !lies_inside(h, h->names_at, (uint64_t)h->names_bytes))
        return EDGEEMO_ERR_BLOB;
    file->names = (const char *)h + h->names_at;
    for (int32_t i = 0; i < h->names_bytes; i++)
        count += file->names[i] == 0;
    return count == file->values && file->names[h->names_bytes - 1] == 0 ? EDGEEMO_OK
                                                                         : EDGEEMO_ERR_BLOB;
}

static int32_t check_head(const head *h, size_t n)
{
    if (n < sizeof *h || h->magic != MAGIC)
        return EDGEEMO_ERR_BLOB;
    if (h->version != EDGEEMO_FILE_VERSION)
        return EDGEEMO_ERR_BLOB_VERSION;
    if (h->bytes < (int32_t)sizeof *h || (size_t)h->bytes > n)
        return EDGEEMO_ERR_BLOB;
    const uint8_t *checked = (const uint8_t *)h + CHECKED_FROM;
    if (edgeemo_crc32(0, checked, (size_t)h->bytes - CHECKED_FROM) != h->crc)
        return EDGEEMO_ERR_CRC;
    if (h->blob_bytes < 0 || !lies_inside(h, h->blob_at, (uint64_t)h->blob_bytes)
        || !(h->low < h->high) || !are_finite(&h->low, sizeof h->low)
        || !are_finite(&h->high, sizeof h->high))
        return EDGEEMO_ERR_BLOB;
    return EDGEEMO_OK;
}

int32_t edgeemo_file_open(edgeemo_file *file, const void *bytes, size_t n)
{
    const head *h = bytes;
    edgeemo_model_info info;
    edgeemo_file made;
    edgeemo_tables tables;
    if (!file || !bytes)
        return EDGEEMO_ERR_ARG;
    if ((uintptr_t)bytes % 4)
        return EDGEEMO_ERR_BLOB;
    memset(&made, 0, sizeof made);
    int32_t status = check_head(h, n);
    if (status == EDGEEMO_OK)
        status = edgeemo_model_check((const uint8_t *)h + h->blob_at, (size_t)h->blob_bytes, &info);
    if (status == EDGEEMO_OK)
        status = open_tables(&tables, h);
    if (status == EDGEEMO_OK && h->inputs)
        status = open_confidence(&made.confidence, h);
    if (status == EDGEEMO_OK) {
        made.values = info.values;
        status = open_names(&made, h);
    }
    if (status != EDGEEMO_OK)
        return status;
    made.digest = h->digest;
    *file = made;
    memcpy(file->tables, &tables, sizeof tables);
    file->model = (edgeemo_speech_model){
        .blob = (const uint8_t *)h + h->blob_at, .blob_bytes = (size_t)h->blob_bytes,
        .tables = (const void *)file->tables, .confidence = h->inputs ? &file->confidence : NULL,
        .sample_rate = h->sample_rate, .least = h->least, .classes_at = h->classes_at,
        .classes = h->classes, .low = h->low, .high = h->high,
    };
    return EDGEEMO_OK;
}
