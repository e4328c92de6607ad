/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions and series keys as messages of tick.proto: shared by the codecs of ticks and of views,
 * and only for them, since generated types show. Any thread; nothing blocks or allocates.
 */
#ifndef VOW_PROTO_ACTION_H
#define VOW_PROTO_ACTION_H

#include <vow/v1/tick.pb-c.h>

#include "lib/base/diag.h"
#include "lib/model/action.h"

/* A message with its parts beside it; points into itself: not to be copied or moved. */
struct action_message {
	Vow__V1__Action action;
	Vow__V1__Alert alert;
	Vow__V1__Scale scale;
	Vow__V1__Evidence evidence[ACTION_EVIDENCE];
	Vow__V1__Evidence *evidence_rows[ACTION_EVIDENCE];
	Vow__V1__Series series[ACTION_EVIDENCE];
};

/* Makes message->action ready to pack; texts stay the action's, which must outlive it. */
void action_to_message(const struct action *action, struct action_message *message);
/* Checks all of it: -EPROTO with d filled. Texts are cut and cleaned. */
int action_from_message(const Vow__V1__Action *message, struct action *action, struct diag *d);

/* The same for a series' key; the host is no part of the message, and empty after reading. */
void series_key_to_message(const struct series_key *key, Vow__V1__Series *message);
int series_key_from_message(const Vow__V1__Series *message, struct series_key *key, struct diag *d);

#endif
