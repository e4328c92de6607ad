/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/slo.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The two slots more than a span has: the running one, and the one whose end is the start of the
 * longest window when that start is not on a whole minute or hour.
 */
#define SLO_SECONDS (SLO_SECONDS_SPAN + 2)
#define SLO_MINUTES (SLO_MINUTES_SPAN / 60 + 2)
#define SLO_HOURS   (SLO_HOURS_SPAN / 3600 + 2)

struct slo {
	uint64_t second; /* filed last; 0: none yet */
	struct slo_counts total; /* since ever */
	uint64_t observed_s; /* since ever */
	/* Totals at the end of second, minute, hour i, at i % count; zero before the first. */
	struct slo_counts seconds[SLO_SECONDS];
	struct slo_counts minutes[SLO_MINUTES];
	struct slo_counts hours[SLO_HOURS];
	uint32_t observed[SLO_HOURS]; /* observed_s at the end of an hour; 136 years */
};

/* One resolution; the arrays above as a table. */
struct slo_tier {
	struct slo_counts *ends;
	uint64_t count, width_s;
};

static struct slo_tier slo_tier(const struct slo *slo, unsigned i)
{
	struct slo *writable = (struct slo *)slo;
	const struct slo_tier tiers[] = {
		{writable->seconds, SLO_SECONDS, 1},
		{writable->minutes, SLO_MINUTES, 60},
		{writable->hours, SLO_HOURS, 3600},
	};

	return tiers[i];
}

#define SLO_TIERS 3

struct slo *slo_new(void)
{
	return calloc(1, sizeof(struct slo));
}

void slo_free(struct slo *slo)
{
	free(slo);
}

void slo_add(struct slo *slo, uint64_t good, uint64_t bad)
{
	slo->total.good += good;
	slo->total.bad += bad;
}

/* First slot between two that was skipped and is still within reach. */
static uint64_t slo_first_skipped(uint64_t from, uint64_t to, uint64_t count)
{
	return to - from > count ? to - count : from + 1;
}

static void slo_tier_file(const struct slo_tier *tier, uint64_t from_s, uint64_t to_s,
			  struct slo_counts total)
{
	uint64_t from = from_s / tier->width_s, to = to_s / tier->width_s;
	struct slo_counts before = tier->ends[from % tier->count];

	/* Without events so far all ends are zero already, and their pages stay untouched. */
	if (before.good | before.bad)
		for (uint64_t i = slo_first_skipped(from, to, tier->count); i < to; i++)
			tier->ends[i % tier->count] = before;
	if (total.good | total.bad)
		tier->ends[to % tier->count] = total;
}

void slo_file(struct slo *slo, uint64_t second, uint64_t observed_s)
{
	uint64_t from_hour = slo->second / 3600, hour = second / 3600;

	for (unsigned i = 0; i < SLO_TIERS; i++) {
		struct slo_tier tier = slo_tier(slo, i);

		slo_tier_file(&tier, slo->second, second, slo->total);
	}
	if (slo->observed_s)
		for (uint64_t i = slo_first_skipped(from_hour, hour, SLO_HOURS); i < hour; i++)
			slo->observed[i % SLO_HOURS] = (uint32_t)slo->observed_s;
	slo->observed_s += observed_s;
	slo->observed[hour % SLO_HOURS] = (uint32_t)slo->observed_s;
	slo->second = second;
}

/* The last slot of a tier that ends at or before the window begins. */
static uint64_t slo_start(const struct slo *slo, uint64_t window_s, uint64_t width_s)
{
	uint64_t start = window_s < slo->second ? slo->second - window_s : 0;

	return (start + 1) / width_s - ((start + 1) / width_s > 0);
}

static struct slo_tier slo_tier_of_window(const struct slo *slo, uint64_t window_s)
{
	return slo_tier(slo, (window_s > SLO_SECONDS_SPAN) + (window_s > SLO_MINUTES_SPAN));
}

struct slo_counts slo_window(const struct slo *slo, uint64_t window_s)
{
	struct slo_tier tier = slo_tier_of_window(slo, window_s);
	struct slo_counts now = slo_tier(slo, 0).ends[slo->second % SLO_SECONDS];
	struct slo_counts start = tier.ends[slo_start(slo, window_s, tier.width_s) % tier.count];

	return (struct slo_counts){now.good - start.good, now.bad - start.bad};
}

double slo_coverage(const struct slo *slo, uint64_t window_s)
{
	uint64_t start = slo_start(slo, window_s, 3600);
	uint64_t observed_s = slo->observed_s - slo->observed[start % SLO_HOURS];

	return observed_s >= window_s ? 1 : (double)observed_s / (double)window_s;
}

