/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_text.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "collectors/peer_text.h"
#include "lib/base/types.h"

const char *http_text_method(unsigned method)
{
	static const char *const names[HTTP_METHODS] = {
		"", "GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT",
	};

	return method < HTTP_METHODS ? names[method] : "";
}

const char *http_text_outcome(unsigned outcome)
{
	static const char *const names[HTTP_OUTCOMES] = {
		[HTTP_COMPLETE] = "complete",
		[HTTP_CLIENT_GONE] = "client_gone",
		[HTTP_NO_RESPONSE] = "no_response",
		[HTTP_TRUNCATED] = "truncated",
	};

	return outcome < HTTP_OUTCOMES ? names[outcome] : "unknown";
}

const char *http_text_counter(unsigned counter)
{
	static const char *const names[HTTP_COUNTERS] = {
		[HTTP_SEEN] = "seen",
		[HTTP_RING_FULL] = "ring_full",
		[HTTP_STORAGE_FAILED] = "storage_failed",
		[HTTP_UNCLASSIFIED] = "unclassified",
		[HTTP_COLLAPSED] = "collapsed",
		[HTTP_TORN] = "torn",
		[HTTP_TLS_UNCLEAR] = "tls_unclear",
		[HTTP_IGNORED] = "ignored",
		[HTTP_NO_PAYLOAD] = "no_payload",
		[HTTP_HEADS_CUT] = "heads_cut",
		[HTTP_TLS_CONNECTIONS] = "tls_connections",
		[HTTP_TLS_GIVEN_UP] = "tls_given_up",
		[HTTP_TLS_RESUMED] = "tls_resumed",
	};

	return counter < HTTP_COUNTERS ? names[counter] : "unknown";
}

/* Behind "http://host:port", the text itself when it does not begin so. */
static const char *origin_form(const char *text)
{
	const char *slash;

	if (text[0] == '/')
		return text;
	if (strncasecmp(text, "http://", 7) && strncasecmp(text, "https://", 8))
		return text;
	slash = strchr(strchr(text, ':') + 3, '/');
	return slash ? slash : "/";
}

size_t http_text_path(const struct http_record *record, char path[HTTP_PATH_MAX + 1])
{
	char text[HTTP_PATH_MAX + 1];
	size_t length;

	memcpy(text, record->path, HTTP_PATH_MAX);
	text[HTTP_PATH_MAX] = '\0';
	/* The kernel side cut it already; a fragment has no business in a request line. */
	text[strcspn(text, "?# \r\n")] = '\0';
	length = strlen(origin_form(text));
	memcpy(path, origin_form(text), length + 1);
	return length;
}

const char *http_text_peer(const struct http_record *record, const struct peer_address *peers,
			   size_t count, char peer[HTTP_TEXT_PEER_MAX + 1])
{
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};

	if (record->family == AF_UNIX)
		return strcpy(peer, "unix");
	if (record->family == AF_INET6)
		memcpy(address, record->remote_address, sizeof(address));
	else
		memcpy(address + 12, record->remote_address, 4);
	return peer_label(peers, count, address, record->remote_port, peer);
}
