/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars: of each series and minute the few slowest observations that came with a tag (a trace
 * id, say), so that a percentile leads to requests that can be looked up. They stand beside the
 * counts and never touch them; one for which room or memory lacks is left out.
 *
 * One writer thread. Readers take a book, which is what the writer published last: it never changes
 * and is counted by references. Books share the minutes in which nothing changed, so publishing
 * costs what is new.
 */
#ifndef VOW_LIB_DATA_EXEMPLAR_H
#define VOW_LIB_DATA_EXEMPLAR_H

#include <stdbool.h>
#include <vow/shm.h>

#include "lib/base/types.h"
#include "lib/data/series.h"

#define EXEMPLARS_KEPT	  4 /* of each series and minute */
#define EXEMPLARS_MINUTES 60 /* older ones go */
/* Minutes that a clock elsewhere may be ahead of this one's; what is later still is refused. */
#define EXEMPLARS_AHEAD	 2
#define EXEMPLAR_TAG_MAX VOW_SHM_TAG
/* Minutes of series that an agent keeps and tells: of 34 with tags an hour, 0.6 MB; of more less. */
#define EXEMPLARS_OF_AGENT 2048

struct exemplar {
	wall_ns at; /* when it ended */
	dur_ns latency_ns;
	uint16_t status; /* as it was observed */
	char tag[EXEMPLAR_TAG_MAX + 1];
};

/*
 * Sets the tag from text of anyone: up to length, a NUL or EXEMPLAR_TAG_MAX; a byte that is not a
 * visible character of ASCII becomes '?'. False for an empty one.
 */
bool exemplar_tag_set(struct exemplar *exemplar, const char *text, size_t length);

struct exemplars;

/*
 * groups_max: minutes of series that are kept at a time, some 300 bytes each, allocated by need; beyond
 * it the oldest minute goes. NULL when memory lacks.
 */
struct exemplars *exemplars_new(size_t groups_max);
void exemplars_free(struct exemplars *exemplars); /* NULL is allowed */

/*
 * Adds one, copied, at `now`. False when it is none of the slowest of its minute, is known already
 * (same series, minute, latency, status and tag), is out of the minutes that are kept, or room or
 * memory lacks.
 */
bool exemplars_add(struct exemplars *exemplars, series_id series, const struct exemplar *exemplar,
		   wall_ns now);

/* A non-zero return ends the walk and is handed up. Minutes in order, the slowest of each first. */
typedef int (*exemplar_fn)(void *arg, series_id series, const struct exemplar *exemplar);

/* Those that were added since exemplars_settle(), and are still kept. */
int exemplars_fresh(const struct exemplars *exemplars, exemplar_fn fn, void *arg);
void exemplars_settle(struct exemplars *exemplars);

/* ---- readers: any thread that has a reference --------------------------------------------------- */

struct exemplar_book;

/*
 * Lets go of what is too old at `now`. The caller's reference to a book of the rest; NULL when
 * memory lacks. Writer thread.
 */
struct exemplar_book *exemplars_publish(struct exemplars *exemplars, wall_ns now);
struct exemplar_book *exemplar_book_ref(struct exemplar_book *book);
void exemplar_book_unref(struct exemplar_book *book); /* NULL is allowed */

/* Those that ended in (from, to]. */
int exemplar_book_each(const struct exemplar_book *book, wall_ns from, wall_ns to, exemplar_fn fn,
		       void *arg);

#endif
