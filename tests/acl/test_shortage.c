/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that runs out: every allocation and every thread is refused in turn. Each call says so or succeeds,
 * nothing is lost, and what follows works. The linker sends the runtime's own calls of libc through the functions
 * here.
 */
#include <search.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long until_refusal = -1; /* grants before the one refusal; negative: none is due */
static bool refused, refused_thread;
static bool never_again; /* no block becomes larger */
static long live;        /* blocks given and not taken back */

static bool grant(void)
{
    pthread_mutex_lock(&lock);
    bool refuse = until_refusal == 0;
    refused |= refuse;
    if (until_refusal >= 0) until_refusal -= 1;
    if (!refuse) live += 1;
    pthread_mutex_unlock(&lock);
    return !refuse;
}

static void take_back(long blocks)
{
    pthread_mutex_lock(&lock);
    live -= blocks;
    pthread_mutex_unlock(&lock);
}

static long count_live(void)
{
    pthread_mutex_lock(&lock);
    long count = live;
    pthread_mutex_unlock(&lock);
    return count;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user);

void *__wrap_malloc(size_t size)
{
    return grant() ? __real_malloc(size) : NULL;
}
void *__wrap_calloc(size_t count, size_t size)
{
    return grant() ? __real_calloc(count, size) : NULL;
}

void __wrap_free(void *block)
{
    take_back(block != NULL);
    __real_free(block);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return grant() ? __real_posix_memalign(block, alignment, size) : 12;
}

/* Of these the runtime keeps what it gets, or gives it back through libc: they are not counted. */
void *__wrap_realloc(void *block, size_t size)
{
    if (never_again || !grant()) return NULL;
    take_back(1);
    return __real_realloc(block, size);
}

void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
    if (!grant()) return NULL;
    take_back(1);
    return __real_tsearch(key, root, compare);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user)
{
    if (!grant()) {
        refused_thread = true; /* read by the thread that asked */
        return 11;
    }
    take_back(1);
    return __real_pthread_create(thread, attributes, start, user);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    if (!grant()) return 12;
    take_back(1);
    return __real_pthread_mutex_init(mutex, attributes);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    if (!grant()) return 12;
    take_back(1);
    return __real_pthread_cond_init(condition, attributes);
}

/* True for a success; false for a refusal, which must say what it is. */
static bool tries(aclError status)
{
    const char *message = aclGetRecentErrMsg();
    bool shortage = status == (refused_thread ? ACL_ERROR_RT_NO_STREAM_RESOURCE : ACL_ERROR_RT_MEMORY_ALLOCATION);
    refused_thread = false;
    if (status != ACL_SUCCESS && !shortage) print_error("got %d: %s\n", status, message ? message : "no message");
    assert_true(status == ACL_SUCCESS ? message == NULL : shortage && message != NULL);
    return status == ACL_SUCCESS;
}

/* Whatever can run out, once each; calls that stand on a refused one are left out. */
static void use_everything(void)
{
    aclrtContext context;
    aclrtStream stream;
    aclrtEvent event;
    char *device = NULL, *pinned = NULL, pageable[16] = "";
    uint64_t self = (uint64_t)pthread_self();
    int n = 0, expected = 0;
    if (tries(aclrtCreateContext(&context, 0))) {
        if (tries(aclrtCreateStream(&stream))) {
            bool subscribed = tries(aclrtSubscribeReport(self, stream));
            expected += tries(aclrtLaunchHostFunc(stream, add_one, &n));
            if (subscribed && tries(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, stream))) {
                expected += 1;
                OK(aclrtProcessReport(-1));
            }
            if (tries(aclrtCreateEvent(&event))) {
                if (tries(aclrtRecordEvent(event, stream))) tries(aclrtStreamWaitEvent(NULL, event));
                OK(aclrtDestroyEvent(event));
            }
            bool have = tries(aclrtMalloc((void **)&device, 16, ACL_MEM_MALLOC_HUGE_FIRST));
            bool have_pinned = tries(aclrtMallocHost((void **)&pinned, 16));
            if (have) {
                tries(aclrtMemsetAsync(device, 16, 'x', 16, stream));
                tries(aclrtMemcpyAsync(pageable, 16, device, 16, ACL_MEMCPY_DEVICE_TO_HOST, stream));
                tries(aclrtMemcpyAsync(device, 16, pageable, 16, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE, stream));
                if (have_pinned) tries(aclrtMemcpyAsync(pinned, 16, device, 16, ACL_MEMCPY_DEVICE_TO_HOST, stream));
            }
            OK(aclrtSynchronizeStream(stream));
            assert_int_equal(n, expected);
            OK(aclrtDestroyStream(stream));
            if (have) OK(aclrtFree(device));
            if (have_pinned) OK(aclrtFreeHost(pinned));
        }
        OK(aclrtDestroyContext(context));
    }
    if (tries(aclrtSetDevice(0))) OK(aclrtResetDevice(0));
}

