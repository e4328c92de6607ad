/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/api.h"
#include "hub/checkpoint.h"
#include "hub/listen.h"
#include "hub/token.h"
#include "hub/trouble.h"
#include "lib/base/clock.h"
#include "lib/base/dirs.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/self.h"
#include "lib/base/version.h"
#include "proto/stream.h"
#include "rpc/server.h"

/* A restart lives through the raw ticks since the last checkpoint: half a minute of them. */
#define HUB_CHECKPOINT_EVERY (30 * NS_PER_S)
/* Raw ticks kept so that windows come back after a restart, and for looking back. */
#define HUB_KEEP       (48 * NS_PER_H)
#define HUB_KEEP_BYTES (UINT64_C(4) << 30)
/*
 * Old raw ticks are deleted in small portions, so that none takes long: twice as many as came since
 * the last time, to get ahead of any number of agents, and some more.
 */
#define HUB_TRIM_EVERY	  NS_PER_S
#define HUB_TRIM_TICKS	  200
#define HUB_FORGET_EVERY  NS_PER_H /* looks at every series once */
#define HUB_REFUSED_EVERY (10 * NS_PER_S) /* a line about records that cannot be read */

struct hub {
	struct vow_config *config;
	char config_path[DIRS_PATH_MAX]; /* given by --config, "" to look in the usual places */
	char dir[DIRS_PATH_MAX];
	bool tls; /* every stream comes with a certificate */
	bool dir_given; /* then the configuration is looked for there too */
	int lock;
	struct store *store;
	struct fleet *fleet;
	struct merge *merge;
	struct board_post *post;
	struct api *api;
	struct rpc_server *rpc;
	struct http_server *http;
	struct self_usage usage;
	wall_ns started, counted_since;
	uint64_t ticks_total;
	mono_ns next_tick, next_checkpoint, next_trim, next_forget; /* by the fleet's clock */
	struct trouble trouble;
	mono_ns refused_logged; /* 0: never */
	uint64_t trimmed_at; /* records merged by then */
	volatile sig_atomic_t reload;
};

static const char hub_unacknowledged[] = "nothing is acknowledged; agents send again";

static void hub_commit(struct hub *hub)
{
	struct diag d = {0};
	int rc = merge_commit(hub->merge, &d);

	if (rc)
		trouble_note(&hub->trouble, TROUBLE_COMMIT, rc, &d, hub_unacknowledged);
}

/* ---- the second -------------------------------------------------------------------------------- */

static void hub_action(void *arg, const struct action *action)
{
	struct hub *hub = arg;
	struct diag d = {0};

	fleet_remember(hub->fleet, "", action);
	if (merge_action_add(hub->merge, "", action, &d))
		log_diag(LOG_LEVEL_WARN, &d, "an alert or decision of the fleet is not kept");
	if (action->kind == ACTION_ALERT)
		log_info("alert %s: %s: %s", alert_state_name(action->alert.to),
			 action->alert.objective, action->alert.reason);
	else
		log_info("scale %s: %u -> %u: %s", action->scale.scaler, action->scale.from,
			 action->scale.to, action->scale.reason);
}

static void hub_publish(struct hub *hub, wall_ns wall)
{
	struct board *board = board_new();
	const struct api_facts facts = {
		.merge = merge_counters(hub->merge),
		.store_bytes = store_bytes(hub->store),
		.unmerged_total = fleet_unmerged_total(hub->fleet),
		.gauges_refused_total = fleet_gauges_refused_total(hub->fleet),
		.streams = merge_connected(hub->merge),
		.connections_shed_total = hub->rpc ? rpc_server_counters(hub->rpc).shed_total : 0,
	};

	if (!board)
		return; /* the previous one stays, and gets old visibly */
	snprintf(board->program, sizeof(board->program), "vow-hub");
	snprintf(board->version, sizeof(board->version), "%s", VOW_VERSION);
	snprintf(board->host, sizeof(board->host), "%s", hub->config->host);
	snprintf(board->scope, sizeof(board->scope), "fleet");
	snprintf(board->config_path, sizeof(board->config_path), "%s", hub->config->path);
	snprintf(board->trouble, sizeof(board->trouble), "%s", trouble_text(&hub->trouble));
	board->pid = (uint32_t)getpid();
	board->started = hub->started;
	board->counted_since = hub->counted_since;
	board->at = wall;
	board->rss_bytes = hub->usage.rss_bytes;
	board->cpu_ratio = hub->usage.cpu_ratio;
	board->ticks_total = hub->ticks_total;
	board->journal_seq = board->journal_acked_seq = (uint64_t)merge_applied(hub->merge);
	board->journal_bytes = facts.store_bytes;
	board->journal_failures_total = facts.merge.commit_failures_total;
	if (fleet_board(hub->fleet, board) || merge_board(hub->merge, board)) {
		board_unref(board);
		return;
	}
	board_publish(hub->post, board);
	api_publish(hub->api, &facts);
}

