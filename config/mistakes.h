/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the reading of a file goes on behind a mistake: for a program the first one ends it, for
 * who checks the file each is told. One thread; neither blocks nor allocates.
 */
#ifndef VOW_CONFIG_MISTAKES_H
#define VOW_CONFIG_MISTAKES_H

#include "config/config.h"

struct mistakes {
	config_remark_fn fn; /* NULL: the first mistake ends the reading */
	void *arg;
	unsigned count; /* told so far */
};

/*
 * True when the reading goes on: rc is 0, or the mistake that d tells was told and there is room
 * for another. False: rc is to be handed up.
 */
bool mistakes_pass(struct mistakes *mistakes, int rc, const struct diag *d);

/* -EINVAL when some were told, else 0: what a reading that went on returns at its end. */
int mistakes_end(const struct mistakes *mistakes);

#endif
