/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program: the kernel calls itself what the environment's OTHER_KERNEL says. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

__attribute__((visibility("default"))) int uname(struct utsname *name)
{
	const char *release = getenv("OTHER_KERNEL");
	int rc = (int)syscall(SYS_uname, name);

	if (rc == 0 && release)
		snprintf(name->release, sizeof(name->release), "%s", release);
	return rc;
}
