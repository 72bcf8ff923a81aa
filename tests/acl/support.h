/* SPDX-License-Identifier: Apache-2.0 */
/* Status checks that also look at the message, and a gate that holds a stream until it is opened. */
#ifndef FLOYDATTN_TESTS_ACL_SUPPORT_H
#define FLOYDATTN_TESTS_ACL_SUPPORT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "acl/acl.h"

/* A failure carries a message with its code, once; a success carries none. */
static inline void check_status(aclError status, aclError expected, const char *call, const char *file, int line)
{
    const char *message = aclGetRecentErrMsg();
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    if (status != expected)
        print_error("%s: got %d (%s), expected %d\n", call, status, message ? message : "no message", expected);
    _assert_int_equal((LargestIntegralType)status, (LargestIntegralType)expected, file, line);
    bool right = expected == ACL_SUCCESS ? message == NULL : message != NULL && strstr(message, code) != NULL;
    if (!right) print_error("%s: its message is %s\n", call, message ? message : "missing");
    _assert_true(right, call, file, line);
    _assert_true(aclGetRecentErrMsg() == NULL, call, file, line);
}

#define OK(call) check_status((call), ACL_SUCCESS, #call, __FILE__, __LINE__)
#define FAILS(expected, call) check_status((call), (expected), #call, __FILE__, __LINE__)

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, reached;
} gate;

#define GATE                                                                                                       \
    {                                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false                                          \
    }

/* A host function: says that the stream is here, and waits until the gate is open. */
static inline void gate_wait(void *user)
{
    gate *g = user;
    pthread_mutex_lock(&g->lock);
    g->reached = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static inline void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static inline void gate_until_reached(gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->reached) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* A host function for a thread: opens the gate a while later. */
static inline void *gate_open_later(void *user)
{
    nanosleep(&(struct timespec){0, 30000000}, NULL);
    gate_open(user);
    return NULL;
}

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static inline void add_one(void *user)
{
    *(int *)user += 1;
}

static inline int set_device(void **state)
{
    (void)state;
    return aclrtSetDevice(0);
}

static inline int reset_device(void **state)
{
    (void)state;
    return aclrtResetDeviceForce(0);
}

/* A test between aclrtSetDevice and aclrtResetDeviceForce. */
#define ON_DEVICE(test) cmocka_unit_test_setup_teardown(test, set_device, reset_device)

#endif
