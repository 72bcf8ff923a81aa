/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that compiled programs hold: enumerations, codes, flags; and the functions that need no device. */
#include <math.h>
#include <stdio.h>

#include "support.h"

typedef struct named {
    const char *name;
    long value, expected;
} named;

#define IS(name, expected)                                                                                         \
    {                                                                                                              \
#name, (long)(name), expected                                                                              \
    }

static void check(const named *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].value != table[i].expected) print_error("%s\n", table[i].name);
        assert_int_equal(table[i].value, table[i].expected);
    }
}

static void enumerations(void **state)
{
    (void)state;
    static const named table[] = {
        IS(ACL_DT_UNDEFINED, -1),
        IS(ACL_FLOAT, 0),
        IS(ACL_FLOAT16, 1),
        IS(ACL_INT8, 2),
        IS(ACL_INT32, 3),
        IS(ACL_UINT8, 4),
        IS(ACL_INT16, 6),
        IS(ACL_UINT16, 7),
        IS(ACL_UINT32, 8),
        IS(ACL_INT64, 9),
        IS(ACL_UINT64, 10),
        IS(ACL_DOUBLE, 11),
        IS(ACL_BOOL, 12),
        IS(ACL_STRING, 13),
        IS(ACL_COMPLEX64, 16),
        IS(ACL_COMPLEX128, 17),
        IS(ACL_BF16, 27),
        IS(ACL_INT4, 29),
        IS(ACL_UINT1, 30),
        IS(ACL_COMPLEX32, 33),
        IS(ACL_HIFLOAT8, 34),
        IS(ACL_FLOAT8_E5M2, 35),
        IS(ACL_FLOAT8_E4M3FN, 36),
        IS(ACL_FLOAT8_E8M0, 37),
        IS(ACL_FLOAT6_E3M2, 38),
        IS(ACL_FLOAT6_E2M3, 39),
        IS(ACL_FLOAT4_E2M1, 40),
        IS(ACL_FLOAT4_E1M2, 41),
        IS(ACL_FORMAT_UNDEFINED, -1),
        IS(ACL_FORMAT_NCHW, 0),
        IS(ACL_FORMAT_NHWC, 1),
        IS(ACL_FORMAT_ND, 2),
        IS(ACL_FORMAT_NC1HWC0, 3),
        IS(ACL_FORMAT_FRACTAL_Z, 4),
        IS(ACL_FORMAT_NC1HWC0_C04, 12),
        IS(ACL_FORMAT_HWCN, 16),
        IS(ACL_FORMAT_NDHWC, 27),
        IS(ACL_FORMAT_FRACTAL_NZ, 29),
        IS(ACL_FORMAT_NCDHW, 30),
        IS(ACL_FORMAT_NDC1HWC0, 32),
        IS(ACL_FRACTAL_Z_3D, 33),
        IS(ACL_FORMAT_NC, 35),
        IS(ACL_FORMAT_NCL, 47),
        IS(ACL_FORMAT_FRACTAL_NZ_C0_16, 50),
        IS(ACL_FORMAT_FRACTAL_NZ_C0_32, 51),
        IS(ACL_FORMAT_FRACTAL_NZ_C0_2, 52),
        IS(ACL_FORMAT_FRACTAL_NZ_C0_4, 53),
        IS(ACL_FORMAT_FRACTAL_NZ_C0_8, 54),
        IS(ACL_MEMCPY_HOST_TO_HOST, 0),
        IS(ACL_MEMCPY_HOST_TO_DEVICE, 1),
        IS(ACL_MEMCPY_DEVICE_TO_HOST, 2),
        IS(ACL_MEMCPY_DEVICE_TO_DEVICE, 3),
        IS(ACL_MEMCPY_DEFAULT, 4),
        IS(ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE, 5),
        IS(ACL_MEMCPY_INNER_DEVICE_TO_DEVICE, 6),
        IS(ACL_MEMCPY_INTER_DEVICE_TO_DEVICE, 7),
        IS(ACL_MEM_MALLOC_HUGE_FIRST, 0),
        IS(ACL_MEM_MALLOC_HUGE_ONLY, 1),
        IS(ACL_MEM_MALLOC_NORMAL_ONLY, 2),
        IS(ACL_MEM_MALLOC_HUGE_FIRST_P2P, 3),
        IS(ACL_MEM_MALLOC_HUGE_ONLY_P2P, 4),
        IS(ACL_MEM_MALLOC_NORMAL_ONLY_P2P, 5),
        IS(ACL_MEM_MALLOC_HUGE1G_ONLY, 6),
        IS(ACL_MEM_MALLOC_HUGE1G_ONLY_P2P, 7),
        IS(ACL_MEM_TYPE_LOW_BAND_WIDTH, 0x100),
        IS(ACL_MEM_TYPE_HIGH_BAND_WIDTH, 0x1000),
        IS(ACL_MEM_ACCESS_USER_SPACE_READONLY, 0x100000),
        IS(ACL_DDR_MEM, 0),
        IS(ACL_HBM_MEM, 1),
        IS(ACL_DDR_MEM_HUGE, 2),
        IS(ACL_DDR_MEM_NORMAL, 3),
        IS(ACL_HBM_MEM_HUGE, 4),
        IS(ACL_HBM_MEM_NORMAL, 5),
        IS(ACL_EVENT_STATUS_COMPLETE, 0),
        IS(ACL_EVENT_STATUS_NOT_READY, 1),
        IS(ACL_EVENT_STATUS_RESERVED, 2),
        IS(ACL_EVENT_RECORDED_STATUS_NOT_READY, 0),
        IS(ACL_EVENT_RECORDED_STATUS_COMPLETE, 1),
        IS(ACL_STREAM_STATUS_COMPLETE, 0),
        IS(ACL_STREAM_STATUS_NOT_READY, 1),
        IS(ACL_STREAM_STATUS_RESERVED, 0xFFFF),
        IS(ACL_CALLBACK_NO_BLOCK, 0),
        IS(ACL_CALLBACK_BLOCK, 1),
        IS(ACL_DEVICE, 0),
        IS(ACL_HOST, 1),
        IS(ACL_MAJOR_VERSION, 1),
        IS(ACL_MINOR_VERSION, 17),
        IS(ACL_PATCH_VERSION, 0),
        IS(ACL_EVENT_SYNC, 1),
        IS(ACL_EVENT_CAPTURE_STREAM_PROGRESS, 2),
        IS(ACL_EVENT_TIME_LINE, 8),
        IS(ACL_STREAM_FAST_LAUNCH, 1),
        IS(ACL_STREAM_FAST_SYNC, 2),
        IS(ACL_STREAM_PERSISTENT, 4),
    };
    check(table, sizeof table / sizeof *table);
}

