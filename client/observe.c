/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls that observe and set; opening is in process.c, deliveries in delivery.c. */
#include <string.h>
#include <vow/vow.h>

#include "client/exemplar.h"
#include "client/process.h"
#include "client/ticks.h"
#include "client/writer.h"

static vow_id observe_name(enum vow_shm_name_kind kind, const char *name)
{
	return name ? process_name(kind, name, strlen(name)) : 0;
}

vow_id vow_route(const char *name)
{
	return observe_name(VOW_SHM_NAME_ROUTE, name);
}

vow_id vow_queue(const char *name)
{
	return observe_name(VOW_SHM_NAME_QUEUE, name);
}

vow_id vow_job(const char *name)
{
	return observe_name(VOW_SHM_NAME_JOB, name);
}

vow_id vow_gauge(const char *name)
{
	return observe_name(VOW_SHM_NAME_GAUGE, name);
}

vow_id vow_event(const char *name)
{
	return observe_name(VOW_SHM_NAME_EVENT, name);
}

/*
 * Addresses carry secrets in two places: before an '@' in front of the host, and behind a '?' or
 * '#'. What is left is scheme, host, port and path.
 */
vow_id vow_endpoint(const char *name)
{
	char text[VOW_SHM_NAME_TEXT];

	if (!name)
		return 0;
	size_t length = strcspn(name, "?#");
	const char *host = memmem(name, length, "://", 3);
	size_t scheme = host ? (size_t)(host + 3 - name) : 0;
	size_t authority = scheme + strcspn(name + scheme, "/?#");
	const char *at = memrchr(name + scheme, '@', authority - scheme);
	if (!at || scheme >= sizeof(text))
		return process_name(VOW_SHM_NAME_ENDPOINT, name, length);
	size_t rest = length - (size_t)(at + 1 - name);
	if (rest > sizeof(text) - scheme)
		rest = sizeof(text) - scheme;
	memcpy(text, name, scheme);
	memcpy(text + scheme, at + 1, rest);
	return process_name(VOW_SHM_NAME_ENDPOINT, text, scheme + rest);
}

void vow_observe(vow_id route, uint64_t latency_ns, unsigned status)
{
	writer_push(0, latency_ns,
		    VOW_SHM_WHAT(VOW_SHM_OBSERVED, writer_name(route), 0, writer_status(status), 0),
		    0);
}

void vow_observe_tagged(vow_id route, uint64_t latency_ns, unsigned status, const char *tag)
{
	uint64_t what =
		VOW_SHM_WHAT(VOW_SHM_OBSERVED, writer_name(route), 0, writer_status(status), 0);

	writer_push(0, latency_ns, what, 0);
	if (tag)
		exemplar_offer(latency_ns, what, tag, strnlen(tag, VOW_SHM_TAG));
}

struct vow_span vow_span_begin(vow_id route)
{
	return (struct vow_span){.start = ticks_now(), .route = route};
}

void vow_span_end(struct vow_span span, unsigned status)
{
	uint64_t end = ticks_now();

	/* It began before vow_open(), when there was no clock yet. */
	if (unlikely(!span.start))
		return;
	writer_push(end, ticks_between(span.start, end),
		    VOW_SHM_WHAT(VOW_SHM_OBSERVED, writer_name(span.route), 0,
				 writer_status(status), 0),
		    0);
}

void vow_span_end_tagged(struct vow_span span, unsigned status, const char *tag)
{
	uint64_t end = ticks_now();
	uint64_t latency_ns = ticks_between(span.start, end);
	uint64_t what = VOW_SHM_WHAT(VOW_SHM_OBSERVED, writer_name(span.route), 0,
				     writer_status(status), 0);

	if (unlikely(!span.start))
		return;
	writer_push(end, latency_ns, what, 0);
	if (tag)
		exemplar_offer(latency_ns, what, tag, strnlen(tag, VOW_SHM_TAG));
}

/* Where the last values of a name are; NULL when it has none. */
static struct vow_shm_value *observe_value(vow_id id)
{
	struct vow_shm *shm = process_shm();

	if (unlikely(!shm))
		shm = process_segment();
	return shm && id > 0 && id < VOW_SHM_NAMES ? &shm->values[id] : NULL;
}

static void observe_word_set(struct vow_shm_value *value, enum vow_shm_word word, uint64_t bits)
{
	__atomic_store_n(&value->word[word], bits, __ATOMIC_RELAXED);
}

/* After the words, so that a value is never seen set and not yet there. */
static void observe_value_mark(struct vow_shm_value *value)
{
	__atomic_store_n(&value->set, 1, __ATOMIC_RELEASE);
}

void vow_gauge_set(vow_id gauge, double number)
{
	struct vow_shm_value *value = observe_value(gauge);
	uint64_t bits;

	if (!value)
		return;
	memcpy(&bits, &number, sizeof(bits));
	observe_word_set(value, VOW_SHM_GAUGE_VALUE, bits);
	observe_value_mark(value);
}

void vow_queue_set(vow_id queue, uint64_t depth, uint64_t oldest_age_ns)
{
	struct vow_shm_value *value = observe_value(queue);

	if (!value)
		return;
	observe_word_set(value, VOW_SHM_QUEUE_DEPTH, depth);
	observe_word_set(value, VOW_SHM_QUEUE_OLDEST_NS, oldest_age_ns);
	observe_value_mark(value);
}

void vow_job_total(vow_id job, uint64_t items)
{
	struct vow_shm_value *value = observe_value(job);

	if (!value)
		return;
	observe_word_set(value, VOW_SHM_JOB_TOTAL, items);
	observe_value_mark(value);
}

void vow_job_progress(vow_id job, uint64_t done, uint64_t failed)
{
	struct vow_shm_value *value = observe_value(job);

	if (!value)
		return;
	__atomic_fetch_add(&value->word[VOW_SHM_JOB_DONE], done, __ATOMIC_RELAXED);
	__atomic_fetch_add(&value->word[VOW_SHM_JOB_FAILED], failed, __ATOMIC_RELAXED);
	observe_value_mark(value);
}
