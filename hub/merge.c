/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/group.h"
#include "lib/base/clock.h"
#include "proto/stream.h"
#include "proto/tick.h"

struct merge_peer {
	struct merge *merge;
	struct merge_peer *next;
	void *link;
	char name[80];
	char identity[RPC_IDENTITY_MAX + 1];
	struct source *source; /* NULL before the hello */
	bool finished;
};

struct merge *merge_new(struct fleet *fleet, struct store *store, const struct merge_link *link)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return NULL;
	merge->fleet = fleet;
	merge->store = store;
	merge->link = *link;
	merge->writer = tick_writer_new();
	merge->sources = sources_new();
	if (!merge->writer || !merge->sources) {
		merge_free(merge);
		return NULL;
	}
	return merge;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	while (merge->peers)
		merge_peer_free(merge->peers);
	if (merge->group_open)
		store_rollback(merge->store);
	group_clear(merge);
	free(merge->group);
	sources_free(merge->sources);
	if (merge->writer)
		tick_writer_free(merge->writer);
	free(merge);
}

bool merge_due(const struct merge *merge)
{
	return merge->group_open && (merge->group_bytes >= MERGE_GROUP_BYTES ||
				     clock_mono() - merge->group_since >= MERGE_GROUP_AGE);
}

/* ---- peers ------------------------------------------------------------------------------------- */

struct merge_peer *merge_peer_new(struct merge *merge, void *link, const char *name,
				  const char *identity)
{
	struct merge_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->merge = merge;
	peer->link = link;
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	snprintf(peer->identity, sizeof(peer->identity), "%s", identity);
	peer->next = merge->peers;
	merge->peers = peer;
	return peer;
}

static void merge_peer_leave(struct merge_peer *peer)
{
	if (peer->source && peer->source->owner == peer)
		peer->source->owner = NULL;
	peer->source = NULL;
}

void merge_peer_free(struct merge_peer *peer)
{
	struct merge_peer **at = &peer->merge->peers;

	merge_peer_leave(peer);
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	free(peer);
}

const char *merge_peer_name(const struct merge_peer *peer)
{
	return peer->name;
}

static void merge_peer_finish(struct merge_peer *peer, enum rpc_status status, const char *text)
{
	if (peer->finished)
		return;
	peer->finished = true;
	merge_peer_leave(peer);
	peer->merge->link.finish(peer->link, status, text);
}

static void merge_peer_answer(struct merge_peer *peer, uint64_t committed, bool from_segment_start)
{
	const struct stream_from_hub answer = {
		.committed_seq = committed,
		.from_segment_start = from_segment_start,
		.credits = MERGE_CREDITS,
	};
	uint8_t buf[STREAM_FROM_HUB_MAX];

	peer->merge->link.send(peer->link, buf, stream_from_hub_encode(&answer, buf));
}

/*
 * The transaction is lost: whatever was accepted since the last commit was never here. Streams that
 * took part end, so that their agents begin again behind what is durable. Nothing to do when none
 * is open: who could not begin one, or saw its commit fail, comes here as well.
 */
static void merge_abort(struct merge *merge, const struct diag *why)
{
	char text[512];

	if (!merge->group_open)
		return;
	store_rollback(merge->store);
	group_clear(merge);
	merge->counters.commit_failures_total++;
	sources_roll_back(merge->sources);
	diag_format(why, text, sizeof(text));
	for (struct merge_peer *peer = merge->peers; peer; peer = peer->next)
		if (peer->source)
			merge_peer_finish(peer, RPC_UNAVAILABLE, text);
}

int merge_commit(struct merge *merge, struct diag *d)
{
	struct diag own = {0};
	mono_ns now;
	int rc = 0;

	if (!merge->group_open)
		return 0;
	for (struct source *s = sources_first(merge->sources); s && !rc; s = s->next)
		if (s->touched)
			rc = store_agent_put(merge->store, &s->next_row, &own);
	if (!rc)
		rc = store_commit(merge->store, &own);
	if (rc) {
		if (d)
			*d = own;
		merge_abort(merge, &own);
		return rc;
	}
	now = fleet_now(merge->fleet);
	merge->counters.commits_total++;
	merge->applied = merge->newest;
	fleet_merged(merge->fleet, merge->applied);
	for (size_t i = 0; i < merge->group_count; i++) {
		const struct merge_waiting *waiting = &merge->group[i];

		fleet_merge(merge->fleet, &waiting->intake,
			    waiting->late ? FLEET_TOTALS : FLEET_ALL, now);
		source_take_totals(waiting->source, &waiting->intake);
		for (size_t k = 0; k < waiting->intake.action_count; k++)
			fleet_remember(merge->fleet, waiting->source->row.host,
				       &waiting->intake.actions[k]);
		merge->counters.records_total++;
		merge->counters.histograms_total += waiting->intake.delta_count;
		merge->counters.late_total += waiting->late;
	}
	merge->counters.bytes_total += merge->group_bytes;
	group_clear(merge);
	for (struct source *s = sources_first(merge->sources); s; s = s->next) {
		if (!source_settle(s))
			continue;
		if (s->owner)
			merge_peer_answer(s->owner, s->row.committed, false);
	}
	return 0;
}

