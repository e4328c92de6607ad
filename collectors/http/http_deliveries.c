/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_deliveries.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Records of different processors come out of order by at most a poll, and losses are looked for
 * every second: a success is filed when both are past.
 */
#define SETTLE_AFTER (1500 * NS_PER_MS)
#define LOSS_BEFORE  (2 * NS_PER_S)
#define BUCKETS	     8192u /* a power of two, twice the entries */
#define OTHER	     "{other}"

enum state {
	FREE,
	OPEN, /* no success yet */
	ACCEPTED, /* a success, filed soon */
	UNKNOWN, /* its beginning may not have been seen */
	DONE, /* filed; kept so that a further attempt is none of a new delivery */
};

struct delivery {
	uint64_t id;
	struct series
		*attempts; /* of its latest attempt, whose service, event and peer are its own */
	mono_ns first_at; /* when its first attempt began */
	mono_ns last_at; /* when its latest attempt ended */
	mono_ns accepted_at; /* when the first success ended */
	mono_ns noticed_at; /* when that came to be known */
	uint16_t next; /* in its bucket, + 1; 0: none */
	uint8_t state;
};

struct http_deliveries {
	struct series_table *table;
	dur_ns quiet;
	mono_ns blind_until;
	uint64_t unjoined, evicted;
	struct delivery *all; /* NULL until the first attempt */
	uint16_t buckets[BUCKETS]; /* place of the first entry, + 1 */
	unsigned used; /* entries that were ever used; the free ones among them are looked for */
	unsigned count;
	uint64_t events[2 * HTTP_DELIVERIES_EVENTS]; /* hashes of names, 0: free */
	unsigned event_count;
};

struct http_deliveries *http_deliveries_new(struct series_table *table, dur_ns quiet, mono_ns now)
{
	struct http_deliveries *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->table = table;
	d->quiet = quiet;
	d->blind_until = now + quiet;
	return d;
}

void http_deliveries_free(struct http_deliveries *d)
{
	if (!d)
		return;
	free(d->all);
	free(d);
}

void http_deliveries_reload(struct http_deliveries *d, dur_ns quiet)
{
	d->quiet = quiet;
}

uint64_t http_deliveries_unjoined(const struct http_deliveries *d)
{
	return d->unjoined;
}

uint64_t http_deliveries_evicted(const struct http_deliveries *d)
{
	return d->evicted;
}

/* FNV-1a, never 0. */
static uint64_t text_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

const char *http_deliveries_event(struct http_deliveries *d, const char *event)
{
	const unsigned mask = 2 * HTTP_DELIVERIES_EVENTS - 1;
	uint64_t hash = text_hash(event);
	unsigned at = (unsigned)(hash >> 32) & mask;

	for (; d->events[at]; at = (at + 1) & mask)
		if (d->events[at] == hash)
			return event;
	if (d->event_count == HTTP_DELIVERIES_EVENTS)
		return OTHER;
	d->events[at] = hash;
	d->event_count++;
	return event;
}

/* ---- entries ------------------------------------------------------------------------------------ */

static uint16_t *bucket_of(struct http_deliveries *d, uint64_t id)
{
	return &d->buckets[(id ^ id >> 32) & (BUCKETS - 1)];
}

static struct delivery *delivery_find(struct http_deliveries *d, uint64_t id)
{
	for (unsigned at = *bucket_of(d, id); at; at = d->all[at - 1].next)
		if (d->all[at - 1].id == id)
			return &d->all[at - 1];
	return NULL;
}

static void delivery_drop(struct http_deliveries *d, struct delivery *entry)
{
	uint16_t *link = bucket_of(d, entry->id);

	while (&d->all[*link - 1] != entry)
		link = &d->all[*link - 1].next;
	*link = entry->next;
	*entry = (struct delivery){.state = FREE};
	d->count--;
}

/* Makes room: of those that are filed the one longest quiet, else of all, which is told. */
static void delivery_evict(struct http_deliveries *d, mono_ns now)
{
	struct delivery *oldest = NULL;

	for (unsigned i = 0; i < d->used; i++) {
		struct delivery *entry = &d->all[i];

		if (!oldest || (entry->state == DONE) > (oldest->state == DONE) ||
		    ((entry->state == DONE) == (oldest->state == DONE) &&
		     entry->last_at < oldest->last_at))
			oldest = entry;
	}
	if (oldest->state != DONE) {
		d->evicted++;
		/* Its next attempt will look like a first one. */
		d->blind_until = now + d->quiet;
	}
	delivery_drop(d, oldest);
}

static struct delivery *delivery_add(struct http_deliveries *d, uint64_t id, mono_ns now)
{
	bool blind = now < d->blind_until;
	unsigned place = 0;

