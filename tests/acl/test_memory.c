/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: what is refused and in which order, what copies wait for, what the machine has. */
#include "support.h"

#define MANY 3000

static void blocks(void **state)
{
    (void)state;
    static char *block[MANY];
    for (int i = 0; i < MANY; i++) {
        size_t size = (size_t)(i % 97) + 1;
        if (i % 3 == 0) {
            OK(aclrtMallocHost((void **)&block[i], size));
        } else {
            OK(aclrtMalloc((void **)&block[i], size,
                           (aclrtMemMallocPolicy)(i % 9))); /* 8 is no policy: tolerated */
        }
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        memset(block[i], i, size);
    }
    for (int i = 0; i < MANY; i++) assert_int_equal((unsigned char)block[i][i % 97], (unsigned char)i);
    for (int k = 0; k < MANY; k++) {
        int i = (int)((k * 1009L) % MANY); /* every block once, in no order */
        aclError (*release)(void *) = i % 3 == 0 ? aclrtFreeHost : aclrtFree;
        aclError (*other)(void *) = i % 3 == 0 ? aclrtFree : aclrtFreeHost;
        FAILS(ACL_ERROR_RT_PARAM_INVALID, other(block[i]));
        if (i % 97 > 0) FAILS(ACL_ERROR_RT_PARAM_INVALID, release(block[i] + 1));
        OK(release(block[i]));
        FAILS(ACL_ERROR_RT_PARAM_INVALID, release(block[i]));
    }
}

