/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series table: who was measured, and everything measured of it. One series is one
 * combination of host, service, kind, role, method, route, peer and status class.
 *
 * One writer thread adds series, records observations and turns the tick; any number of reader
 * threads look windows up under RCU, without ever waiting. What readers see is what the last tick
 * published. The tick waits for read sections that were already open at the tick before, so keep
 * them short and free of blocking calls.
 *
 * Memory is bounded by the cap given at init; beyond it, observations go to the series "{other}" of
 * the same host, service, kind, role and status class (and when there are too many of these as
 * well, of the service "{other}" of no host), so counts stay exact.
 */
#ifndef VOW_LIB_DATA_SERIES_H
#define VOW_LIB_DATA_SERIES_H

#include "lib/data/hist.h"

enum series_kind {
	SERIES_HTTP, /* captured from sockets */
	SERIES_APP, /* observed through libvow: a route's latency */
	/*
	 * A delivery from enqueue to its final outcome; queue is the wait before the first attempt,
	 * route the event type, peer the endpoint, and method the outcome: "delivered" (2xx), "failed"
	 * (given up) or "dead_lettered" (both error).
	 */
	SERIES_DELIVERY,
	SERIES_ATTEMPT, /* one delivery attempt */
	SERIES_JOB, /* a span or batch step */
	/*
	 * Captured from sockets where TLS hides what is said: a turn of the client and the server's
	 * answer. Route "{tls}" for requests, "{tls-h2}" where several may share a turn; no method.
	 */
	SERIES_TLS,
	/*
	 * The requests of a service once more, as long as their users waited: in the socket, and until
	 * the last byte of the answer. Route "{user-visible}", no method; queue is the wait in the
	 * socket.
	 */
	SERIES_USER,
	/* Connections: how long the first request lay in one that nobody had accepted, route "{accept}";
	 * of a client how long connecting took, "{connect}". */
	SERIES_CONNECTION,
	SERIES_KINDS
};

/*
 * The route of requests that the kernel counted without their paths, in buckets that grow coarser as
 * it counts more different ones. They are in the rows of SERIES_USER as well.
 */
#define SERIES_ROUTE_OVERFLOW "{overflow}"
#define SERIES_OVERFLOW_ERROR 0.415 /* of their percentiles at most: buckets of scale 1 */

/* Whether a kind counts events that are none of their own: of another kind as well. */
static inline bool series_kind_is_view(enum series_kind kind)
{
	return kind == SERIES_USER || kind == SERIES_CONNECTION;
}

enum series_role { SERIES_SERVER, SERIES_CLIENT, SERIES_ROLES };

enum series_class {
	CLASS_OK, /* a status that is not HTTP's: 0 */
	CLASS_1XX,
	CLASS_2XX,
	CLASS_3XX,
	CLASS_4XX,
	CLASS_5XX,
	CLASS_ERROR, /* not HTTP's and not 0; time-out; connection lost; dead-lettered */
	CLASS_UNKNOWN, /* nobody could tell: of SERIES_TLS */
	CLASS_COUNT
};

/* Longest name of each part in bytes, without the NUL; longer names are cut by series_key_set. */
#define SERIES_NAME_MAX	 63
#define SERIES_ROUTE_MAX 127

struct series_key {
	char host[SERIES_NAME_MAX + 1];
	char service[SERIES_NAME_MAX + 1];
	char method[16];
	char route[SERIES_ROUTE_MAX + 1];
	char peer[SERIES_NAME_MAX + 1];
	uint8_t kind; /* enum series_kind */
	uint8_t role; /* enum series_role */
	uint8_t status_class; /* enum series_class */
};

/* HTTP-like status to class: 0 is CLASS_OK, 100..599 by hundreds, anything else CLASS_ERROR. */
enum series_class series_class_of(uint16_t status);
/* True when events of this class spend error budget: 5xx and error; 4xx as well for a client. */
bool series_class_is_error(enum series_role role, enum series_class status_class);
const char *series_class_name(enum series_class status_class); /* "2xx", "ok", "error" */
const char *series_kind_name(enum series_kind kind); /* "http", "app", "delivery" */
const char *series_role_name(enum series_role role); /* "server", "client" */

/*
 * Copies text from outside into a key's field: cut to room, control characters and invalid UTF-8
 * replaced by '?'. Empty input stays empty.
 */
void series_text_set(char *field, size_t room, const char *text, size_t length);

/*
 * Thresholds of which exact counts of bad events are kept, at most this many in one series. A bad
 * event is slower than the threshold or an error; UINT64_MAX as threshold counts errors only.
 */
#define SERIES_THRESHOLDS 4

typedef uint32_t series_id; /* dense, from 0, in order of creation; for the life of the table */

struct series; /* opaque; lives as long as its table */
struct series_table;

struct series_counts { /* exact, since the table began or over a window */
	uint64_t count;
	uint64_t errors;
	uint64_t bad[SERIES_THRESHOLDS];
};

