/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/data/rcu.h"
#include "lib/data/series_key.h"
#include "lib/data/sparse.h"
#include "lib/data/window.h"

#define SERIES_MAX_DEFAULT 4096
#define CACHE_LINE	   64
#define OTHER_SHARE	   4 /* a fourth of the cap may be "{other}" series */
/* "{other}" of the service "{other}": one for every combination of the small fields. */
#define OTHER_LAST (SERIES_KINDS * SERIES_ROLES * CLASS_COUNT)
/*
 * Blocks of 1 KiB in the pool for each series: the near parts of its latencies and of its waits,
 * and three far ones for each: the some 4 octaves that a busy route's second spans.
 */
#define BLOCKS_PER_SERIES 8
/* Where there are no more series than these, those in use stay in the first cache. */
#define SERIES_FEW 64
/* Ticks between two looks for slots that no window reaches any more. */
#define EXPIRE_EVERY 5

_Static_assert(sizeof(((struct series_key *)0)->host) % 8 == 0 &&
		       sizeof(((struct series_key *)0)->method) % 8 == 0 &&
		       sizeof(((struct series_key *)0)->route) % 8 == 0,
	       "series_key_hash() reads fields in words");

struct series {
	/* The writer's: one cache line is all of a series that most recordings touch. */
	dur_ns special_from; /* from here on a latency is bad perhaps; 0: each event is special */
	struct series_table *table;
	series_id id;
	bool is_error; /* every event of this status class spends error budget */
	bool is_other; /* stands in for keys beyond the cap */
	uint8_t limit_count; /* of limits and bad */
	struct sparse latency, queue;
	dur_ns limits[SERIES_THRESHOLDS];
	uint64_t errors;
	uint64_t bad[SERIES_THRESHOLDS];

	/* Published to readers. */
	const struct window_thresholds *thresholds;
	struct window window;

	uint64_t hash;
	struct series_key key;
} __attribute__((aligned(CACHE_LINE)));

_Static_assert(offsetof(struct series, latency.strays) == CACHE_LINE, "recording touches one line");

struct series_table {
	struct series_table_options options;
	struct sparse_pool pool;

	struct series **by_id; /* room for capacity; filled up to count */
	uint32_t capacity, count;
	uint32_t ordinary_count, other_count;

	uint32_t *index; /* id + 1 at the hash of the key or behind it; 0: empty */
	uint32_t index_mask;
	uint64_t seed;

	/* A bit for each id: observed in this tick; something in its windows or blocks. */
	uint64_t *dirty, *live;

	struct window_thresholds *thresholds; /* every set that was ever in use */

	mono_ns first_tick;
	uint32_t second; /* of the last tick; 0 before the first. Published. */
	uint32_t restored; /* totals that are restored are as of this second; 0: of none */

	struct hist_delta scratch; /* one series' tick, and its packed form */
	uint8_t hist_bytes[HIST_PACKED_MAX], queue_bytes[HIST_PACKED_MAX];
	struct window_work work;

	size_t fixed_bytes;
	/* Published; the last two as of the last tick. */
	uint64_t other_total, unrecorded_total, lost_total, bytes;
};

/* Counters that other threads read; only the writer sets, so no read-modify-write is needed. */
static void counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static void counter_add(uint64_t *counter, uint64_t add)
{
	counter_set(counter, *counter + add);
}

static void counters_publish(struct series_table *table)
{
	counter_set(&table->lost_total, table->work.lost_total);
	counter_set(&table->bytes, table->fixed_bytes + table->work.bytes +
					   table->count * sizeof(struct series) +
					   sparse_pool_bytes(&table->pool));
}

/* ---- the table's life --------------------------------------------------------------------------- */

static size_t bitmap_words(const struct series_table *table)
{
	return (table->capacity + 63) / 64;
}

static void bit_set(uint64_t *bits, series_id id)
{
	bits[id / 64] |= UINT64_C(1) << id % 64;
}

