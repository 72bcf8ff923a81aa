/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOYD_TEST_STAND_IN_H
#define FLOYD_TEST_STAND_IN_H

#include <stdbool.h>

/* How many forwards and backwards went to the device, or on to the CPU. */
long stand_in_calls(bool device);

#endif
