/* SPDX-License-Identifier: Apache-2.0 */
/* The newest failure in words, for the thread or for the process. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

typedef struct message {
    int code; /* ACL_SUCCESS: there is none */
    char text[ACL_MESSAGE_SIZE];
} message;

static _Thread_local message mine;
static _Thread_local char returned[ACL_MESSAGE_SIZE + 64];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static message everyones; /* guarded by lock, as is: */
static bool process_wide;

int(acl_report)(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(mine.text, sizeof mine.text, format, arguments);
    va_end(arguments);
    mine.code = code;
    pthread_mutex_lock(&lock);
    if (process_wide) everyones = mine;
    pthread_mutex_unlock(&lock);
    return code;
}

void acl_take_message(char text[ACL_MESSAGE_SIZE])
{
    memcpy(text, mine.code != ACL_SUCCESS ? mine.text : "", mine.code != ACL_SUCCESS ? strlen(mine.text) + 1 : 1);
    mine.code = ACL_SUCCESS;
}

void acl_set_process_messages(bool on)
{
    pthread_mutex_lock(&lock);
    process_wide = on;
    everyones.code = ACL_SUCCESS;
    pthread_mutex_unlock(&lock);
}

const char *aclGetRecentErrMsg(void)
{
    pthread_mutex_lock(&lock);
    message newest = process_wide ? everyones : mine;
    everyones.code = ACL_SUCCESS;
    pthread_mutex_unlock(&lock);
    mine.code = ACL_SUCCESS;
    if (newest.code == ACL_SUCCESS) return NULL;
    snprintf(returned, sizeof returned, "[PID:%ld] ACL status %d: %s", (long)getpid(), newest.code, newest.text);
    return returned;
}

void acl_message_fork(acl_fork_phase phase)
{
    acl_lock_fork(&lock, phase);
}
