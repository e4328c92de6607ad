/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/self.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static dur_ns self_timeval_ns(struct timeval t)
{
	return (dur_ns)t.tv_sec * NS_PER_S + (dur_ns)t.tv_usec * NS_PER_US;
}

void self_measure(struct self_usage *usage, mono_ns now)
{
	struct rusage used;
	unsigned long size, resident;
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm) {
		if (fscanf(statm, "%lu %lu", &size, &resident) == 2)
			usage->rss_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
		fclose(statm);
	}
	if (getrusage(RUSAGE_SELF, &used))
		return;
	dur_ns cpu_ns = self_timeval_ns(used.ru_utime) + self_timeval_ns(used.ru_stime);
	if (usage->read_at && now > usage->read_at)
		usage->cpu_ratio =
			(double)(cpu_ns - usage->cpu_ns) / (double)(now - usage->read_at);
	usage->cpu_ns = cpu_ns;
	usage->read_at = now;
}

int self_find_helper(const char *name, char path[PATH_MAX], struct diag *d)
{
	static const char *const places[] = {"", "../lib/vow/"};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length < 0 ? 0 : length] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int wanted = snprintf(path, PATH_MAX, "%s/%s%s", self, places[i], name);

		if (wanted < PATH_MAX && access(path, X_OK) == 0)
			return 0;
	}
	return diag_set(d, -ENOENT, self, "install it, or build it with make",
			"the helper program %s is not here", name);
}