static void bit_clear(uint64_t *bits, series_id id)
{
	bits[id / 64] &= ~(UINT64_C(1) << id % 64);
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
	table->dirty = calloc(bitmap_words(table), sizeof(uint64_t));
	table->live = calloc(bitmap_words(table), sizeof(uint64_t));
	if (!table->by_id || !table->index || !table->dirty || !table->live ||
	    sparse_pool_init(&table->pool, (size_t)table->capacity * BLOCKS_PER_SERIES) < 0)
		goto fail;
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = (uintptr_t)table; /* before the kernel has entropy: layout is some */
	table->fixed_bytes = sizeof(*table) + table->capacity * sizeof(struct series *) +
			     slots * sizeof(uint32_t) + 2 * bitmap_words(table) * sizeof(uint64_t);
	counters_publish(table);
	return table;
fail:
	series_table_free(table);
	return NULL;
}

void series_table_free(struct series_table *table)
{
	if (!table)
		return;
	window_sweep(&table->work);
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
	struct series *s = set ? aligned_alloc(CACHE_LINE, sizeof(*s)) : NULL;
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

/* ---- recording ---------------------------------------------------------------------------------- */

static void series_touch(struct series *s, uint64_t count)
{
	if (s->is_other)
		counter_add(&s->table->other_total, count);
	bit_set(s->table->dirty, s->id);
}

/* Counts what is bad about an event: too slow for a threshold, or an error by its class. */
static __attribute__((noinline)) void bad_record(struct series *s, dur_ns latency_ns)
{
	s->errors += s->is_error;
	for (unsigned i = 0; i < s->limit_count; i++)
		s->bad[i] += (latency_ns > s->limits[i]) | s->is_error;
}

/* Blocks of the pool for both parts were not to be had: neither is recorded. */
static __attribute__((noinline)) void record_refused(struct series *s)
{
	counter_add(&s->table->unrecorded_total, 1);
}

/* Whatever is not the common case of record_one(), and that one as well. */
static __attribute__((noinline)) void record_any(struct series *s, uint32_t slot, dur_ns latency_ns,
						 dur_ns queue_ns)
{
	struct sparse_pool *pool = &s->table->pool;
	bool waited = queue_ns != SERIES_NO_QUEUE;
	uint32_t queue_slot = waited ? hist_slot(queue_ns) : 0;

	if (!s->latency.width)
		sparse_open(pool, &s->latency, slot);
	if (waited && !s->queue.width)
		sparse_open(pool, &s->queue, queue_slot);
	if (unlikely(!sparse_reserve(pool, &s->latency, slot) ||
		     (waited && !sparse_reserve(pool, &s->queue, queue_slot)))) {
		record_refused(s);
		return;
	}
	if (unlikely(!s->latency.count || s->is_other))
		series_touch(s, 1);
	sparse_record(pool, &s->latency, slot, latency_ns);
	if (waited)
		sparse_record(pool, &s->queue, queue_slot, queue_ns);
	if (latency_ns >= s->special_from)
		bad_record(s, latency_ns);
}

/*
 * Nothing bad, and not the first of the tick: the near part is open then. Needs no call, hence no
 * register saved. One comparison stands for all thresholds.
 */
static inline void record_one(struct series *s, uint32_t slot, dur_ns latency_ns)
{
	if (unlikely(latency_ns >= s->special_from ||
		     !sparse_record_near(&s->latency, slot, latency_ns)))
		record_any(s, slot, latency_ns, SERIES_NO_QUEUE);
}

void series_record(struct series *s, dur_ns latency_ns, dur_ns queue_ns)
{
	uint32_t slot = hist_slot(latency_ns);

	if (queue_ns == SERIES_NO_QUEUE)
		record_one(s, slot, latency_ns);
	else
		record_any(s, slot, latency_ns, queue_ns);
}

void series_record_batch(struct series *const *series, const dur_ns *latencies_ns, unsigned count)
{
	uint16_t slots[SERIES_BATCH];

	if (!count)
		return;
	if (series[0]->table->count <= SERIES_FEW) {
		for (unsigned i = 0; i < count; i++)
			record_one(series[i], hist_slot(latencies_ns[i]), latencies_ns[i]);
		return;
	}
	/* Three passes, so that the loads of one event overlap with those of the next. */
	for (unsigned i = 0; i < count; i++) {
		__builtin_prefetch(series[i], 1);
		slots[i] = (uint16_t)hist_slot(latencies_ns[i]);
	}
	for (unsigned i = 0; i < count; i++)
		sparse_prefetch(&series[i]->latency, slots[i]);
	for (unsigned i = 0; i < count; i++)
		record_one(series[i], slots[i], latencies_ns[i]);
}

/* Counts from outside must be possible ones: nothing can be bad more often than it happened. */
static int counts_check(const struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size, const struct series_counts *counts)
{
	uint64_t count, waited = 0;
	int rc = hist_packed_totals(hist, hist_size, &count, NULL, NULL);

	if (!rc && queue_size)
		rc = hist_packed_totals(queue, queue_size, &waited, NULL, NULL);
	if (rc < 0)
		return rc;
	if (counts->count != count || counts->errors > count || waited > count)
		return -EPROTO;
	for (unsigned i = 0; i < s->limit_count; i++)
		if (counts->bad[i] > count)
			return -EPROTO;
	return 0;
}

int series_merge_packed(struct series *s, const uint8_t *hist, size_t hist_size,
			const uint8_t *queue, size_t queue_size, const struct series_counts *counts)
{
	struct sparse_pool *pool = &s->table->pool;
	int rc = counts_check(s, hist, hist_size, queue, queue_size, counts);

	if (!rc && queue_size)
		rc = sparse_merge_check(pool, &s->queue, queue, queue_size);
	if (!rc)
		rc = sparse_merge_packed(pool, &s->latency, hist, hist_size);
	if (rc < 0 || !counts->count)
		return rc;
	if (queue_size)
		(void)sparse_merge_packed(pool, &s->queue, queue, queue_size); /* was checked */
	series_touch(s, counts->count);
	s->errors += counts->errors;
	for (unsigned i = 0; i < s->limit_count; i++)
		s->bad[i] += counts->bad[i];
	return 0;
}

int series_restore_total(struct series *s, const uint8_t *hist, size_t hist_size,
			 const uint8_t *queue, size_t queue_size,
			 const struct series_counts *counts)
{
	struct window_content content = {.thresholds = s->thresholds,
					 .hist = hist,
					 .queue = queue,
					 .hist_size = hist_size,
					 .queue_size = queue_size,
					 .counts = *counts};
	int rc = counts_check(s, hist, hist_size, queue, queue_size, counts);

	return rc < 0 ? rc
		      : window_total_add(&s->table->work, &s->window, s->table->restored, &content);
}

int series_move_total(struct series *from, struct series *to)
{
	if (from == to)
		return 0;
	if (from->latency.count)
		return -EBUSY;
	return window_total_move(&from->table->work, &from->window, &to->window, to->thresholds);
}

struct series_clock series_clock(const struct series_table *table)
{
	return (struct series_clock){table->first_tick, table->second};
}

int series_restore_clock(struct series_table *table, const struct series_clock *clock)
{
	if (table->second)
		return -EBUSY;
	if (!clock->second || clock->second > UINT32_MAX / 2)
		return -EPROTO;
	table->first_tick = clock->first_tick;
	table->restored = clock->second;
	rcu_publish(table->second, clock->second);
	return 0;
}

struct slot_walk {
	const struct series *s;
	series_slot_fn fn;
	void *arg;
};

static int slot_hand_out(void *arg, uint32_t start, const struct window_content *content)
{
	const struct slot_walk *walk = arg;
	const struct series_delta delta = {
		.id = walk->s->id,
		.key = &walk->s->key,
		.hist = content->hist,
		.queue = content->queue,
		.hist_size = content->hist_size,
		.queue_size = content->queue_size,
		.counts = content->counts,
		.threshold_count = content->thresholds->count,
		.thresholds = content->thresholds->ns,
	};

	return walk->fn(walk->arg, start, &delta);
}

int series_slots_each(const struct series_table *table, unsigned tier, series_slot_fn fn, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; i < table->count && !rc; i++) {
		struct slot_walk walk = {table->by_id[i], fn, arg};

		rc = window_slots_each(&walk.s->window, tier, table->second, slot_hand_out, &walk);
	}
	return rc;
}

