/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_peers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collectors/http/http_text.h"

#define WAYS	4 /* places for an address, by its hash */
#define SETS	(HTTP_PEERS_ADDRESSES / WAYS)
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

struct name {
	struct http_peer_name said;
	char text[HTTP_PEERS_TEXT]; /* "": what was said is no name */
};

struct place {
	uint8_t address[16];
	uint16_t port;
	uint8_t family;
	bool by_address; /* too many names, or it has one in the configuration */
	unsigned count; /* of names */
	uint64_t used; /* http_peers.now when it was last asked for, 0: free */
	struct name names[HTTP_PEERS_NAMES];
};

struct http_peers {
	const struct vow_config *config;
	uint64_t now; /* number of the lookup */
	struct place places[SETS][WAYS];
};

struct http_peers *http_peers_new(const struct vow_config *config)
{
	struct http_peers *peers = calloc(1, sizeof(*peers));

	if (peers)
		peers->config = config;
	return peers;
}

void http_peers_free(struct http_peers *peers)
{
	free(peers);
}

void http_peers_reload(struct http_peers *peers, const struct vow_config *config)
{
	/* Pages that were never used stay so. */
	for (unsigned i = 0; i < HTTP_PEERS_ADDRESSES; i++)
		if (peers->places[i / WAYS][i % WAYS].used)
			peers->places[i / WAYS][i % WAYS] = (struct place){0};
	peers->config = config;
}

/* ---- what is a name ----------------------------------------------------------------------------- */

/* The port behind a name, 0: none that is written as one is. */
static unsigned port_parse(const char *text)
{
	size_t length = strspn(text, "0123456789");
	unsigned long port = strtoul(text, NULL, 10);

	return text[length] || length > 5 || text[0] == '0' || port > 65535 ? 0 : (unsigned)port;
}

/*
 * Whether these are the parts of a host's name, none of them empty. An address is no name: it would
 * be believed to be where the connection goes.
 */
static bool is_host(const char *text, size_t length)
{
	size_t part = 0;
	bool letter = false;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '.') {
			if (!part)
				return false;
			part = 0;
			letter = false;
			continue;
		}
		if (!strchr(LETTERS "0123456789-_", text[i]))
			return false;
		letter = letter || strchr(LETTERS, text[i]);
		part++;
	}
	return part && letter;
}

/* What a name is called, "" when it is none. */
static void name_format(struct name *name, unsigned port)
{
	char said[HTTP_PEER_NAME + 1] = "";
	size_t host;

	memcpy(said, name->said.words, HTTP_PEER_NAME);
	host = strcspn(said, ":");
	memset(name->text, 0, sizeof(name->text));
	if (said[host])
		port = port_parse(said + host + 1);
	if (port && is_host(said, host))
		snprintf(name->text, sizeof(name->text), "%.*s:%u", (int)host, said, port);
}

/* ---- addresses ---------------------------------------------------------------------------------- */

static bool place_is_of(const struct place *place, const struct http_record *r)
{
	return place->used && place->port == r->remote_port && place->family == r->family &&
	       !memcmp(place->address, r->remote_address, sizeof(place->address));
}

static struct place *set_of(struct http_peers *peers, const struct http_record *r)
{
	uint64_t words[2], hash = (uint64_t)r->family << 16 | r->remote_port;

	memcpy(words, r->remote_address, sizeof(words));
	for (unsigned i = 0; i < 2; i++) {
		hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return peers->places[hash % SETS];
}

/* The place of the address; made for it if the record has a name, else NULL when there is none. */
static struct place *place_of(struct http_peers *peers, const struct http_record *r)
{
	struct place *set = set_of(peers, r), *oldest = set;
	char text[HTTP_TEXT_PEER_MAX + 1];

	for (unsigned i = 0; i < WAYS; i++) {
		if (place_is_of(&set[i], r))
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (!r->peer.words[0])
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->address, r->remote_address, sizeof(oldest->address));
	oldest->port = r->remote_port;
	oldest->family = r->family;
	oldest->by_address =
		http_text_peer(r, peers->config->peers, peers->config->peer_count, text) != text;
	return oldest;
}

/* What was said, as one of the names of the place; "" once these are too many. */
static const char *place_name(struct place *place, const struct http_record *r)
{
	struct name *name = place->names;

	for (; name < place->names + place->count; name++)
		if (!memcmp(&name->said, &r->peer, sizeof(name->said)))
			return name->text;
	if (place->count == HTTP_PEERS_NAMES) {
		place->by_address = true;
		return "";
	}
	name->said = r->peer;
	name_format(name, r->remote_port);
	place->count++;
	return name->text;
}

const char *http_peers_name(struct http_peers *peers, const struct http_record *r)
{
	struct place *place;

	if (!peers->config->capture_peer_names || r->role != HTTP_CLIENT || r->family == AF_UNIX)
		return "";
	place = place_of(peers, r);
	if (!place)
		return "";
	place->used = ++peers->now;
	if (place->by_address)
		return "";
	if (r->peer.words[0])
		return place_name(place, r);
	return place->count == 1 ? place->names[0].text : "";
}