/* A transaction that costs next to nothing tells when the disk takes writes again. */
static void hub_probe(struct hub *hub)
{
	struct diag d = {0};
	int rc = store_begin(hub->store, &d);

	if (!rc)
		rc = store_value_put(hub->store, "probe", &hub->ticks_total,
				     sizeof(hub->ticks_total), &d);
	if (!rc)
		rc = store_commit(hub->store, &d);
	if (rc)
		store_rollback(hub->store);
	trouble_note(&hub->trouble, TROUBLE_COMMIT, rc, &d, hub_unacknowledged);
}

static void hub_checkpoint(struct hub *hub)
{
	struct diag d = {0};
	int rc = checkpoint_save(hub->fleet, hub->merge, hub->store, &d);

	trouble_note(&hub->trouble, TROUBLE_CHECKPOINT, rc, &d, "the older checkpoint stands");
}

static void hub_trim(struct hub *hub, wall_ns wall)
{
	struct diag d = {0};
	uint64_t records = merge_counters(hub->merge).records_total;
	unsigned most = HUB_TRIM_TICKS + 2 * (unsigned)(records - hub->trimmed_at);
	int rc = store_begin(hub->store, &d);

	hub->trimmed_at = records;
	if (!rc)
		rc = store_record_trim(hub->store, merge_saved(hub->merge), wall - HUB_KEEP,
				       HUB_KEEP_BYTES, most, &d);
	if (!rc)
		rc = store_history_trim(hub->store, &d);
	if (!rc)
		rc = store_commit(hub->store, &d);
	if (rc)
		store_rollback(hub->store);
	trouble_note(&hub->trouble, TROUBLE_TRIM, rc, &d, "old raw ticks stay");
}

static void hub_forget(struct hub *hub, wall_ns wall)
{
	dur_ns after = hub->config->forget_agents;
	struct diag d = {0};
	int rc = after && after < wall ? merge_forget(hub->merge, wall - after, &d) : 0;

	trouble_note(&hub->trouble, TROUBLE_FORGET, rc, &d,
		     "agents that are gone stay on the list");
}

static void hub_second(struct hub *hub, mono_ns now)
{
	wall_ns wall = clock_wall();

	hub_commit(hub);
	fleet_step(hub->fleet, now, wall, hub_action, hub);
	hub_commit(hub);
	if (trouble_in(&hub->trouble, TROUBLE_COMMIT))
		hub_probe(hub);
	if (now >= hub->next_forget) {
		hub->next_forget = now + HUB_FORGET_EVERY;
		hub_forget(hub, wall);
	}
	if (now >= hub->next_checkpoint) {
		hub->next_checkpoint = now + HUB_CHECKPOINT_EVERY;
		hub_checkpoint(hub);
	}
	if (now >= hub->next_trim) {
		hub->next_trim = now + HUB_TRIM_EVERY;
		hub_trim(hub, wall);
	}
	self_measure(&hub->usage, now);
	hub->ticks_total++;
	hub_publish(hub, wall);
}

/* ---- configuration ----------------------------------------------------------------------------- */

