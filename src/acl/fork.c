/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork copies the calling thread alone. The global locks are held across it, so the child finds what they guard
 * whole; objects of the parent are marked lost there (handle.c), and a fresh aclrtSetDevice starts afresh.
 */
#include "internal.h"

void acl_lock_fork(pthread_mutex_t *lock, acl_fork_phase phase)
{
    if (phase == ACL_FORK_BEFORE)
        pthread_mutex_lock(lock);
    else
        pthread_mutex_unlock(lock);
}

static void around(acl_fork_phase phase)
{
    /* The first two are those under which others are taken. */
    acl_init_fork(phase);
    acl_device_fork(phase);
    acl_table_fork(phase);
    acl_memory_fork(phase);
    acl_callback_fork(phase);
    acl_message_fork(phase);
}

static void before(void)
{
    around(ACL_FORK_BEFORE);
}
static void in_parent(void)
{
    around(ACL_FORK_PARENT);
}
static void in_child(void)
{
    around(ACL_FORK_CHILD);
}

/* From the beginning: a call that only fails, before any other, takes a lock, too. */
__attribute__((constructor)) static void watch(void)
{
    pthread_atfork(before, in_parent, in_child);
}
