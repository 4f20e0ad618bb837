/* edgeemo_self_test.h: does this machine compute what the exporter computed? For power-on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EDGEEMO_SELF_TEST_H
#define EDGEEMO_SELF_TEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRCs of network and tables; then a second of speech through front end and stream, of which every bit
 * of the features, the estimate and the confidence is compared.
 *
 * memory  `bytes` bytes, 8-byte aligned, at least EDGEEMO_STUDENT_STREAM_MEMORY; used only during
 *         the call, so it may be the memory of the stream itself.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_CRC (damaged flash), EDGEEMO_ERR_BITS (wrong flags of the compiler)
 * or what edgeemo_stream_init() says.
 *
 * With EDGEEMO_NO_SELF_TEST defined for the whole build, the function and the clip are not there.
 */
#ifndef EDGEEMO_NO_SELF_TEST
int32_t edgeemo_self_test(void *memory, size_t bytes);
#endif

#ifdef __cplusplus
}
#endif

#endif
