/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device and pinned memory: the host's, in a tree of address ranges, so that an address tells what it is, and
 * freeing what is not there is a status. The tree is libc's tsearch; ranges that overlap compare as equal, so
 * looking for a range of one byte finds the block around it.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "internal.h"
#include "memory.h"

#define ALIGNMENT 64

typedef struct block {
    uintptr_t begin, end;
    acl_memory_kind kind;
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *blocks; /* guarded by lock */

static int compare(const void *a, const void *b)
{
    const block *x = a, *y = b;
    return x->end <= y->begin ? -1 : y->end <= x->begin;
}

static block *find(const void *address)
{
    block byte = {.begin = (uintptr_t)address, .end = (uintptr_t)address + 1};
    block **found = tfind(&byte, &blocks, compare);
    return found != NULL ? *found : NULL;
}

acl_memory_kind acl_memory_kind_of(const void *address)
{
    pthread_mutex_lock(&lock);
    const block *b = find(address);
    acl_memory_kind kind = b != NULL ? b->kind : ACL_MEMORY_PAGEABLE;
    pthread_mutex_unlock(&lock);
    return kind;
}

void acl_memory_fork(acl_fork_phase phase)
{
    acl_lock_fork(&lock, phase);
}

static bool remember(void *address, size_t size, acl_memory_kind kind)
{
    block *b = malloc(sizeof *b);
    if (b == NULL) return false;
    *b = (block){(uintptr_t)address, (uintptr_t)address + size, kind};
    pthread_mutex_lock(&lock);
    bool ok = tsearch(b, &blocks, compare) != NULL;
    pthread_mutex_unlock(&lock);
    if (!ok) free(b);
    return ok;
}

static aclError allocate(const char *function, const char *argument, void **address, size_t size,
                         acl_memory_kind kind)
{
    if (address == NULL) return acl_report_null(function, argument);
    if (size == 0) return acl_report(ACL_ERROR_INVALID_PARAM, "%s: size is 0; it needs 1 or more", function);
    aclError status = acl_check_context(function);
    if (status != ACL_SUCCESS) return status;
    void *made = NULL;
    if (size > PTRDIFF_MAX || posix_memalign(&made, ALIGNMENT, size) != 0) {
        return acl_report(ACL_ERROR_RT_MEMORY_ALLOCATION, "%s: the host cannot give %zu bytes", function, size);
    }
    if (!remember(made, size, kind)) {
        free(made);
        return acl_report_no_memory(function);
    }
    *address = made;
    return ACL_SUCCESS;
}

static aclError release(const char *function, const char *argument, void *address, acl_memory_kind kind)
{
    if (address == NULL) return acl_report_null(function, argument);
    pthread_mutex_lock(&lock);
    block *b = find(address);
    bool ours = b != NULL && b->begin == (uintptr_t)address && b->kind == kind;
    if (ours) tdelete(b, &blocks, compare);
    pthread_mutex_unlock(&lock);
    if (!ours) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: %s is %p, not the beginning of memory of its kind",
                          function, argument, address);
    }
    free(b);
    free(address);
    return ACL_SUCCESS;
}

aclError aclrtMalloc(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    (void)policy;
    return allocate(__func__, "devPtr", devPtr, size, ACL_MEMORY_DEVICE);
}

aclError aclrtMallocAlign32(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    (void)policy;
    return allocate(__func__, "devPtr", devPtr, size, ACL_MEMORY_DEVICE);
}

aclError aclrtMallocCached(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    (void)policy;
    return allocate(__func__, "devPtr", devPtr, size, ACL_MEMORY_DEVICE);
}

aclError aclrtFree(void *devPtr)
{
    return release(__func__, "devPtr", devPtr, ACL_MEMORY_DEVICE);
}

aclError aclrtMallocHost(void **hostPtr, size_t size)
{
    return allocate(__func__, "hostPtr", hostPtr, size, ACL_MEMORY_PINNED);
}

aclError aclrtFreeHost(void *hostPtr)
{
    return release(__func__, "hostPtr", hostPtr, ACL_MEMORY_PINNED);
}

/* What the kernel could give without swapping: free pages alone leave out the file cache. */
static bool available_memory(size_t *bytes)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) return false;
    char line[128];
    unsigned long long kib;
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL)
        found =
            sscanf(line, "MemAvailable: %llu kB", &kib) == 1; /* NOLINT(cert-err34-c): from the kernel, in range */
    (void)fclose(file);
    if (found) *bytes = (size_t)kib * 1024;
    return found;
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t *free_bytes, size_t *total_bytes)
{
    if (free_bytes == NULL) return acl_report_null(__func__, "free");
    if (total_bytes == NULL) return acl_report_null(__func__, "total");
    if ((int)attr < (int)ACL_DDR_MEM || (int)attr > (int)ACL_MEM_P2P_HUGE1G) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: attr is %d, which is no aclrtMemAttr", __func__,
                          (int)attr);
    }
    aclError status = acl_check_context(__func__);
    if (status != ACL_SUCCESS) return status;
    struct sysinfo info;
    if (sysinfo(&info) != 0) return acl_report(ACL_ERROR_RT_DRV_INTERNAL_ERROR, "%s: sysinfo failed", __func__);
    size_t available;
    if (!available_memory(&available)) available = (size_t)info.freeram * info.mem_unit;
    *total_bytes = (size_t)info.totalram * info.mem_unit;
    *free_bytes = available < *total_bytes ? available : *total_bytes;
    return ACL_SUCCESS;
}
