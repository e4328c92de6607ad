/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each receiver has a list of messages in the order of posting. A message waits (due in the
 * future), is on its way (a call), or is held back by an earlier one with its key. After every
 * change the list is walked from its start: what may go goes, up to the limit in flight, and the
 * timer is set to the earliest that is due later. A list has WEBHOOK_QUEUE_MAX members at most, so
 * that walking it is nothing beside one HTTP request.
 */
#include "deliver/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "deliver/http.h"
#include "deliver/sign.h"
#include "lib/base/clock.h"

#define ID_MAX 95

struct target;

struct delivery { /* one message to one receiver */
	TAILQ_ENTRY(delivery) link;
	struct target *target;
	struct http_call *call; /* NULL: waits */
	mono_ns due, first_mono;
	wall_ns first_try, last_try;
	unsigned tries;
	uint64_t cookie;
	char id[ID_MAX + 1];
	char *key, *type, *body; /* in one block behind the struct */
};
TAILQ_HEAD(deliveries, delivery);

struct target { /* a receiver */
	struct webhook_sender *sender;
	struct target *next;
	struct receiver receiver;
	struct sign_key key;
	struct deliveries queue;
	struct loop_timer *timer;
	unsigned length, in_flight;
};

struct webhook_sender {
	struct loop *loop;
	struct http *http;
	struct webhook_handlers handlers;
	struct webhook_counters counters;
	struct target *targets;
	uint64_t random;
};

static void target_serve(struct target *target);

/* ---- results ---------------------------------------------------------------------------------- */

static struct webhook_result result_of(const struct delivery *delivery,
				       const struct http_answer *answer)
{
	struct webhook_result result = {
		.receiver = delivery->target->receiver.name,
		.id = delivery->id,
		.type = delivery->type,
		.body = delivery->body,
		.cookie = delivery->cookie,
		.class = answer->class,
		.status = answer->status,
		.tries = delivery->tries,
		.first_try = delivery->first_try,
		.last_try = delivery->last_try,
	};

	snprintf(result.error, sizeof(result.error), "%s", answer->error);
	return result;
}

/* The last word on a delivery, which is gone afterwards. */
static void delivery_end(struct delivery *delivery, const struct http_answer *answer)
{
	struct target *target = delivery->target;
	struct webhook_sender *sender = target->sender;
	struct webhook_result result = result_of(delivery, answer);

	if (answer->class == RETRY_ACCEPTED)
		sender->counters.accepted_total++;
	else
		sender->counters.given_up_total++;
	sender->counters.waiting--;
	TAILQ_REMOVE(&target->queue, delivery, link);
	target->length--;
	sender->handlers.done(sender->handlers.arg, &result);
	free(delivery);
}

static void delivery_drop(struct delivery *delivery, const char *why)
{
	const struct http_answer answer = {.class = RETRY_DROPPED, .error = why};

	if (delivery->call) {
		http_cancel(delivery->call);
		delivery->target->in_flight--;
	}
	delivery_end(delivery, &answer);
}

/* ---- tries ------------------------------------------------------------------------------------ */

/* Even in [0, 1): xorshift64*, which is random enough to spread tries. */
static double sender_random(struct webhook_sender *sender)
{
	uint64_t x = sender->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	sender->random = x;
	return (double)((x * UINT64_C(2685821657736338717)) >> 11) * 0x1p-53;
}

static void try_ended(void *arg, const struct http_answer *answer)
{
	struct delivery *delivery = arg;
	struct target *target = delivery->target;
	struct webhook_sender *sender = target->sender;
	const struct retry_try last = {
		.class = answer->class,
		.status = answer->status,
		.number = delivery->tries,
		.age = clock_mono() - delivery->first_mono,
		.retry_after = answer->retry_after,
	};
	struct webhook_result result;
	dur_ns wait;

	delivery->call = NULL;
	target->in_flight--;
	if (retry_step(&last, sender_random(sender), &wait) != RETRY_AGAIN) {
		delivery_end(delivery, answer);
	} else {
		delivery->due = clock_mono() + wait;
		result = result_of(delivery, answer);
		sender->handlers.failed(sender->handlers.arg, &result, wait);
	}
	target_serve(target);
}

