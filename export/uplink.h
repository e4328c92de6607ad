/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the journal to the hub, each record until the hub says that it is durable there. Reads as
 * the named reader "hub"; where it goes on is the hub's word, so nothing of its own has to
 * survive. Reconnects for ever: after 0.1 s, doubling up to 5 s, drawn evenly between 0.1 s and
 * that; after 5 to 15 s when the hub refused us as such (another version, a message that it cannot
 * read). A record that the hub cannot read is found out and set aside (export/suspect.h). Thread of
 * the loop; logs.
 */
#ifndef VOW_EXPORT_UPLINK_H
#define VOW_EXPORT_UPLINK_H

#include "lib/base/loop.h"
#include "proto/stream.h"
#include "rpc/client.h"

struct uplink;

struct uplink_options { /* texts are kept by reference */
	const char *journal; /* folder */
	const char *refused; /* folder for records that the hub cannot read; need not exist */
	struct rpc_client_options hub;
	uint8_t agent_id[STREAM_ID_SIZE];
	const char *host;
};

/* Begins at once. -EINVAL and others of rpc_client_new(), with d filled. */
int uplink_new(struct loop *loop, const struct uplink_options *options, struct uplink **uplink,
	       struct diag *d);
void uplink_free(struct uplink *uplink);

void uplink_grown(struct uplink *uplink); /* the journal may hold more */
void uplink_replaced(struct uplink *uplink); /* it is another journal */

#endif
