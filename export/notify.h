/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the configured receivers of what was decided: reads the journal as the named reader
 * "deliver", posts its alerts and scaling decisions, and moves the reader's position only over
 * records whose every message was accepted or given up. After a crash some are posted again, with
 * the same id. What is given up is a line in the file of dead letters. Thread of the loop; logs.
 */
#ifndef VOW_EXPORT_NOTIFY_H
#define VOW_EXPORT_NOTIFY_H

#include "config/config.h"
#include "lib/base/loop.h"

struct notify;

struct notify_options { /* texts are kept by reference */
	const char *journal; /* folder */
	const char *dead_letters; /* file */
	const char *host;
};

/* Begins at once. -ENOMEM, or -EINVAL for a receiver that cannot be, with d filled. */
int notify_new(struct loop *loop, const struct notify_options *options,
	       const struct vow_config *config, struct notify **notify, struct diag *d);
void notify_free(struct notify *notify);

/* Takes the receivers of another configuration; on failure the ones before stay. */
int notify_configure(struct notify *notify, const struct vow_config *config, struct diag *d);

void notify_grown(struct notify *notify); /* the journal may hold more */
void notify_replaced(struct notify *notify); /* it is another journal */

#endif
