/* edgeemo_self_test.h: does this machine compute what the exporter computed? For power-on. */
#ifndef EDGEEMO_SELF_TEST_H
#define EDGEEMO_SELF_TEST_H

#include <stddef.h>
#include <stdint.h>

/* One second of speech through the whole chain; every bit of the estimate is compared.
 *
 * memory  `bytes` bytes, 8-byte aligned, at least EDGEEMO_STUDENT_MEMORY; used only during the
 *         call, so it may be the memory of the chain itself.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_VALUE (another estimate: wrong flags of the compiler, damaged
 * flash) or what edgeemo_speech_init() says.
 */
int32_t edgeemo_self_test(void *memory, size_t bytes);

#endif
