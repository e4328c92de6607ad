/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/lanes/lane_quota.h"

#include <stdbool.h>

static bool lane_quota_user_exceeds(const struct lane_use *uses, unsigned count, uid_t user)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		if (uses[i].user == user)
			sum += uses[i].bytes;
	return sum > LANE_QUOTA_USER;
}

int lane_quota_excess(const struct lane_use *uses, unsigned count)
{
	uint64_t all = 0;
	int largest = -1;

	for (unsigned i = 0; i < count; i++) {
		if (uses[i].bytes > LANE_QUOTA_SEGMENT)
			return (int)i;
		all += uses[i].bytes;
	}
	/* Mostly all together take less than one user may. */
	for (unsigned i = 0; i < count && all > LANE_QUOTA_USER; i++)
		if ((largest < 0 || uses[i].bytes > uses[largest].bytes) &&
		    lane_quota_user_exceeds(uses, count, uses[i].user))
			largest = (int)i;
	return largest;
}
