/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka.h asks for these to be included before it. */
#ifndef FLOYD_TEST_CMOCKA_ALL_H
#define FLOYD_TEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