static int hub_config_load(struct hub *hub, struct vow_config **config, struct diag *d)
{
	char buf[512];
	const char *path = hub->config_path[0] ? hub->config_path : NULL;

	return config_load(config_find(path, hub->dir_given ? hub->dir : NULL, buf), config, d);
}

static void hub_reload(struct hub *hub)
{
	struct vow_config *fresh;
	struct diag d = {0};
	int rc = hub_config_load(hub, &fresh, &d);

	if (rc) {
		log_diag(LOG_LEVEL_ERROR, &d, "the old configuration stays");
		return;
	}
	if (fleet_reload(hub->fleet, fresh)) {
		log_error("no memory for the new configuration; the old one stays");
		config_free(fresh);
		return;
	}
	config_free(hub->config);
	hub->config = fresh;
	log_info("configuration read again from %s", fresh->path[0] ? fresh->path : "the defaults");
}

/* ---- streams ----------------------------------------------------------------------------------- */

static void hub_link_send(void *link, const uint8_t *bytes, size_t size)
{
	/* One that is ending hears it all again after its next hello. */
	rpc_stream_send(link, bytes, size);
}

static void hub_link_finish(void *link, enum rpc_status status, const char *text)
{
	rpc_stream_finish(link, status, text);
}

static void hub_opened(void *arg, struct rpc_stream *stream, const char *peer, const char *identity)
{
	struct hub *hub = arg;
	struct merge_peer *made;

	log_debug("%s: an agent connects", peer);
	if (hub->tls && !identity[0]) {
		rpc_stream_finish(stream, RPC_PERMISSION_DENIED,
				  "the certificate names nobody: give it a SPIFFE id, a common "
				  "name or an alternative name of at most 255 bytes");
		return;
	}
	made = merge_peer_new(hub->merge, stream, peer, identity);
	rpc_stream_set(stream, made);
	if (!made)
		rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "the hub lacks memory");
}

/* An agent that goes wrong does so each second: its last one stands in the hosts' view. */
static void hub_note_refused(struct hub *hub, const struct diag *d)
{
	mono_ns now = clock_mono();

	if (hub->refused_logged && now - hub->refused_logged < HUB_REFUSED_EVERY)
		return;
	hub->refused_logged = now;
	log_diag(LOG_LEVEL_ERROR, d, "do hub and agent run the same version?");
}

static void hub_message(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t size)
{
	struct hub *hub = arg;
	struct merge_peer *peer = rpc_stream_get(stream);
	struct diag d = {0};
	int rc;

	if (!peer)
		return;
	rc = merge_message(peer, bytes, size, &d);
	if (rc == 1)
		hub_note_refused(hub, &d);
	else if (rc == -EPROTO || rc == -ENOTSUP || rc == -EPERM || rc == -EUSERS)
		log_diag(LOG_LEVEL_WARN, &d, merge_peer_name(peer));
	else if (rc)
		trouble_note(&hub->trouble, TROUBLE_COMMIT, rc, &d, hub_unacknowledged);
	if (merge_due(hub->merge))
		hub_commit(hub);
}

static void hub_closed(void *arg, struct rpc_stream *stream)
{
	struct merge_peer *peer = rpc_stream_get(stream);

	(void)arg;
	if (!peer)
		return;
	log_debug("%s: the stream ended", merge_peer_name(peer));
	merge_peer_free(peer);
}

static void hub_drained(void *arg)
{
	hub_commit(arg);
}

static void hub_tick(void *arg)
{
	struct hub *hub = arg;
	mono_ns now = fleet_now(hub->fleet);

	if (hub->reload) {
		hub->reload = 0;
		hub_reload(hub);
	}
	if (merge_due(hub->merge))
		hub_commit(hub);
	if (now < hub->next_tick)
		return;
	hub->next_tick = now - now % NS_PER_S + NS_PER_S;
	hub_second(hub, now);
}

