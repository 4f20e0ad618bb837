/* libc.c: stands for Android's libc.so while the library is linked. It gives the names, so that one
 * that the library should not use is an error, and the linker notes that libc.so is needed.
 */
#define NAME(name) void name(void) { }

NAME(malloc)
NAME(free)
NAME(memcpy)
NAME(memmove)
NAME(memset)
NAME(memcmp)
#ifdef __arm__
/* clang copies structures of whole 8 bytes by this name; Android's C library has it. */
NAME(__aeabi_memcpy8)
#endif
