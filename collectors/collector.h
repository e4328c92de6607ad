/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector: one source of observations, one file in this folder, one line in collectors.c.
 * Everything here runs on the writer thread of the series table (vowd's main loop).
 *
 * The life of a tick: poll() is called often and records into the series table; at the tick the
 * agent calls prepare() of every collector (what it took from outside since the last commit is
 * described as bytes), appends one journal record, and only then calls commit(), which lets the
 * source forget; no poll() comes between prepare() and commit(). When the agent dies between the
 * two, restore() gets the bytes of the journal's records at the next start, and nothing is counted
 * twice.
 */
#ifndef VOW_COLLECTORS_COLLECTOR_H
#define VOW_COLLECTORS_COLLECTOR_H

#include "lib/base/diag.h"
#include "lib/base/loop.h"
#include "lib/data/exemplar.h"
#include "lib/data/gauge.h"
#include "lib/data/series.h"

struct traced_row; /* lib/data/traced.h */
struct trace_order;
struct vow_config; /* config/config.h */
struct process_list; /* collectors/process_list.h */

/* What every collector is given; all but config outlives the collector. */
struct collector_context {
	struct loop *loop;
	struct series_table *series;
	struct gauge_table *gauges;
	struct exemplars *exemplars; /* at a commit() what poll() added is in the record */
	struct process_list *processes; /* known of services: who names one adds it; may be NULL */
	const char *host; /* name of this host in series keys: leave "" in keys, see below */
	const char *dir; /* runtime folder (--dir) */
	/* Good until reload() hands over another: copy what is needed later, or take the new one. */
	const struct vow_config *config;
};

/* A reason for which observations were seen but not reported, and how many; names are stable. */
struct collector_drop {
	const char *reason; /* "ring_full"; static storage */
	uint64_t total;
};

#define COLLECTOR_DROPS_MAX 16

struct collector_status {
	const char *tier; /* "A", "lanes", "proc"; "off" when it does not run; static storage */
	uint64_t events_total; /* observations reported since the agent started */
	struct collector_drop drops[COLLECTOR_DROPS_MAX];
	unsigned drop_count;
	char detail[480]; /* for `vow doctor`: what is captured how */
	char problem[240]; /* why it is off or incomplete, and what to do; "" when all is well */
};

struct collector_ops {
	const char *name; /* "http", "lanes", "host" */
	/*
	 * Starts. 0; or a negative errno with d filled: the agent logs it and goes on with the
	 * other collectors (status() of a collector that did not open is asked all the same).
	 */
	int (*open)(const struct collector_context *context, void **state, struct diag *d);
	/* Drains for a bounded time (about 2 ms at most). Returns observations taken. May be NULL. */
	uint64_t (*poll)(void *state, mono_ns now);
	/*
	 * How long poll() can stay away from a source that was still, so that what then comes all
	 * at once is neither lost nor coarsened. NULL: as long as one likes.
	 */
	dur_ns (*patience)(const void *state);
	/*
	 * Whether a commit() before the regular tick would keep what is observed next from being
	 * coarsened, as of the last poll(). Costs nothing to ask. May be NULL.
	 */
	bool (*hurry)(const void *state);
	/*
	 * Appends to local (at most cap bytes) what commit() will let go; returns its size, 0 when
	 * there is nothing. May be NULL together with commit and restore.
	 */
	size_t (*prepare)(void *state, uint8_t *local, size_t cap);
	/*
	 * Asked right after prepare() when a journal segment begins: everything that restore()
	 * needs to stand where prepare() just said, without any earlier record. May be NULL.
	 */
	size_t (*checkpoint)(void *state, uint8_t *local, size_t cap);
	/*
	 * The record is in the journal: release what prepare() described. Not called when the
	 * journal could not be written: then prepare() is asked again at the next tick.
	 */
	void (*commit)(void *state);
	/*
	 * Before the first poll(): the bytes of the newest checkpoint(), then those of each later
	 * prepare(), oldest first. -EPROTO: ignored.
	 */
	int (*restore)(void *state, const uint8_t *local, size_t size);
	/* New configuration (SIGHUP). May be NULL. */
	void (*reload)(void *state, const struct vow_config *config);
	/*
	 * Somebody wants requests of a service read within TLS, or no longer. 0, or a negative errno
	 * with d saying why not. May be NULL together with traced, of which there is one at most.
	 */
	int (*trace)(void *state, const struct trace_order *order, struct diag *d);
	/* What is read so, and why something is not: *rows is malloc'ed. Rows, or -ENOMEM. */
	int (*traced)(const void *state, struct traced_row **rows);
	/* state is NULL when open() failed. */
	void (*status)(const void *state, struct collector_status *status);
	void (*close)(void *state);
};

/* All collectors, in the order in which they are opened; ends with NULL. */
extern const struct collector_ops *const collector_table[];

/* Bytes that one collector may write in prepare(), and again in checkpoint(). */
#define COLLECTOR_LOCAL_MAX (4u << 20)

#endif
