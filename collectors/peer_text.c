/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/peer_text.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *peer_text(const uint8_t address[16], uint16_t port, char text[PEER_TEXT_MAX + 1])
{
	static const uint8_t none[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
	char name[INET6_ADDRSTRLEN] = "";

	if (!memcmp(address, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, address + sizeof(mapped), name, sizeof(name));
		snprintf(text, PEER_TEXT_MAX + 1, "%.39s:%u", name, port);
	} else if (memcmp(address, none, sizeof(none)) != 0) {
		inet_ntop(AF_INET6, address, name, sizeof(name));
		snprintf(text, PEER_TEXT_MAX + 1, "[%.39s]:%u", name, port);
	} else {
		snprintf(text, PEER_TEXT_MAX + 1, ":%u", port);
	}
	return text;
}

static bool peer_fits(const struct peer_address *peer, const uint8_t address[16], uint16_t port)
{
	unsigned whole = peer->bits / 8, rest = peer->bits % 8;

	if (peer->port && peer->port != port)
		return false;
	if (memcmp(peer->address, address, whole) != 0)
		return false;
	return !rest || (peer->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

const char *peer_label(const struct peer_address *peers, size_t count, const uint8_t address[16],
		       uint16_t port, char text[PEER_TEXT_MAX + 1])
{
	for (size_t i = 0; i < count; i++)
		if (peer_fits(&peers[i], address, port))
			return peers[i].name;
	return peer_text(address, port, text);
}
