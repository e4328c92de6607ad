/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/lane_gauges.h"

#include <stdlib.h>
#include <string.h>

#define LANE_GAUGES_ROOM (4 * GAUGE_NAMES_MAX) /* places of a hash table; a power of two */

struct lane_gauges_entry {
	uint64_t hash; /* 0: free */
	char service[SERIES_NAME_MAX + 1];
	char name[SERIES_NAME_MAX + 1];
	char label[SERIES_NAME_MAX + 1];
	double value;
};

struct lane_gauges {
	unsigned count;
	unsigned left_out,
		left_out_last; /* values that found no entry: in this round, in the last */
	uint16_t places[LANE_GAUGES_ROOM]; /* number of an entry plus 1; 0: free */
	struct lane_gauges_entry entries[GAUGE_NAMES_MAX];
};

struct lane_gauges *lane_gauges_new(void)
{
	return calloc(1, sizeof(struct lane_gauges));
}

void lane_gauges_free(struct lane_gauges *sums)
{
	free(sums);
}

static uint64_t lane_gauges_hash(const struct lane_gauges_entry *entry)
{
	const char *parts[] = {entry->service, entry->name, entry->label};
	uint64_t hash = UINT64_C(14695981039346656037);

	/* FNV-1a over the texts with their NULs between them. */
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
		for (const char *c = parts[i];; c++) {
			hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
			if (!*c)
				break;
		}
	return hash | 1;
}

static bool lane_gauges_same(const struct lane_gauges_entry *a, const struct lane_gauges_entry *b)
{
	return a->hash == b->hash && !strcmp(a->service, b->service) && !strcmp(a->name, b->name) &&
	       !strcmp(a->label, b->label);
}

/* Finds or begins the entry; NULL when there are more than a gauge table holds. */
static struct lane_gauges_entry *lane_gauges_entry(struct lane_gauges *sums,
						   struct lane_gauges_entry *wanted)
{
	wanted->hash = lane_gauges_hash(wanted);
	unsigned i = (unsigned)(wanted->hash % LANE_GAUGES_ROOM);
	for (; sums->places[i]; i = (i + 1) % LANE_GAUGES_ROOM)
		if (lane_gauges_same(&sums->entries[sums->places[i] - 1], wanted))
			return &sums->entries[sums->places[i] - 1];
	if (sums->count == GAUGE_NAMES_MAX)
		return NULL;
	sums->entries[sums->count] = *wanted;
	sums->places[i] = (uint16_t)++sums->count;
	return &sums->entries[sums->count - 1];
}

struct lane_gauges_one {
	const struct segment *segment;
	const char *name;
	size_t name_length;
	const char *label;
	size_t label_length;
	bool largest; /* of all processes, instead of the sum */
};

static void lane_gauges_one(struct lane_gauges *sums, const struct lane_gauges_one *one,
			    double value)
{
	struct lane_gauges_entry wanted = {0};

	/* A NaN would spoil the sum of the others. */
	if (value != value)
		return;
	series_text_set(wanted.service, sizeof(wanted.service), one->segment->service,
			strlen(one->segment->service));
	series_text_set(wanted.name, sizeof(wanted.name), one->name, one->name_length);
	series_text_set(wanted.label, sizeof(wanted.label), one->label, one->label_length);
	struct lane_gauges_entry *entry = lane_gauges_entry(sums, &wanted);
	if (!entry) {
		sums->left_out++;
		return;
	}
	if (!one->largest)
		entry->value += value;
	else if (value > entry->value)
		entry->value = value;
}

static void lane_gauges_labelled(struct lane_gauges *sums, const struct segment *segment,
				 const char *name, const struct segment_name *label, bool largest,
				 double value)
{
	struct lane_gauges_one one = {.segment = segment,
				      .name = name,
				      .name_length = strlen(name),
				      .label = label ? label->text : "",
				      .label_length = label ? label->length : 0,
				      .largest = largest};

	lane_gauges_one(sums, &one, value);
}

static void lane_gauges_name(struct lane_gauges *sums, const struct segment *segment,
			     const struct segment_name *name, const uint64_t words[7])
{
	struct lane_gauges_one own = {
		.segment = segment, .name = name->text, .name_length = name->length, .label = ""};
	double value;

	switch (name->kind) {
	case VOW_SHM_NAME_GAUGE:
		memcpy(&value, &words[VOW_SHM_GAUGE_VALUE], sizeof(value));
		lane_gauges_one(sums, &own, value);
		break;
	case VOW_SHM_NAME_QUEUE:
		lane_gauges_labelled(sums, segment, "queue_depth", name, false,
				     (double)words[VOW_SHM_QUEUE_DEPTH]);
		lane_gauges_labelled(sums, segment, "queue_oldest_age_s", name, true,
				     (double)words[VOW_SHM_QUEUE_OLDEST_NS] / (double)NS_PER_S);
		break;
	case VOW_SHM_NAME_JOB:
		lane_gauges_labelled(sums, segment, "job_total", name, false,
				     (double)words[VOW_SHM_JOB_TOTAL]);
		lane_gauges_labelled(sums, segment, "job_done", name, false,
				     (double)words[VOW_SHM_JOB_DONE]);
		lane_gauges_labelled(sums, segment, "job_failed", name, false,
				     (double)words[VOW_SHM_JOB_FAILED]);
		break;
	case VOW_SHM_NAME_NONE:
	case VOW_SHM_NAME_ROUTE:
	case VOW_SHM_NAME_EVENT:
	case VOW_SHM_NAME_ENDPOINT:
	case VOW_SHM_NAME_KINDS:
		break;
	}
}

/* Two counters read one after the other: what ended in between may make the difference negative. */
static double lane_gauges_difference(uint64_t begun, uint64_t ended)
{
	return begun > ended ? (double)(begun - ended) : 0;
}

void lane_gauges_add(struct lane_gauges *sums, const struct segment *segment)
{
	struct vow_shm_counters counters = segment_counters(segment);
	unsigned names = segment_names_known(segment);

	for (unsigned i = 1; i < names; i++) {
		struct segment_name name;
		uint64_t words[7];

		if (segment_value(segment, i, words) && segment_name(segment, i, &name))
			lane_gauges_name(sums, segment, &name, words);
	}
	if (!counters.deliveries_begun)
		return;
	lane_gauges_labelled(
		sums, segment, "deliveries_pending", NULL, false,
		lane_gauges_difference(counters.deliveries_begun, counters.deliveries_settled));
	lane_gauges_labelled(
		sums, segment, "attempts_in_flight", NULL, false,
		lane_gauges_difference(counters.attempts_begun, counters.attempts_ended));
}

unsigned lane_gauges_left_out(const struct lane_gauges *sums)
{
	return sums->left_out_last;
}

void lane_gauges_publish(struct lane_gauges *sums, struct gauge_table *table, mono_ns now)
{
	for (unsigned i = 0; i < sums->count; i++) {
		const struct lane_gauges_entry *entry = &sums->entries[i];

		sums->left_out += gauge_set(table, "", entry->service, entry->name, entry->label,
					    entry->value, now) < 0;
	}
	sums->left_out_last = sums->left_out;
	sums->left_out = 0;
	sums->count = 0;
	memset(sums->places, 0, sizeof(sums->places));
}