static int hub_query(void *arg, const uint8_t *bytes, size_t size, uint8_t **answer,
		     size_t *answer_size)
{
	struct hub *hub = arg;
	struct board *board = board_take(hub->post);
	uint8_t *question, *inner;
	size_t question_size, inner_size;
	int rc = stream_envelope_unpack(bytes, size, &question, &question_size, NULL);

	if (!rc) {
		rc = view_answer(fleet_table(hub->fleet), board, "", clock_wall(), question,
				 question_size, &inner, &inner_size);
		free(question);
	}
	board_unref(board);
	if (rc)
		return rc;
	rc = stream_envelope_pack(inner, inner_size, answer, answer_size);
	free(inner);
	return rc;
}

/* ---- opening ----------------------------------------------------------------------------------- */

static int hub_make_fleet(struct hub *hub, struct diag *d)
{
	static const struct merge_link link = {hub_link_send, hub_link_finish};

	hub->fleet = fleet_new(hub->config);
	hub->merge = hub->fleet ? merge_new(hub->fleet, hub->store, &link) : NULL;
	return hub->merge ? 0 : diag_set(d, -ENOMEM, NULL, NULL, "no memory for the fleet");
}

static void hub_drop_fleet(struct hub *hub)
{
	merge_free(hub->merge);
	fleet_free(hub->fleet);
	hub->merge = NULL;
	hub->fleet = NULL;
}

static int hub_load(struct hub *hub, struct diag *d)
{
	int rc = hub_make_fleet(hub, d);

	if (!rc)
		rc = checkpoint_load(hub->fleet, hub->merge, hub->store, true, d);
	if (rc == 1) {
		log_warn("windows lack what came since they were last saved: raw ticks do not fit "
			 "the totals, which stay as they were");
		hub_drop_fleet(hub);
		rc = hub_make_fleet(hub, d);
		if (!rc)
			rc = checkpoint_load(hub->fleet, hub->merge, hub->store, false, d);
	}
	if (!rc && merge_counters(hub->merge).refused_total)
		log_error("%llu raw ticks behind the checkpoint cannot be read any more: they are "
			  "kept aside and count as lost",
			  (unsigned long long)merge_counters(hub->merge).refused_total);
	return rc;
}

/* When totals began: the first start on this store, which it remembers. */
static int hub_load_since(struct hub *hub, struct diag *d)
{
	uint8_t *bytes;
	size_t size;
	int rc = store_value_get(hub->store, "since", &bytes, &size, d);

	hub->counted_since = hub->started;
	if (rc == 1) {
		if (size == sizeof(hub->counted_since))
			memcpy(&hub->counted_since, bytes, size);
		free(bytes);
		return 0;
	}
	if (!rc)
		rc = store_begin(hub->store, d);
	if (!rc)
		rc = store_value_put(hub->store, "since", &hub->started, sizeof(hub->started), d);
	return rc ? rc : store_commit(hub->store, d);
}

static int hub_open_http(struct hub *hub, const struct hub_options *given, struct diag *d)
{
	char token[TOKEN_SIZE];
	bool made;
	struct http_options options = {.listen = given->http, .names = given->http_names};
	const struct http_handlers handlers = api_handlers(hub->api);
	int rc = 0;

	if (!listen_is_loopback(given->http)) {
		rc = token_load(hub->dir, token, &made, d);
		if (!rc && made)
			log_info("made the token that the dashboard asks for, kept in %s/token: %s",
				 hub->dir, token);
		options.token = token;
	}
	return rc ? rc : http_server_open(&options, &handlers, &hub->http, d);
}

static int hub_open_rpc(struct hub *hub, const char *listen, struct diag *d)
{
	const struct rpc_server_options options = {
		.listen = listen,
		.tls_ca = hub->config->tls_ca[0] ? hub->config->tls_ca : NULL,
		.tls_certificate =
			hub->config->tls_certificate[0] ? hub->config->tls_certificate : NULL,
		.tls_key = hub->config->tls_key[0] ? hub->config->tls_key : NULL,
		.tick_every = 20 * NS_PER_MS,
	};
	const struct rpc_server_handlers handlers = {
		.opened = hub_opened,
		.message = hub_message,
		.closed = hub_closed,
		.query = hub_query,
		.tick = hub_tick,
		.drained = hub_drained,
		.arg = hub,
	};

	if (!options.tls_ca && strncmp(listen, "unix:", 5) != 0 && !listen_is_loopback(listen))
		return diag_set(
			d, -EACCES, listen,
			"configure tls (ca, certificate, key), or listen on 127.0.0.1",
			"without TLS anyone who reaches it could write the fleet's figures");
	hub->tls = options.tls_ca != NULL;
	return rpc_server_open(&options, &handlers, &hub->rpc, d);
}

