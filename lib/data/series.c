/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/data/rcu.h"
#include "lib/data/series_key.h"
#include "lib/data/series_table.h"

#define SERIES_MAX_DEFAULT 4096
#define OTHER_SHARE	   4 /* a fourth of the cap may be "{other}" series */
/* "{other}" of the service "{other}": one for every combination of the small fields. */
#define OTHER_LAST (SERIES_KINDS * SERIES_ROLES * CLASS_COUNT)
/*
 * Blocks of 1 KiB in the pool for each series: the near parts of its latencies and of its waits,
 * and three far ones for each: the some 4 octaves that a busy route's second spans.
 */
#define BLOCKS_PER_SERIES 8

_Static_assert(sizeof(((struct series_key *)0)->host) % 8 == 0 &&
		       sizeof(((struct series_key *)0)->method) % 8 == 0 &&
		       sizeof(((struct series_key *)0)->route) % 8 == 0,
	       "series_key_hash() reads fields in words");

/* ---- the table's life --------------------------------------------------------------------------- */

void series_counters_publish(struct series_table *table)
{
	series_counter_set(&table->lost_total, table->work.lost_total);
	series_counter_set(&table->bytes, table->fixed_bytes + table->work.bytes +
						  table->work.held_bytes +
						  series_snapshot_bytes(table) +
						  table->count * sizeof(struct series) +
						  sparse_pool_bytes(&table->pool));
}

static uint32_t index_size(uint32_t capacity)
{
	uint32_t size = 64;

	while (size < 2 * capacity)
		size *= 2;
	return size;
}

struct series_table *series_table_new(const struct series_table_options *options)
{
	/* Large, so it comes as an own mapping: the parts of its sums never used stay absent. */
	struct series_table *table = calloc(1, sizeof(*table));
	uint32_t slots;

	if (!table)
		return NULL;
	table->options = *options;
	if (!table->options.series_max)
		table->options.series_max = SERIES_MAX_DEFAULT;
	if (table->options.series_max > UINT32_MAX / BLOCKS_PER_SERIES / 2)
		goto fail;
	table->capacity = (uint32_t)(table->options.series_max +
				     table->options.series_max / OTHER_SHARE + OTHER_LAST);
	slots = index_size(table->capacity);
	table->index_mask = slots - 1;
	table->by_id = calloc(table->capacity, sizeof(struct series *));
	table->index = calloc(slots, sizeof(uint32_t));
	table->dirty = calloc(series_bitmap_words(table), sizeof(uint64_t));
	table->live = calloc(series_bitmap_words(table), sizeof(uint64_t));
	if (!table->by_id || !table->index || !table->dirty || !table->live ||
	    sparse_pool_init(&table->pool, (size_t)table->capacity * BLOCKS_PER_SERIES) < 0)
		goto fail;
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = (uintptr_t)table; /* before the kernel has entropy: layout is some */
	table->fixed_bytes = sizeof(*table) + table->capacity * sizeof(struct series *) +
			     slots * sizeof(uint32_t) +
			     2 * series_bitmap_words(table) * sizeof(uint64_t);
	series_counters_publish(table);
	return table;
fail:
	series_table_free(table);
	return NULL;
}

void series_table_free(struct series_table *table)
{
	if (!table)
		return;
	window_work_deinit(&table->work);
	for (uint32_t i = 0; i < table->count; i++) {
		window_free(&table->work, &table->by_id[i]->window);
		free(table->by_id[i]);
	}
	while (table->thresholds) {
		struct window_thresholds *next = table->thresholds->next;

		free(table->thresholds);
		table->thresholds = next;
	}
	sparse_pool_deinit(&table->pool);
	free(table->by_id);
	free(table->index);
	free(table->dirty);
	free(table->live);
	free(table);
}

/* ---- finding and adding series ------------------------------------------------------------------ */

static struct series *table_find(struct series_table *table, const struct series_key *key,
				 uint64_t hash)
{
	for (uint32_t at = (uint32_t)hash & table->index_mask; table->index[at];
	     at = (at + 1) & table->index_mask) {
		struct series *s = table->by_id[table->index[at] - 1];

		if (s->hash == hash && series_key_equal(&s->key, key))
			return s;
	}
	return NULL;
}

