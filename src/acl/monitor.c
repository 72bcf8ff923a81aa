/* SPDX-License-Identifier: Apache-2.0 */
/* A lock with a condition on the monotonic clock, deadlines, and who may wait. */
#include <errno.h>

#include "internal.h"

/* Where a host function forked, its copy of the thread serves no stream: the count tells. */
static _Thread_local bool in_callback;
static _Thread_local unsigned fork_count;

bool acl_monitor_init(acl_monitor *m)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool ready = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&m->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (ready && pthread_mutex_init(&m->lock, NULL) != 0) {
        pthread_cond_destroy(&m->changed);
        ready = false;
    }
    return ready;
}

void acl_monitor_destroy(acl_monitor *m)
{
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->changed);
}

void acl_monitor_lock(acl_monitor *m)
{
    pthread_mutex_lock(&m->lock);
}
void acl_monitor_unlock(acl_monitor *m)
{
    pthread_mutex_unlock(&m->lock);
}
void acl_monitor_broadcast(acl_monitor *m)
{
    pthread_cond_broadcast(&m->changed);
}

bool acl_monitor_wait(acl_monitor *m, const acl_deadline *deadline)
{
    if (deadline->forever) return pthread_cond_wait(&m->changed, &m->lock) == 0;
    return pthread_cond_timedwait(&m->changed, &m->lock, &deadline->at) != ETIMEDOUT;
}

acl_deadline acl_deadline_in(int32_t milliseconds)
{
    acl_deadline deadline = {.forever = milliseconds == ACL_FOREVER};
    if (deadline.forever) return deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline.at);
    deadline.at.tv_sec += milliseconds / 1000;
    deadline.at.tv_nsec += (long)(milliseconds % 1000) * 1000000L;
    if (deadline.at.tv_nsec >= 1000000000L) {
        deadline.at.tv_sec += 1;
        deadline.at.tv_nsec -= 1000000000L;
    }
    return deadline;
}

int64_t acl_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

aclError acl_check_timeout(const char *function, int32_t timeout)
{
    if (timeout >= ACL_FOREVER) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_PARAM_INVALID,
                      "%s: timeout is %d; it needs -1 (no limit), 0 (only look) or milliseconds", function,
                      (int)timeout);
}

bool acl_enter_callback(bool inside)
{
    bool before = in_callback;
    in_callback = inside;
    fork_count = acl_fork_count();
    return before;
}

aclError acl_check_may_wait(const char *function)
{
    if (!in_callback || fork_count != acl_fork_count()) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                      "%s: a host function or callback of a stream may not wait; the stream would wait for itself",
                      function);
}