static void allocation_is_checked(void **state)
{
    (void)state;
    void *p = state;
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMalloc(NULL, 1, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocAlign32(NULL, 1, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocCached(NULL, 1, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocHost(NULL, 1));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMalloc(&p, 0, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocAlign32(&p, 0, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocCached(&p, 0, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMallocHost(&p, 0));
    FAILS(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtMalloc(&p, SIZE_MAX, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_RT_MEMORY_ALLOCATION, aclrtMallocHost(&p, SIZE_MAX));
    assert_ptr_equal(p, state);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtFree(NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtFreeHost(NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtFree(&p));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtFreeHost((void *)UINTPTR_MAX));
    OK(aclrtMallocAlign32(&p, 3, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtFree(p));
    OK(aclrtMallocCached(&p, 3, ACL_MEM_MALLOC_NORMAL_ONLY));
    OK(aclrtResetDevice(0));
    OK(aclrtFree(p)); /* also after its device */
    OK(aclrtSetDevice(0));
}

static void copy_is_checked_in_order(void **state)
{
    (void)state;
    char a[8] = "aaaaaaa", b[8] = "bbbbbbb";
    aclrtMemcpyKind none = (aclrtMemcpyKind)8;
    OK(aclrtMemcpy(NULL, 0, NULL, 0, none)); /* nothing to do comes first */
    OK(aclrtMemcpyAsync(NULL, 0, NULL, 0, none, a));
    OK(aclrtMemset(NULL, 0, 0, 0));
    OK(aclrtMemsetAsync(NULL, 0, 0, 0, a));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(NULL, 0, b, 8, none));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(a, 0, NULL, 8, none));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(a, 0, b, 8, none));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpy(a, 8, b, 8, (aclrtMemcpyKind)-1));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpy(a, 7, b, 8, ACL_MEMCPY_HOST_TO_DEVICE));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpyAsync(NULL, 0, b, 8, none, NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpyAsync(a, 0, NULL, 8, none, NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemcpyAsync(a, 0, b, 8, none, NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemcpyAsync(a, 7, b, 8, ACL_MEMCPY_HOST_TO_HOST, NULL));
    FAILS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, aclrtMemcpyAsync(a, 8, b, 8, ACL_MEMCPY_HOST_TO_HOST, NULL));
    FAILS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, aclrtMemcpyAsync(a, 8, b, 8, ACL_MEMCPY_DEFAULT, NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemset(NULL, 0, 0, 8));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemset(a, 7, 0, 8));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtMemsetAsync(NULL, 0, 0, 8, NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtMemsetAsync(a, 7, 0, 8, NULL));
    assert_string_equal(a, "aaaaaaa");
    for (int kind = 0; kind < 8; kind++) { /* the addresses decide, not the kind */
        memset(a, kind, 8);
        OK(aclrtMemcpy(b, 8, a, 8, (aclrtMemcpyKind)kind));
        assert_memory_equal(a, b, 8);
    }
    OK(aclrtMemset(a, 8, 0x1ff, 7)); /* the low byte */
    assert_memory_equal(a, "\xff\xff\xff\xff\xff\xff\xff\x07", 8);
    OK(aclrtMemcpy(a + 1, 7, a, 7, ACL_MEMCPY_DEFAULT));
    assert_memory_equal(a, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

typedef struct buffers {
    char *device, *pinned;
    char pageable[16];
} buffers;

static void make_buffers(buffers *b)
{
    OK(aclrtMalloc((void **)&b->device, 16, ACL_MEM_MALLOC_HUGE_FIRST));
    OK(aclrtMallocHost((void **)&b->pinned, 16));
    memset(b->device, 'd', 16);
    memset(b->pinned, 'p', 16);
    memset(b->pageable, 'h', 16);
}

static void free_buffers(buffers *b)
{
    OK(aclrtFree(b->device));
    OK(aclrtFreeHost(b->pinned));
}

/* Held behind a gate, an asynchronous copy has not happened when its call returns. */
static void pinned_copies_do_not_wait(void **state)
{
    (void)state;
    buffers b;
    gate g = GATE;
    make_buffers(&b);
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtMemcpyAsync(b.device, 16, b.pinned, 8, ACL_MEMCPY_HOST_TO_DEVICE, NULL));
    OK(aclrtMemcpyAsync(b.device + 8, 8, b.device, 4, ACL_MEMCPY_DEVICE_TO_DEVICE, NULL));
    OK(aclrtMemsetAsync(b.device + 4, 12, 'm', 4, NULL));
    OK(aclrtMemcpyAsync(b.pinned, 16, b.device, 16, ACL_MEMCPY_DEFAULT, NULL));
    assert_memory_equal(b.device, "dddddddddddddddd", 16);
    assert_memory_equal(b.pinned, "pppppppppppppppp", 16);
    gate_open(&g);
    OK(aclrtSynchronizeStream(NULL));
    assert_memory_equal(b.device, "ppppmmmmppppdddd", 16);
    assert_memory_equal(b.pinned, "ppppmmmmppppdddd", 16);
    free_buffers(&b);
}

/* With memory of the program's, the call returns when the copy is done, in its turn. */
static void pageable_copies_wait(void **state)
{
    (void)state;
    buffers b;
    gate g = GATE;
    pthread_t opener;
    make_buffers(&b);
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtMemsetAsync(b.device, 16, 'm', 16, NULL));
    assert_int_equal(pthread_create(&opener, NULL, gate_open_later, &g), 0);
    OK(aclrtMemcpyAsync(b.device, 16, b.pageable, 8, ACL_MEMCPY_HOST_TO_DEVICE, NULL));
    assert_true(g.open);
    assert_memory_equal(b.device, "hhhhhhhhmmmmmmmm", 16);
    OK(aclrtMemcpyAsync(b.pageable, 16, b.device, 16, ACL_MEMCPY_DEVICE_TO_HOST, NULL));
    assert_memory_equal(b.pageable, "hhhhhhhhmmmmmmmm", 16);
    assert_int_equal(pthread_join(opener, NULL), 0);
    free_buffers(&b);
}

static void buffered_copies_read_at_once(void **state)
{
    (void)state;
    buffers b;
    gate g = GATE;
    make_buffers(&b);
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtMemcpyAsync(b.device, 16, b.pageable, 16, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE, NULL));
    memset(b.pageable, 'x', 16);
    assert_memory_equal(b.device, "dddddddddddddddd", 16);
    gate_open(&g);
    OK(aclrtSynchronizeStream(NULL));
    assert_memory_equal(b.device, "hhhhhhhhhhhhhhhh", 16);
    free_buffers(&b);
}

static void memory_of_the_machine(void **state)
{
    (void)state;
    for (int attr = 0; attr < 18; attr++) {
        size_t free_bytes = 0, total = 0;
        OK(aclrtGetMemInfo((aclrtMemAttr)attr, &free_bytes, &total));
        assert_true(free_bytes > 0 && free_bytes <= total && total > (size_t)64 << 20);
    }
    size_t n = 5;
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetMemInfo(ACL_HBM_MEM, NULL, &n));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetMemInfo(ACL_HBM_MEM, &n, NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtGetMemInfo((aclrtMemAttr)18, &n, &n));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtGetMemInfo((aclrtMemAttr)-1, &n, &n));
    assert_int_equal(n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(blocks),
        ON_DEVICE(allocation_is_checked),
        ON_DEVICE(copy_is_checked_in_order),
        ON_DEVICE(pinned_copies_do_not_wait),
        ON_DEVICE(pageable_copies_wait),
        ON_DEVICE(buffered_copies_read_at_once),
        ON_DEVICE(memory_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