/* The set with these thresholds, made when it is new; NULL when memory lacks. */
static const struct window_thresholds *thresholds_ask(struct series_table *table,
						      const struct series_key *key)
{
	struct window_thresholds asked = {0}, *set;

	if (table->options.thresholds)
		asked.count =
			table->options.thresholds(table->options.thresholds_arg, key, asked.ns);
	if (asked.count > SERIES_THRESHOLDS)
		asked.count = SERIES_THRESHOLDS;
	for (set = table->thresholds; set; set = set->next)
		if (set->count == asked.count &&
		    memcmp(set->ns, asked.ns, asked.count * sizeof(asked.ns[0])) == 0)
			return set;
	set = malloc(sizeof(*set));
	if (!set)
		return NULL;
	*set = asked;
	set->next = table->thresholds;
	table->thresholds = set;
	return set;
}

/* Lets a series watch a set; counts of the running tick go along. */
static void series_watch(struct series *s, const struct window_thresholds *set)
{
	uint64_t bad[SERIES_THRESHOLDS] = {0};

	if (s->thresholds)
		window_bad_add(s->thresholds, s->bad, set, bad);
	memcpy(s->bad, bad, sizeof(bad));
	memcpy(s->limits, set->ns, sizeof(s->limits));
	s->limit_count = (uint8_t)set->count;
	s->special_from = s->is_error || s->is_other ? 0 : UINT64_MAX;
	for (unsigned i = 0; i < set->count; i++)
		if (set->ns[i] < s->special_from)
			s->special_from = set->ns[i] + 1;
	rcu_publish(s->thresholds, set);
}

static struct series *table_add(struct series_table *table, const struct series_key *key,
				uint64_t hash, bool is_other)
{
	const struct window_thresholds *set = thresholds_ask(table, key);
	struct series *s = set ? aligned_alloc(SERIES_CACHE_LINE, sizeof(*s)) : NULL;
	uint32_t at = (uint32_t)hash & table->index_mask;

	if (!s)
		return NULL;
	*s = (struct series){
		.table = table,
		.id = table->count,
		.is_error = series_class_is_error(key->role, key->status_class),
		.is_other = is_other,
		.hash = hash,
		.key = *key,
	};
	series_watch(s, set);
	while (table->index[at])
		at = (at + 1) & table->index_mask;
	table->index[at] = s->id + 1;
	table->by_id[s->id] = s;
	/* Partner: series_count(); who sees the count sees the series. */
	rcu_publish(table->count, s->id + 1);
	return s;
}

static struct series *table_other(struct series_table *table, const struct series_key *key)
{
	struct series_key other = {
		.kind = key->kind, .role = key->role, .status_class = key->status_class};
	struct series *s;
	uint64_t hash;

	strcpy(other.route, "{other}");
	memcpy(other.host, key->host, sizeof(other.host));
	memcpy(other.service, key->service, sizeof(other.service));
	hash = series_key_hash(&other, table->seed);
	s = table_find(table, &other, hash);
	if (!s && table->other_count >= table->options.series_max / OTHER_SHARE) {
		memset(other.host, 0, sizeof(other.host));
		memset(other.service, 0, sizeof(other.service));
		strcpy(other.service, "{other}");
		hash = series_key_hash(&other, table->seed);
		s = table_find(table, &other, hash);
	}
	/* Kind, role and class out of range would pass the last OTHER_LAST places. */
	if (s || table->count == table->capacity)
		return s;
	s = table_add(table, &other, hash, true);
	if (s)
		table->other_count++;
	return s;
}

struct series *series_get(struct series_table *table, const struct series_key *key)
{
	struct series_key exact;
	struct series *s;
	uint64_t hash;

	series_key_copy(&exact, key);
	hash = series_key_hash(&exact, table->seed);
	s = table_find(table, &exact, hash);
	if (s)
		return s;
	if (table->ordinary_count >= table->options.series_max)
		return table_other(table, &exact);
	s = table_add(table, &exact, hash, false);
	if (s)
		table->ordinary_count++;
	return s;
}

void series_thresholds_reload(struct series_table *table)
{
	for (uint32_t i = 0; i < table->count; i++) {
		struct series *s = table->by_id[i];
		const struct window_thresholds *set = thresholds_ask(table, &s->key);

		/* No memory for a new set: the old one stays in force. */
		if (set && set != s->thresholds)
			series_watch(s, set);
	}
}

int series_move_total(struct series *from, struct series *to)
{
	if (from == to)
		return 0;
	if (from->latency.count)
		return -EBUSY;
	return window_total_move(&from->table->work, &from->window, &to->window, to->thresholds);
}
