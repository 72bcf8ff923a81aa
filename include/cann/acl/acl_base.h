/* SPDX-License-Identifier: Apache-2.0 */
/* Types, enumerations and status codes. */
#ifndef FLOYDATTN_ACL_ACL_BASE_H
#define FLOYDATTN_ACL_ACL_BASE_H

#include "acl_base_rt.h"

#include "acl_base_mdl.h"
#include "error_codes/ge_error_codes.h"
#include "error_codes/rt_error_codes.h"

#endif
