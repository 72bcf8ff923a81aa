/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor lists the codes of its graph engine here. This library has no graph engine. */
#ifndef FLOYDATTN_ACL_GE_ERROR_CODES_H
#define FLOYDATTN_ACL_GE_ERROR_CODES_H

#endif
