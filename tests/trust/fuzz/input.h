/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer's input as a stream of choices. At its end every choice is 0, which the targets give the plainest
 * meaning: so a short input is a plain call, and each byte more bends something.
 */
#ifndef FLOYD_FUZZ_INPUT_H
#define FLOYD_FUZZ_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct input {
    const uint8_t *at, *end;
} input;

static inline uint8_t in_byte(input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint64_t in_word(input *in, int bytes)
{
    uint64_t word = 0;
    for (int i = 0; i < bytes; i++) word |= (uint64_t)in_byte(in) << 8 * i;
    return word;
}

static inline unsigned in_below(input *in, unsigned count)
{
    return in_byte(in) % count;
}

/* One choice in sixteen, and not 0. */
static inline bool in_rarely(input *in)
{
    return in_byte(in) >= 0xf0;
}

/* A number that arithmetic on sizes and strides may stumble over, or any number. */
static inline int64_t in_number(input *in)
{
    const uint8_t choice = in_byte(in);
    const int shift = choice & 63;
    const int64_t power = (int64_t)((uint64_t)1 << shift);
    switch (choice >> 6) {
    case 0:
        return shift; /* small */
    case 1:
        return power;
    case 2:
        return (int64_t)(0 - (uint64_t)power);
    default:
        return shift < 32 ? (int64_t)((uint64_t)power - 1) : (int64_t)in_word(in, 8);
    }
}

/* What must hold does not: the fuzzer keeps the input. */
#define MUST(condition)                                                                                            \
    do {                                                                                                           \
        if (!(condition)) {                                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                         \
            abort();                                                                                               \
        }                                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
