/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_series.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/http/http_peers.h"
#include "collectors/http/http_text.h"
#include "collectors/service_name.h"

#define REMEMBERED 512 /* 131 KB; more requests than that at a time are named anew */

#define ADDRESS_WORDS 3 /* of a client's peer: port and family, address */
#define PEER_WORDS    (HTTP_PEERS_TEXT / 8) /* or its name, which takes at most so many */
#define SERVICE_WORDS ((SERIES_NAME_MAX + 1) / 8)
#define PATH_WORDS    (HTTP_PATH_MAX / 8)

_Static_assert(HTTP_PEERS_TEXT <= SERIES_NAME_MAX + 1, "names of peers fit a key");

/*
 * What decides on the series of a record, in as many words as it takes, zeros behind each text:
 * equal words, equal series, for as long as the configuration stays.
 */
struct kind {
	uint64_t words[1 + PEER_WORDS + SERVICE_WORDS + PATH_WORDS];
	unsigned count; /* of words */
};

/* Whom a client asked, by address, and the text of it. */
struct peer {
	uint64_t words[ADDRESS_WORDS];
	char text[SERIES_NAME_MAX + 1]; /* "": none yet */
};

/* Who takes part in a record. */
struct parties {
	const char *service;
	const char *peer; /* as http_peers_name() says */
};

/* What of a record a series is about. */
enum part {
	PART_REQUEST,
	PART_USER, /* all requests of a service, with their waits */
	PART_OPENING, /* the connection of a first request */
};

struct remembered {
	struct kind kind;
	struct series *series; /* NULL: empty */
	struct service_routes *routes; /* of its service, NULL: none */
};

struct http_series {
	struct series_table *table;
	const struct vow_config *config;
	struct route_names *routes;
	struct service_names *services;
	struct http_peers *peers;
	struct peer peer; /* written last: clients ask the same one many times in a row */
	struct remembered remembered[REMEMBERED]; /* each kind has one place, by its hash */
};

static struct route_names_options route_options(const struct vow_config *config)
{
	return (struct route_names_options){
		.templates = config->templates,
		.template_count = config->template_count,
		.routes_per_service = config->routes_per_service,
	};
}

struct http_series *http_series_new(const struct http_series_options *options)
{
	const struct vow_config *config = options->config;
	const struct route_names_options routes = route_options(config);
	struct http_series *series = calloc(1, sizeof(*series));

	if (!series)
		return NULL;
	series->table = options->table;
	series->config = config;
	series->routes = route_names_new(&routes);
	series->services =
		service_names_new(config->services, config->service_count, options->proc);
	series->peers = http_peers_new(config);
	if (series->routes && series->services && series->peers) {
		service_names_tell(series->services, options->processes);
		return series;
	}
	http_series_free(series);
	return NULL;
}

void http_series_free(struct http_series *series)
{
	if (!series)
		return;
	route_names_free(series->routes);
	service_names_free(series->services);
	http_peers_free(series->peers);
	free(series);
}

void http_series_reload(struct http_series *series, const struct vow_config *config)
{
	const struct route_names_options routes = route_options(config);

	route_names_reload(series->routes, &routes);
	service_names_reload(series->services, config->services, config->service_count);
	http_peers_reload(series->peers, config);
	memset(series->remembered, 0, sizeof(series->remembered));
	series->config = config;
	series->peer.text[0] = '\0';
}

const struct route_names *http_series_routes(const struct http_series *series)
{
	return series->routes;
}

/* ---- naming ----------------------------------------------------------------------------------- */

/* A path answered so does not exist: it gives no name to a route. */
static bool names_route(unsigned status)
{
	return status != 404 && status != 405 && status != 410 && status != 400 && status != 414;
}

static void address_fill(uint64_t words[ADDRESS_WORDS], const struct http_record *r)
{
	words[0] = (uint64_t)r->family << 16 | r->remote_port;
	memcpy(&words[1], r->remote_address, sizeof(r->remote_address));
}

