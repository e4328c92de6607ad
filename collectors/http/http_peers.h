/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peers of clients are called: by the names that connections say (struct http_peer_name),
 * as long as these can be believed. Whoever hands on names that others choose, as a reverse proxy
 * does, shows many of them at one address: from the fifth on that peer is its address again.
 *
 * One thread. A record of an address and name like those before costs a hash and two comparisons;
 * nothing blocks, only http_peers_new() allocates: 240 KB, touched as addresses come.
 */
#ifndef VOW_COLLECTORS_HTTP_PEERS_H
#define VOW_COLLECTORS_HTTP_PEERS_H

#include "bpf/http_record.h"
#include "config/config.h"

#define HTTP_PEERS_ADDRESSES 512 /* known at a time, with their ports; the longest unasked go */
#define HTTP_PEERS_NAMES     4 /* of one address and port; with more, none is believed */
#define HTTP_PEERS_TEXT	     (HTTP_PEER_NAME + 8) /* bytes of a name with its port, and zeros */

struct http_peers;

/* config is the caller's, until reload or free. NULL when memory lacks. */
struct http_peers *http_peers_new(const struct vow_config *config);
void http_peers_free(struct http_peers *peers); /* NULL is allowed */
void http_peers_reload(struct http_peers *peers, const struct vow_config *config);

/*
 * "api.example:443", HTTP_PEERS_TEXT bytes with zeros behind, which stay until the next call; its
 * port is that of the connection unless the name has one. "" when the peer is called by its address,
 * or by its name in the configuration. A client's record without a name is taken for one of those
 * that have, if all of these said the same.
 */
const char *http_peers_name(struct http_peers *peers, const struct http_record *record);

#endif
