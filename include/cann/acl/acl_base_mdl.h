/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor declares types for models here. Floyd attention needs none of them. */
#ifndef FLOYDATTN_ACL_ACL_BASE_MDL_H
#define FLOYDATTN_ACL_ACL_BASE_MDL_H

#include "acl_base_rt.h"

#endif
