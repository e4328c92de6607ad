/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvow: an application tells the vow agent on its host what it measured.
 *
 * Each process shares one segment of memory with the agent and each thread writes into a lane of
 * its own, so the calls marked [hot] take a few nanoseconds: they make no system call, take no
 * lock, allocate nothing, never block, never log and never end the program. (Seldom one of them
 * makes a system call for memory of the segment: a thread's first observation, the one with which a
 * lane that was once full grows to four times its slots, and the first of its name, outcome and
 * magnitude that finds its lane full.) They cost and do the same when no agent runs; an agent that
 * starts later finds what was observed before. When a lane is full, observations are added to
 * histograms in the segment: a latency is never dropped.
 *
 *   vow_open("shop");
 *   vow_id pay = vow_route("POST /payments");
 *   ...
 *   vow_observe(pay, latency_ns, 200);
 *
 * Every call may be made from any thread; not from a signal handler. All calls are allowed before
 * vow_open() and after it failed: they then do nothing. After fork() the child gets a segment of
 * its own at its first call; ids stay good. A child of vfork() makes no call before its exec. exec
 * ends measuring as the end of the process does: what a connected agent did not see yet it still
 * reads, and the new program opens for itself. The calls not marked [hot] may take a lock, make
 * system calls and allocate memory inside the kernel; make them once, at start. None changes errno.
 *
 * Times are nanoseconds. Names are copied and cut to 120 bytes. They are shown to people and
 * stored: put no personal data and no secrets into them, and use templates ("/users/{id}").
 * The runtime folder is VOW_DIR from the environment, else /run/vow; it selects the agent.
 */
#ifndef VOW_VOW_H
#define VOW_VOW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VOW_API __attribute__((visibility("default")))
#else
#define VOW_API
#endif

/* Names something until vow_close(); 0 is "{unnamed}", which every call accepts. */
typedef uint32_t vow_id;

/* ---- opening --------------------------------------------------------------------------------- */

/* All zero is the default. */
struct vow_options {
	const char *service; /* required: 1 to 63 bytes; the name under which figures are shown */
	const char *dir; /* runtime folder of the agent; NULL: VOW_DIR, else /run/vow */
};

/*
 * Makes the segment and offers it to the agent. 0; -EINVAL for a service name that is missing or
 * too long, -EALREADY when it is open, or the errno of the kernel (memory, descriptors, a kernel
 * older than 4.14). A child after fork() may open again, under another name; it keeps the ids. An
 * agent that is not there is not an error. Takes about a millisecond, in which the clock is
 * calibrated.
 */
VOW_API int vow_open(const char *service);
VOW_API int vow_open_options(const struct vow_options *options);

/*
 * Ends measuring. Observations that the agent did not see yet are still read by it when it is
 * connected. No other thread may be inside a call of libvow.
 */
VOW_API void vow_close(void);

/* ---- names: the same name and sort gives the same id ----------------------------------------- */

/*
 * At most 1023 names of all sorts in a process. A further one gives 0: what is observed under it
 * counts under "{unnamed}"; gauges, queues and jobs 0 are ignored.
 */
VOW_API vow_id vow_route(const char *name); /* what is served: "GET /availability" */
VOW_API vow_id vow_queue(const char *name); /* "webhooks" */
VOW_API vow_id vow_job(const char *name); /* "nightly-invoices" */
VOW_API vow_id vow_gauge(const char *name); /* unit last: "pool_in_use", "cache_hit_ratio" */
VOW_API vow_id vow_event(const char *name); /* event type of deliveries: "invoice.paid" */
/* A receiver's address; user and password, and all from a '?' or '#' on, are left out of the name. */
VOW_API vow_id vow_endpoint(const char *name);

/* ---- observing ------------------------------------------------------------------------------- */

/*
 * [hot] One request served, or one step of a job: how long it took and how it ended: 0 fine, an HTTP
 * status 100..599, anything else (1..99 by convention) an error of the application. A status
 * above 65535 counts as 65535.
 */
