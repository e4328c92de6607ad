/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when the journal has grown, so that nobody has to ask: inotify on its folder; where that
 * is refused (the kernel's limits), a look every 100 ms. Before vowd has made the journal, a look
 * every 250 ms. Also tells when the journal is another one than before (a new epoch). Thread of
 * the loop.
 */
#ifndef VOW_EXPORT_TAIL_H
#define VOW_EXPORT_TAIL_H

#include "lib/base/loop.h"

struct tail;

struct tail_handlers {
	void (*grown)(void *arg); /* perhaps: there may be nothing new */
	void (*replaced)(void *arg); /* readers that are open read what is gone */
	void *arg;
};

/* dir is kept by reference. NULL when memory lacks. */
struct tail *tail_new(struct loop *loop, const char *dir, const struct tail_handlers *handlers);
void tail_free(struct tail *tail);

#endif
