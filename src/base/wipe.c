/* SPDX-License-Identifier: MIT
 * Clearing the stack below, and registers. Called where passwords are read and checked, any privilege; cannot fail. */
#include "base/wipe.h"
#include <string.h>

#ifdef __x86_64__

#define VECTOR_STATES 0xe6u    /* of XCR0: SSE, AVX, and the three of AVX-512; neither x87 nor protection keys */
#define MXCSR_AT 24            /* in the area: loaded along with SSE, whatever the header says */
#define AREA_SIZE (512u + 64u) /* of states that its header does not name XRSTOR reads nothing */

/* A header that has nothing in it gives all registers their first value: zeros. Twice sixteen of them have no name
 * that the compiler knows without AVX-512, and their upper halves none without AVX. */
__attribute__((noinline)) static void wipe_registers(void) {
    _Alignas(64) unsigned char area[AREA_SIZE] = {0};
    unsigned states, upper, control;
    if (!__builtin_cpu_supports(
            "avx")) { /* then there is no XRSTOR either, and what follows soon uses all of the few */
        return;
    }
    __asm__ volatile("xgetbv" : "=a"(states), "=d"(upper) : "c"(0));
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    memcpy(area + MXCSR_AT, &control, sizeof control);
    __asm__ volatile("xrstor64 %0"
                     :
                     : "m"(area), "a"(states & VECTOR_STATES), "d"(0)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "memory");
}

#else

__attribute__((noinline)) static void wipe_registers(void) {
}

#endif

/* Not inlined: it must lie where those lay whom its caller has called. explicit_bzero is never dropped. */
__attribute__((noinline)) void wipe_traces(void) {
    unsigned char below[WIPED_STACK];
    explicit_bzero(below, sizeof below);
    wipe_registers();
}