/* The peer by its address, or as the configuration calls that. */
static const char *peer_by_address(struct http_series *series, const struct http_record *r)
{
	struct peer *peer = &series->peer;
	char text[HTTP_TEXT_PEER_MAX + 1];
	uint64_t words[ADDRESS_WORDS];
	const char *label;

	address_fill(words, r);
	if (!peer->text[0] || memcmp(peer->words, words, sizeof(words)) != 0) {
		memcpy(peer->words, words, sizeof(words));
		label = http_text_peer(r, series->config->peers, series->config->peer_count, text);
		series_text_set(peer->text, sizeof(peer->text), label, strlen(label));
	}
	return peer->text;
}

static const char *peer_name(struct http_series *series, const struct http_record *r,
			     const struct parties *parties)
{
	return parties->peer[0] ? parties->peer : peer_by_address(series, r);
}

/* The parts of a key that need no name; of a turn within TLS the route as well. */
static void key_of_response(const struct http_record *r, struct series_key *key)
{
	key->role = r->role == HTTP_CLIENT ? SERIES_CLIENT : SERIES_SERVER;
	if (r->flags & HTTP_TLS) {
		strcpy(key->route, r->flags & HTTP_TLS_SHARED ? "{tls-h2}" : "{tls}");
		key->kind = SERIES_TLS;
		key->status_class = CLASS_UNKNOWN;
		return;
	}
	strcpy(key->method, http_text_method(r->method));
	key->kind = SERIES_HTTP;
	key->status_class = (uint8_t)series_class_of(r->status);
}

static void key_of_opening(const struct http_record *r, struct series_key *key)
{
	key->kind = SERIES_CONNECTION;
	key->role = r->role == HTTP_CLIENT ? SERIES_CLIENT : SERIES_SERVER;
	key->status_class = CLASS_OK;
	strcpy(key->route, r->role == HTTP_CLIENT ? "{connect}" : "{accept}");
}

static void key_fill(struct http_series *series, const struct http_record *r, enum part part,
		     const struct parties *parties, struct series_key *key)
{
	char path[HTTP_PATH_MAX + 1], route[SERIES_ROUTE_MAX + 1];

	memset(key, 0, sizeof(*key));
	series_text_set(key->service, sizeof(key->service), parties->service,
			strlen(parties->service));
	if (r->role == HTTP_CLIENT)
		strcpy(key->peer, peer_name(series, r, parties));
	if (part == PART_OPENING) {
		key_of_opening(r, key);
		return;
	}
	key_of_response(r, key);
	if (part == PART_USER) {
		key->method[0] = '\0';
		key->kind = SERIES_USER;
		strcpy(key->route, "{user-visible}");
		return;
	}
	if (r->flags & HTTP_TLS)
		return;
	if (r->method == HTTP_CONNECT) {
		strcpy(key->route, "{tunnel}");
		return;
	}
	http_text_path(r, path);
	route_name_of(series->routes, key->service, path, names_route(r->status), route);
	series_text_set(key->route, sizeof(key->route), route, strlen(route));
}

/* ---- what is remembered ----------------------------------------------------------------------- */

/* The product of two 64-bit words has 128 bits; both halves together depend on every bit. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* What decides on a part's series beside service, peer and path. */
static uint64_t kind_first(const struct http_record *r, enum part part)
{
	uint64_t first = (uint64_t)part << 56 | (uint64_t)r->role << 32;

	if (part == PART_OPENING)
		return first;
	first |= series_class_of(r->status);
	if (part == PART_USER)
		return first | (uint64_t)(r->flags & HTTP_TLS) << 48;
	return first | (uint64_t)(r->flags & (HTTP_TLS | HTTP_TLS_SHARED)) << 48 |
	       (uint64_t)r->method << 16;
}

