/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/service_name.h"
#include "tests/unit/check.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A process in a folder that stands for /proc. */
static void process_make(int pid, const char *command, unsigned started, const char *cgroup)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d", check_dir(), pid);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%d/stat", check_dir(), pid);
	file = fopen(path, "w");
	CHECK(file);
	fprintf(file, "%d (%s) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %u 99 1 18446\n", pid,
		command, started);
	fclose(file);
	snprintf(path, sizeof(path), "%s/%d/cgroup", check_dir(), pid);
	file = fopen(path, "w");
	CHECK(file);
	fputs(cgroup, file);
	fclose(file);
}

static void process_runs(int pid, const char *program)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%d/exe", check_dir(), pid);
	CHECK_OK(symlink(program, path));
}

static void process_remove(int pid)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%d/stat", check_dir(), pid);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%d/cgroup", check_dir(), pid);
	unlink(path);
}

static const char *name_of(struct service_names *names, int pid, uint16_t port, mono_ns now)
{
	struct service_process process = {.pid = pid, .port = port, .command = "seen"};

	return service_name_of(names, &process, now);
}

CHECK_TEST(test_cgroup_paths_name_units_and_containers)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{"/system.slice/nginx.service", "nginx"},
		{"/system.slice/system-app.slice/app@3.service", "app@3"},
		{"/system.slice/my\\x2dshop.service\n", "my-shop"},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/dev.service", "dev"},
		{"/user.slice/user-1000.slice/user@1000.service/init.scope", ""},
		{"/user.slice/user-1000.slice/session-3.scope", ""},
		{"/system.slice/docker-" ID64 ".scope", "0123456789ab"},
		{"/docker/" ID64, "0123456789ab"},
		{"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID64 ".scope/x",
		 "0123456789ab"},
		{"/system.slice/docker.service", "docker"},
		/* docker, containerd, podman with cgroupfs; one in another; systemd within */
		{"/docker/" ID64 "/init.scope", "0123456789ab"},
		{"/default/" ID64, "0123456789ab"},
		{"/libpod_parent/libpod-" ID64, "0123456789ab"},
		{"/docker/ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/"
		 "docker/" ID64,
		 "0123456789ab"},
		{"/docker/" ID64 "/system.slice/nginx.service", "nginx"},
		{"/../../system.slice/docker-" ID64 ".scope", "0123456789ab"},
		/* with systemd: podman as root and as a user, nerdctl */
		{"/machine.slice/libpod-" ID64 ".scope/container", "0123456789ab"},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID64
		 ".scope/container",
		 "0123456789ab"},
		{"/system.slice/nerdctl-" ID64 ".scope", "0123456789ab"},
		/* a unit that is a container keeps its name */
		{"/system.slice/web.service/libpod-payload-" ID64, "web"},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/"
		 "libpod-payload-" ID64 "/container",
		 "web"},
		/* kubernetes: containerd and cri-o, both drivers, all classes of service */
		{"/kubepods/burstable/pod0f3c9e8a-1b2c-4d5e-8f90-aabbccddeeff/" ID64,
		 "0123456789ab"},
		{"/kubepods/pod0f3c9e8a-1b2c-4d5e-8f90-aabbccddeeff/" ID64, "0123456789ab"},
		{"/kubepods/besteffort/pod0f3c9e8a-1b2c-4d5e-8f90-aabbccddeeff/crio-" ID64,
		 "0123456789ab"},
		{"/kubepods.slice/kubepods-burstable.slice/"
		 "kubepods-burstable-pod0f3c9e8a_1b2c_4d5e_8f90_aabbccddeeff.slice/"
		 "cri-containerd-" ID64 ".scope",
		 "0123456789ab"},
		{"/kubepods.slice/kubepods-pod0f3c9e8a_1b2c_4d5e_8f90_aabbccddeeff.slice/crio-" ID64
		 ".scope/container",
		 "0123456789ab"},
		{"/kubepods.slice/kubepods-besteffort.slice/"
		 "kubepods-besteffort-pod0f3c9e8a_1b2c_4d5e_8f90_aabbccddeeff.slice/docker-" ID64
		 ".scope",
		 "0123456789ab"},
		{"/system.slice/containerd.service/"
		 "kubepods-burstable-pod0f3c9e8a_1b2c_4d5e_8f90_aabbccddeeff.slice:cri-"
		 "containerd:" ID64,
		 "0123456789ab"},
		/* tasks of a cloud */
		{"/ecs/0123456789abcdef0123456789abcdef/" ID64, "0123456789ab"},
		{"/ecs/fedcba9876543210fedcba9876543210/0123456789abcdef0123456789abcdef-2813906",
		 "0123456789ab"},
		{"/ecs/x/0123456789abcdef0123456789abcdef-28139o6", ""},
		{"/batch/0123456789abcdef0123456789abcdef", ""},
		/* containers that have names */
		{"/lxc.payload.web/init.scope", "web"},
		{"/lxc.payload.web/system.slice/nginx.service", "nginx"},
		{"/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn@web"},
		{"/", ""},
		{"", ""},
		{"///", ""},
		{".service", ""},
		/* escapes, and what only begins as one */
		{"/web\\x2dshop\\x2Ds.service", "web-shop-s"},
		{"/a\\x2z.service", "a\\x2z"},
		{"/a\\x-1b.service", "a\\x-1b"},
		{"/a\\x 9b.service", "a\\x 9b"},
		{"/a\\x00b\\x2.service", "a\\x00b\\x2"},
	};
	char name[SERIES_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		service_name_of_cgroup(cases[i].path, name);
		CHECK_STR(name, cases[i].name);
	}
}

