/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the vendor's surface offers, by many host threads at once.
 *
 * An actor is a host thread with streams of its own, on two contexts, and cells of device memory. What it does is a
 * random program that depends on its seed alone: operators, copies, events from stream to stream, functions of the
 * host, streams that end with work on them. Each cell is worked on in the program's order, whichever streams the
 * works are on: events see to that. So the bytes of all cells at the end are those of the same program run alone,
 * on one stream, with a wait after each work.
 */
#ifndef FLOYD_TEST_RACES_H
#define FLOYD_TEST_RACES_H

#include <pthread.h>
#include <stdatomic.h>

#include "support.h"
#include "watchdog.h"

enum { MOST_THREADS = 16, MOST_STREAMS = 16, MOST_CELLS = 4 };

/* How much: threads, streams of each, cells of each, works on each stream; and how many rounds of all that. */
typedef struct load {
    int threads, streams, cells, works, rounds, patience;
    uint64_t seed;
} load;

/* How a round ends, with the works still on the streams. */
typedef enum ending { BY_WAITING, BY_STREAMS, BY_CONTEXTS, BY_FORCE, ENDINGS } ending;

typedef struct cell {
    call forward, gradient;
    unsigned char *memory[ROLES]; /* device memory; what only is read is every cell's */
    unsigned char *pinned;
    uint64_t order; /* what functions of the host made of it, each in its turn */
    aclrtEvent event;
    int last; /* the lane that worked on it last; -1: it is at rest */
} cell;

typedef struct lane {
    aclrtStream stream;
    aclrtContext context;
    bool subscribed;
} lane;

typedef struct outcome {
    uint64_t cell[MOST_CELLS][ROLES + 1]; /* hashes of every output, and the order */
    uint64_t read;                        /* of what the program itself read on the way */
} outcome;

typedef struct actor {
    int index;
    bool alone;
    const load *how;
    ending ending;
    pthread_barrier_t *together; /* of all actors; not looked at when alone */
    pthread_t thread, reporter;
    place *at, *reporter_at;
    uint64_t random, read;
    aclrtContext shared, own;
    lane lanes[MOST_STREAMS];
    cell cells[MOST_CELLS];
    atomic_bool reporter_stops;
    atomic_long calls_wanted, calls_made; /* of functions whose turn does not matter */
    outcome outcome;
} actor;

/* The data that programs begin with, once; and its end. */
void races_prepare(void);
void races_clean_up(void);

/* The program of one actor, on this thread. */
void *actor_main(void *user);

/* One step of it on one lane and one cell. */
void actor_step(actor *a, int lane, cell *c);
void lane_open(actor *a, int lane);
/* With whatever work is on it; callbacks that nothing waits for are made first. */
void lane_close(actor *a, int lane);
void lane_drain(actor *a, const lane *l);
/* Makes the lane's context current, and what it is given next come after the cell's last work. */
void lane_take(actor *a, int lane, cell *c);
/* The cell's event behind its last work. */
void cell_record(actor *a, cell *c);

/* Threads that use, make and destroy the same few handles; each status is a documented one. */
void chaos(const load *how, uint64_t seed);

/* Two threads at one object, one of which destroys it, again and again. */
void duels(uint64_t seed);

/* From now on this thread pauses behind one unlock in eight. */
void races_pause_here(void);

uint64_t next_random(uint64_t *state);
uint64_t fold(uint64_t hash, const void *data, size_t bytes);

_Noreturn void races_die(const char *file, int line, const char *what, int status);

#define MUST(p, call)                                                                                              \
    do {                                                                                                           \
        WATCH(p, #call);                                                                                           \
        const int status_ = (call);                                                                                \
        if (status_ != ACL_SUCCESS) races_die(__FILE__, __LINE__, #call, status_);                                 \
    } while (0)

#define TRUE(condition)                                                                                            \
    do {                                                                                                           \
        if (!(condition)) races_die(__FILE__, __LINE__, #condition, 0);                                            \
    } while (0)

#endif
