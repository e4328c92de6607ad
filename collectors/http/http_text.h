/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a captured record says, as text. Any thread; nothing blocks or allocates.
 */
#ifndef VOW_COLLECTORS_HTTP_TEXT_H
#define VOW_COLLECTORS_HTTP_TEXT_H

#include <stddef.h>

#include "bpf/http_record.h"
#include "collectors/peer_text.h"

/* "GET"; "" for HTTP_METHOD_NONE and anything unknown. */
const char *http_text_method(unsigned method);
/* "complete", "client_gone", "no_response", "truncated"; "unknown" for anything else. */
const char *http_text_outcome(unsigned outcome);
/* "seen", "ring_full", ...: stable names of enum http_counter. */
const char *http_text_counter(unsigned counter);

/*
 * The path of a record, without scheme and authority (as proxies are asked), without query;
 * "" when none was seen. Always ended with a NUL. Returns its length.
 */
size_t http_text_path(const struct http_record *record, char path[HTTP_PATH_MAX + 1]);

/* "unix", or what peer_label() says; in peer, or a name that lives as long as peers. */
#define HTTP_TEXT_PEER_MAX PEER_TEXT_MAX
const char *http_text_peer(const struct http_record *record, const struct peer_address *peers,
			   size_t count, char peer[HTTP_TEXT_PEER_MAX + 1]);

#endif
