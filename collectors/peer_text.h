/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a connection, as text. Any thread; neither blocks nor allocates.
 */
#ifndef VOW_COLLECTORS_PEER_TEXT_H
#define VOW_COLLECTORS_PEER_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define PEER_TEXT_MAX 47 /* bytes without the NUL */

/*
 * "10.0.0.7:8080", "[2001:db8::1]:443"; ":8080" when the address is all zeros. address is one of
 * IPv6, or of IPv4 mapped into it (::ffff:a.b.c.d); port in host order. Returns text.
 */
const char *peer_text(const uint8_t address[16], uint16_t port, char text[PEER_TEXT_MAX + 1]);

/*
 * The name that the configuration gives to the peer, else its address as above; text is the caller's,
 * the name lives as long as peers.
 */
const char *peer_label(const struct peer_address *peers, size_t count, const uint8_t address[16],
		       uint16_t port, char text[PEER_TEXT_MAX + 1]);

#endif