/* ---- hello ------------------------------------------------------------------------------------- */

static int merge_refuse(struct merge_peer *peer, enum rpc_status status, const struct diag *d)
{
	char text[512];

	diag_format(d, text, sizeof(text));
	peer->merge->counters.refused_total++;
	merge_peer_finish(peer, status, text);
	return d->err;
}

/* The store or memory failed while the peer was served: it begins again behind what is durable. */
static int merge_fail(struct merge_peer *peer, const struct diag *d)
{
	char text[512];

	merge_abort(peer->merge, d);
	diag_format(d, text, sizeof(text));
	merge_peer_finish(peer, RPC_UNAVAILABLE, text);
	return d->err;
}

static int merge_source_add(struct merge *merge, const struct stream_hello *hello,
			    struct source **source, struct diag *d)
{
	struct store_agent row = {
		.epoch = hello->epoch,
		.last_seen = clock_wall(),
		/* What an unknown journal lost before it came here was never ours to count. */
		.committed = hello->first_seq ? hello->first_seq - 1 : 0,
	};
	struct source *made;
	int rc = group_begin(merge, d);

	memcpy(row.id, hello->agent_id, sizeof(row.id));
	memcpy(row.host, hello->host, sizeof(row.host));
	memcpy(row.version, hello->version, sizeof(row.version));
	if (!rc)
		rc = store_agent_add(merge->store, &row, d);
	if (rc)
		return rc;
	made = sources_add(merge->sources, &row);
	if (!made)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory for one more agent");
	/* Durable at once: from here on it is an agent as any other. */
	rc = merge_commit(merge, d);
	if (rc) {
		sources_forget(merge->sources, made);
		return rc;
	}
	*source = made;
	return 0;
}

/* One that was forgotten: 1 it is back, as it was; 0 it is new to the store as well. */
static int merge_source_recall(struct merge *merge, const struct stream_hello *hello,
			       struct source **source, struct diag *d)
{
	struct store_agent row = {.epoch = hello->epoch};
	int rc;

	memcpy(row.id, hello->agent_id, sizeof(row.id));
	rc = store_agent_get(merge->store, &row, d);
	if (rc != 1)
		return rc;
	*source = sources_add(merge->sources, &row);
	if (!*source)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory for one more agent");
	merge->counters.gap_records_total -= row.gap_records_total;
	return 1;
}

static int merge_source_get(struct merge *merge, const struct stream_hello *hello,
			    struct source **source, struct diag *d)
{
	int rc;

	*source = sources_find(merge->sources, hello->agent_id, hello->epoch);
	if (*source)
		return 0;
	rc = merge_source_recall(merge, hello, source, d);
	if (rc)
		return rc < 0 ? rc : 0;
	return merge_source_add(merge, hello, source, d);
}

/* Any older stream of the agent ends: it is half open, and its end would come late. */
static void merge_source_leave(struct source *source)
{
	if (source->owner)
		merge_peer_finish(source->owner, RPC_FAILED_PRECONDITION,
				  "another exporter with this identity connected; if its folder is "
				  "a copy, remove agent.id and journal from the copy");
}

static void merge_source_renew(struct source *source, const struct stream_hello *hello)
{
	memcpy(source->next_row.host, hello->host, sizeof(source->next_row.host));
	memcpy(source->next_row.version, hello->version, sizeof(source->next_row.version));
	source->next_row.last_seen = clock_wall();
	source->touched = true;
}

/*
 * Whose the agent is. Without certificates nobody proves anything, and the hub listens on loopback
 * only. 0, -EPERM, or what the store said.
 */
static int merge_check_owner(struct merge_peer *peer, const struct stream_hello *hello,
			     struct diag *d)
{
	struct store *store = peer->merge->store;
	char owner[RPC_IDENTITY_MAX + 1];
	int rc = 0;

	if (!peer->identity[0])
		return 0;
	rc = store_owner_get(store, hello->agent_id, owner, sizeof(owner), d);
	if (rc == 0) {
		rc = group_begin(peer->merge, d);
		return rc ? rc : store_owner_put(store, hello->agent_id, peer->identity, d);
	}
	if (rc < 0 || strcmp(owner, peer->identity) == 0)
		return rc < 0 ? rc : 0;
	return diag_set(d, -EPERM, hello->host,
			"give it a certificate of its former name, or remove agent.id and journal "
			"there to make it a new agent",
			"this agent belongs to the certificate of '%s', and '%s' came with it",
			owner, peer->identity);
}

