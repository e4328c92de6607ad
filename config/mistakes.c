/* SPDX-License-Identifier: Apache-2.0 */
#include "config/mistakes.h"

#include <errno.h>

bool mistakes_pass(struct mistakes *mistakes, int rc, const struct diag *d)
{
	if (rc != -EINVAL)
		return rc == 0;
	/* With the last that there is room for the reading ends: who called was told of it below. */
	if (!mistakes->fn || mistakes->count == CONFIG_MISTAKES_MAX)
		return false;
	mistakes->fn(mistakes->arg, d);
	mistakes->count++;
	return mistakes->count < CONFIG_MISTAKES_MAX;
}

int mistakes_end(const struct mistakes *mistakes)
{
	return mistakes->count ? -EINVAL : 0;
}
