/* SPDX-License-Identifier: Apache-2.0 */
/* Going from one fiber to another. */
#ifndef FLOYD_EMULATED_SWITCH_H
#define FLOYD_EMULATED_SWITCH_H

/* Saves the callee's registers and the stack pointer, and goes on where `to` was saved. */
extern "C" void floyd_emulated_switch(void **save, void *to);

namespace floyd
{
namespace emulated
{

/* What to go on from to enter `entry`, which must not return, on the stack that ends at top. */
void *fresh_fiber(char *top, void (*entry)());

} // namespace emulated
} // namespace floyd

#endif
