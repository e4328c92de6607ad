/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders: what somebody has the running agent do, handed by the control thread to the main thread,
 * and its outcome handed back. One is on its way at a time. Both sides wake each other and neither
 * waits; a mutex is held for copies alone.
 */
#ifndef VOW_AGENT_ORDER_H
#define VOW_AGENT_ORDER_H

#include <sys/types.h>

#include "lib/base/diag.h"
#include "lib/base/loop.h"
#include "lib/data/traced.h"

struct order {
	struct trace_order trace;
	uid_t uid; /* who asks, as the socket says */
	pid_t pid;
};

struct order_desk;

/* On the main thread: 0, or a negative errno with d filled, which is the outcome. */
typedef int (*order_fn)(void *arg, const struct order *order, struct diag *d);

/* Orders will be carried out by fn on the loop's thread. NULL when memory or a descriptor lacks. */
struct order_desk *order_desk_new(struct loop *loop, order_fn fn, void *arg);
/* On the loop's thread, when nobody can give one any more; NULL is allowed. */
void order_desk_free(struct order_desk *desk);

/*
 * Whom to wake when an outcome is there; before the first order, and NULL once the thread that gives
 * orders has ended.
 */
void order_desk_wakes(struct order_desk *desk, struct loop_wakeup *giver);
/* From the thread that gives orders. 0; -EBUSY: another one is on its way. */
int order_desk_give(struct order_desk *desk, const struct order *order);
/* The same thread: the outcome in *rc and d, once. False when there is none yet. */
bool order_desk_take(struct order_desk *desk, int *rc, struct diag *d);

#endif