/* What can be said before the store is asked. 0, or the stream was finished. */
static int merge_check_hello(struct merge_peer *peer, const struct stream_hello *hello,
			     struct diag *d)
{
	const struct sources *sources = peer->merge->sources;

	if (hello->protocol != STREAM_PROTOCOL) {
		diag_set(d, -ENOTSUP, NULL, "update the older of the two",
			 "this hub speaks protocol version %d, the agent on %s (vow %s) speaks %u",
			 STREAM_PROTOCOL, hello->host, hello->version, hello->protocol);
		return merge_refuse(peer, RPC_FAILED_PRECONDITION, d);
	}
	if (peer->source) {
		diag_set(d, -EPROTO, NULL, NULL, "a second hello on one stream");
		return merge_refuse(peer, RPC_INVALID_ARGUMENT, d);
	}
	if (!hello->host[0]) {
		diag_set(d, -EPROTO, NULL, "give the agent a host name", "a hello without a host");
		return merge_refuse(peer, RPC_INVALID_ARGUMENT, d);
	}
	if (sources_full(sources) && !sources_find(sources, hello->agent_id, hello->epoch)) {
		diag_set(d, -EUSERS, NULL, "set forget_agents lower, or run another hub",
			 "this hub knows %u agents already, as many as it takes", SOURCES_MAX);
		return merge_refuse(peer, RPC_RESOURCE_EXHAUSTED, d);
	}
	return 0;
}

static int merge_hello(struct merge_peer *peer, const struct stream_hello *hello, struct diag *d)
{
	struct merge *merge = peer->merge;
	struct source *source;
	int rc;

	rc = merge_check_hello(peer, hello, d);
	if (rc)
		return rc;
	rc = merge_check_owner(peer, hello, d);
	if (rc == -EPERM)
		return merge_refuse(peer, RPC_PERMISSION_DENIED, d);
	if (!rc)
		rc = merge_source_get(merge, hello, &source, d);
	if (!rc)
		rc = group_add_gap(merge, source, hello->first_seq, d);
	if (!rc)
		rc = group_begin(merge, d);
	if (rc)
		return merge_fail(peer, d);
	merge_source_leave(source);
	merge_source_renew(source, hello);
	/* The answer comes after the commit, so that it counts no record that is only on its way. */
	if (merge_commit(merge, d))
		return merge_fail(peer, d);
	source->owner = peer;
	peer->source = source;
	sources_prefer(merge->sources, source);
	merge_peer_answer(peer, source->row.committed, source->names_lost);
	return 0;
}

/* ---- records ----------------------------------------------------------------------------------- */

static bool merge_is_late(const struct intake *intake, wall_ns sent, wall_ns now)
{
	wall_ns end = intake->wall + intake->duration;
	wall_ns reference = sent ? sent : now;

	/* Both by the agent's clock when it said what that shows: a wrong clock is not lateness. */
	return reference > end && reference - end > FLEET_LATE;
}

/* It counted when it came first; only its names may be news. */
static int merge_repeat(struct merge *merge, struct source *source,
			const struct stream_record *record, struct diag *d)
{
	int rc = group_begin(merge, d);

	merge->counters.duplicates_total++;
	source->touched = true; /* so that it is acknowledged again */
	return rc || !source->names_lost ? rc : group_add_names(merge, source, record, d);
}

/*
 * The record that follows the last one. An agent whose names are not known is asked, by the answer
 * to its next hello, for all of them; one that told all it has lost the record with the name.
 */
static int merge_next(struct merge_peer *peer, const struct stream_record *record, wall_ns sent,
		      struct diag *d)
{
	struct merge *merge = peer->merge;
	struct source *source = peer->source;
	const struct intake_context context = merge_context(merge, source);
	struct merge_waiting *waiting = group_next(merge);
	struct diag why = {0};
	int rc;

	if (!waiting)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory for one more record");
	*waiting = (struct merge_waiting){.source = source};
	rc = intake_read(&context, record->tick, record->tick_size, &waiting->intake, &why);
	if (rc == -ENOKEY && !source->names_lost) {
		source->names_lost = true;
		merge_peer_finish(peer, RPC_UNAVAILABLE,
				  "the hub lacks names of series: connect again");
		return 0;
	}
	if (rc == -EPROTO || rc == -ENOKEY)
		return group_set_aside(merge, source, record, &why, d);
	if (rc) {
		*d = why;
		return rc;
	}
	source->names_lost = false;
	waiting->late = merge_is_late(&waiting->intake, sent, clock_wall());
	rc = group_add_record(merge, source, record, waiting, d);
	if (rc)
		intake_deinit(&waiting->intake);
	return rc;
}

