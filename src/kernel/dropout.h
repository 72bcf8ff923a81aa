/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which weights of a row dropout keeps: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
 * as easy as 1, 2, 3" (2011), as floydattn.h fixes it. Plain loops over a fixed number of lanes, which compilers
 * turn into vectors; integers are the same everywhere.
 */
#ifndef FLOYD_DROPOUT_H
#define FLOYD_DROPOUT_H

#include "kernel.h"

enum { PHILOX_LANES = 8, PHILOX_WORDS = 4, PHILOX_ROUNDS = 10 };

/* Words of the blocks first, first + 1, ... under the counter (block, counter[1..3]). */
static void philox(uint64_t seed, uint32_t first, const uint32_t counter[4],
                   uint32_t word[PHILOX_WORDS][PHILOX_LANES])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t *w0 = word[0], *w1 = word[1], *w2 = word[2], *w3 = word[3];
    for (int i = 0; i < PHILOX_LANES; i++) {
        w0[i] = first + (uint32_t)i;
        w1[i] = counter[1], w2[i] = counter[2], w3[i] = counter[3];
    }
    for (int round = 0; round < PHILOX_ROUNDS; round++, key0 += 0x9e3779b9u, key1 += 0xbb67ae85u)
        for (int i = 0; i < PHILOX_LANES; i++) {
            const uint64_t a = (uint64_t)w0[i] * 0xd2511f53u, b = (uint64_t)w2[i] * 0xcd9e8d57u;
            const uint32_t next0 = (uint32_t)(b >> 32) ^ w1[i] ^ key0, next2 = (uint32_t)(a >> 32) ^ w3[i] ^ key1;
            w1[i] = (uint32_t)b;
            w3[i] = (uint32_t)a;
            w0[i] = next0;
            w2[i] = next2;
        }
}

/*
 * 1 for each of count pivots from k on that is kept, else 0. buffer has room for count and FLOYD_KEEP_MORE bytes;
 * what is returned lies in it.
 */
static const uint8_t *dropout_row(double dropout, uint64_t seed, const uint32_t counter[4], int64_t k,
                                  ptrdiff_t count, uint8_t *buffer)
{
    /* Kept from dropout * 2^32 on, so above the last whole number below that. */
    const double bound = dropout * 0x1p32;
    const uint64_t whole = (uint64_t)bound;
    const uint32_t last_dropped = (uint32_t)(whole - ((double)whole == bound));
    const ptrdiff_t skipped = (ptrdiff_t)(k % PHILOX_WORDS);
    uint32_t word[PHILOX_WORDS][PHILOX_LANES], block = (uint32_t)(k / PHILOX_WORDS);
    for (ptrdiff_t done = 0; done < skipped + count; done += PHILOX_WORDS * PHILOX_LANES, block += PHILOX_LANES) {
        philox(seed, block, counter, word);
        for (int i = 0; i < PHILOX_LANES; i++)
            for (int j = 0; j < PHILOX_WORDS; j++) buffer[done + i * PHILOX_WORDS + j] = word[j][i] > last_dropped;
    }
    return buffer + skipped;
}

#endif
