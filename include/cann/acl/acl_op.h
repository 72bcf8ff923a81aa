/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor keeps the single-operator interface here. Operators of this library are in aclnnop/. */
#ifndef FLOYDATTN_ACL_ACL_OP_H
#define FLOYDATTN_ACL_ACL_OP_H

#include "acl_base.h"

#endif
