/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts by their ids, as connections send them, with losses, late records and steps in any order:
 * every attempt is counted, and every delivery becomes of exactly one kind, delivered, failed or
 * unjoined. Each step of the input is a byte of what is done, and what that needs.
 */
#include "collectors/http/http_deliveries.h"
#include "tests/fuzz/fuzz.h"

#define QUIET (NS_PER_S) /* the shortest that a configuration may give */
#define BEGAN (1000 * NS_PER_S)
#define LATE  (16 * NS_PER_MS) /* units by which a record may come late: up to 4 s */

enum { IDS = 256, SERVICES = 2 };

struct expected {
	bool seen[SERVICES][IDS]; /* since all were told to have ended */
	uint64_t attempts, accepted, groups; /* groups: of one id, between two such moments */
};

static void attempt(struct http_deliveries *d, struct expected *e, struct fuzz_input *input,
		    mono_ns now)
{
	static const char *const services[SERVICES] = {"shop", "mail"};
	static const uint16_t statuses[] = {0, 200, 204, 302, 404, 503, 999};
	unsigned what = (unsigned)fuzz_number(input, 1), id = (unsigned)fuzz_number(input, 1);
	mono_ns ended_at = now - fuzz_number(input, 1) * LATE;
	struct http_attempt a = {
		/* Near each other, and far: which bucket takes them is by both halves. */
		.id = (id + 1) * (what & 1 ? UINT64_C(0x100000001) : UINT64_C(1) << 13),
		.service = services[what >> 1 & 1],
		.event = what & 4 ? "invoice.paid" : "",
		.peer = "10.0.0.7:443",
		.started_at = ended_at - fuzz_number(input, 1) * LATE,
		.ended_at = ended_at,
		.status = statuses[(what >> 3) % 7],
	};
	bool *seen = &e->seen[what >> 1 & 1][id];

	http_deliveries_attempt(d, &a, now);
	e->attempts++;
	e->accepted += series_class_of(a.status) == CLASS_2XX;
	e->groups += !*seen && (what & 1);
	*seen = *seen || (what & 1);
}

struct filed {
	uint64_t attempts, delivered, failed;
};

static struct filed filed(struct series_table *table, mono_ns now)
{
	struct filed f = {0};

	series_tick(table, now, NULL, NULL);
	series_read_lock();
	for (size_t i = 0; i < series_count(table); i++) {
		const struct series *s = series_at(table, (series_id)i);
		const struct series_key *key = series_key_of(s);
		struct series_counts c = {0};

		series_window_add(table, s, SERIES_TOTAL, NULL, NULL, &c);
		if (key->kind == SERIES_ATTEMPT)
			f.attempts += c.count;
		else
			*(strcmp(key->method, "delivered") == 0 ? &f.delivered : &f.failed) +=
				c.count;
	}
	series_read_unlock();
	return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct series_table *table =
		series_table_new(&(struct series_table_options){.series_max = 100});
	struct http_deliveries *d = http_deliveries_new(table, QUIET, BEGAN);
	struct fuzz_input input = {bytes, bytes + size};
	static bool registered;
	struct expected e = {0};
	mono_ns now = BEGAN + 10 * NS_PER_S;
	struct filed f;

	FUZZ_CHECK(table && d);
	if (!registered)
		series_reader_register();
	registered = true;
	while (fuzz_left(&input)) {
		switch (fuzz_number(&input, 1) % 8) {
		case 0:
			http_deliveries_gap(d, now);
			break;
		case 1:
			now += fuzz_number(&input, 1) * 20 * NS_PER_MS;
			http_deliveries_step(d, now);
			break;
		case 2: /* all of them end */
			for (int i = 0; i < 3; i++)
				http_deliveries_step(d, now += 10 * NS_PER_S);
			memset(e.seen, 0, sizeof(e.seen));
			break;
		default:
			attempt(d, &e, &input, now);
		}
	}
	for (int i = 0; i < 3; i++)
		http_deliveries_step(d, now += 10 * NS_PER_S);
	f = filed(table, now);
	FUZZ_CHECK(f.attempts == e.attempts);
	FUZZ_CHECK(f.delivered <= e.accepted && !http_deliveries_evicted(d));
	FUZZ_CHECK(f.delivered + f.failed + http_deliveries_unjoined(d) >= e.groups);
	FUZZ_CHECK(f.delivered + f.failed + http_deliveries_unjoined(d) <= e.attempts);
	http_deliveries_free(d);
	series_table_free(table);
	return 0;
}
