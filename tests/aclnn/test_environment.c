/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment of the process decides: an instruction set that is not here, and no device. */
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* Run with FLOYDATTN_ISA=no-such-isa. What is wrong with the arguments comes first. */
static void test_unknown_isa(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const spec s = smallest();
        call c;
        call_open(&c, OPERATORS[o], &s);
        c.workspace_bytes = 99;
        assert_int_equal(call_phase_one(&c), ACLNN_ERR_RUNTIME_ERROR);
        expect_message(OPERATORS[o]->name, "GetWorkspaceSize", "no-such-isa", NULL);
        assert_int_equal(c.workspace_bytes, 99);
        assert_null(c.executor);
        c.operands[0].size[2] = 17;
        assert_int_equal(call_phase_one(&c), ACLNN_ERR_INNER_TILING_ERROR);
        expect_message("query", NULL);
        call_untouched(&c);
        call_close(&c);
    }
}

/* Phase one needs no device; phase two on the default stream does, and leaves the executor for when there is one.
 */
static void test_no_device(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const spec s = smallest();
        call c;
        call_open(&c, OPERATORS[o], &s);
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        assert_int_equal(call_phase_two(&c, NULL), ACLNN_ERR_RUNTIME_ERROR);
        expect_message(OPERATORS[o]->name, "stream NULL", "aclrtSetDevice", NULL);
        call_untouched(&c);
        assert_int_equal(aclrtSetDevice(0), ACL_SUCCESS);
        assert_int_equal(call_phase_two(&c, NULL), ACLNN_SUCCESS);
        assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
        call_check(&c);
        assert_int_equal(aclrtResetDevice(0), ACL_SUCCESS);
        call_close(&c);
    }
}

int main(void)
{
    const char *isa = getenv("FLOYDATTN_ISA");
    const struct CMUnitTest with_isa[] = {cmocka_unit_test(test_unknown_isa)};
    const struct CMUnitTest without[] = {cmocka_unit_test(test_no_device)};
    if (isa != NULL && strcmp(isa, "no-such-isa") == 0) {
        return cmocka_run_group_tests_name("aclnn unknown isa", with_isa, NULL, NULL);
    }
    return cmocka_run_group_tests_name("aclnn no device", without, NULL, NULL);
}