/* Which thresholds a new series watches; called once for each new series on the writer thread. */
typedef unsigned (*series_thresholds_fn)(void *arg, const struct series_key *key,
					 dur_ns thresholds[SERIES_THRESHOLDS]);

struct series_table_options {
	/* 0: 4096. A quarter of it and 96 more may be added as "{other}" series. */
	size_t series_max;
	series_thresholds_fn thresholds; /* may be NULL */
	void *thresholds_arg;
};

/* NULL when memory lacks. Free it on the writer thread when no reader is left. */
struct series_table *series_table_new(const struct series_table_options *options);
void series_table_free(struct series_table *table);

/* ---- writer thread --------------------------------------------------------------------------- */

/*
 * Finds or creates. At the cap: the "{other}" series. NULL only when memory lacks. Kind, role and
 * status class must be in range: who reads them from outside checks them.
 */
struct series *series_get(struct series_table *table, const struct series_key *key);

/*
 * Adds one observation to the current tick. latency_ns 0..UINT64_MAX; queue_ns is the part of it
 * (or before it) that the request waited unread in the socket, SERIES_NO_QUEUE when unknown.
 */
#define SERIES_NO_QUEUE UINT64_MAX
void series_record(struct series *s, dur_ns latency_ns, dur_ns queue_ns);

/*
 * The same for count <= SERIES_BATCH observations, the i-th of series[i], all of one table and none
 * with a queue known: what they touch of many series is brought into the cache ahead.
 */
#define SERIES_BATCH 64
void series_record_batch(struct series *const *series, const dur_ns *latencies_ns, unsigned count);

/*
 * Adds what came already summed: packed histograms (queue may be NULL, 0) and exact counts, bad[]
 * in the order of series_thresholds_of(). 0, or with nothing added: what hist_packed_open() says;
 * -EPROTO when counts->count is not the histogram's, or errors, bad or the queue's count is above
 * it; -EOVERFLOW (over UINT32_MAX in one bucket and tick); -ENOMEM.
 */
int series_merge_packed(struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size,
			const struct series_counts *counts);

/* One series' share of a tick, as series_tick() hands it out. Valid during the callback only. */
struct series_delta {
	series_id id;
	const struct series_key *key;
	const uint8_t *hist, *queue; /* packed; queue_size 0 when nothing waited */
	size_t hist_size, queue_size;
	struct series_counts counts;
	unsigned threshold_count;
	const dur_ns *thresholds;
};
typedef void (*series_delta_fn)(void *arg, const struct series_delta *delta);

/*
 * Ends the tick that covers (the previous call's now, now]: hands the delta of every series that
 * changed to fn (may be NULL), in order of id, files it under the windows, publishes windows and
 * totals to readers, and starts the next tick empty. O(series that changed or have data in a
 * window).
 *
 * The table's seconds are counted from the first tick, now rounded to the nearest: a tick that is
 * late or early by less than half a second still gets a second of its own, one that is later leaves
 * seconds empty, and one within the same second adds to it. A series for whose window memory lacks
 * is left out and keeps its observations for the next tick.
 */
void series_tick(struct series_table *table, mono_ns now, series_delta_fn fn, void *arg);

/*
 * Moves all that a series ever counted to another of the table, so that sums stay and it takes no
 * more memory than its name. 0, also when there is nothing; -EBUSY while a window or this tick has
 * something of it; -ENOMEM. A reader may see it in both for an instant.
 */
int series_move_total(struct series *from, struct series *to);

/* New policy: thresholds are asked again for every series; counts of thresholds kept carry on. */
void series_thresholds_reload(struct series_table *table);

/*
 * For recovery: adds packed totals (since the agent first started) without touching windows or
 * the current tick; readers see them at once. Errors as series_merge_packed().
 */
int series_restore_total(struct series *s, const uint8_t *hist, size_t hist_size,
			 const uint8_t *queue, size_t queue_size,
			 const struct series_counts *counts);

/*
 * For recovery: what windows hold, tier by tier of their slots (0 the finest), so that they go on
 * after a restart. The clock says which second is which: it is restored before anything is ticked,
 * totals next, as of that second, then slots.
 */
#define SERIES_TIERS 8

struct series_clock {
	mono_ns first_tick;
	uint32_t second; /* the newest; 0: no tick yet */
};
struct series_clock series_clock(const struct series_table *table);
/* -EBUSY: the table has ticked already. -EPROTO: no table has such a clock. */
int series_restore_clock(struct series_table *table, const struct series_clock *clock);

/* One slot: delta as in series_tick(), and the second (counted from 0) in which it begins. */
typedef int (*series_slot_fn)(void *arg, uint32_t start, const struct series_delta *delta);
/*
 * Writer: every series' slots of a tier that begin with this second; a non-zero return ends the walk
 * and is handed up. fn leaves the table alone. Some 10 us a slot.
 */
int series_slots_at(struct series_table *table, unsigned tier, uint32_t start, series_slot_fn fn,
		    void *arg);