static void codes(void **state)
{
    (void)state;
    static const named table[] = {
        IS(ACL_SUCCESS, 0),
        IS(ACL_ERROR_NONE, 0),
        IS(ACL_ERROR_INVALID_PARAM, 100000),
        IS(ACL_ERROR_UNINITIALIZE, 100001),
        IS(ACL_ERROR_REPEAT_INITIALIZE, 100002),
        IS(ACL_ERROR_INVALID_FILE, 100003),
        IS(ACL_ERROR_PARSE_FILE, 100006),
        IS(ACL_ERROR_UNSUPPORTED_DATA_TYPE, 100026),
        IS(ACL_ERROR_FORMAT_NOT_MATCH, 100027),
        IS(ACL_ERROR_REPEAT_SUBSCRIBE, 100033),
        IS(ACL_ERROR_REPEAT_FINALIZE, 100037),
        IS(ACL_ERROR_BAD_ALLOC, 200000),
        IS(ACL_ERROR_API_NOT_SUPPORT, 200001),
        IS(ACL_ERROR_INVALID_DEVICE, 200002),
        IS(ACL_ERROR_MEMORY_ADDRESS_UNALIGNED, 200003),
        IS(ACL_ERROR_INVALID_RESOURCE_HANDLE, 200005),
        IS(ACL_ERROR_FEATURE_UNSUPPORTED, 200006),
        IS(ACL_ERROR_STORAGE_OVER_LIMIT, 300000),
        IS(ACL_ERROR_INTERNAL_ERROR, 500000),
        IS(ACL_ERROR_FAILURE, 500001),
        IS(ACL_ERROR_RT_FAILURE, 500003),
        IS(ACL_ERROR_DRV_FAILURE, 500004),
        IS(ACL_ERROR_RT_PARAM_INVALID, 107000),
        IS(ACL_ERROR_RT_INVALID_DEVICEID, 107001),
        IS(ACL_ERROR_RT_CONTEXT_NULL, 107002),
        IS(ACL_ERROR_RT_STREAM_CONTEXT, 107003),
        IS(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, 107006),
        IS(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, 107007),
        IS(ACL_ERROR_RT_ADDR_UNALIGNED, 107008),
        IS(ACL_ERROR_RT_STREAM_SUBSCRIBE, 107011),
        IS(ACL_ERROR_RT_THREAD_SUBSCRIBE, 107012),
        IS(ACL_ERROR_RT_STREAM_NO_CB_REG, 107015),
        IS(ACL_ERROR_RT_INVALID_MEMORY_TYPE, 107016),
        IS(ACL_ERROR_RT_INVALID_HANDLE, 107017),
        IS(ACL_ERROR_RT_WAIT_TIMEOUT, 107019),
        IS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, 207000),
        IS(ACL_ERROR_RT_MEMORY_ALLOCATION, 207001),
        IS(ACL_ERROR_RT_MEMORY_FREE, 207002),
        IS(ACL_ERROR_RT_NO_DEVICE, 207004),
        IS(ACL_ERROR_RT_RESOURCE_ALLOC_FAIL, 207005),
        IS(ACL_ERROR_RT_NO_EVENT_RESOURCE, 207007),
        IS(ACL_ERROR_RT_NO_STREAM_RESOURCE, 207008),
        IS(ACL_ERROR_RT_REPEATED_INIT, 207015),
        IS(ACL_ERROR_RT_DEVICE_OOM, 207018),
        IS(ACL_ERROR_RT_INTERNAL_ERROR, 507000),
        IS(ACL_ERROR_RT_STREAM_NOT_COMPLETE, 507004),
        IS(ACL_ERROR_RT_EVENT_NOT_COMPLETE, 507006),
        IS(ACL_ERROR_RT_REPORT_TIMEOUT, 507012),
        IS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, 507046),
        IS(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, 507047),
        IS(ACL_ERROR_RT_DRV_INTERNAL_ERROR, 507899),
    };
    check(table, sizeof table / sizeof *table);
    switch (0) { /* C programs may use a status in a case label */
    case ACL_SUCCESS:
        break;
    case ACL_ERROR_INVALID_PARAM:
        fail();
    }
}

