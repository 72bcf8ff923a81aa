/* SPDX-License-Identifier: Apache-2.0 */
/* The text behind floyd_last_message. */
#ifndef FLOYD_MESSAGE_H
#define FLOYD_MESSAGE_H

#include "floydattn.h"

/* Keeps the text for this thread and returns status: `return floyd_fail(FLOYD_ERROR_SHAPE, "...", ...);` */
floyd_status floyd_fail(floyd_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, for who reads one file alone, such as a static analyser: what failed is not FLOYD_OK. */
#define floyd_fail(status, ...) ((void)(floyd_fail)(status, __VA_ARGS__), (status))

#endif