int series_restore_slot(struct series *s, unsigned tier, uint32_t start, const uint8_t *hist,
			size_t hist_size, const uint8_t *queue, size_t queue_size,
			const struct series_counts *counts)
{
	struct window_content content = {.thresholds = s->thresholds,
					 .hist = hist,
					 .queue = queue,
					 .hist_size = hist_size,
					 .queue_size = queue_size,
					 .counts = *counts};
	int rc = counts_check(s, hist, hist_size, queue, queue_size, counts);

	if (!rc)
		rc = window_slot_restore(&s->table->work, &s->window, tier, start, s->table->second,
					 &content);
	if (!rc)
		bit_set(s->table->live, s->id);
	return rc;
}

/* ---- the tick ----------------------------------------------------------------------------------- */

static uint32_t table_second(struct series_table *table, mono_ns now)
{
	uint64_t second;

	if (!table->second)
		table->first_tick = now;
	if (now < table->first_tick)
		return table->second ? table->second : 1;
	second = (now - table->first_tick + NS_PER_S / 2) / NS_PER_S + 1;
	if (second > UINT32_MAX / 2)
		second = UINT32_MAX / 2; /* 68 years */
	return second > table->second ? (uint32_t)second : table->second;
}

/* Moves on to a new second: what is complete is folded, what is out of reach goes. */
static void series_age(struct series *s, uint32_t second, bool expire)
{
	struct series_table *table = s->table;

	window_fold(&table->work, &s->window, second, s->thresholds);
	if (s->latency.count)
		return;
	/* Nothing in this tick: the blocks of the last one are for others. */
	sparse_reset(&table->pool, &s->latency);
	sparse_reset(&table->pool, &s->queue);
	if (expire && window_expire(&table->work, &s->window, second))
		bit_clear(table->live, s->id);
}

