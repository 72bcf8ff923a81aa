/* SPDX-License-Identifier: Apache-2.0 */
/* What every thread does, forward or backward. */
#include "fpenv.h"
#include "run.h"

void floyd_run_tasks(floyd_run *run, int thread,
                     void (*run_task)(const floyd_run *run, const floyd_task *task, char *scratch))
{
    char *scratch = run->scratch + (size_t)thread * run->plan->scratch_bytes;
    floyd_task task;
    while (floyd_schedule_claim(&run->schedule, &task)) {
        floyd_fpenv found;
        floyd_fpenv_enter(&found);
        run_task(run, &task, scratch);
        floyd_schedule_finish(&run->schedule, &task);
        floyd_fpenv_leave(&found);
        floyd_schedule_tell(&run->schedule, thread);
    }
}
