/* SPDX-License-Identifier: Apache-2.0 */
#include "fpenv.h"

#if defined(__x86_64__)
#include <immintrin.h>
enum {
    MXCSR_DEFAULT = 0x1f80
}; /* all exceptions masked, to nearest, neither flush-to-zero nor denormals-are-zero */

static uint64_t control_get(void)
{
    return _mm_getcsr();
}
static void control_set(uint64_t control)
{
    _mm_setcsr((unsigned)control);
}
static void control_default(void)
{
    _mm_setcsr(MXCSR_DEFAULT);
}

#elif defined(__aarch64__)
static uint64_t control_get(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}
static void control_set(uint64_t control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
static void control_default(void)
{
    control_set(0);
}

#else
static uint64_t control_get(void)
{
    return 0;
}
static void control_set(uint64_t control)
{
    (void)control;
}
static void control_default(void) {}
#endif

void floyd_fpenv_enter(floyd_fpenv *found)
{
    fegetenv(&found->standard);
    found->control = control_get();
    fesetenv(FE_DFL_ENV);
    control_default();
}

void floyd_fpenv_leave(const floyd_fpenv *found)
{
    fesetenv(&found->standard);
    control_set(found->control);
}
