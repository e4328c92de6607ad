/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/process_list.h"

#include <stdlib.h>
#include <string.h>

#define NAME_HOLDS (5 * NS_PER_S)

struct process_list {
	size_t count;
	uint64_t changes, evicted;
	pid_t pids[PROCESS_LIST_MAX]; /* apart, to be searched fast */
	struct process_known known[PROCESS_LIST_MAX];
};

struct process_list *process_list_new(void)
{
	return calloc(1, sizeof(struct process_list));
}

void process_list_free(struct process_list *list)
{
	free(list);
}

static size_t list_oldest(const struct process_list *list)
{
	size_t oldest = 0;

	for (size_t i = 1; i < list->count; i++)
		if (list->known[i].told_at < list->known[oldest].told_at)
			oldest = i;
	return oldest;
}

static void name_set(struct process_list *list, struct process_known *known, const char *service)
{
	series_text_set(known->service, sizeof(known->service), service, strlen(service));
	known->number = ++list->changes;
	known->started = 0;
}

void process_list_add(struct process_list *list, pid_t pid, const char *service, mono_ns at)
{
	struct process_known *known;
	size_t i = 0;

	if (!list || !pid)
		return;
	while (i < list->count && list->pids[i] != pid)
		i++;
	known = &list->known[i];
	if (i < list->count) {
		if (strcmp(known->service, service) != 0) {
			if (at < known->told_at + NAME_HOLDS)
				return;
			name_set(list, known, service);
		}
		if (at > known->told_at)
			known->told_at = at;
		return;
	}
	if (i == PROCESS_LIST_MAX) {
		process_list_remove(list, list_oldest(list));
		list->evicted++;
		i = list->count;
		known = &list->known[i];
	}
	list->count++;
	list->pids[i] = pid;
	*known = (struct process_known){.pid = pid, .told_at = at};
	name_set(list, known, service);
}

size_t process_list_count(const struct process_list *list)
{
	return list ? list->count : 0;
}

const struct process_known *process_list_at(const struct process_list *list, size_t i)
{
	return &list->known[i];
}

bool process_list_is(struct process_list *list, size_t i, uint64_t started)
{
	struct process_known *known = &list->known[i];

	if (!known->started)
		known->started = started;
	return known->started == started;
}

void process_list_remove(struct process_list *list, size_t i)
{
	list->count--;
	list->known[i] = list->known[list->count];
	list->pids[i] = list->pids[list->count];
}

uint64_t process_list_changes(const struct process_list *list)
{
	return list ? list->changes : 0;
}

uint64_t process_list_evicted(const struct process_list *list)
{
	return list ? list->evicted : 0;
}
