/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts messages to receivers as signed JSON webhooks, on one event loop with libcurl, which stays
 * behind this door. Each receiver has a queue of its own: one that hangs or refuses holds up
 * nobody else. Messages to one receiver with the same key (one alert) keep their order; others may
 * overtake each other. Everything is in memory: what must survive is the caller's to keep until
 * done() was called. Thread of the loop; nothing blocks (names are looked up by libcurl's threads).
 */
#ifndef VOW_DELIVER_WEBHOOK_H
#define VOW_DELIVER_WEBHOOK_H

#include "config/config.h"
#include "deliver/retry.h"
#include "lib/base/diag.h"
#include "lib/base/loop.h"

#define WEBHOOK_QUEUE_MAX     1000 /* messages to one receiver; the oldest is dropped beyond */
#define WEBHOOK_IN_FLIGHT_MAX 4 /* tries to one receiver at a time */

struct webhook_sender;

struct webhook_message {
	const char *id; /* webhook-id: the same in every try, and after a restart; < 96 bytes */
	const char *key; /* of the order */
	const char *type;
	const char *body; /* JSON, ended with a NUL */
	uint64_t cookie; /* the caller's, comes back in done() */
};

struct webhook_result { /* of a message to one receiver; pointers good during the call */
	const char *receiver, *id, *type, *body;
	uint64_t cookie;
	enum retry_class class; /* of the last try */
	long status; /* of the last answer, 0: none */
	unsigned tries;
	wall_ns first_try, last_try; /* 0: never tried */
	char error[200]; /* for people; "" when accepted */
};

struct webhook_handlers {
	/* Accepted (class RETRY_ACCEPTED) or given up: the last word on it. Not to call the sender. */
	void (*done)(void *arg, const struct webhook_result *result);
	/* A try failed, the next one follows after wait. */
	void (*failed)(void *arg, const struct webhook_result *result, dur_ns wait);
	void *arg;
};

struct webhook_counters {
	uint64_t accepted_total, given_up_total, tries_total;
	uint64_t waiting; /* messages in queues or on their way */
};

/* NULL when memory lacks. Both handlers must be set. */
struct webhook_sender *webhook_new(struct loop *loop, const struct webhook_handlers *handlers);
/* Cuts off what is on its way; done() is not called for anything any more. */
void webhook_free(struct webhook_sender *sender);

/*
 * Takes these receivers from now on. One with the name of a present one replaces it and takes over
 * its queue; one that is gone gives up its queue (RETRY_DROPPED). -EINVAL for a broken secret or
 * address, with d naming the receiver, and -ENOMEM: then the ones before stay.
 */
int webhook_set_receivers(struct webhook_sender *sender, const struct receiver *receivers,
			  size_t count, struct diag *d);

/*
 * Queues the message, copied, for every receiver that takes its kind; returns how many, or -ENOMEM
 * when it reached none of them. done() comes later, once for each; only that of an older message
 * which gives its place in a full queue to this one (RETRY_DROPPED) comes from within.
 */
int webhook_post(struct webhook_sender *sender, bool is_alert,
		 const struct webhook_message *message);

struct webhook_counters webhook_counters(const struct webhook_sender *sender);

#endif
