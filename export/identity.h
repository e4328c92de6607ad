/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this agent is to a hub: 16 random bytes in a file of the state folder, made once, by whoever
 * comes first. Copying the folder to another host copies the identity: remove the file there.
 */
#ifndef VOW_EXPORT_IDENTITY_H
#define VOW_EXPORT_IDENTITY_H

#include "lib/base/diag.h"
#include "lib/base/types.h"

#define IDENTITY_SIZE 16

/* Reads `path`, or makes it. -EPROTO when it has another size, or an errno, with d filled. */
int identity_load(const char *path, uint8_t id[IDENTITY_SIZE], struct diag *d);

#endif
