/* SPDX-License-Identifier: Apache-2.0 */
/* `peers`: names for the addresses that this host's processes connect to. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/convert.h"
#include "config/value.h"
#include "lib/base/str.h"

#define ADDRESS_FIX "like 10.0.0.7, 10.0.0.7:8443, 10.0.0.0/24, 2001:db8::7 or [2001:db8::7]:443"

/* An address of either family as one of IPv6; bits are how many of it a prefix may have. */
static bool address_parse(const char *text, struct peer_address *out, unsigned *bits)
{
	if (inet_pton(AF_INET, text, out->address + 12) == 1) {
		memset(out->address, 0, 10);
		memset(out->address + 10, 0xff, 2);
		*bits = 32;
		return true;
	}
	*bits = 128;
	return inet_pton(AF_INET6, text, out->address) == 1;
}

/* "ADDRESS", "ADDRESS/BITS", "ADDRESS:PORT", "[ADDRESS]:PORT". */
static bool peer_address_parse(const char *text, struct peer_address *out)
{
	char address[INET6_ADDRSTRLEN + 1], *slash, *port = NULL;
	uint64_t number;
	unsigned bits;

	if (snprintf(address, sizeof(address), "%s", text[0] == '[' ? text + 1 : text) >=
	    (int)sizeof(address))
		return false;
	if (text[0] == '[') {
		port = strstr(address, "]:");
		if (!port)
			return false;
		*port++ = '\0';
	} else if (strchr(address, ':') == strrchr(address, ':')) {
		port = strchr(address, ':');
	}
	if (port) {
		*port++ = '\0';
		if (str_parse_u64(port, 1, 65535, &number))
			return false;
		out->port = (uint16_t)number;
	}
	slash = strchr(address, '/');
	if (slash)
		*slash++ = '\0';
	if (!address_parse(address, out, &bits))
		return false;
	number = bits;
	if (slash && str_parse_u64(slash, 0, bits, &number))
		return false;
	out->bits = (uint8_t)(128 - bits + number);
	return true;
}

static int convert_no_address(const struct value_reader *r, const char *group, uint64_t i,
			      const char *text)
{
	char key[32];

	snprintf(key, sizeof(key), "addresses[%llu]", (unsigned long long)i);
	return value_refuse(r, group, key, ADDRESS_FIX, "'%.80s' is no address", text);
}

static int convert_peer(const struct value_reader *r, const char *group, const struct raw_peer *raw,
			struct vow_config *config)
{
	char name[SERIES_NAME_MAX + 1] = "";

	if (!raw->name)
		return value_refuse(r, group, "", "add 'name: payments'", "a peer needs a name");
	VALUE_TRY(value_text(r, group, "name", raw->name, name, sizeof(name)));
	if (!name[0])
		return value_refuse(r, group, "name", NULL, "the name is empty");
	if (!raw->addresses.count)
		return value_refuse(r, group, "", "add 'addresses: [10.0.0.7]'",
				    "peer '%s' has no address", name);
	for (uint64_t i = 0; i < raw->addresses.count; i++) {
		struct peer_address *to = &config->peers[config->peer_count];

		if (!peer_address_parse(raw->addresses.texts[i], to)) {
			VALUE_NEXT(r, convert_no_address(r, group, i, raw->addresses.texts[i]));
			continue;
		}
		memcpy(to->name, name, sizeof(name));
		config->peer_count++;
	}
	return 0;
}

int convert_peers(const struct value_reader *r, const struct raw_config *raw,
		  struct vow_config *config)
{
	uint64_t addresses = 0;

	for (uint64_t i = 0; i < raw->peer_count; i++)
		addresses += raw->peers[i].addresses.count;
	if (addresses > CONFIG_PEERS_MAX)
		return value_refuse(r, "peers", "", "give prefixes, like 10.0.0.0/24",
				    "more than %u addresses", CONFIG_PEERS_MAX);
	config->peers = calloc(addresses + 1, sizeof(*config->peers));
	if (!config->peers)
		return diag_set(r->d, -ENOMEM, config->path, NULL, "no memory for its content");
	for (uint64_t i = 0; i < raw->peer_count; i++) {
		char group[VALUE_GROUP];

		snprintf(group, sizeof(group), "peers[%llu]", (unsigned long long)i);
		VALUE_NEXT(r, convert_peer(r, group, &raw->peers[i], config));
	}
	return 0;
}
