/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the stream between vow-export and vow-hub (proto/vow/v1/hub.proto) as plain
 * structs. Bytes from the wire are checked while decoding: sizes, counts and the memory used.
 * Any thread; allocates, never blocks.
 */
#ifndef VOW_PROTO_STREAM_H
#define VOW_PROTO_STREAM_H

#include <stdbool.h>

#include "lib/base/diag.h"
#include "lib/data/series.h"

#define STREAM_PROTOCOL	   1 /* version that this source speaks */
#define STREAM_ID_SIZE	   16 /* bytes of an agent's id */
#define STREAM_VERSION_MAX 31

struct stream_hello {
	uint32_t protocol;
	uint8_t agent_id[STREAM_ID_SIZE];
	char host[SERIES_NAME_MAX + 1]; /* cleaned as series_text_set() does */
	char version[STREAM_VERSION_MAX + 1];
	uint64_t epoch;
	uint64_t first_seq; /* oldest record that the journal still has */
};

struct stream_record {
	uint64_t seq;
	const uint8_t *tick;
	size_t tick_size;
};

struct stream_batch {
	const struct stream_record *records;
	size_t record_count;
	uint64_t gone_before; /* records below it no longer exist; 0: nothing to say */
	wall_ns sent; /* the agent's clock when it sent; 0: unknown */
};

enum stream_what { STREAM_HELLO, STREAM_BATCH };

struct stream_from_agent {
	enum stream_what what;
	union {
		struct stream_hello hello;
		struct stream_batch batch;
	};
	void *owned; /* of decoding */
};

/* *bytes is malloc'ed and the caller's. -ENOMEM. */
int stream_hello_encode(const struct stream_hello *hello, uint8_t **bytes, size_t *size);
int stream_batch_encode(const struct stream_batch *batch, uint8_t **bytes, size_t *size);

/*
 * 0, and message owns what it points to until stream_from_agent_free(). -EPROTO with d filled when
 * the bytes are not such a message, or would need many times their own size of memory. -ENOMEM.
 * A hello of another protocol is decoded: comparing the version is the hub's.
 */
int stream_from_agent_decode(const uint8_t *bytes, size_t size, struct stream_from_agent *message,
			     struct diag *d);
void stream_from_agent_free(struct stream_from_agent *message); /* one that was decoded */

struct stream_from_hub {
	uint64_t committed_seq; /* everything up to here is durable */
	bool from_segment_start; /* no names of this epoch are known: begin with first_seq */
	uint32_t credits; /* records that may be in flight */
};

/* Room that an encoded stream_from_hub fits into. */
#define STREAM_FROM_HUB_MAX 32

size_t stream_from_hub_encode(const struct stream_from_hub *message,
			      uint8_t buf[STREAM_FROM_HUB_MAX]);
/* -EPROTO with d filled, -ENOMEM. */
int stream_from_hub_decode(const uint8_t *bytes, size_t size, struct stream_from_hub *message,
			   struct diag *d);

/*
 * The envelope of a Query (vow.v1.Control), both ways. The bytes inside are those of a control
 * socket. *bytes is malloc'ed. -ENOMEM; -EPROTO with d filled.
 */
int stream_envelope_pack(const uint8_t *inner, size_t inner_size, uint8_t **bytes, size_t *size);
int stream_envelope_unpack(const uint8_t *bytes, size_t size, uint8_t **inner, size_t *inner_size,
			   struct diag *d);

#endif
