/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that are known to belong to a service, as the collectors that name them tell:
 * whom a request was captured of, whose segment is read. Who wants to know more of services (their
 * waiting, their control groups) looks here.
 *
 * One thread. Adding one that is there takes some 0.1 us.
 */
#ifndef VOW_COLLECTORS_PROCESS_LIST_H
#define VOW_COLLECTORS_PROCESS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/types.h"
#include "lib/data/series.h"

#define PROCESS_LIST_MAX 512 /* then the one not told of for longest makes room */

struct process_known {
	pid_t pid;
	char service[SERIES_NAME_MAX + 1];
	mono_ns told_at; /* last, with this name */
	uint64_t number; /* of this entry: another one for a pid that was forgotten between */
	uint64_t started; /* of the process, as process_stat_read() says; 0: nobody looked yet */
};

struct process_list;

struct process_list *process_list_new(void); /* NULL when memory lacks */
void process_list_free(struct process_list *list); /* NULL is allowed */

/*
 * A process has shown itself under a name, at that time, before or after others. When several names
 * are told of one process (by port), the first holds until nobody has said it for 5 s. A NULL list,
 * and pid 0, are ignored.
 */
void process_list_add(struct process_list *list, pid_t pid, const char *service, mono_ns at);

size_t process_list_count(const struct process_list *list);
/* i < count; good until the next add or remove. */
const struct process_known *process_list_at(const struct process_list *list, size_t i);
/*
 * Whether the i-th is the process that began then: its pid may have been given to another one since,
 * which nobody named. What is told first is believed, until it gets another name.
 */
bool process_list_is(struct process_list *list, size_t i, uint64_t started);
/* Forgets the i-th; the last takes its place. */
void process_list_remove(struct process_list *list, size_t i);
/* Grows whenever an entry comes or gets another name. */
uint64_t process_list_changes(const struct process_list *list);
/* Processes that made room for others. */
uint64_t process_list_evicted(const struct process_list *list);

#endif
