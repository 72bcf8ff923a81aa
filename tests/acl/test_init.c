/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning, end, configuration, and whose message is the newest. */
#include <sys/stat.h>

#include "support.h"

static void counting(void **state)
{
    (void)state;
    uint64_t left = 99;
    FAILS(ACL_ERROR_REPEAT_FINALIZE, aclFinalize());
    FAILS(ACL_ERROR_REPEAT_FINALIZE, aclFinalizeReference(&left));
    assert_int_equal(left, 0);
    OK(aclInit(NULL));
    FAILS(ACL_ERROR_REPEAT_INITIALIZE, aclInit(NULL));
    FAILS(ACL_ERROR_REPEAT_INITIALIZE, aclInit(NULL));
    OK(aclFinalizeReference(&left));
    assert_int_equal(left, 2);
    OK(aclFinalize()); /* all the rest at once */
    FAILS(ACL_ERROR_REPEAT_FINALIZE, aclFinalize());
    OK(aclInit(""));
    OK(aclFinalizeReference(NULL));
    FAILS(ACL_ERROR_REPEAT_FINALIZE, aclFinalizeReference(NULL));
}

#define CONFIG "acl_test_config.json"

static void write_config(const char *text)
{
    FILE *file = fopen(CONFIG, "wb");
    assert_non_null(file);
    assert_true(fwrite(text, 1, strlen(text), file) == strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void configuration(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",
                                       " { \"dump\": { \"path\": \"a\\\"}\\\\\" }, \"list\": [1, {\"x\": []}] }\n",
                                       "{\"err_msg_mode\": \"0\"}", "{\"err_msg_mode\": 1}", "{\"err_msg_mode\"}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        write_config(good[i]);
        OK(aclInit(CONFIG));
        OK(aclFinalize());
    }
    static const char *const bad[] = {"",
                                      "   ",
                                      "[]",
                                      "null",
                                      "\"a\"",
                                      "{",
                                      "{\"a\": [}",
                                      "{\"a\": 1]",
                                      "{} {",
                                      "{\"a\n",
                                      "{\"",
                                      "{\"\\",
                                      "}",
                                      "{}}",
                                      "{\"err_msg_mode\": \"",
                                      "{\"err_msg_mode\": "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_config(bad[i]);
        FAILS(ACL_ERROR_PARSE_FILE, aclInit(CONFIG));
        FAILS(ACL_ERROR_REPEAT_FINALIZE, aclFinalize());
    }
    char deep[400];
    memset(deep, '{', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    write_config(deep);
    FAILS(ACL_ERROR_PARSE_FILE, aclInit(CONFIG));
    remove(CONFIG);
    FAILS(ACL_ERROR_INVALID_FILE, aclInit(CONFIG));
    FAILS(ACL_ERROR_INVALID_FILE, aclInit("."));
    assert_int_equal(mkfifo(CONFIG, 0600), 0);
    FAILS(ACL_ERROR_INVALID_FILE, aclInit(CONFIG)); /* and does not wait for a writer */
    remove(CONFIG);
    FILE *file = fopen(CONFIG, "wb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 10 * 1024 * 1024, SEEK_SET), 0);
    assert_int_equal(fputc('}', file), '}');
    assert_int_equal(fclose(file), 0);
    FAILS(ACL_ERROR_INVALID_FILE, aclInit(CONFIG));
    remove(CONFIG);
}

static void *fail_elsewhere(void *user)
{
    (void)user;
    int failed = aclrtSetDevice(7) == ACL_ERROR_RT_INVALID_DEVICEID;
    return failed ? user : NULL;
}

static void fail_on_another_thread(void)
{
    pthread_t thread;
    void *failed;
    int here;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &here), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_ptr_equal(failed, &here);
}

static void message_of_the_thread(void **state)
{
    (void)state;
    fail_on_another_thread();
    assert_null(aclGetRecentErrMsg());
    assert_int_equal(aclrtSetDevice(5), ACL_ERROR_RT_INVALID_DEVICEID);
    fail_on_another_thread();
    assert_int_equal(aclrtFree(NULL), ACL_ERROR_INVALID_PARAM);
    const char *message = aclGetRecentErrMsg();
    assert_non_null(message);
    assert_non_null(strstr(message, "aclrtFree")); /* the newest, */
    assert_null(aclGetRecentErrMsg());             /* once */
}

static void message_of_the_process(void **state)
{
    (void)state;
    write_config("{ \"other\": {\"err_msg_mode\": \"0\"}, \"err_msg_mode\" : \"1\", \"x\": \"err_msg_mode\" }");
    OK(aclInit(CONFIG));
    remove(CONFIG);
    assert_int_equal(aclrtFree(NULL), ACL_ERROR_INVALID_PARAM);
    fail_on_another_thread();
    const char *message = aclGetRecentErrMsg();
    assert_non_null(message);
    assert_non_null(strstr(message, "aclrtSetDevice: deviceId is 7"));
    assert_null(aclGetRecentErrMsg());
    OK(aclFinalize());
    OK(aclInit(NULL)); /* back to threads */
    fail_on_another_thread();
    assert_null(aclGetRecentErrMsg());
    OK(aclFinalize());
}

static void nested_mode_is_not_ours(void **state)
{
    (void)state;
    write_config("{ \"other\": {\"err_msg_mode\": \"1\"} }");
    OK(aclInit(CONFIG));
    remove(CONFIG);
    fail_on_another_thread();
    assert_null(aclGetRecentErrMsg());
    OK(aclFinalize());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting),
        cmocka_unit_test(configuration),
        cmocka_unit_test(message_of_the_thread),
        cmocka_unit_test(message_of_the_process),
        cmocka_unit_test(nested_mode_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
