/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/tls_rights.h"

#include <errno.h>
#include <sys/capability.h>

bool tls_rights_held(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t has = CAP_CLEAR;
	bool held =
		caps && !cap_get_flag(caps, CAP_SYS_ADMIN, CAP_PERMITTED, &has) && has == CAP_SET;

	cap_free(caps);
	return held;
}

int tls_rights_set(bool on)
{
	const cap_value_t admin = CAP_SYS_ADMIN;
	cap_t caps = cap_get_proc();
	int rc = caps ? 0 : -ENOMEM;

	if (!rc && cap_set_flag(caps, CAP_EFFECTIVE, 1, &admin, on ? CAP_SET : CAP_CLEAR))
		rc = -errno;
	if (!rc && cap_set_proc(caps))
		rc = -errno;
	cap_free(caps);
	return rc;
}
