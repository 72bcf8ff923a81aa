/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is to the runtime. */
#ifndef FLOYD_ACL_MEMORY_H
#define FLOYD_ACL_MEMORY_H

typedef enum acl_memory_kind {
    ACL_MEMORY_PAGEABLE, /* none of ours: the program may free it as soon as a copy returns */
    ACL_MEMORY_PINNED,   /* of aclrtMallocHost */
    ACL_MEMORY_DEVICE    /* of aclrtMalloc and its like */
} acl_memory_kind;

acl_memory_kind acl_memory_kind_of(const void *address);

#endif