VOW_API void vow_observe(vow_id route, uint64_t latency_ns, unsigned status);

/*
 * [hot] The same with a tag by which this one can be found again, a trace id say: of each route,
 * outcome and minute the agent shows the few slowest with their tags (vow exemplars). Up to
 * VOW_TAG_MAX visible characters of ASCII, copied; what is longer is cut, any other byte becomes
 * '?', and NULL or "" is none. A tag leaves the host like a name does: no personal data, no secrets.
 * Some 25 ns more. The observation counts all the same; of tags that come by the thousand a second
 * those of the slow ones stay.
 */
#define VOW_TAG_MAX 48
VOW_API void vow_observe_tagged(vow_id route, uint64_t latency_ns, unsigned status,
				const char *tag);

/*
 * The same with the clock read here, from the time stamp counter where the kernel trusts it. A span
 * that began before vow_open() ends unobserved.
 */
struct vow_span {
	uint64_t start; /* ticks; 0: nothing is observed */
	vow_id route;
};
VOW_API struct vow_span vow_span_begin(vow_id route); /* [hot] */
VOW_API void vow_span_end(struct vow_span span, unsigned status); /* [hot] */
/* [hot] vow_span_end() with a tag, as vow_observe_tagged(). */
VOW_API void vow_span_end_tagged(struct vow_span span, unsigned status, const char *tag);

/* ---- deliveries: webhooks and messages that this process sends ------------------------------- */

/*
 * One delivery from enqueue to its final outcome, in the caller's storage (beside the queued item).
 * One thread at a time. Per delivery: enqueued or adopted once; attempt_begin and attempt_end for
 * each attempt; then exactly one of delivered, failed, dead_lettered. Fields are libvow's.
 */
struct vow_delivery {
	uint64_t id;
	uint64_t enqueued_ns; /* CLOCK_MONOTONIC */
	uint64_t attempt_ns; /* when the attempt in flight began */
	uint64_t wait_ns; /* enqueue to first attempt */
	uint16_t event, endpoint;
	uint8_t priority, attempts;
	uint8_t reserved[2];
};

/*
 * [hot] A delivery enters this process's queue. id is the application's, the tag of its attempts and
 * of its outcome (vow_observe_tagged()) in decimal; it need not be unique, 0 is none. priority 0
 * (none) to 7.
 */
VOW_API void vow_delivery_enqueued(struct vow_delivery *delivery, vow_id event, vow_id endpoint,
				   unsigned priority, uint64_t id);
/*
 * [hot] The same for one that another process or host enqueued at enqueued_unix_ns (CLOCK_REALTIME):
 * only the process that delivers tells vow about it.
 */
VOW_API void vow_delivery_adopted(struct vow_delivery *delivery, vow_id event, vow_id endpoint,
				  unsigned priority, uint64_t id, uint64_t enqueued_unix_ns);

VOW_API void vow_attempt_begin(struct vow_delivery *delivery); /* [hot] */
VOW_API void vow_attempt_end(struct vow_delivery *delivery, unsigned status); /* [hot] */

VOW_API void vow_delivery_delivered(struct vow_delivery *delivery); /* [hot] accepted */
VOW_API void vow_delivery_failed(struct vow_delivery *delivery); /* [hot] given up */
VOW_API void vow_delivery_dead_lettered(
	struct vow_delivery *delivery); /* [hot] set aside for people */

/* ---- last values ----------------------------------------------------------------------------- */

VOW_API void vow_gauge_set(vow_id gauge, double value); /* [hot] */
/* [hot] oldest_age_ns is that of the oldest item when this is called; 0 for an empty queue. */
VOW_API void vow_queue_set(vow_id queue, uint64_t depth, uint64_t oldest_age_ns);
/* [hot] Items to do in all; then items done and failed since the last call, added up. */
VOW_API void vow_job_total(vow_id job, uint64_t items);
VOW_API void vow_job_progress(vow_id job, uint64_t done, uint64_t failed);

#ifdef __cplusplus
}
#endif

#endif