static int delivery_try(struct delivery *delivery)
{
	const struct target *target = delivery->target;
	wall_ns now = clock_wall();
	char id[ID_MAX + 32], timestamp[64], signature[SIGN_TEXT_MAX + 32], text[SIGN_TEXT_MAX];
	const char *headers[] = {
		"Content-Type: application/json", "Expect:", id, timestamp, signature, NULL};
	const struct http_request request = {
		.url = target->receiver.url,
		.headers = headers,
		.body = delivery->body,
		.size = strlen(delivery->body),
		.timeout = target->receiver.timeout,
	};

	snprintf(id, sizeof(id), "webhook-id: %s", delivery->id);
	snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %llu",
		 (unsigned long long)(now / NS_PER_S));
	if (target->key.size == 0)
		headers[4] = NULL;
	else if (sign_text(&target->key, delivery->id, now / NS_PER_S, delivery->body, request.size,
			   text))
		return -ENOMEM;
	else
		snprintf(signature, sizeof(signature), "webhook-signature: %s", text);
	delivery->call = http_post(target->sender->http, &request, try_ended, delivery);
	if (!delivery->call)
		return -ENOMEM;
	delivery->last_try = now;
	if (delivery->tries++ == 0) {
		delivery->first_try = now;
		delivery->first_mono = clock_mono();
	}
	return 0;
}

/* ---- a receiver's queue ----------------------------------------------------------------------- */

static bool held_back(const struct target *target, const struct delivery *delivery)
{
	const struct delivery *earlier;

	TAILQ_FOREACH(earlier, &target->queue, link)
	{
		if (earlier == delivery)
			return false;
		if (strcmp(earlier->key, delivery->key) == 0)
			return true;
	}
	return false;
}

static void target_due(void *arg)
{
	target_serve(arg);
}

static void target_serve(struct target *target)
{
	mono_ns now = clock_mono(), next = UINT64_MAX;
	struct delivery *delivery;

	TAILQ_FOREACH(delivery, &target->queue, link)
	{
		if (target->in_flight >= WEBHOOK_IN_FLIGHT_MAX)
			break; /* the end of a try comes back here */
		if (delivery->call || held_back(target, delivery))
			continue;
		if (delivery->due <= now) {
			if (delivery_try(delivery) == 0) {
				target->in_flight++;
				target->sender->counters.tries_total++;
				continue;
			}
			delivery->due = now + NS_PER_S; /* memory lacks: not a try */
		}
		if (delivery->due < next)
			next = delivery->due;
	}
	if (next != UINT64_MAX)
		loop_timer_again(target->timer, next - now, 0);
}

static void target_free(struct target *target)
{
	struct delivery *delivery;

	while ((delivery = TAILQ_FIRST(&target->queue))) {
		if (delivery->call)
			http_cancel(delivery->call);
		TAILQ_REMOVE(&target->queue, delivery, link);
		free(delivery);
	}
	loop_timer_stop(target->timer);
	explicit_bzero(target, sizeof(*target)); /* the secret */
	free(target);
}

static struct target *target_new(struct webhook_sender *sender, const struct receiver *receiver)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->sender = sender;
	target->receiver = *receiver;
	TAILQ_INIT(&target->queue);
	target->timer = loop_timer_start(sender->loop, 0, 0, target_due, target);
	if (!target->timer) {
		free(target);
		return NULL;
	}
	return target;
}

/* ---- the sender ------------------------------------------------------------------------------- */

struct webhook_sender *webhook_new(struct loop *loop, const struct webhook_handlers *handlers)
{
	struct webhook_sender *sender = calloc(1, sizeof(*sender));

	if (!sender)
		return NULL;
	sender->loop = loop;
	sender->handlers = *handlers;
	sender->http = http_new(loop);
	if (!sender->http) {
		free(sender);
		return NULL;
	}
	/* Any seed but 0 will do. */
	if (getrandom(&sender->random, sizeof(sender->random), 0) < 0 || !sender->random)
		sender->random = clock_mono() | 1;
	return sender;
}

