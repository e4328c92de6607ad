/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers consecutive records of the journal into one message for the hub. One thread; keeps its
 * memory from message to message, no more than a batch and one largest record.
 */
#ifndef VOW_EXPORT_OUTBOX_H
#define VOW_EXPORT_OUTBOX_H

#include <stdbool.h>

#include "lib/data/journal.h"

/* Where a batch ends: enough to make the cost of a message small, little enough to be taken fast. */
#define OUTBOX_RECORDS_MAX 64
#define OUTBOX_BYTES_MAX   (256u << 10)

struct outbox;
struct outbox *outbox_new(void); /* NULL when memory lacks */
void outbox_free(struct outbox *outbox);

void outbox_clear(struct outbox *outbox);
bool outbox_full(const struct outbox *outbox);
size_t outbox_count(const struct outbox *outbox);
/*
 * Copies the record's number and wire bytes. One that was merged into a later one becomes a tick
 * of nothing but a time, since one without bytes says that it was lost. -ENOMEM.
 */
int outbox_add(struct outbox *outbox, const struct journal_record *record);
/* The batch as a message, malloc'ed; gone_before and sent as in the stream's batch. -ENOMEM. */
int outbox_encode(struct outbox *outbox, uint64_t gone_before, wall_ns sent, uint8_t **bytes,
		  size_t *size);

#endif
