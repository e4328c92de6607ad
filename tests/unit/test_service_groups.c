/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/host/service_groups.h"
#include "tests/unit/check.h"

/* A file in the test's folder, which stands for /proc and for the mounts; its folders are made. */
static void file_make(const char *name, const char *text)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", check_dir(), name);
	for (char *slash = path + strlen(check_dir()) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	/* Anew, as the kernel would: who has it open sees the new text. */
	file = fopen(path, "w");
	CHECK(file);
	fputs(text, file);
	fclose(file);
}

static void mounts_make(bool old)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "20 1 0:1 / /proc rw - proc proc rw\n"
		 "30 1 0:2 / %s/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		 check_dir());
	if (old)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "31 1 0:3 / %s/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
			 "32 1 0:4 / %s/cpuset rw - cgroup cgroup rw,cpuset\n"
			 "33 1 0:5 / %s/memory rw - cgroup cgroup rw,memory\n",
			 check_dir(), check_dir(), check_dir());
	file_make("self/mountinfo", text);
}

static double value_of(const struct gauge_table *gauges, const char *service, const char *name)
{
	const struct gauge *gauge = gauge_find(gauges, service, name, NULL);

	return gauge ? gauge->value : -1;
}

static int found(struct service_groups *groups, pid_t pid, const char *service)
{
	int rc;

	service_groups_begin(groups);
	rc = service_groups_add(groups, pid, service);
	service_groups_end(groups);
	return rc;
}

CHECK_TEST(test_a_group_of_version_2_says_what_held_its_service_up)
{
	struct gauge_table *gauges = gauge_table_new(0);
	struct service_groups *groups;

	mounts_make(false);
	file_make("7/cgroup", "0::/web.service\n");
	file_make("unified/web.service/cpu.stat",
		  "usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 1000\n");
	file_make("unified/web.service/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n");
	file_make("unified/web.service/memory.pressure", "some avg10=0.00 total=500000\n");
	groups = service_groups_new(check_dir());
	CHECK_STR(service_groups_version(groups), "v2");
	CHECK_OK(found(groups, 7, "web"));
	service_groups_read(groups, gauges, NS_PER_S);
	CHECK_EQ_U64(gauge_count(gauges), 0);
	file_make("unified/web.service/cpu.stat",
		  "usage_usec 9\nnr_periods 30\nnr_throttled 9\nthrottled_usec 501000\n");
	file_make("unified/web.service/memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\n");
	file_make("unified/web.service/memory.pressure", "some avg10=0.00 total=1000000\n");
	service_groups_read(groups, gauges, 3 * NS_PER_S);
	CHECK_NEAR(value_of(gauges, "web", "cpu_throttled_ratio"), 0.25, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "cpu_throttled_s_per_s"), 0.25, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "memory_oom_kills_total"), 1, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "memory_limit_hits_total"), 2, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "psi_memory_some_ratio"), 0.25, 1e-9);
	CHECK(!gauge_find(gauges, "web", "psi_cpu_some_ratio", NULL));
	service_groups_free(groups);
	gauge_table_free(gauges);
}

CHECK_TEST(test_groups_of_version_1_say_quota_and_kills)
{
	struct gauge_table *gauges = gauge_table_new(0);
	struct service_groups *groups;

	mounts_make(true);
	file_make("7/cgroup", "5:cpuset:/no\n4:memory:/m\n1:cpuacct,cpu:/c\n0::/\n");
	file_make("cpu/c/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 0\n");
	file_make("memory/m/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	file_make("memory/m/memory.failcnt", "7\n");
	groups = service_groups_new(check_dir());
	CHECK_STR(service_groups_version(groups), "v1 and v2");
	CHECK_OK(found(groups, 7, "web"));
	service_groups_read(groups, gauges, NS_PER_S);
	file_make("cpu/c/cpu.stat", "nr_periods 20\nnr_throttled 15\nthrottled_time 500000000\n");
	file_make("memory/m/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	file_make("memory/m/memory.failcnt", "9\n");
	service_groups_read(groups, gauges, 2 * NS_PER_S);
	CHECK_NEAR(value_of(gauges, "web", "cpu_throttled_ratio"), 1, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "cpu_throttled_s_per_s"), 0.5, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "memory_oom_kills_total"), 2, 1e-9);
	CHECK_NEAR(value_of(gauges, "web", "memory_limit_hits_total"), 2, 1e-9);
	service_groups_free(groups);
	gauge_table_free(gauges);
}

