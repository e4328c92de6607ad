/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/action.h"

const char *alert_state_name(enum alert_state state)
{
	static const char *const names[] = {
		[ALERT_OK] = "ok",
		[ALERT_PENDING] = "pending",
		[ALERT_FIRING] = "firing",
		[ALERT_RESOLVED] = "resolved",
	};

	return (unsigned)state < ARRAY_LEN(names) ? names[state] : "unknown";
}
