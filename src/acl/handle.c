/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of objects. A handle is slot, generation and kind in one number:
 *
 *   bit 63 ... 28   generation of the slot, from 1
 *   bit 27 ... 4    slot
 *   bit  3 ... 0    kind
 *
 * A slot's generation rises whenever it is emptied: a handle comes again after 2^36 uses of one slot.
 */
#include <stdlib.h>

#include "internal.h"

_Static_assert(sizeof(uintptr_t) == 8, "a handle needs 64 bits");

#define SLOT_BITS 24
#define KIND_BITS 4
#define MAX_SLOTS ((size_t)1 << SLOT_BITS)

typedef struct slot {
    acl_object *object; /* NULL: the slot is free */
    uint64_t generation;
    size_t next_free;
    bool closed; /* the object is being ended: not found by its handle any more */
    bool lost;   /* the object belongs to the parent of a fork: never given out, never freed */
} slot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static slot *slots;
static size_t slot_count;
static size_t first_free = MAX_SLOTS; /* MAX_SLOTS: no slot is free */
static unsigned fork_count;

static void *make_handle(size_t index, acl_kind kind)
{
    uint64_t bits = slots[index].generation << (SLOT_BITS + KIND_BITS) | index << KIND_BITS | (uint64_t)kind;
    return (void *)(uintptr_t)bits;
}

static size_t slot_of(const void *handle)
{
    return (uintptr_t)handle >> KIND_BITS & (MAX_SLOTS - 1);
}

/* The slot that the handle names, if the object is in there, of this kind and not closed. */
static slot *find(void *handle, acl_kind kind)
{
    uint64_t bits = (uintptr_t)handle;
    size_t index = slot_of(handle);
    if ((bits & ((1u << KIND_BITS) - 1)) != (uint64_t)kind || index >= slot_count) return NULL;
    slot *s = &slots[index];
    return s->object != NULL && !s->closed && !s->lost && s->object->handle == handle ? s : NULL;
}

static bool grow(void)
{
    size_t count = slot_count == 0 ? 64 : slot_count * 2;
    if (count > MAX_SLOTS) return false;
    slot *larger = realloc(slots, count * sizeof *slots);
    if (larger == NULL) return false;
    slots = larger;
    for (size_t i = count; i-- > slot_count;) {
        slots[i] = (slot){.generation = 1, .next_free = first_free};
        first_free = i;
    }
    slot_count = count;
    return true;
}

void *acl_open(acl_object *object, acl_kind kind, void (*destroy)(acl_object *), const acl_object *parent)
{
    void *handle = NULL;
    pthread_mutex_lock(&lock);
    bool lives = parent == NULL || find(parent->handle, parent->kind) != NULL;
    if (lives && (first_free < MAX_SLOTS || grow())) {
        size_t index = first_free;
        first_free = slots[index].next_free;
        slots[index].object = object;
        object->kind = kind;
        object->references = 1;
        object->destroy = destroy;
        object->handle = handle = make_handle(index, kind);
    }
    pthread_mutex_unlock(&lock);
    return handle;
}

acl_object *acl_get(void *handle, acl_kind kind)
{
    pthread_mutex_lock(&lock);
    slot *s = find(handle, kind);
    acl_object *object = s != NULL ? s->object : NULL;
    if (object != NULL) object->references += 1;
    pthread_mutex_unlock(&lock);
    return object;
}

acl_object *acl_close(void *handle, acl_kind kind)
{
    pthread_mutex_lock(&lock);
    slot *s = find(handle, kind);
    acl_object *object = s != NULL ? s->object : NULL;
    if (s != NULL) s->closed = true;
    pthread_mutex_unlock(&lock);
    return object;
}

void acl_remove(acl_object *object)
{
    pthread_mutex_lock(&lock);
    size_t index = slot_of(object->handle);
    slots[index] = (slot){.generation = slots[index].generation + 1, .next_free = first_free};
    first_free = index;
    pthread_mutex_unlock(&lock);
    acl_put(object);
}

void acl_put(acl_object *object)
{
    pthread_mutex_lock(&lock);
    bool last = --object->references == 0;
    pthread_mutex_unlock(&lock);
    if (last) object->destroy(object);
}

acl_object *acl_next(acl_kind kind, size_t *cursor)
{
    acl_object *found = NULL;
    pthread_mutex_lock(&lock);
    for (; found == NULL && *cursor < slot_count; ++*cursor) {
        const slot *s = &slots[*cursor];
        if (s->object != NULL && !s->lost && s->object->kind == kind) found = s->object;
    }
    if (found != NULL) found->references += 1;
    pthread_mutex_unlock(&lock);
    return found;
}

unsigned acl_fork_count(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = fork_count;
    pthread_mutex_unlock(&lock);
    return count;
}

/* In the child the threads behind the objects are gone and their locks may be held: nothing of them is touched. */
void acl_table_fork(acl_fork_phase phase)
{
    if (phase == ACL_FORK_CHILD) {
        fork_count += 1;
        for (size_t i = 0; i < slot_count; i++) slots[i].lost |= slots[i].object != NULL;
    }
    acl_lock_fork(&lock, phase);
}
