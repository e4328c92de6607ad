/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from any thread to the thread of one loop, bounded: a sender never waits, a full
 * mailbox is a result with a counter. A message is a pointer whose ownership passes with it.
 */
#ifndef VOW_LIB_BASE_MAILBOX_H
#define VOW_LIB_BASE_MAILBOX_H

#include "lib/base/loop.h"
#include "lib/base/types.h"

struct mailbox;

typedef void (*mailbox_fn)(void *arg, void *message);

/*
 * fn gets each message on the loop's thread, those of one sender in their order, and owns it. The
 * mailbox holds at least `capacity` messages (1 to 2^20; rounded up to a power of two). NULL when
 * memory or a descriptor lacks.
 */
struct mailbox *mailbox_new(struct loop *loop, size_t capacity, mailbox_fn fn, void *arg);

/*
 * Any thread; neither blocks nor allocates. 0; or -ENOBUFS when it is full, and the message, which
 * is not NULL, stays the caller's.
 */
int mailbox_push(struct mailbox *mailbox, void *message);

/* Messages that mailbox_push() refused so far. Any thread. */
uint64_t mailbox_refused_total(struct mailbox *mailbox);

/*
 * On the loop's thread, when no sender can push any more. What was not delivered goes to
 * drop(arg of mailbox_new, message), once each; drop may be NULL. NULL mailbox is allowed.
 */
void mailbox_free(struct mailbox *mailbox, mailbox_fn drop);

#endif
