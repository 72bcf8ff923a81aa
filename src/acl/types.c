/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of data types, and the vendor's two conversions between half and float. */
#include <string.h>

#include "acl/acl.h"

size_t aclDataTypeSize(aclDataType dataType)
{
    switch (dataType) {
    case ACL_DT_UNDEFINED:
    case ACL_STRING:
        return 0;
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_BOOL:
    case ACL_INT4:
    case ACL_UINT1:
    case ACL_HIFLOAT8:
    case ACL_FLOAT8_E5M2:
    case ACL_FLOAT8_E4M3FN:
    case ACL_FLOAT8_E8M0:
    case ACL_FLOAT6_E3M2:
    case ACL_FLOAT6_E2M3:
    case ACL_FLOAT4_E2M1:
    case ACL_FLOAT4_E1M2:
        return 1;
    case ACL_FLOAT16:
    case ACL_BF16:
    case ACL_INT16:
    case ACL_UINT16:
        return 2;
    case ACL_FLOAT:
    case ACL_INT32:
    case ACL_UINT32:
    case ACL_COMPLEX32:
        return 4;
    case ACL_INT64:
    case ACL_UINT64:
    case ACL_DOUBLE:
    case ACL_COMPLEX64:
        return 8;
    case ACL_COMPLEX128:
        return 16;
    }
    return 0;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float aclFloat16ToFloat(aclFloat16 value)
{
    uint32_t sign = (uint32_t)(value & 0x8000) << 16, rest = value & 0x7fff;
    if (rest >= 0x0400) return float_of(sign | ((rest << 13) + (112u << 23))); /* the exponents' biases: 127 - 15 */
    float magnitude = (float)rest * 0x1p-24f;                                  /* subnormal: exact */
    return float_of(sign | bits_of(magnitude));
}

/* bits >> shift, to nearest, ties to even. */
static uint32_t shift_rounding(uint32_t bits, unsigned shift)
{
    uint32_t half = (uint32_t)1 << (shift - 1), odd = bits >> shift & 1;
    return (bits + half - 1 + odd) >> shift;
}

aclFloat16 aclFloatToFloat16(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    uint32_t exponent = rest >> 23, half;
    if (exponent >= 113)                                /* 2^-14 and above */
        half = shift_rounding(rest - (112u << 23), 13); /* a carry runs into the exponent, as it should */
    else if (exponent >= 102)                           /* 2^-25 and above: subnormal, in units of 2^-24 */
        half = shift_rounding((rest & 0x7fffff) | 0x800000, 126 - exponent);
    else
        half = 0;
    return (aclFloat16)(sign | (half < 0x7bff ? half : 0x7bff));
}
