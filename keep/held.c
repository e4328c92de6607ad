/* SPDX-License-Identifier: Apache-2.0 */
#include "keep/held.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/data/keep_wire.h"

#define HELD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The kernel itself says what is sealed, and asks nobody for that. */
static bool held_is_memory(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & HELD_SEALS) == HELD_SEALS;
}

static bool held_look(struct held *held)
{
	struct stat st;

	if (!held_is_memory(held->memfd) || fstat(held->memfd, &st) != 0)
		return false;
	held->inode = st.st_ino;
	held->user = st.st_uid;
	held->bytes = (uint64_t)st.st_blocks * 512;
	return true;
}

static int held_find(const struct held_table *table, uint64_t inode)
{
	for (unsigned i = 0; inode && i < table->count; i++)
		if (table->all[i].inode == inode)
			return (int)i;
	return -1;
}

/* The quotas of lanes_admit(). */
static bool held_has_room(const struct held_table *table, const struct held *new)
{
	uint64_t bytes = new->bytes;
	unsigned of_user = 0;

	for (unsigned i = 0; i < table->count; i++) {
		if (table->all[i].passing || table->all[i].user != new->user)
			continue;
		of_user++;
		bytes += table->all[i].bytes;
	}
	if (new->bytes > LANE_QUOTA_SEGMENT || bytes > LANE_QUOTA_USER)
		return false;
	return of_user < LANE_QUOTA_USER_APPS && table->count - table->passing < LANE_QUOTA_APPS;
}

/*
 * The same segment again: an application that an agent found by itself has now come over, or one whose
 * connection ended connects anew. While the first lives, a second one tells nothing more.
 */
static void held_join(struct held *known, struct held *again)
{
	bool ended = known->connection < 0 || fd_hung_up(known->connection);

	if (again->connection >= 0 && ended) {
		fd_closep(&known->connection);
		known->connection = again->connection;
		known->pid = 0;
		known->started = 0;
		known->told = again->told;
		again->connection = -1;
	}
	fd_closep(&again->connection);
	fd_closep(&again->memfd);
}

int held_add(struct held_table *table, const struct held *new, bool pass)
{
	struct held held = *new;
	bool good = held_look(&held);
	int known = good ? held_find(table, held.inode) : -1;

	if (known >= 0) {
		held_join(&table->all[known], &held);
		return 1;
	}
	if (!good)
		held.inode = 0;
	if (!good || !held_has_room(table, &held)) {
		table->refused++;
		held.passing = pass && table->passing < HELD_PASSING;
		if (!held.passing) {
			fd_closep(&held.connection);
			fd_closep(&held.memfd);
			return -EDQUOT;
		}
		table->passing++;
	}
	table->all[table->count++] = held;
	return 0;
}

void held_drop(struct held_table *table, unsigned at)
{
	struct held *held = &table->all[at];

	if (held->passing)
		table->passing--;
	fd_closep(&held->connection);
	fd_closep(&held->memfd);
	*held = table->all[--table->count];
}

void held_let_go(struct held_table *table, uint64_t inode)
{
	int at = held_find(table, inode);

	if (at >= 0)
		held_drop(table, (unsigned)at);
}

void held_weigh(struct held_table *table)
{
	struct lane_use uses[HELD_ROOM];
	int excess;

	for (unsigned i = 0; i < table->count; i++) {
		if (table->all[i].inode)
			held_look(&table->all[i]);
		uses[i] = (struct lane_use){table->all[i].user, table->all[i].bytes};
	}
	while ((excess = lane_quota_excess(uses, table->count)) >= 0) {
		held_drop(table, (unsigned)excess);
		uses[excess] = uses[table->count];
		table->refused++;
	}
}

void held_forget_told(struct held_table *table)
{
	for (unsigned i = 0; i < table->count; i++)
		table->all[i].told = false;
}

int held_untold(const struct held_table *table)
{
	for (unsigned i = 0; i < table->count; i++)
		if (!table->all[i].told)
			return (int)i;
	return -1;
}

void held_tell(struct held_table *table, unsigned at)
{
	table->all[at].told = true;
	if (table->all[at].passing)
		held_drop(table, at);
}

/* Its end of the connection is closed; without one, the process that it was is not there. */
static bool held_ended(const struct held *held)
{
	if (held->connection >= 0)
		return fd_hung_up(held->connection);
	return !held->pid || keep_started(held->pid) != held->started;
}

struct held_sum held_sum(const struct held_table *table)
{
	struct held_sum sum = {.segments = table->count};

	for (unsigned i = 0; i < table->count; i++) {
		sum.ended += held_ended(&table->all[i]);
		sum.bytes += table->all[i].bytes;
	}
	return sum;
}
