/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that the command is run in: files to read, and some that are there already where it might write. */
#ifndef FLOYD_FUZZ_COMMAND_FILES_H
#define FLOYD_FUZZ_COMMAND_FILES_H

#include <stdbool.h>

/* Makes it, fills it and goes there. */
void enter_directory(void);

/*
 * Brings it back to how it was; whether it still was. A temporary file of the command's may be there only if the
 * run was cut short.
 */
bool tidy_directory(bool cut_short);

#endif
