/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOYDATTN_CLI_MAPPING_H
#define FLOYDATTN_CLI_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/* A whole file, read-only in memory until the command ends. */
typedef struct mapping {
    const char *path;
    const uint8_t *data;
    size_t bytes;
} mapping;

/* Ends the command when the file cannot be read or is empty. The path is not copied. */
mapping map_file(const char *path);

#endif
