/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AscendCL names that programs for Floyd attention use, served by the host CPU: device 0 is this machine.
 * See acl_rt.h for the functions and acl_base_rt.h for types and status codes.
 */
#ifndef FLOYDATTN_ACL_ACL_H
#define FLOYDATTN_ACL_ACL_H

#include "acl_rt.h"

#include "acl_mdl.h"
#include "acl_op.h"

#endif