static bool refuse_number(long number, void (*use)(void))
{
    pthread_mutex_lock(&lock);
    until_refusal = number;
    refused = false;
    pthread_mutex_unlock(&lock);
    use();
    pthread_mutex_lock(&lock);
    until_refusal = -1;
    bool came = refused;
    pthread_mutex_unlock(&lock);
    return came;
}

static void every_refusal_is_survived(void **state)
{
    (void)state;
    long before = count_live();
    long number = 0;
    while (refuse_number(number, use_everything)) {
        assert_int_equal(count_live(), before);
        number += 1;
    }
    assert_true(number > 20);
    assert_int_equal(count_live(), before);
}

typedef aclError maker(void **made);
typedef aclError destroyer(void *made);

static aclError make_context(void **made)
{
    return aclrtCreateContext(made, 0);
}

/* The table of objects cannot grow: its free places are given out, then a shortage is told. */
static void check_full_table(maker *make, destroyer *destroy)
{
    enum { MOST = 1 << 12 };
    static void *made[MOST];
    int count = 0;
    const long before = count_live();
    aclrtContext context;
    OK(aclrtGetCurrentContext(&context));
    never_again = true;
    while (count < MOST && tries(make(&made[count]))) count++;
    never_again = false;
    assert_true(count < MOST);
    OK(aclrtSetCurrentContext(context)); /* a new context is the thread's own */
    const long full = count_live();
    OK(make(&made[count]));
    OK(destroy(made[count]));
    OK(aclrtSetCurrentContext(context));
    assert_int_equal(count_live(), full);
    while (count > 0) OK(destroy(made[--count]));
    assert_int_equal(count_live(), before);
}

static void the_table_of_objects_is_full(void **state)
{
    (void)state;
    OK(aclrtSetDevice(0));
    check_full_table(make_context, aclrtDestroyContext);
    check_full_table(aclrtCreateStream, aclrtDestroyStream);
    check_full_table(aclrtCreateEvent, aclrtDestroyEvent);
    OK(aclrtResetDevice(0));
}

/* 0, or the line of the first surprise. */
#define EXPECT(expected, call)                                                                                     \
    do {                                                                                                           \
        if ((call) != (expected)) return __LINE__;                                                                 \
    } while (0)

static int use_no_callbacks(void)
{
    const uint64_t self = (uint64_t)pthread_self();
    int n = 0;
    EXPECT(ACL_SUCCESS, aclrtSetDevice(0));
    EXPECT(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtSubscribeReport(self, NULL));
    EXPECT(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtUnSubscribeReport(self, NULL));
    EXPECT(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, NULL));
    EXPECT(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtProcessReport(0));
    EXPECT(ACL_SUCCESS, aclrtLaunchHostFunc(NULL, add_one, &n));
    EXPECT(ACL_SUCCESS, aclrtSynchronizeStream(NULL));
    EXPECT(1, n);
    return 0;
}

static int wait_for(pid_t child)
{
    int status;
    if (child <= 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return __LINE__;
    return WEXITSTATUS(status);
}

/* The lock of the callbacks is made anew in a child, and can fail to be: callbacks are refused then, all else
 * works. */
static void a_child_without_callbacks(void **state)
{
    (void)state;
    OK(aclrtSetDevice(0)); /* so that the parent has made its own */
    OK(aclrtResetDevice(0));
    until_refusal = 0;
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        int line = until_refusal < 0 ? use_no_callbacks() : __LINE__;
        if (line == 0) { /* and a child of its own has them */
            const pid_t grandchild = fork();
            if (grandchild == 0) _exit(aclrtProcessReport(0) == ACL_ERROR_RT_THREAD_SUBSCRIBE ? 0 : 1);
            line = wait_for(grandchild) == 0 ? use_no_callbacks() : __LINE__;
        }
        _exit(line);
    }
    until_refusal = -1;
    assert_int_equal(wait_for(child), 0);
}

#define CONFIG "acl_test_shortage.json"

