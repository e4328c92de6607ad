/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a delivery, told to the agent in finished pieces: each attempt with its duration, and
 * the outcome with the whole latency and the wait before the first attempt. So every piece can
 * spill into histograms. The clock is CLOCK_MONOTONIC: it costs 27 ns, a delivery takes a million.
 */
#include <time.h>
#include <vow/vow.h>

#include "client/exemplar.h"
#include "client/process.h"
#include "client/ticks.h"
#include "client/writer.h"

#define DELIVERY_ATTEMPTS_MAX 31 /* of what five bits of a record hold; more count as 31 */

static void delivery_count(uint64_t offset)
{
	struct vow_shm *shm = process_shm();

	if (unlikely(!shm))
		shm = process_segment();
	if (shm)
		__atomic_fetch_add((uint64_t *)((char *)&shm->counters + offset), 1,
				   __ATOMIC_RELAXED);
}

#define DELIVERY_COUNT(counter) delivery_count(offsetof(struct vow_shm_counters, counter))

static void delivery_begin(struct vow_delivery *delivery, vow_id event, vow_id endpoint,
			   unsigned priority, uint64_t id, mono_ns enqueued)
{
	*delivery = (struct vow_delivery){
		.id = id,
		.enqueued_ns = enqueued,
		.event = (uint16_t)writer_name(event),
		.endpoint = (uint16_t)writer_name(endpoint),
		.priority = (uint8_t)(priority < 7 ? priority : 7),
	};
	DELIVERY_COUNT(deliveries_begun);
}

void vow_delivery_enqueued(struct vow_delivery *delivery, vow_id event, vow_id endpoint,
			   unsigned priority, uint64_t id)
{
	delivery_begin(delivery, event, endpoint, priority, id, ticks_monotonic());
}

void vow_delivery_adopted(struct vow_delivery *delivery, vow_id event, vow_id endpoint,
			  unsigned priority, uint64_t id, uint64_t enqueued_unix_ns)
{
	struct timespec wall;
	mono_ns now = ticks_monotonic();

	clock_gettime(CLOCK_REALTIME, &wall);
	wall_ns here = (uint64_t)wall.tv_sec * NS_PER_S + (uint64_t)wall.tv_nsec;
	/* Another host's clock may be ahead of ours: then it was enqueued just now. */
	uint64_t age = here > enqueued_unix_ns ? here - enqueued_unix_ns : 0;
	/* It may be older than this host's boot: the difference is kept by wrapping around. */
	delivery_begin(delivery, event, endpoint, priority, id, now - age);
}

void vow_attempt_begin(struct vow_delivery *delivery)
{
	delivery->attempt_ns = ticks_monotonic();
	if (delivery->attempts == 0)
		delivery->wait_ns = delivery->attempt_ns - delivery->enqueued_ns;
	if (delivery->attempts < UINT8_MAX)
		delivery->attempts++;
	DELIVERY_COUNT(attempts_begun);
}

static uint64_t delivery_what(const struct vow_delivery *delivery, enum vow_shm_kind kind,
			      unsigned status)
{
	unsigned attempts = delivery->attempts;

	if (attempts > DELIVERY_ATTEMPTS_MAX)
		attempts = DELIVERY_ATTEMPTS_MAX;
	return VOW_SHM_WHAT(kind, delivery->event, delivery->endpoint, writer_status(status),
			    attempts | (unsigned)delivery->priority << 5);
}

/* Its id, as text, is the tag by which one finds it again. */
static void delivery_exemplar(const struct vow_delivery *delivery, dur_ns latency, uint64_t what)
{
	char digits[20]; /* of 2^64 - 1 */
	size_t at = sizeof(digits);

	for (uint64_t rest = delivery->id; rest; rest /= 10)
		digits[--at] = (char)('0' + rest % 10);
	exemplar_offer(latency, what, digits + at, sizeof(digits) - at);
}

void vow_attempt_end(struct vow_delivery *delivery, unsigned status)
{
	dur_ns latency = ticks_monotonic() - delivery->attempt_ns;
	uint64_t what = delivery_what(delivery, VOW_SHM_ATTEMPT, status);

	DELIVERY_COUNT(attempts_ended);
	writer_push(ticks_now(), latency, what, delivery->id);
	delivery_exemplar(delivery, latency, what);
}

static void delivery_settle(const struct vow_delivery *delivery, enum vow_shm_kind kind,
			    unsigned status)
{
	dur_ns latency = ticks_monotonic() - delivery->enqueued_ns;

	uint64_t what = delivery_what(delivery, kind, status);

	DELIVERY_COUNT(deliveries_settled);
	/* Given up before any attempt: it waited all the time. */
	writer_push(delivery->attempts ? delivery->wait_ns : latency, latency, what, delivery->id);
	delivery_exemplar(delivery, latency, what);
}

void vow_delivery_delivered(struct vow_delivery *delivery)
{
	delivery_settle(delivery, VOW_SHM_DELIVERED, 200);
}

/* Status 1: nothing of HTTP's, an error. */
void vow_delivery_failed(struct vow_delivery *delivery)
{
	delivery_settle(delivery, VOW_SHM_FAILED, 1);
}

void vow_delivery_dead_lettered(struct vow_delivery *delivery)
{
	delivery_settle(delivery, VOW_SHM_DEAD_LETTERED, 1);
}
