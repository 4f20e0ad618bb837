/* edgeemo_file.h: a student as one file of bytes, `model.bin` of an exported folder with a front end in
 * floats. It may lie in
 * another bank of flash, or come over the air, and be exchanged without new code: rate, names and
 * sizes are read from it.
 *
 * Use, in this order:
 *
 *     edgeemo_file file;                                       (stays where it is, as the bytes do)
 *     status = edgeemo_file_open(&file, bytes_in_flash, n);
 *     settings.sample_rate = file.model.sample_rate;           (if your converter gives it)
 *     edgeemo_stream_size(&file.model, &settings)              (how much memory it takes)
 *     edgeemo_stream_init(&stream, memory, sizeof memory, &file.model, &settings);
 *
 * Little-endian, of 4 bytes each: "EGEF", version, bytes in all, the CRC-32 of all that follows, and
 * so on as edgeemo_file.c has it. The file may come from anywhere: no content makes a read or write
 * outside of it. A CRC tells damage, not who wrote the file: sign what comes over the air.
 *
 * A file belongs to no task: once open, it is only read.
 */
#ifndef EDGEEMO_FILE_H
#define EDGEEMO_FILE_H

#include "edgeemo_speech.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EDGEEMO_FILE_VERSION = 1, EDGEEMO_DIGEST_BYTES = 32 };

/* An open file. It may not move: the model points into it. */
typedef struct edgeemo_file {
    edgeemo_speech_model model; /* for edgeemo_stream_init() and edgeemo_speech_init() */
    int32_t values;             /* of an estimate */
    const char *names;          /* theirs, each ended by a 0, one behind the other */
    const uint8_t *digest;      /* [EDGEEMO_DIGEST_BYTES] of the student, as card.json has it */
    edgeemo_confidence confidence; /* the library's own, as what follows */
    uint64_t tables[14];
} edgeemo_file;

/* Check a file and tell what it holds.
 *
 * file   receives it.
 * bytes  n bytes, 4-byte aligned (16 is faster); they stay in use and may not move or change.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, EDGEEMO_ERR_BLOB (no such file, or cut off),
 * EDGEEMO_ERR_BLOB_VERSION, EDGEEMO_ERR_CRC, EDGEEMO_ERR_CHOICE (its front end needs a part that was
 * not compiled: see edgeemo_parts.h) or what edgeemo_model_check() says; on an error *file is as
 * before.
 */
int32_t edgeemo_file_open(edgeemo_file *file, const void *bytes, size_t n);

#ifdef __cplusplus
}
#endif

#endif
