/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

enum restart_kind { RESTART_BYTES, RESTART_TEXT, RESTART_HEADERS };

#define RESTART(kind, key, field)                                  \
	{                                                          \
		key, kind, offsetof(struct vow_config, field),     \
			sizeof(((struct vow_config *)NULL)->field) \
	}

/* The keys of vowd that a running one does not take over. */
static const struct restart_key {
	const char *name;
	enum restart_kind kind;
	size_t at, size;
} restart_keys[] = {
	RESTART(RESTART_TEXT, "host", host),
	RESTART(RESTART_BYTES, "series_max", series_max),
	RESTART(RESTART_BYTES, "capture.http", capture_http),
	RESTART(RESTART_BYTES, "capture.lanes", capture_lanes),
	RESTART(RESTART_BYTES, "capture.keep", keep_patience),
	RESTART(RESTART_BYTES, "capture.host", capture_host),
	RESTART(RESTART_BYTES, "capture.http_ring", http_ring_bytes),
	RESTART(RESTART_BYTES, "capture.http_tier", http_tier),
	RESTART(RESTART_TEXT, "capture.btf", capture_btf),
	/* The right to probe is kept or given up when vowd starts. */
	RESTART(RESTART_BYTES, "capture.tls or capture.tls_on_demand", tls_allowed),
	RESTART(RESTART_BYTES, "capture.traces", capture_traces),
	RESTART(RESTART_BYTES, "capture.peer_names", capture_peer_names),
	RESTART(RESTART_HEADERS, "capture.delivery_ids", delivery_ids),
	RESTART(RESTART_HEADERS, "capture.event_types", event_types),
	RESTART(RESTART_BYTES, "journal.segment", journal_segment_bytes),
	RESTART(RESTART_BYTES, "journal.budget", journal_budget_bytes),
	RESTART(RESTART_BYTES, "journal.age", journal_age),
	RESTART(RESTART_BYTES, "journal.free_space", journal_free_bytes),
	RESTART(RESTART_BYTES, "journal.fsync", journal_fsync_every),
};

static bool restart_headers_differ(const struct header_names *a, const struct header_names *b)
{
	bool differ = a->count != b->count;

	for (unsigned i = 0; i < a->count && !differ; i++)
		differ = strcmp(a->names[i], b->names[i]) != 0;
	return differ;
}

static bool restart_differs(const struct restart_key *key, const struct vow_config *began,
			    const struct vow_config *fresh)
{
	const void *a = (const char *)began + key->at, *b = (const char *)fresh + key->at;

	switch (key->kind) {
	case RESTART_BYTES:
		break;
	case RESTART_TEXT:
		return strcmp(a, b) != 0;
	case RESTART_HEADERS:
		return restart_headers_differ(a, b);
	}
	return memcmp(a, b, key->size) != 0;
}

unsigned config_restart_keys(const struct vow_config *began, const struct vow_config *fresh,
			     char text[CONFIG_RESTART_TEXT])
{
	unsigned count = 0;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(restart_keys) / sizeof(restart_keys[0]); i++) {
		if (!restart_differs(&restart_keys[i], began, fresh))
			continue;
		if (used < CONFIG_RESTART_TEXT)
			used += (size_t)snprintf(text + used, CONFIG_RESTART_TEXT - used, "%s%s",
						 count ? ", " : "", restart_keys[i].name);
		count++;
	}
	return count;
}
