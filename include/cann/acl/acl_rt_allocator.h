/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor declares user-defined device allocators here. This library calls no allocator of the user's. */
#ifndef FLOYDATTN_ACL_ACL_RT_ALLOCATOR_H
#define FLOYDATTN_ACL_ACL_RT_ALLOCATOR_H

#include "acl_base.h"

#endif