/*
 * All of a table as of its last tick, to be read a piece at a time while the table goes on. Nothing of
 * it is copied but pointers: slots are immutable, and those that windows let go meanwhile stay until
 * the snapshot is freed. 0.7 KiB a series, and what of the finest grains the table lets go. Writer
 * thread, one at a time.
 */
struct series_snapshot;
/* 0, -ENOMEM, or -EBUSY while there is another one. Less than a microsecond a series. */
int series_snapshot_take(struct series_table *table, struct series_snapshot **snapshot);
void series_snapshot_free(struct series_snapshot *snapshot); /* before its table; NULL is allowed */

typedef int (*series_total_fn)(void *arg, const struct series_delta *delta);
/*
 * Hand out the next totals, one of every series, in order of id; or the next slots of a tier, `most`
 * of them or a few more (a series' share of a tier is not parted). 1: there may be more. 0: that was
 * the end, and the next call begins anew. -ENOMEM: the table could not keep what the snapshot needs,
 * which is void. Else what fn returned, which ends the walk. One walk at a time, to its end. 10 us a
 * slot, 20 us a total.
 */
int series_snapshot_totals(struct series_snapshot *snapshot, unsigned most, series_total_fn fn,
			   void *arg);
int series_snapshot_slots(struct series_snapshot *snapshot, unsigned tier, unsigned most,
			  series_slot_fn fn, void *arg);

/* Seconds in a slot of a tier < SERIES_TIERS, and from its begin for how many it is kept. */
uint32_t series_tier_grain(unsigned tier);
uint32_t series_tier_kept(unsigned tier);
/* Errors as series_merge_packed(), and -EPROTO for a slot that cannot be as of the clock. */
int series_restore_slot(struct series *s, unsigned tier, uint32_t start, const uint8_t *hist,
			size_t hist_size, const uint8_t *queue, size_t queue_size,
			const struct series_counts *counts);

/* ---- any thread, under series_read_lock ------------------------------------------------------- */

/* A thread registers before its first lock, and unregisters before it ends. */
void series_reader_register(void);
void series_reader_unregister(void);
void series_read_lock(void);
void series_read_unlock(void);

/* Windows that the table keeps; SERIES_TOTAL is since the agent first started. */
enum series_window {
	WINDOW_10S,
	WINDOW_1M,
	WINDOW_5M,
	WINDOW_30M,
	WINDOW_1H,
	WINDOW_6H,
	WINDOW_1D,
	WINDOW_3D,
	WINDOW_30D,
	SERIES_TOTAL,
	WINDOW_COUNT
};
dur_ns series_window_length(enum series_window window); /* 0 for SERIES_TOTAL */
/* "10s", "1m", "5m", "30m", "1h", "6h", "1d", "3d", "30d", "total". */
const char *series_window_name(enum series_window window);
/* Such a name to enum; -EINVAL otherwise. */
int series_window_parse(const char *text, enum series_window *window);

size_t series_count(const struct series_table *table);
/* NULL when id >= series_count(). The pointer is good for the table's life. */
const struct series *series_at(const struct series_table *table, series_id id);
const struct series_key *series_key_of(const struct series *s);
series_id series_id_of(const struct series *s);

/*
 * Adds what the window held at the last tick into latency, queue (either may be NULL) and counts
 * (may be NULL; bad[] in the order of series_thresholds_of(), a threshold counting from when it
 * was first watched). A window ends with the newest tick. Where it begins it counts whole grains:
 * 1 s for 10 s, 5 s for 1 min, 30 s for 5 min, 5 min for 30 min and 1 h, 1 h for 6 h, 3 h for 1 d,
 * 12 h for 3 d, 3 d for 30 d, so that it is up to a grain longer than its name;
 * series_window_span() is what rates are to be divided by. Counts are exact in all of them, and
 * percentiles have the same error bound, since old slots keep the full scale. 1 to 60 us.
 *
 * A reader that is stopped for longer than a second inside this call may miss the oldest grain.
 */
void series_window_add(const struct series_table *table, const struct series *s,
		       enum series_window window, struct hist *latency, struct hist *queue,
		       struct series_counts *counts);

/*
 * The time that a window covers as of the last tick: its length, up to a grain more, or less while
 * the table is younger. For SERIES_TOTAL the time since the first tick. 0 before the first.
 */
dur_ns series_window_span(const struct series_table *table, enum series_window window);

/* Thresholds this series watches; returns how many. */
unsigned series_thresholds_of(const struct series *s, dur_ns thresholds[SERIES_THRESHOLDS]);

/*
 * Histograms that the windows of one series keep at most, whatever happens; a series also has a
 * total. One takes a byte or two for each slot (0.5 % of latency) that is occupied.
 */
#define SERIES_SLOTS 82

/* Bytes that the table held at the last tick, pages never touched included; for `vow status`. */
size_t series_table_bytes(const struct series_table *table);
/* Observations that went to an "{other}" series because the table was full. */
uint64_t series_other_total(const struct series_table *table);
/* Observations that were not recorded, or left a window or a total early, for lack of memory. */
uint64_t series_unrecorded_total(const struct series_table *table);

#endif
