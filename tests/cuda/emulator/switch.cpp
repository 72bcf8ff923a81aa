// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

#include <cstring>

#if defined(__x86_64__)
asm(".text\n"
    ".hidden floyd_emulated_switch\n"
    ".globl floyd_emulated_switch\n"
    ".type floyd_emulated_switch,@function\n"
    "floyd_emulated_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\n"
    "movq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\n"
    "ret\n"
    ".size floyd_emulated_switch,.-floyd_emulated_switch\n");
#elif defined(__aarch64__)
asm(".text\n"
    ".hidden floyd_emulated_switch\n"
    ".globl floyd_emulated_switch\n"
    ".type floyd_emulated_switch,%function\n"
    "floyd_emulated_switch:\n"
    "sub sp,sp,#160\n"
    "stp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
    "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
    "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
    "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
    "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
    "add sp,sp,#160\n"
    "ret\n"
    ".size floyd_emulated_switch,.-floyd_emulated_switch\n");
#else
#error "the emulator knows x86-64 and aarch64"
#endif

namespace floyd
{
namespace emulated
{

void *fresh_fiber(char *top, void (*entry)())
{
    void **slot = reinterpret_cast<void **>(top);
#if defined(__x86_64__)
    slot -= 8; // six registers, the entry, and a return address that leaves the stack as a call would
    std::memset(slot, 0, 8 * sizeof *slot);
    slot[6] = reinterpret_cast<void *>(entry);
#else
    slot -= 20;
    std::memset(slot, 0, 20 * sizeof *slot);
    slot[11] = reinterpret_cast<void *>(entry);
#endif
    return slot;
}

} // namespace emulated
} // namespace floyd