uint64_t slo_breach_start(const struct slo *slo, uint64_t window_s, double limit_ratio)
{
	struct slo_tier tier = slo_tier_of_window(slo, window_s);
	uint64_t last = slo->second / tier.width_s;
	uint64_t i = slo_start(slo, window_s, tier.width_s), lowest_at = i;
	struct slo_counts start = tier.ends[i % tier.count];
	double lowest = 0;

	while (++i < last) {
		struct slo_counts end = tier.ends[i % tier.count];
		double bad = (double)(end.bad - start.bad);
		double excess = bad - limit_ratio * (bad + (double)(end.good - start.good));

		/* Of equals the later: seconds without events are not part of the breach. */
		if (excess <= lowest) {
			lowest = excess;
			lowest_at = i;
		}
	}
	return (lowest_at + 1) * tier.width_s;
}

/* Ends as differences, with runs of slots that brought nothing as one number. */
static void slo_tier_save(const struct slo_tier *tier, uint64_t second, struct bytes_writer *w)
{
	uint64_t last = second / tier->width_s, run = 0;
	struct slo_counts before = {0, 0};

	for (uint64_t k = tier->count; k-- > 0;) {
		struct slo_counts end = tier->ends[(last - k) % tier->count];

		if (end.good == before.good && end.bad == before.bad) {
			run++;
			continue;
		}
		bytes_put_u64(w, run);
		bytes_put_u64(w, end.good - before.good);
		bytes_put_u64(w, end.bad - before.bad);
		before = end;
		run = 0;
	}
	bytes_put_u64(w, run);
}

static void slo_tier_restore(const struct slo_tier *tier, uint64_t second, struct bytes_reader *r,
			     struct slo_counts total)
{
	uint64_t last = second / tier->width_s;
	struct slo_counts now = {0, 0};

	for (uint64_t left = tier->count; left > 0 && !r->failed;) {
		uint64_t run = bytes_get_u64(r, left);

		for (; run > 0; run--)
			tier->ends[(last - --left) % tier->count] = now;
		if (!left)
			break;
		now.good += bytes_get_u64(r, total.good - now.good);
		now.bad += bytes_get_u64(r, total.bad - now.bad);
		tier->ends[(last - --left) % tier->count] = now;
		if (!left)
			bytes_get_u64(r, 0);
	}
	if (now.good != total.good || now.bad != total.bad)
		r->failed = true;
}

void slo_save(const struct slo *slo, struct bytes_writer *w)
{
	uint64_t hour = slo->second / 3600;
	uint32_t before = 0;

	bytes_put_u64(w, slo->second);
	bytes_put_u64(w, slo->observed_s);
	if (!slo->second)
		return;
	bytes_put_u64(w, slo->seconds[slo->second % SLO_SECONDS].good);
	bytes_put_u64(w, slo->seconds[slo->second % SLO_SECONDS].bad);
	for (unsigned i = 0; i < SLO_TIERS; i++) {
		struct slo_tier tier = slo_tier(slo, i);

		slo_tier_save(&tier, slo->second, w);
	}
	for (uint64_t k = SLO_HOURS; k-- > 0;) {
		uint32_t observed = slo->observed[(hour - k) % SLO_HOURS];

		bytes_put_u64(w, observed - before);
		before = observed;
	}
}

int slo_restore(struct slo *slo, uint64_t latest, struct bytes_reader *r)
{
	uint64_t observed_s = 0, hour;

	*slo = (struct slo){0};
	slo->second = bytes_get_u64(r, latest);
	slo->observed_s = bytes_get_u64(r, UINT32_MAX);
	if (!slo->second && !slo->observed_s && !r->failed)
		return 0;
	if (slo->second < SLO_FIRST_SECOND)
		return -EPROTO;
	slo->total.good = bytes_get_u64(r, UINT64_MAX / 2);
	slo->total.bad = bytes_get_u64(r, UINT64_MAX / 2);
	for (unsigned i = 0; i < SLO_TIERS && !r->failed; i++) {
		struct slo_tier tier = slo_tier(slo, i);

		slo_tier_restore(&tier, slo->second, r, slo->total);
	}
	hour = slo->second / 3600;
	for (uint64_t k = SLO_HOURS; k-- > 0 && !r->failed;) {
		observed_s += bytes_get_u64(r, slo->observed_s - observed_s);
		slo->observed[(hour - k) % SLO_HOURS] = (uint32_t)observed_s;
	}
	return r->failed || observed_s != slo->observed_s ? -EPROTO : 0;
}
