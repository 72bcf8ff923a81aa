/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that the caller frees in its own language. */
#ifndef FLOYD_ACLNN_NEW_ARRAY_H
#define FLOYD_ACLNN_NEW_ARRAY_H

#include <stdint.h>

/* Room for count values (one, when count is 0), or NULL without memory. */
int64_t *aclnn_new_array(uint64_t count);

#endif