/* 0; 1 when it was set aside, with d filled; or what the store said. */
static int merge_record(struct merge_peer *peer, const struct stream_record *record, wall_ns sent,
			struct diag *d)
{
	struct merge *merge = peer->merge;
	struct source *source = peer->source;
	char text[120];

	if (record->seq <= source->next_row.committed)
		return merge_repeat(merge, source, record, d);
	if (record->seq != source->next_row.committed + 1) {
		snprintf(text, sizeof(text), "record %" PRIu64 " is missing before %" PRIu64,
			 source->next_row.committed + 1, record->seq);
		merge_peer_finish(peer, RPC_UNAVAILABLE, text);
		return 0;
	}
	if (!record->tick_size) /* a number whose record the agent's disk lost */
		return group_add_gap(merge, source, record->seq + 1, d);
	return merge_next(peer, record, sent, d);
}

static int merge_batch(struct merge_peer *peer, const struct stream_batch *batch, struct diag *d)
{
	bool aside = false;
	int rc = 0;

	if (!peer->source) {
		diag_set(d, -EPROTO, NULL, NULL, "records before a hello");
		return merge_refuse(peer, RPC_INVALID_ARGUMENT, d);
	}
	if (batch->gone_before)
		rc = group_add_gap(peer->merge, peer->source, batch->gone_before, d);
	for (size_t i = 0; i < batch->record_count && rc >= 0 && !peer->finished; i++) {
		rc = merge_record(peer, &batch->records[i], batch->sent, d);
		aside |= rc == 1;
	}
	return rc < 0 ? merge_fail(peer, d) : aside;
}

int merge_message(struct merge_peer *peer, const uint8_t *bytes, size_t size, struct diag *d)
{
	struct stream_from_agent message = {0};
	int rc;

	if (peer->finished)
		return 0;
	rc = stream_from_agent_decode(bytes, size, &message, d);
	if (rc)
		return merge_refuse(
			peer, rc == -EPROTO ? RPC_INVALID_ARGUMENT : RPC_RESOURCE_EXHAUSTED, d);
	if (message.what == STREAM_HELLO)
		rc = merge_hello(peer, &message.hello, d);
	else
		rc = merge_batch(peer, &message.batch, d);
	stream_from_agent_free(&message);
	return rc;
}

int merge_action_add(struct merge *merge, const char *host, const struct action *action,
		     struct diag *d)
{
	int rc = group_add_action(merge, host, action, d);

	if (rc)
		merge_abort(merge, d);
	return rc;
}

/* ---- who is gone ------------------------------------------------------------------------------- */

static bool merge_is_gone(const struct source *source, wall_ns before)
{
	return !source->owner && source->row.last_seen < before;
}

static bool merge_host_stays(void *arg, const char *host)
{
	const struct merge *merge = arg;

	return sources_have_host(merge->sources, host);
}

int merge_forget(struct merge *merge, wall_ns before, struct diag *d)
{
	int rc = store_begin(merge->store, d);

	/* Its names would be taken for those of series that get their numbers later. */
	for (struct source *s = sources_first(merge->sources); s && !rc; s = s->next)
		if (merge_is_gone(s, before))
			rc = store_names_clear(merge->store, s->row.no, d);
	if (!rc)
		rc = store_commit(merge->store, d);
	if (rc) {
		store_rollback(merge->store);
		return rc;
	}
	for (struct source *s = sources_first(merge->sources), *next; s; s = next) {
		next = s->next;
		if (!merge_is_gone(s, before))
			continue;
		merge->counters.gap_records_total += s->row.gap_records_total;
		sources_forget(merge->sources, s);
	}
	fleet_age(merge->fleet, before + fleet_now(merge->fleet) - clock_wall(), merge_host_stays,
		  merge);
	return 0;
}

/* ---- what stands ------------------------------------------------------------------------------- */

struct merge_counters merge_counters(const struct merge *merge)
{
	struct merge_counters counters = merge->counters;

	for (const struct source *s = sources_first(merge->sources); s; s = s->next)
		counters.gap_records_total += s->row.gap_records_total;
	return counters;
}

int64_t merge_applied(const struct merge *merge)
{
	return merge->applied;
}

int64_t merge_saved(const struct merge *merge)
{
	return merge->saved;
}

unsigned merge_connected(const struct merge *merge)
{
	unsigned connected = 0;

	for (const struct source *s = sources_first(merge->sources); s; s = s->next)
		connected += s->owner != NULL;
	return connected;
}

int merge_board(const struct merge *merge, struct board *board)
{
	return sources_board(merge->sources, board);
}