static void no_memory_for_the_configuration(void **state)
{
    (void)state;
    FILE *file = fopen(CONFIG, "wb");
    assert_non_null(file);
    assert_true(fputs("{}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    pthread_mutex_lock(&lock);
    until_refusal = 0;
    pthread_mutex_unlock(&lock);
    FAILS(ACL_ERROR_BAD_ALLOC, aclInit(CONFIG));
    OK(aclInit(CONFIG));
    OK(aclFinalize());
    remove(CONFIG);
}

static int calls_until_fault = -1; /* of the host's files and figures; negative: none is due */

static bool host_fails(void)
{
    return calls_until_fault >= 0 && calls_until_fault-- == 0;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
size_t __real_fread(void *data, size_t size, size_t count, FILE *file);
size_t __wrap_fread(void *data, size_t size, size_t count, FILE *file);
int __real_stat(const char *path, struct stat *info);
int __wrap_stat(const char *path, struct stat *info);
int __real_sysinfo(struct sysinfo *info);
int __wrap_sysinfo(struct sysinfo *info);

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return host_fails() ? NULL : __real_fopen(path, mode);
}

size_t __wrap_fread(void *data, size_t size, size_t count, FILE *file)
{
    return host_fails() ? 0 : __real_fread(data, size, count, file);
}

int __wrap_stat(const char *path, struct stat *info)
{
    return host_fails() ? -1 : __real_stat(path, info);
}

int __wrap_sysinfo(struct sysinfo *info)
{
    return host_fails() ? -1 : __real_sysinfo(info);
}

/* One step of reading the configuration fails, then the next: the call says so, and the one after it succeeds. */
static void every_step_of_the_configuration(void **state)
{
    (void)state;
    FILE *file = __real_fopen(CONFIG, "wb");
    assert_non_null(file);
    assert_true(fputs("{}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    int steps = 0;
    for (bool failed = true; failed; steps += failed) {
        long before = count_live();
        calls_until_fault = steps;
        aclError status = aclInit(CONFIG);
        failed = calls_until_fault < 0;
        calls_until_fault = -1;
        assert_int_equal(status, failed ? ACL_ERROR_INVALID_FILE : ACL_SUCCESS);
        assert_true((aclGetRecentErrMsg() != NULL) == failed);
        assert_int_equal(count_live(), before);
        if (failed) OK(aclInit(CONFIG));
        OK(aclFinalize());
    }
    assert_int_equal(steps, 3);
    remove(CONFIG);
}

static void the_host_does_not_say(void **state)
{
    (void)state;
    size_t available = 7, total = 7;
    int steps = 0;
    OK(aclrtSetDevice(0));
    for (bool failed = true; failed; steps += failed) {
        calls_until_fault = steps;
        aclError status = aclrtGetMemInfo(ACL_DDR_MEM, &available, &total);
        failed = calls_until_fault < 0;
        calls_until_fault = -1;
        assert_true(status == ACL_SUCCESS || (failed && status == ACL_ERROR_RT_DRV_INTERNAL_ERROR));
        assert_true((aclGetRecentErrMsg() != NULL) == (status != ACL_SUCCESS));
        if (status == ACL_SUCCESS) assert_true(available > 7 && total >= available);
        OK(aclrtGetMemInfo(ACL_DDR_MEM, &available, &total));
    }
    assert_int_equal(steps, 2);
    OK(aclrtResetDevice(0));
}

/* What is done is freed, not only when the stream ends. */
static void done_work_is_freed(void **state)
{
    (void)state;
    int n = 0;
    aclrtEvent event;
    OK(aclrtSetDevice(0));
    OK(aclrtCreateEvent(&event));
    OK(aclrtRecordEvent(event, NULL));
    OK(aclrtSynchronizeStream(NULL));
    long before = count_live();
    for (int i = 0; i < 1000; i++) {
        OK(aclrtLaunchHostFunc(NULL, add_one, &n));
        OK(aclrtRecordEvent(event, NULL));
        OK(aclrtStreamWaitEvent(NULL, event));
        OK(aclrtMemsetAsync(&n, 0, 0, 0, NULL));
    }
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(count_live(), before);
    assert_int_equal(n, 1000);
    OK(aclrtDestroyEvent(event));
    OK(aclrtResetDevice(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_survived),
        cmocka_unit_test(the_table_of_objects_is_full),
        cmocka_unit_test(a_child_without_callbacks),
        cmocka_unit_test(no_memory_for_the_configuration),
        cmocka_unit_test(every_step_of_the_configuration),
        cmocka_unit_test(the_host_does_not_say),
        cmocka_unit_test(done_work_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
