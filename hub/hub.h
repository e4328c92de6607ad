/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running hub: which part follows which. Two threads: the caller's of hub_run() takes records,
 * commits, ticks and answers gRPC questions; the HTTP server's own reads what the first published.
 */
#ifndef VOW_HUB_HUB_H
#define VOW_HUB_HUB_H

#include <stdbool.h>

#include "config/config.h"

struct hub;

#define HUB_DIR_DEFAULT "/var/lib/vow-hub"

struct hub_options {
	const char *dir; /* store, lock and token; NULL: HUB_DIR_DEFAULT */
	const char *listen; /* of gRPC, "127.0.0.1:7412" */
	const char *http; /* "127.0.0.1:7413" */
	const char *http_names; /* for listen_is_asked(), on loopback; NULL: none */
	const char *config; /* as given on the command line; NULL: looked for */
	bool verbose; /* log agents that come and go */
};

/*
 * Makes every part, loads what the store holds, listens. config is taken over. On failure nothing
 * stays open, config is freed as well, and d says what to do; -EBUSY: another hub has the folder.
 */
int hub_open(const struct hub_options *options, struct vow_config *config, struct hub **hub,
	     struct diag *d);
/* Until hub_stop(); then a last commit and a checkpoint. Returns 0. */
int hub_run(struct hub *hub);
void hub_close(struct hub *hub); /* NULL is allowed */

/* Both from a signal handler. */
void hub_stop(struct hub *hub);
void hub_ask_reload(struct hub *hub);

#endif