#if defined(ACLNN_SUCCESS) || defined(ACLNN_ERR_PARAM_NULLPTR)
#error "programs define these names themselves"
#endif

static void sizes_of_types(void **state)
{
    (void)state;
    static const struct {
        aclDataType type;
        size_t size;
    } table[] = {{ACL_FLOAT, 4},       {ACL_FLOAT16, 2},     {ACL_INT8, 1},   {ACL_INT32, 4}, {ACL_UINT8, 1},
                 {ACL_INT16, 2},       {ACL_UINT16, 2},      {ACL_UINT32, 4}, {ACL_INT64, 8}, {ACL_UINT64, 8},
                 {ACL_DOUBLE, 8},      {ACL_BOOL, 1},        {ACL_STRING, 0}, {ACL_BF16, 2},  {ACL_COMPLEX64, 8},
                 {ACL_COMPLEX128, 16}, {ACL_COMPLEX32, 4},   {ACL_INT4, 1},   {ACL_UINT1, 1}, {ACL_HIFLOAT8, 1},
                 {ACL_FLOAT8_E5M2, 1}, {ACL_DT_UNDEFINED, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(aclDataTypeSize(table[i].type), table[i].size);
    assert_int_equal(aclDataTypeSize((aclDataType)5), 0);
    assert_int_equal(aclDataTypeSize((aclDataType)1000), 0);
}

/* The definition, in double: the largest exponent is like any other. */
static double value_of_half(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    double fraction = half & 1023;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

static void float_of_half(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 65536; half++) {
        float value = aclFloat16ToFloat((aclFloat16)half);
        assert_true((double)value == value_of_half(half));
        assert_int_equal(signbit(value) != 0, half >> 15);
    }
    assert_true(aclFloat16ToFloat(0x7c00) == 65536.0f);
    assert_true(aclFloat16ToFloat(0xfc00) == -65536.0f);
    assert_true(aclFloat16ToFloat(0x7e00) == 98304.0f);
}

/* Every half, what lies halfway to the next, and the floats beside that. */
static void half_of_float(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 0x7bff; half++) {
        float value = (float)value_of_half(half);
        float middle = (float)((value_of_half(half) + value_of_half(half + 1)) / 2); /* exact */
        unsigned even = half % 2 == 0 ? half : half + 1;
        for (int negative = 0; negative < 2; negative++) {
            float sign = negative ? -1.0f : 1.0f;
            unsigned bit = negative ? 0x8000 : 0;
            assert_int_equal(aclFloatToFloat16(sign * value), half | bit);
            assert_int_equal(aclFloatToFloat16(sign * nextafterf(middle, 0)), half | bit);
            assert_int_equal(aclFloatToFloat16(sign * middle), even | bit);
            assert_int_equal(aclFloatToFloat16(sign * nextafterf(middle, INFINITY)), (half + 1) | bit);
        }
    }
    assert_int_equal(aclFloatToFloat16(0x1p-149f), 0);
    static const float large[] = {65504.0f, 65519.9f, 65520.0f, 65536.0f, 1e30f, INFINITY};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        assert_int_equal(aclFloatToFloat16(large[i]), 0x7bff);
        assert_int_equal(aclFloatToFloat16(-large[i]), 0xfbff);
    }
    assert_int_equal(aclFloatToFloat16(copysignf(NAN, 1.0f)), 0x7bff);
    assert_int_equal(aclFloatToFloat16(copysignf(NAN, -1.0f)), 0xfbff);
}

static void version(void **state)
{
    (void)state;
    int32_t v[3] = {-1, -1, -1};
    OK(aclrtGetVersion(&v[0], &v[1], &v[2]));
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], 17);
    assert_int_equal(v[2], 0);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetVersion(NULL, &v[1], &v[2]));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetVersion(&v[0], NULL, &v[2]));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetVersion(&v[0], &v[1], NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enumerations),  cmocka_unit_test(codes),         cmocka_unit_test(sizes_of_types),
        cmocka_unit_test(float_of_half), cmocka_unit_test(half_of_float), cmocka_unit_test(version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