static void targets_free(struct target *targets)
{
	while (targets) {
		struct target *target = targets;

		targets = target->next;
		target_free(target);
	}
}

void webhook_free(struct webhook_sender *sender)
{
	if (!sender)
		return;
	targets_free(sender->targets);
	http_free(sender->http);
	free(sender);
}

static int target_make(struct webhook_sender *sender, const struct receiver *receiver,
		       struct target **list, struct diag *d)
{
	char where[80];
	struct target *target;
	int rc;

	snprintf(where, sizeof(where), "receiver '%s'", receiver->name);
	if (http_url_check(receiver->url))
		return diag_set(d, -EINVAL, where, "write http://HOST/PATH or https://HOST/PATH",
				"its url is no address of the web");
	target = target_new(sender, receiver);
	if (!target)
		return diag_errno(d, -ENOMEM, where, NULL, "cannot take it on");
	target->next = *list;
	*list = target;
	rc = sign_key_parse(receiver->secret, &target->key, d);
	if (rc && d)
		snprintf(d->where, sizeof(d->where), "%s", where);
	return rc;
}

static struct target *target_find(struct target *list, const char *name)
{
	while (list && strcmp(list->receiver.name, name) != 0)
		list = list->next;
	return list;
}

/* What the receiver of the same name had waiting goes on with the new address and secret. */
static void target_inherit(struct target *target, struct target *before)
{
	struct delivery *delivery;

	TAILQ_FOREACH(delivery, &before->queue, link)
	delivery->target = target;
	TAILQ_CONCAT(&target->queue, &before->queue, link);
	target->length = before->length;
	target->in_flight = before->in_flight;
}

int webhook_set_receivers(struct webhook_sender *sender, const struct receiver *receivers,
			  size_t count, struct diag *d)
{
	struct target *made = NULL, *before = sender->targets;
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++)
		rc = target_make(sender, &receivers[i], &made, d);
	if (rc) {
		targets_free(made);
		return rc;
	}
	sender->targets = made;
	for (struct target *old = before; old; old = old->next) {
		struct target *successor = target_find(made, old->receiver.name);
		struct delivery *delivery;

		if (successor)
			target_inherit(successor, old);
		while ((delivery = TAILQ_FIRST(&old->queue)))
			delivery_drop(delivery, "the receiver is no longer configured");
	}
	targets_free(before);
	return 0;
}

static struct delivery *delivery_new(struct target *target, const struct webhook_message *message)
{
	size_t key = strlen(message->key) + 1, type = strlen(message->type) + 1;
	size_t body = strlen(message->body) + 1;
	struct delivery *delivery = calloc(1, sizeof(*delivery) + key + type + body);

	if (!delivery)
		return NULL;
	delivery->target = target;
	delivery->cookie = message->cookie;
	snprintf(delivery->id, sizeof(delivery->id), "%s", message->id);
	delivery->key = memcpy(delivery + 1, message->key, key);
	delivery->type = memcpy(delivery->key + key, message->type, type);
	delivery->body = memcpy(delivery->type + type, message->body, body);
	return delivery;
}

int webhook_post(struct webhook_sender *sender, bool is_alert,
		 const struct webhook_message *message)
{
	int reached = 0, failed = 0;

	for (struct target *target = sender->targets; target; target = target->next) {
		struct delivery *delivery;

		if (is_alert ? !target->receiver.alerts : !target->receiver.scaling)
			continue;
		delivery = delivery_new(target, message);
		if (!delivery) {
			failed++;
			continue;
		}
		if (target->length >= WEBHOOK_QUEUE_MAX)
			delivery_drop(TAILQ_FIRST(&target->queue), "its queue was full");
		TAILQ_INSERT_TAIL(&target->queue, delivery, link);
		target->length++;
		sender->counters.waiting++;
		reached++;
		/* From the loop, so that done() of this message never comes from within this call. */
		loop_timer_again(target->timer, 0, 0);
	}
	return failed && !reached ? -ENOMEM : reached;
}

struct webhook_counters webhook_counters(const struct webhook_sender *sender)
{
	return sender->counters;
}
