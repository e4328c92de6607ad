/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that a hub could not read, kept so that somebody can find out why: a file each in a
 * folder, bounded. Thread of the loop; blocks on the disk.
 */
#ifndef VOW_EXPORT_REFUSED_H
#define VOW_EXPORT_REFUSED_H

#include "lib/data/journal.h"

/* Of all files of the folder: two of the largest records, thousands of ordinary ones. */
#define REFUSED_BYTES (64u << 20)

/*
 * Writes the record's wire bytes to DIR/EPOCH-SEQ.tick (both as 16 hex digits); the folder is made
 * when it lacks. 0, also when that record is there already. -EDQUOT when there is no more room, or
 * an errno of the disk, with d filled.
 */
int refused_keep(const char *dir, uint64_t epoch, const struct journal_record *record,
		 struct diag *d);

#endif
