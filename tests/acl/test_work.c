/* SPDX-License-Identifier: Apache-2.0 */
/* What the rest of the library asks of the runtime: work on a stream, its end, its failure, and messages. */
#include "acl/stream.h"
#include "support.h"

typedef struct job {
    int runs, drops, order;
    int *clock;
    aclError result;
    const char *message;
    bool dropped_before_run;
} job;

static aclError run(void *user)
{
    job *j = user;
    j->runs += 1;
    j->order = ++*j->clock;
    return j->message != NULL ? acl_report(j->result, "%s", j->message) : j->result;
}

static void drop(void *user)
{
    job *j = user;
    j->dropped_before_run |= j->runs == 0;
    j->drops += 1;
}

static acl_work work_of(job *j)
{
    return (acl_work){run, drop, j};
}

static void runs_in_order_and_drops_once(void **state)
{
    (void)state;
    enum { JOBS = 500 };
    static job jobs[JOBS];
    int clock = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (job){.clock = &clock};
        OK(acl_stream_submit(NULL, work_of(&jobs[i])));
    }
    OK(aclrtSynchronizeStream(NULL));
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].order, i + 1);
        assert_int_equal(jobs[i].runs, 1);
        assert_int_equal(jobs[i].drops, 1); /* also, before the synchronize returned */
        assert_false(jobs[i].dropped_before_run);
    }
}

static void a_failure_waits_for_the_synchronize(void **state)
{
    (void)state;
    int clock = 0;
    job good = {.clock = &clock}, bad = {.clock = &clock, .result = 361001, .message = "the first of two"};
    job worse = {.clock = &clock, .result = 500000, .message = "the second"}, last = {.clock = &clock};
    gate g = GATE;
    aclrtStream stream;
    aclrtStreamStatus status;
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(stream, gate_wait, &g));
    OK(acl_stream_submit(stream, work_of(&good)));
    OK(acl_stream_submit(stream, work_of(&bad)));
    OK(acl_stream_submit(stream, work_of(&worse)));
    OK(acl_stream_submit(stream, work_of(&last)));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(stream, 0));
    gate_open(&g);
    do {
        OK(aclrtStreamQuery(stream, &status));
    } while (status != ACL_STREAM_STATUS_COMPLETE);
    assert_int_equal(last.runs, 1);   /* later work still runs */
    OK(aclrtSynchronizeStream(NULL)); /* another stream's */
    assert_int_equal(aclrtSynchronizeStream(stream), ACL_ERROR_RT_INTERNAL_ERROR);
    const char *message = aclGetRecentErrMsg();
    assert_non_null(message);
    assert_non_null(strstr(message, "the first of two"));
    assert_non_null(strstr(message, "361001"));
    assert_null(aclGetRecentErrMsg());
    OK(aclrtSynchronizeStream(stream)); /* once */
    assert_int_equal(good.drops + bad.drops + worse.drops + last.drops, 4);
    OK(acl_stream_submit(stream, work_of(&bad)));
    assert_int_equal(aclrtSynchronizeDevice(), ACL_ERROR_RT_INTERNAL_ERROR);
    assert_non_null(strstr(aclGetRecentErrMsg(), "the first of two"));
    OK(aclrtSynchronizeStream(stream));
    OK(acl_stream_submit(stream, work_of(&bad)));
    OK(aclrtDestroyStream(stream)); /* forgotten with the stream */
    assert_int_equal(bad.drops, 3);
}

static void failures_of_two_streams_are_told_one_by_one(void **state)
{
    (void)state;
    int clock[2] = {0};
    job bad[2] = {{.clock = &clock[0], .result = 361001, .message = "the one"},
                  {.clock = &clock[1], .result = 361001, .message = "the other"}};
    aclrtStream stream[2];
    for (int i = 0; i < 2; i++) {
        OK(aclrtCreateStream(&stream[i]));
        OK(acl_stream_submit(stream[i], work_of(&bad[i])));
    }
    bool told[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(aclrtSynchronizeDevice(), ACL_ERROR_RT_INTERNAL_ERROR);
        const char *message = aclGetRecentErrMsg();
        assert_non_null(message);
        told[strstr(message, "the other") != NULL] = true;
        assert_null(aclGetRecentErrMsg());
    }
    assert_true(told[0] && told[1]);
    OK(aclrtSynchronizeDevice());
    for (int i = 0; i < 2; i++) OK(aclrtDestroyStream(stream[i]));
}

static void call_wrongly(void *user)
{
    (void)user;
    (void)aclrtFree(NULL);
}

static void a_failure_without_words_has_none_of_another(void **state)
{
    (void)state;
    int clock = 0;
    job silent = {.clock = &clock, .result = 500000};
    OK(aclrtLaunchHostFunc(NULL, call_wrongly, NULL));
    OK(acl_stream_submit(NULL, work_of(&silent)));
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_ERROR_RT_INTERNAL_ERROR);
    const char *message = aclGetRecentErrMsg();
    assert_non_null(strstr(message, "500000"));
    assert_null(strstr(message, "aclrtFree"));
}

static void refused_work_is_not_touched(void **state)
{
    (void)state;
    int clock = 0;
    job j = {.clock = &clock};
    aclrtStream stream;
    OK(aclrtCreateStream(&stream));
    OK(aclrtDestroyStream(stream));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, acl_stream_submit(stream, work_of(&j)));
    OK(aclrtResetDevice(0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, acl_stream_submit(NULL, work_of(&j)));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, acl_stream_submit(stream, work_of(&j)));
    assert_int_equal(j.runs + j.drops, 0);
    OK(aclrtSetDevice(0));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(acl_report(4711, "%s", text), 4711);
    const char *message = aclGetRecentErrMsg();
    assert_non_null(strstr(message, "4711"));
    assert_true(strlen(message) > 500 && strlen(message) < 1000);
    assert_null(aclGetRecentErrMsg());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(runs_in_order_and_drops_once),
        ON_DEVICE(a_failure_waits_for_the_synchronize),
        ON_DEVICE(failures_of_two_streams_are_told_one_by_one),
        ON_DEVICE(a_failure_without_words_has_none_of_another),
        ON_DEVICE(refused_work_is_not_touched),
        ON_DEVICE(long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