CHECK_TEST(test_two_groups_of_a_service_are_one_answer)
{
	struct gauge_table *gauges = gauge_table_new(0);
	struct service_groups *groups;

	mounts_make(false);
	file_make("7/cgroup", "0::/a\n");
	file_make("8/cgroup", "0::/b\n");
	file_make("unified/a/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
	file_make("unified/b/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
	groups = service_groups_new(check_dir());
	service_groups_begin(groups);
	CHECK_OK(service_groups_add(groups, 7, "web"));
	CHECK_OK(service_groups_add(groups, 8, "web"));
	service_groups_end(groups);
	CHECK_EQ_U64(service_groups_count(groups), 2);
	service_groups_read(groups, gauges, NS_PER_S);
	file_make("unified/a/cpu.stat", "nr_periods 10\nnr_throttled 10\nthrottled_usec 0\n");
	file_make("unified/b/cpu.stat", "nr_periods 10\nnr_throttled 0\nthrottled_usec 0\n");
	service_groups_read(groups, gauges, 2 * NS_PER_S);
	CHECK_NEAR(value_of(gauges, "web", "cpu_throttled_ratio"), 0.5, 1e-9);
	/* Nobody is left in b. */
	CHECK_OK(found(groups, 7, "web"));
	CHECK_EQ_U64(service_groups_count(groups), 1);
	service_groups_free(groups);
	gauge_table_free(gauges);
}

CHECK_TEST(test_the_root_is_nobodys_group_and_who_is_gone_is_told)
{
	struct service_groups *groups;

	file_make("7/cgroup", "0::/\n");
	file_make("8/cgroup", "0::/../outside\nnonsense\n:\n::\n");
	groups = service_groups_new(check_dir());
	CHECK_STR(service_groups_version(groups), "");
	CHECK_OK(found(groups, 7, "web"));
	CHECK_OK(found(groups, 8, "web"));
	CHECK_EQ_U64(service_groups_count(groups), 0);
	CHECK_RC(found(groups, 9, "web"), -ESRCH);
	service_groups_free(groups);
}

CHECK_TEST(test_groups_beyond_the_limit_are_counted)
{
	struct service_groups *groups;

	mounts_make(false);
	groups = service_groups_new(check_dir());
	service_groups_begin(groups);
	for (int pid = 1; pid <= SERVICE_GROUPS_MAX + 3; pid++) {
		char name[32], text[32];

		snprintf(name, sizeof(name), "%d/cgroup", pid);
		snprintf(text, sizeof(text), "0::/g%d\n", pid);
		file_make(name, text);
		CHECK_RC(service_groups_add(groups, pid, "web"),
			 pid <= SERVICE_GROUPS_MAX ? 0 : -ENOSPC);
	}
	service_groups_end(groups);
	CHECK_EQ_U64(service_groups_count(groups), SERVICE_GROUPS_MAX);
	CHECK_EQ_U64(service_groups_left_out(groups), 3);
	service_groups_free(groups);
}

CHECK_MAIN("service_groups", test_a_group_of_version_2_says_what_held_its_service_up,
	   test_groups_of_version_1_say_quota_and_kills,
	   test_two_groups_of_a_service_are_one_answer,
	   test_the_root_is_nobodys_group_and_who_is_gone_is_told,
	   test_groups_beyond_the_limit_are_counted)
