/* SPDX-License-Identifier: MIT
 * Finding jobs: by serial, by what is to be sent for them, by destination for those ahead of its agents. Called by the
 * runner's loop; nothing here walks over all jobs. */
#include "runner/runner_private.h"

static struct job **bucket_of(struct runner *runner, uint32_t serial) {
    return &runner->job_buckets[serial % JOB_BUCKETS];
}

struct job *job_find(struct runner *runner, uint32_t serial) {
    struct job *job = *bucket_of(runner, serial);
    while (job != NULL && job->serial != serial) {
        job = job->next_same_hash;
    }
    return job;
}

static void link_last(struct runner *runner, struct job *job, enum job_place place) {
    struct job_list *list = &runner->jobs[place];
    job->place = place;
    job->previous = list->last;
    job->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = job;
    list->last = job;
}

static void unlink_job(struct runner *runner, struct job *job) {
    struct job_list *list = &runner->jobs[job->place];
    *(job->previous != NULL ? &job->previous->next : &list->first) = job->next;
    *(job->next != NULL ? &job->next->previous : &list->last) = job->previous;
}

void job_list_add(struct runner *runner, struct job *job) {
    struct job **bucket = bucket_of(runner, job->serial);
    job->next_same_hash = *bucket;
    *bucket = job;
    link_last(runner, job, JOB_TO_FETCH);
    runner->job_count++;
}

void job_list_remove(struct runner *runner, struct job *job) {
    struct job **place = bucket_of(runner, job->serial);
    while (*place != job) {
        place = &(*place)->next_same_hash;
    }
    *place = job->next_same_hash;
    unlink_job(runner, job);
    runner->job_count--;
}

void job_set_place(struct runner *runner, struct job *job, enum job_place place) {
    unlink_job(runner, job);
    link_last(runner, job, place);
}

void job_set_ahead(struct runner *runner, struct job *job, bool ahead) {
    struct destination *destination = job->destination;
    if (job->ahead == ahead) {
        return;
    }
    job->ahead = ahead;
    destination->ahead += ahead ? 1 : (size_t)-1;
    runner->ahead_count += ahead ? 1 : (size_t)-1;
    if (ahead) {
        job->next_ahead = NULL;
        *(destination->last_ahead != NULL ? &destination->last_ahead->next_ahead : &destination->first_ahead) = job;
        destination->last_ahead = job;
        return;
    }
    struct job *before = NULL, *one = destination->first_ahead;
    while (one != job) { /* nearly always the first */
        before = one;
        one = one->next_ahead;
    }
    *(before != NULL ? &before->next_ahead : &destination->first_ahead) = job->next_ahead;
    if (destination->last_ahead == job) {
        destination->last_ahead = before;
    }
}
