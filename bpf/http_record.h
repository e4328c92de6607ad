/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the HTTP programs hand to user space: one record for each request and response that ended,
 * and counters that account for those which could not be handed over.
 *
 * The identity that tests assert, once the rings are drained:
 *	records read + pairs taken from the overflow (http_overflow.h)
 *		+ sum of the counters from HTTP_RING_FULL to HTTP_LOST_LAST = HTTP_SEEN
 */
#ifndef VOW_BPF_HTTP_RECORD_H
#define VOW_BPF_HTTP_RECORD_H

#include "bpf/http_header.h"

#define HTTP_PATH_MAX  104 /* bytes of path kept; a multiple of 8, see http_head.h */
#define HTTP_PEER_NAME 48 /* bytes of a peer's name, at least one zero among them */

enum http_role { HTTP_SERVER, HTTP_CLIENT };

enum http_method {
	HTTP_METHOD_NONE, /* a pipelined request whose head shared a read with an earlier one */
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_HEAD,
	HTTP_DELETE,
	HTTP_PATCH,
	HTTP_OPTIONS,
	HTTP_CONNECT, /* its path is the host and port that the tunnel leads to */
	HTTP_METHODS
};

enum http_outcome {
	HTTP_COMPLETE, /* the whole response was handed to, or taken from, the socket */
	HTTP_CLIENT_GONE, /* server: the peer reset the connection before that */
	HTTP_NO_RESPONSE, /* closed without any byte of a response */
	HTTP_TRUNCATED, /* closed before the length that the response had promised */
	HTTP_OUTCOMES
};

enum http_flag {
	HTTP_PATH_CUT = 1, /* the path was longer than HTTP_PATH_MAX */
	HTTP_PIPELINED = 2, /* asked before the previous response had ended */
	HTTP_NOTED = 4, /* notes say something */
	HTTP_TLS = 8, /* by turns within TLS: no method, path, status; bytes are those of records */
	HTTP_TLS_SHARED = 16, /* an exchange: requests may share its connection (HTTP/2) */
	HTTP_NAMED = 32, /* peer says something; of a connection, whichever request it is */
};

#define HTTP_QUEUE_UNKNOWN (~0ULL)

/*
 * How a client called its peer when it first spoke to it: the server_name of its ClientHello, else
 * the Host of its first request. Lower-case letters, digits and ".-_", maybe a port; zeros behind.
 */
struct http_peer_name {
	__u64 words[HTTP_PEER_NAME / 8];
};

/*
 * In the byte order of the host; times are of CLOCK_MONOTONIC. In the ring
 * only the used words of the path are written, notes and name if there are any: see http_ring.h.
 */
struct http_record {
	__u64 started_at; /* server: first byte read; client: first byte sent */
	__u64 total_ns; /* from there to the last byte of the response; 0 when not complete */
	__u64 first_byte_ns; /* from there to the first byte of the response */
	/*
	 * Server: how long the first byte lay in the socket before the process read it, before
	 * started_at. Client: the same for the response, inside total_ns.
	 */
	__u64 queue_ns;
	/*
	 * Of a connection's first request, 0 for any other. Server: queue_ns, if that began before
	 * somebody had accepted the connection. Client: from the SYN to the connection.
	 */
	__u64 opening_ns;
	__u64 request_bytes;
	__u64 response_bytes;
	__u32 pid;
	__u16 local_port;
	__u16 remote_port;
	__u8 remote_address[16]; /* 4 bytes for AF_INET */
	__u16 status;
	__u8 family; /* AF_INET, AF_INET6, AF_UNIX */
	__u8 role; /* enum http_role */
	__u8 method; /* enum http_method */
	__u8 outcome;
	__u8 flags;
	__u8 path_words; /* of path[] that are used */
	char command[16]; /* of the thread that made the first call, for processes already gone */
	/* From after the method up to the first space or '?', zeros behind; no query string ever. */
	__u64 path[HTTP_PATH_MAX / 8];
	struct http_peer_name peer; /* client: all zeros if the connection did not say one */
	struct http_notes notes; /* of its headers; with HTTP_NOTED only */
};

enum http_counter {
	HTTP_SEEN, /* pairs that ended, reported or not */
	HTTP_RING_FULL, /* lost: user space did not drain in time, and the overflow is full */
	HTTP_STORAGE_FAILED, /* lost: no memory for the socket's state */
	HTTP_UNCLASSIFIED, /* lost: a response to a request that was not seen */
	HTTP_COLLAPSED, /* lost: responses sent in one call behind another one, at least */
	HTTP_TORN, /* lost: two threads changed one connection at once */
	HTTP_TLS_UNCLEAR, /* lost: of turns within TLS, what may be no request or no response */
	HTTP_LOST_LAST = HTTP_TLS_UNCLEAR,
	/* From here on no pairs are counted. */
	HTTP_IGNORED, /* connections given up since they do not speak HTTP/1 */
	HTTP_NO_PAYLOAD, /* socket calls whose bytes could not be read (io_uring, a page fault) */
	HTTP_HEADS_CUT, /* heads whose end was not in the text that was searched for headers */
	HTTP_TLS_CONNECTIONS, /* connections that began with a ClientHello */
	HTTP_TLS_GIVEN_UP, /* of these, given up since their records could not be followed */
	HTTP_TLS_RESUMED, /* responses within TLS that went on after silence had ended them */
	HTTP_COUNTERS
};

#endif
