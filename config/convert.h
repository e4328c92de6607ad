/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the texts of vow.yaml to values: units, ranges, names, and what belongs together. One
 * thread; allocates; reads the files that secrets are in.
 */
#ifndef VOW_CONFIG_CONVERT_H
#define VOW_CONFIG_CONVERT_H

#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"

/*
 * Fills config, which holds the defaults, from raw (NULL: nothing given). -EINVAL with d saying
 * file:line, what, and the fix, also when mistakes has some; -ENOMEM; config is to be freed then.
 */
int convert(const struct document *document, const struct raw_config *raw,
	    struct vow_config *config, struct mistakes *mistakes, struct diag *d);

/* Its part for objectives and scaling (convert_policy.c), into policy, which holds the defaults. */
int convert_policy(const struct value_reader *reader, const struct raw_config *raw,
		   struct policy *policy);
/* Its part for names of peers (convert_peers.c). */
int convert_peers(const struct value_reader *reader, const struct raw_config *raw,
		  struct vow_config *config);

#endif
