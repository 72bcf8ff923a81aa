/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor declares model inference here. This library has operators only. */
#ifndef FLOYDATTN_ACL_ACL_MDL_H
#define FLOYDATTN_ACL_ACL_MDL_H

#include "acl_base.h"

#endif