/* Packs the tick's histograms into the table's room. */
static void delta_pack(struct series *s, struct series_delta *delta)
{
	struct series_table *table = s->table;

	/* Packing cannot fail: there is room for every histogram, and u32 counts are in range. */
	sparse_copy(&table->pool, &s->latency, &table->scratch);
	delta->hist = table->hist_bytes;
	delta->hist_size = (size_t)hist_delta_pack(&table->scratch, table->hist_bytes,
						   sizeof(table->hist_bytes));
	if (!s->queue.count)
		return;
	sparse_copy(&table->pool, &s->queue, &table->scratch);
	delta->queue = table->queue_bytes;
	delta->queue_size = (size_t)hist_delta_pack(&table->scratch, table->queue_bytes,
						    sizeof(table->queue_bytes));
}

static void series_turn(struct series *s, uint32_t second, series_delta_fn fn, void *arg)
{
	struct series_table *table = s->table;
	struct series_delta delta = {
		.id = s->id,
		.key = &s->key,
		.counts = {.count = s->latency.count, .errors = s->errors},
		.threshold_count = s->limit_count,
		.thresholds = s->limits,
	};
	struct window_content content;

	memcpy(delta.counts.bad, s->bad, sizeof(delta.counts.bad));
	delta_pack(s, &delta);
	content = (struct window_content){.thresholds = s->thresholds,
					  .hist = delta.hist,
					  .queue = delta.queue,
					  .hist_size = delta.hist_size,
					  .queue_size = delta.queue_size,
					  .counts = delta.counts};
	if (window_file(&table->work, &s->window, second, &content) < 0)
		return; /* All of it stays for the next tick. */
	if (fn)
		fn(arg, &delta);
	sparse_reset(&table->pool, &s->latency);
	sparse_reset(&table->pool, &s->queue);
	s->errors = 0;
	memset(s->bad, 0, sizeof(s->bad));
	bit_clear(table->dirty, s->id);
	bit_set(table->live, s->id);
}