	if (!d->all)
		d->all = calloc(HTTP_DELIVERIES_MAX, sizeof(*d->all));
	if (!d->all)
		return NULL;
	if (d->count == HTTP_DELIVERIES_MAX)
		delivery_evict(d, now);
	while (place < d->used && d->all[place].state != FREE)
		place++;
	if (place == d->used)
		d->used++;
	d->all[place] = (struct delivery){
		.id = id,
		.state = blind ? UNKNOWN : OPEN,
		.next = *bucket_of(d, id),
	};
	*bucket_of(d, id) = (uint16_t)(place + 1);
	d->count++;
	return &d->all[place];
}

/* ---- attempts ----------------------------------------------------------------------------------- */

static struct series *attempt_series(struct http_deliveries *d, const struct http_attempt *attempt)
{
	const char *event = http_deliveries_event(d, attempt->event);
	struct series_key key = {
		.kind = SERIES_ATTEMPT,
		.role = SERIES_CLIENT,
		.status_class =
			(uint8_t)(attempt->status ? series_class_of(attempt->status) : CLASS_ERROR),
	};

	series_text_set(key.service, sizeof(key.service), attempt->service,
			strlen(attempt->service));
	series_text_set(key.route, sizeof(key.route), event, strlen(event));
	series_text_set(key.peer, sizeof(key.peer), attempt->peer, strlen(attempt->peer));
	return series_get(d->table, &key);
}

/* What became of a delivery, from the begin of its first attempt. */
static void delivery_file(struct http_deliveries *d, const struct delivery *entry)
{
	bool accepted = entry->state == ACCEPTED;
	mono_ns end = accepted ? entry->accepted_at : entry->last_at;
	struct series_key key = *series_key_of(entry->attempts);
	struct series *series;

	key.kind = SERIES_DELIVERY;
	key.status_class = accepted ? CLASS_2XX : CLASS_ERROR;
	memset(key.method, 0, sizeof(key.method));
	strcpy(key.method, accepted ? "delivered" : "failed");
	series = series_get(d->table, &key);
	if (series)
		series_record(series, end > entry->first_at ? end - entry->first_at : 0,
			      SERIES_NO_QUEUE);
}

void http_deliveries_attempt(struct http_deliveries *d, const struct http_attempt *attempt,
			     mono_ns now)
{
	uint64_t id = attempt->id ^ text_hash(attempt->service);
	struct series *series = attempt_series(d, attempt);
	struct delivery *entry;

	if (!series)
		return;
	series_record(series, attempt->ended_at - attempt->started_at, SERIES_NO_QUEUE);
	entry = delivery_find(d, id);
	if (entry && attempt->started_at > entry->last_at + d->quiet) {
		/* Quiet for so long, it has ended before this one, whether filed yet or not. */
		if (entry->state == OPEN || entry->state == ACCEPTED)
			delivery_file(d, entry);
		delivery_drop(d, entry);
		entry = NULL;
	}
	if (!entry) {
		entry = delivery_add(d, id, now);
		if (!entry)
			return;
		entry->first_at = attempt->started_at;
		if (entry->state == UNKNOWN)
			d->unjoined++;
	}
	if (attempt->started_at < entry->first_at)
		entry->first_at = attempt->started_at;
	if (attempt->ended_at > entry->last_at)
		entry->last_at = attempt->ended_at;
	if (entry->state != DONE)
		entry->attempts = series;
	if (series_class_of(attempt->status) != CLASS_2XX)
		return;
	if (entry->state == OPEN) {
		entry->state = ACCEPTED;
		entry->accepted_at = attempt->ended_at;
		entry->noticed_at = now;
	} else if (entry->state == ACCEPTED && attempt->ended_at < entry->accepted_at) {
		entry->accepted_at = attempt->ended_at;
	}
}

/* ---- time --------------------------------------------------------------------------------------- */

void http_deliveries_gap(struct http_deliveries *d, mono_ns now)
{
	d->blind_until = now + d->quiet;
	for (unsigned i = 0; i < d->used; i++) {
		struct delivery *entry = &d->all[i];

		/* What was lost may have been the first attempt of one, or the success of any. */
		if (entry->state == OPEN ||
		    (entry->state == ACCEPTED && entry->first_at + LOSS_BEFORE > now)) {
			entry->state = UNKNOWN;
			d->unjoined++;
		}
	}
}

void http_deliveries_step(struct http_deliveries *d, mono_ns now)
{
	for (unsigned i = 0; i < d->used; i++) {
		struct delivery *entry = &d->all[i];
		bool quiet = now > entry->last_at + d->quiet + SETTLE_AFTER;

		if (entry->state == FREE)
			continue;
		if ((entry->state == ACCEPTED && now >= entry->noticed_at + SETTLE_AFTER) ||
		    (entry->state == OPEN && quiet)) {
			delivery_file(d, entry);
			entry->state = DONE;
		}
		/* A success that came to be known late is filed first. */
		if (quiet && entry->state != ACCEPTED)
			delivery_drop(d, entry);
	}
}
