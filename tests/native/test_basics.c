/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that compute nothing: names, sizes, versions, descriptions. */
#include "cmocka_all.h"

#include "floydattn.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_version(void **state)
{
    char text[32];
    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", FLOYD_VERSION_MAJOR, FLOYD_VERSION_MINOR, FLOYD_VERSION_PATCH);
    assert_string_equal(floyd_version(), text);
}

static void test_status_names(void **state)
{
    static const char *const names[] = {"FLOYD_OK",
                                        "FLOYD_ERROR_NULL",
                                        "FLOYD_ERROR_DTYPE",
                                        "FLOYD_ERROR_SHAPE",
                                        "FLOYD_ERROR_OVERFLOW",
                                        "FLOYD_ERROR_STRIDE",
                                        "FLOYD_ERROR_OVERLAP",
                                        "FLOYD_ERROR_OPTION",
                                        "FLOYD_ERROR_WORKSPACE",
                                        "FLOYD_ERROR_UNSUPPORTED",
                                        "FLOYD_ERROR_SYSTEM",
                                        "FLOYD_ERROR_CANCELLED"};
    (void)state;
    for (int i = 0; i < 12; i++) assert_string_equal(floyd_status_name((floyd_status)i), names[i]);
    assert_string_equal(floyd_status_name((floyd_status)12), "unknown status");
    assert_string_equal(floyd_status_name((floyd_status)-1), "unknown status");
}

static void test_dtype_sizes(void **state)
{
    static const size_t sizes[] = {4, 8, 2, 2, 1};
    (void)state;
    for (int i = 0; i < 5; i++) assert_int_equal(floyd_dtype_size((floyd_dtype)i), sizes[i]);
    assert_int_equal(floyd_dtype_size((floyd_dtype)5), 0);
    assert_int_equal(floyd_dtype_size((floyd_dtype)-1), 0);
}

static void test_contiguous(void **state)
{
    int x;
    (void)state;
    const floyd_tensor t = floyd_contiguous(&x, FLOYD_BF16, 2, 3, 5, 7, 11);
    const int64_t size[] = {2, 3, 5, 7, 11}, stride[] = {3 * 5 * 7 * 11, 5 * 7 * 11, 7 * 11, 11, 1};
    assert_ptr_equal(t.data, &x);
    assert_int_equal(t.dtype, FLOYD_BF16);
    assert_memory_equal(t.size, size, sizeof size);
    assert_memory_equal(t.stride, stride, sizeof stride);
}

static void test_isa_list(void **state)
{
    floyd_isa isa;
    int count = 0, chosen = 0;
    (void)state;
    while (floyd_isa_describe(count, &isa) == FLOYD_OK) {
        assert_non_null(isa.name);
        assert_true(isa.reason && strlen(isa.reason) > 0);
        assert_true(isa.supported == 0 || isa.supported == 1);
        assert_true(!isa.chosen || isa.supported);
        chosen += isa.chosen;
        count++;
    }
    assert_true(count > 0);
    assert_int_equal(chosen, 1);
    assert_int_equal(floyd_isa_describe(count, &isa), FLOYD_ERROR_OPTION);
    assert_non_null(strstr(floyd_last_message(), "index"));
    assert_int_equal(floyd_isa_describe(-1, &isa), FLOYD_ERROR_OPTION);
    assert_int_equal(floyd_isa_describe(0, NULL), FLOYD_ERROR_NULL);
    assert_non_null(strstr(floyd_last_message(), "isa"));
}

static void *message_of_new_thread(void *out)
{
    strcpy(out, floyd_last_message());
    return NULL;
}

/* A message belongs to its thread and outlives successful calls. */
static void test_message(void **state)
{
    char kept[512], other[512] = "?";
    floyd_isa isa;
    pthread_t thread;
    (void)state;
    assert_int_equal(floyd_isa_describe(0, NULL), FLOYD_ERROR_NULL);
    strncpy(kept, floyd_last_message(), sizeof kept - 1);
    kept[sizeof kept - 1] = 0;
    assert_int_equal(floyd_isa_describe(0, &isa), FLOYD_OK);
    assert_string_equal(floyd_last_message(), kept);
    assert_int_equal(pthread_create(&thread, NULL, message_of_new_thread, other), 0);
    pthread_join(thread, NULL);
    assert_string_equal(other, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version),     cmocka_unit_test(test_status_names),
                                       cmocka_unit_test(test_dtype_sizes), cmocka_unit_test(test_contiguous),
                                       cmocka_unit_test(test_isa_list),    cmocka_unit_test(test_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
