/* edgeemo_self_test.h: does this machine compute what the exporter computed? For power-on. */
#ifndef EDGEEMO_SELF_TEST_H
#define EDGEEMO_SELF_TEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One second of speech through the whole chain. Every bit of the estimate is compared, and before it,
 * by a checksum, every bit of the features: estimates are coarser, and may be right with features
 * that are not.
 *
 * memory  `bytes` bytes, 8-byte aligned, at least EDGEEMO_STUDENT_MEMORY; used only during the
 *         call, so it may be the memory of the chain itself.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_VALUE (other features or another estimate: wrong flags of the
 * compiler, damaged flash) or what edgeemo_speech_init() says.
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