void series_tick(struct series_table *table, mono_ns now, series_delta_fn fn, void *arg)
{
	uint32_t second = table_second(table, now);
	bool expire = second / EXPIRE_EVERY != table->second / EXPIRE_EVERY;

	window_sweep(&table->work);
	for (size_t w = 0; w < bitmap_words(table) && second != table->second; w++)
		for (uint64_t bits = table->live[w]; bits; bits &= bits - 1)
			series_age(table->by_id[w * 64 + (size_t)__builtin_ctzll(bits)], second,
				   expire);
	for (size_t w = 0; w < bitmap_words(table); w++)
		for (uint64_t bits = table->dirty[w]; bits; bits &= bits - 1)
			series_turn(table->by_id[w * 64 + (size_t)__builtin_ctzll(bits)], second,
				    fn, arg);
	counters_publish(table);
	/* Partner: table_collect(); who sees the second sees its slots. */
	rcu_publish(table->second, second);
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

/* ---- readers ------------------------------------------------------------------------------------ */

void series_reader_register(void)
{
	rcu_thread_register();
}

void series_reader_unregister(void)
{
	rcu_thread_unregister();
}

void series_read_lock(void)
{
	rcu_enter();
}

void series_read_unlock(void)
{
	rcu_leave();
}

size_t series_count(const struct series_table *table)
{
	return rcu_fetch(table->count);
}

const struct series *series_at(const struct series_table *table, series_id id)
{
	return id < series_count(table) ? table->by_id[id] : NULL;
}

const struct series_key *series_key_of(const struct series *s)
{
	return &s->key;
}

series_id series_id_of(const struct series *s)
{
	return s->id;
}

/*
 * The rings keep one second more than a window needs, so slots taken are those of `second` unless
 * two ticks passed meanwhile; then once more, but not for ever.
 */
static unsigned table_collect(const struct series_table *table, const struct series *s,
			      enum series_window window,
			      const struct window_slot *slots[WINDOW_SLOTS_MAX])
{
	unsigned n = 0;

	for (int tries = 0; tries < 3; tries++) {
		uint32_t second = rcu_fetch(table->second);

		n = window_collect(&s->window, window, second, slots);
		if (rcu_fetch(table->second) - second < 2)
			break;
	}
	return n;
}

void series_window_add(const struct series_table *table, const struct series *s,
		       enum series_window window, struct hist *latency, struct hist *queue,
		       struct series_counts *counts)
{
	const struct window_slot *slots[WINDOW_SLOTS_MAX];
	const struct window_thresholds *thresholds = rcu_fetch(s->thresholds);
	unsigned n = table_collect(table, s, window, slots);

	for (unsigned i = 0; i < n; i++)
		window_slot_add(slots[i], thresholds, latency, queue, counts);
}

dur_ns series_window_span(const struct series_table *table, enum series_window window)
{
	uint32_t second = rcu_fetch(table->second);

	return second ? (second + 1 - window_first_second(window, second)) * NS_PER_S : 0;
}

unsigned series_thresholds_of(const struct series *s, dur_ns thresholds[SERIES_THRESHOLDS])
{
	const struct window_thresholds *set = rcu_fetch(s->thresholds);

	memcpy(thresholds, set->ns, sizeof(set->ns));
	return set->count;
}

size_t series_table_bytes(const struct series_table *table)
{
	return __atomic_load_n(&table->bytes, __ATOMIC_RELAXED);
}

uint64_t series_other_total(const struct series_table *table)
{
	return __atomic_load_n(&table->other_total, __ATOMIC_RELAXED);
}

uint64_t series_unrecorded_total(const struct series_table *table)
{
	return __atomic_load_n(&table->unrecorded_total, __ATOMIC_RELAXED) +
	       __atomic_load_n(&table->lost_total, __ATOMIC_RELAXED);
}