CHECK_TEST(test_unit_goes_before_command)
{
	struct service_names *names = service_names_new(NULL, 0, check_dir());

	process_make(1, "nginx", 10, "0::/system.slice/web.service\n");
	process_make(2, "we (ird) ) x", 10, "0::/\n");
	process_make(3, "java", 10, "3:cpu:/x\n1:name=systemd:/system.slice/shop.service\n0::/\n");
	CHECK_STR(name_of(names, 1, 80, 1), "web");
	CHECK_STR(name_of(names, 2, 80, 1), "we (ird) ) x");
	CHECK_STR(name_of(names, 3, 80, 1), "shop");
	CHECK_STR(name_of(names, 4, 80, 1), "seen");
	process_make(5, "java", 10, "4:memory:/docker/" ID64 "\n1:name=systemd:/\n0::/\n");
	process_make(6, "java", 10, "4:memory:/a.service\n1:name=systemd:/\n0::/b.service\n");
	CHECK_STR(name_of(names, 5, 80, 1), "0123456789ab");
	CHECK_STR(name_of(names, 6, 80, 1), "b");
	service_names_free(names);
}

CHECK_TEST(test_command_that_the_kernel_cut_is_told_in_full)
{
	struct service_names *names = service_names_new(NULL, 0, check_dir());

	process_make(1, "webhook_receive", 10, "0::/\n");
	process_runs(1, "/usr/bin/webhook_receiver");
	process_make(2, "webhook_receive", 10, "0::/\n");
	process_runs(2, "/usr/bin/webhook_receiver (deleted)");
	process_make(3, "own-name-of-15b", 10, "0::/\n");
	process_runs(3, "/usr/bin/python3.11");
	process_make(4, "webhook_receive", 10, "0::/\n");
	process_make(5, "short", 10, "0::/\n");
	process_runs(5, "/usr/bin/shorter");
	CHECK_STR(name_of(names, 1, 80, 1), "webhook_receiver");
	CHECK_STR(name_of(names, 2, 80, 1), "webhook_receiver");
	CHECK_STR(name_of(names, 3, 80, 1), "own-name-of-15b");
	CHECK_STR(name_of(names, 4, 80, 1), "webhook_receive");
	CHECK_STR(name_of(names, 5, 80, 1), "short");
	service_names_free(names);
}

CHECK_TEST(test_configured_match_needs_every_given_part)
{
	static const struct service_match matches[] = {
		{.command = "node", .port = 3000, .service = "booking"},
		{.cgroup = "batch.slice", .service = "batch"},
		{.command = "node", .service = "other-node"},
	};
	struct service_names *names = service_names_new(matches, 3, check_dir());

	process_make(1, "node", 10, "0::/system.slice/web.service\n");
	process_make(2, "ruby", 10, "0::/batch.slice/x.service\n");
	CHECK_STR(name_of(names, 1, 3000, 1), "booking");
	CHECK_STR(name_of(names, 1, 3001, 1), "other-node");
	CHECK_STR(name_of(names, 1, 0, 1), "other-node");
	CHECK_STR(name_of(names, 2, 3000, 1), "batch");
	service_names_reload(names, NULL, 0);
	CHECK_STR(name_of(names, 1, 3000, 2), "web");
	service_names_free(names);
}

CHECK_TEST(test_pid_given_to_another_process_gets_its_name)
{
	struct service_names *names = service_names_new(NULL, 0, check_dir());

	process_make(7, "sh", 10, "0::/\n");
	CHECK_STR(name_of(names, 7, 0, NS_PER_S), "sh");
	process_make(7, "curl", 10, "0::/\n");
	CHECK_STR(name_of(names, 7, 0, 2 * NS_PER_S), "sh");
	CHECK_STR(name_of(names, 7, 0, 4 * NS_PER_S), "curl");
	process_make(7, "curl", 99, "0::/system.slice/cron.service\n");
	CHECK_STR(name_of(names, 7, 0, 8 * NS_PER_S), "cron");
	process_remove(7);
	CHECK_STR(name_of(names, 7, 0, 12 * NS_PER_S), "cron");
	service_names_free(names);
}

CHECK_TEST(test_names_used_longest_ago_are_forgotten_first)
{
	struct service_names *names = service_names_new(NULL, 0, check_dir());
	struct service_process process = {.command = "first"};

	process.pid = 1;
	CHECK_STR(service_name_of(names, &process, 1), "first");
	process.command = "later";
	for (int pid = 2; pid <= SERVICE_NAMES_MAX; pid++) {
		process.pid = pid;
		CHECK_STR(service_name_of(names, &process, 1), "later");
	}
	process.pid = 1;
	CHECK_STR(service_name_of(names, &process, 1), "first");
	/* One more takes the place of process 2, not of process 1 that was just asked for. */
	process.pid = SERVICE_NAMES_MAX + 1;
	service_name_of(names, &process, 1);
	process.command = "new";
	process.pid = 1;
	CHECK_STR(service_name_of(names, &process, 1), "first");
	process.pid = 2;
	CHECK_STR(service_name_of(names, &process, 1), "new");
	service_names_free(names);
}

CHECK_MAIN("service_name", test_cgroup_paths_name_units_and_containers,
	   test_unit_goes_before_command, test_command_that_the_kernel_cut_is_told_in_full,
	   test_configured_match_needs_every_given_part,
	   test_pid_given_to_another_process_gets_its_name,
	   test_names_used_longest_ago_are_forgotten_first)