static int hub_open_parts(struct hub *hub, const struct hub_options *options, struct diag *d)
{
	int rc = dirs_make_folder(hub->dir, d);

	if (!rc) {
		hub->lock = dirs_lock(hub->dir, "vow-hub", d);
		rc = hub->lock < 0 ? hub->lock : 0;
	}
	if (!rc)
		rc = store_open(hub->dir, &hub->store, d);
	if (!rc)
		rc = hub_load(hub, d);
	if (!rc)
		rc = hub_load_since(hub, d);
	if (rc)
		return rc;
	hub->post = board_post_new();
	hub->api = hub->post ? api_new(fleet_table(hub->fleet), hub->post) : NULL;
	if (!hub->api)
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory for the HTTP API");
	/* A first board, so that the first question has an answer. */
	hub_second(hub, fleet_now(hub->fleet));
	rc = hub_open_rpc(hub, options->listen, d);
	return rc ? rc : hub_open_http(hub, options, d);
}

/* The address as it was given, with the port that the kernel chose where that was 0. */
static const char *hub_address(const char *listen, unsigned port, char *buf, size_t size)
{
	const char *colon = strrchr(listen, ':');

	if (port && colon)
		snprintf(buf, size, "%.*s:%u", (int)(colon - listen), listen, port);
	else
		snprintf(buf, size, "%s", listen);
	return buf;
}

static void hub_log_addresses(const struct hub *hub, const struct hub_options *options)
{
	bool local = strncmp(options->listen, "unix:", 5) == 0;
	char rpc[320], http[320];

	log_info("listening for agents on %s, dashboard on http://%s/",
		 hub_address(options->listen, local ? 0 : rpc_server_port(hub->rpc), rpc,
			     sizeof(rpc)),
		 hub_address(options->http, http_server_port(hub->http), http, sizeof(http)));
}

int hub_open(const struct hub_options *options, struct vow_config *config, struct hub **out,
	     struct diag *d)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	int rc;

	if (!hub) {
		config_free(config);
		return diag_set(d, -ENOMEM, NULL, NULL, "no memory to begin");
	}
	hub->config = config;
	hub->lock = -1;
	hub->started = clock_wall();
	hub->dir_given = options->dir != NULL;
	snprintf(hub->dir, sizeof(hub->dir), "%s", options->dir ? options->dir : HUB_DIR_DEFAULT);
	snprintf(hub->config_path, sizeof(hub->config_path), "%s",
		 options->config ? options->config : "");
	rc = hub_open_parts(hub, options, d);
	if (rc) {
		hub_close(hub);
		return rc;
	}
	hub_log_addresses(hub, options);
	*out = hub;
	return 0;
}

int hub_run(struct hub *hub)
{
	int rc;

	series_reader_register();
	rc = rpc_server_run(hub->rpc);
	/* What came last is committed and the totals are saved, so that the next start is quick. */
	hub_second(hub, fleet_now(hub->fleet));
	hub_checkpoint(hub);
	series_reader_unregister();
	return rc;
}

void hub_close(struct hub *hub)
{
	if (!hub)
		return;
	http_server_close(hub->http);
	if (hub->rpc)
		rpc_server_close(hub->rpc);
	api_free(hub->api);
	if (hub->post)
		board_post_free(hub->post);
	hub_drop_fleet(hub);
	store_close(hub->store);
	config_free(hub->config);
	fd_closep(&hub->lock);
	free(hub);
}

void hub_stop(struct hub *hub)
{
	rpc_server_stop(hub->rpc);
}

void hub_ask_reload(struct hub *hub)
{
	hub->reload = 1;
}