/* Fills the kind of a record's part; returns its hash. */
static uint64_t kind_fill(struct kind *kind, const struct http_record *r, enum part part,
			  const struct parties *parties)
{
	size_t length = strnlen(parties->service, SERIES_NAME_MAX);
	size_t service_words = (length + 7) / 8, path_words = 0;
	size_t name_words = (strlen(parties->peer) + 7) / 8;
	uint64_t *word = &kind->words[1];
	uint64_t hash = 0;

	if (name_words) {
		memcpy(word, parties->peer, 8 * name_words);
		word += name_words;
	} else if (r->role == HTTP_CLIENT) {
		address_fill(word, r);
		word += ADDRESS_WORDS;
	}
	if (service_words) {
		word[service_words - 1] = 0;
		memcpy(word, parties->service, length);
		word += service_words;
	}
	while (part == PART_REQUEST && path_words < PATH_WORDS && r->path[path_words])
		*word++ = r->path[path_words++];
	/* With their lengths, so that no path is taken for the end of a service. */
	kind->words[0] =
		kind_first(r, part) | (uint64_t)service_words << 40 | (uint64_t)name_words << 44;
	kind->count = (unsigned)(word - kind->words);
	for (unsigned i = 0; i < kind->count; i++)
		hash = mix(hash, kind->words[i]);
	return hash;
}

static bool kind_equal(const struct kind *a, const struct kind *b)
{
	return a->count == b->count && !memcmp(a->words, b->words, a->count * sizeof(a->words[0]));
}

/*
 * Whether the same kind will always get this series. A path that got no route of its own may get
 * one later, when somebody is told that it exists.
 */
static bool is_settled(const struct series_key *key)
{
	return strcmp(key->route, ROUTE_OTHER) != 0;
}

const char *http_series_service(struct http_series *series, const struct http_record *r,
				mono_ns now)
{
	const struct service_process process = {
		.pid = (pid_t)r->pid,
		.port = r->role == HTTP_SERVER ? r->local_port : 0,
		.command = r->command,
		.at = r->started_at ? r->started_at + r->total_ns : 0,
	};

	/* Of a sum of whom the kernel had no room for. */
	if (!r->pid)
		return ROUTE_OTHER;
	return service_name_of(series->services, &process, now);
}

static struct parties parties_of(struct http_series *series, const struct http_record *r,
				 mono_ns now)
{
	return (struct parties){
		.service = http_series_service(series, r, now),
		.peer = r->pid ? http_peers_name(series->peers, r) : "",
	};
}

static struct series *part_series(struct http_series *series, const struct http_record *r,
				  enum part part, mono_ns now)
{
	const struct parties parties = parties_of(series, r, now);
	struct remembered *place;
	struct series_key key;
	struct series *found;
	struct kind kind;

	place = &series->remembered[kind_fill(&kind, r, part, &parties) % REMEMBERED];
	if (place->series && kind_equal(&place->kind, &kind)) {
		route_name_again(place->routes);
		return place->series;
	}
	key_fill(series, r, part, &parties, &key);
	found = series_get(series->table, &key);
	if (found && is_settled(&key)) {
		memcpy(place->kind.words, kind.words, kind.count * sizeof(kind.words[0]));
		place->kind.count = kind.count;
		place->series = found;
		place->routes = key.kind == SERIES_HTTP
					? route_names_service(series->routes, parties.service)
					: NULL;
	}
	return found;
}

struct series *http_series_of(struct http_series *series, const struct http_record *r, mono_ns now)
{
	return part_series(series, r, PART_REQUEST, now);
}

struct series *http_series_user(struct http_series *series, const struct http_record *r,
				mono_ns now)
{
	return part_series(series, r, PART_USER, now);
}

struct series *http_series_opening(struct http_series *series, const struct http_record *r,
				   mono_ns now)
{
	return part_series(series, r, PART_OPENING, now);
}

void http_series_name(struct http_series *series, const struct http_record *r, mono_ns now,
		      struct series_key *key)
{
	const struct parties parties = parties_of(series, r, now);

	key_fill(series, r, PART_REQUEST, &parties, key);
}

struct series *http_series_of_sum(struct http_series *series, const struct http_record *r,
				  mono_ns now)
{
	const struct parties parties = parties_of(series, r, now);
	struct series_key key = {.route = SERIES_ROUTE_OVERFLOW};

	series_text_set(key.service, sizeof(key.service), parties.service, strlen(parties.service));
	if (r->role == HTTP_CLIENT && r->pid)
		strcpy(key.peer, peer_name(series, r, &parties));
	key_of_response(r, &key);
	return series_get(series->table, &key);
}
