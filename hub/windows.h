/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fleet's windows hold, in the store: slots of 30 s and more, written once each when they
 * are complete, by the checkpoint and in its transaction. A restart takes up those that end by a
 * boundary a minute before the checkpoint, and lives through the raw ticks from there on again, so
 * that every event is in one or the other: which raw tick was the last before a boundary is kept.
 *
 * Writer thread. A slot takes some hundred bytes and 10 us.
 */
#ifndef VOW_HUB_WINDOWS_H
#define VOW_HUB_WINDOWS_H

#include "store/store.h"

/* The finest tier that is kept; its grain is the others' measure. */
#define WINDOWS_TIER 2
/* Boundaries that are remembered: a restart goes back over two or three. */
#define WINDOWS_MARKS 8

struct windows_mark {
	uint32_t second; /* the table's; 0: none */
	uint32_t newest; /* up to it, the last second that was ended */
	int64_t record; /* the last raw tick of the seconds up to it */
};

struct windows {
	struct windows_mark marks[WINDOWS_MARKS]; /* newest first */
	int64_t merged, stepped; /* the last raw tick in the table, and by the last step */
	bool saved; /* the store has slots of this table, up to these seconds */
	uint32_t until[SERIES_TIERS];
	uint32_t floor; /* of earlier boundaries it does not have all */
	int64_t ahead; /* ns that the table's clock is ahead of the time of day; who saves sets it */
};

/* Ends a second of the table: `before` was its newest. */
void windows_step(struct windows *windows, uint32_t before, uint32_t after);

/*
 * applied: the last raw tick in the table. Writes what was completed since the last call, everything when `all` is set or this table was never
 * saved. Within a transaction; once that is durable, *windows = *next. The store's errno, -ENOMEM.
 */
int windows_save(const struct windows *windows, struct series_table *table, struct store *store,
		 int64_t applied, bool all, struct windows *next, struct diag *d);

struct windows_resume {
	struct series_clock clock; /* of the table, at the boundary */
	uint32_t newest; /* the second of the checkpoint */
	int64_t record; /* the raw tick after which living through begins */
	int64_t applied; /* the last one that the checkpoint holds */
	int64_t ahead; /* 0 also where a hub from before did not know */
};
/*
 * 1: resume is filled. 0: there is none, none that can be understood, or it is of another checkpoint
 * than the one that holds raw ticks up to `applied`: a hub from before went on. The store's errno.
 */
int windows_find(struct store *store, int64_t applied, struct windows_resume *resume,
		 struct diag *d);
/*
 * Puts slots back into a table whose clock is resume's; series are found by their number in the
 * store. The store's errno, -ENOMEM.
 */
int windows_load(struct windows *windows, struct store *store, const struct windows_resume *resume,
		 struct series *const *series, size_t series_count, struct diag *d);

#endif
