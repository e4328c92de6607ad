/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/service_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/process_stat.h"
#include "lib/base/fd.h"

#define SLOTS	 (2 * SERVICE_NAMES_MAX) /* of the hash table; half of them stay free */
#define LOOK_NS	 (2 * NS_PER_S)
#define FILE_MAX 4096 /* bytes of /proc/PID/cgroup that are read */
#define NONE	 UINT32_MAX

/* One process on one port: configured matches may tell apart what a process serves by port. */
struct known {
	pid_t pid;
	uint16_t port;
	uint64_t started; /* of the process, in ticks since boot: tells a pid given anew */
	mono_ns looked_at;
	char command[16];
	char name[SERIES_NAME_MAX + 1];
	uint32_t newer, older; /* by use */
	uint32_t next; /* in the same slot */
};

struct service_names {
	const struct service_match *matches;
	size_t match_count;
	const char *proc;
	struct process_list *processes; /* NULL: none */
	uint32_t count;
	uint32_t newest, oldest;
	uint32_t slots[SLOTS];
	struct known known[SERVICE_NAMES_MAX];
};

struct service_names *service_names_new(const struct service_match *matches, size_t count,
					const char *proc)
{
	struct service_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->proc = proc;
	service_names_reload(names, matches, count);
	return names;
}

void service_names_free(struct service_names *names)
{
	free(names);
}

void service_names_tell(struct service_names *names, struct process_list *processes)
{
	names->processes = processes;
}

void service_names_reload(struct service_names *names, const struct service_match *matches,
			  size_t count)
{
	names->matches = matches;
	names->match_count = count;
	names->count = 0;
	names->newest = names->oldest = NONE;
	memset(names->slots, 0xff, sizeof(names->slots));
}

/* ---- what a control group says ---------------------------------------------------------------- */

/* The value of a hexadecimal digit, -1: it is none. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20; /* systemd reads large letters as well */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape \xNN stands for; 0: this is none. */
static char unit_escape(const char *from, size_t length)
{
	int high, low;

	if (length < 4 || from[0] != '\\' || from[1] != 'x')
		return 0;
	high = hex_digit(from[2]);
	low = hex_digit(from[3]);
	return high < 0 || low < 0 ? 0 : (char)(high << 4 | low);
}

/* systemd writes bytes that a name may not hold as \xNN; all others stay. */
static void unit_text(const char *from, size_t length, char name[SERIES_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < length && n < SERIES_NAME_MAX; i++) {
		char byte = unit_escape(from + i, length - i);

		name[n++] = byte ? byte : from[i];
		i += byte ? 3 : 0;
	}
	name[n] = '\0';
}

/*
 * The 64 hexadecimal digits that container engines name their containers by: bare (cgroupfs), or
 * between the engine's name and ".scope" (systemd: docker-, libpod-, crio-, cri-containerd-). One
 * cloud has 32 digits, a dash and a number.
 */
static const char *container_id(const char *part, size_t length)
{
	size_t run = 0;

	for (size_t i = 0; i < length; i++) {
		run = strchr("0123456789abcdef", part[i]) ? run + 1 : 0;
		if (run == 64)
			return part + i - 63;
		if (run == 32 && i == 31 && length > 33 && part[32] == '-' &&
		    strspn(part + 33, "0123456789") == length - 33)
			return part;
	}
	return NULL;
}

static bool ends_with(const char *part, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length > n && !memcmp(part + length - n, end, n);
}

/* A part of the path such as "nginx.service"; a login's own manager is no service. */
static bool is_unit(const char *part, size_t length)
{
	return ends_with(part, length, ".service") && strncmp(part, "user@", 5) != 0;
}

/*
 * A container that a unit runs as its own (podman's units): the unit's name stays when the container
 * is made anew, which its id does not.
 */
static bool is_payload(const char *part, size_t length)
{
	static const char payload[] = "libpod-payload-";

	return length > strlen(payload) && !memcmp(part, payload, strlen(payload));
}

/* "web" of "lxc.payload.web": containers that have names. */
static bool named_container(const char *part, size_t length, char name[SERIES_NAME_MAX + 1])
{
	static const char payload[] = "lxc.payload.";

	if (length <= strlen(payload) || memcmp(part, payload, strlen(payload)) != 0)
		return false;
	unit_text(part + strlen(payload), length - strlen(payload), name);
	return true;
}

void service_name_of_cgroup(const char *path, char name[SERIES_NAME_MAX + 1])
{
	const char *end = path + strcspn(path, "\n");

	name[0] = '\0';
	/* From the innermost group outwards. */
	while (end > path) {
		const char *part = end;
		const char *id;
		size_t length;

		while (part > path && part[-1] != '/')
			part--;
		length = (size_t)(end - part);
		id = is_payload(part, length) ? NULL : container_id(part, length);
		if (id) {
			memcpy(name, id, 12);
			name[12] = '\0';
			return;
		}
		if (is_unit(part, length)) {
			unit_text(part, length - strlen(".service"), name);
			return;
		}
		if (named_container(part, length, name))
			return;
		end = part > path ? part - 1 : path;
	}
}

/* ---- what /proc says -------------------------------------------------------------------------- */

/* One file of a process, ended with a NUL; its length, or a negative errno. */
static ssize_t proc_read(const struct service_names *names, pid_t pid, const char *file,
			 char buf[FILE_MAX])
{
	char path[256];
	_cleanup_(fd_closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/%s", names->proc, (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = fd_read_full(fd, buf, FILE_MAX - 1);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* How much a line of /proc/PID/cgroup ("4:memory:/x") is worth: 0 when it is the root's. */
static int cgroup_worth(const char *line, const char *path)
{
	if (!path || !path[1])
		return 0;
	if (!strncmp(line, "0::", 3))
		return 3;
	return strstr(line, ":name=systemd:") ? 2 : 1;
}

/*
 * The path of the unified hierarchy, else of systemd's own, else of any controller: an engine
 * without systemd may use these alone. "" when all are the root.
 */
static void process_cgroup(const struct service_names *names, pid_t pid, char text[FILE_MAX],
			   const char **path)
{
	char *rest = text, *line;
	int best = 0;

	*path = "";
	if (proc_read(names, pid, "cgroup", text) <= 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		const char *at = strchr(line, '/');
		int worth = cgroup_worth(line, at);

		if (worth > best) {
			best = worth;
			*path = at;
		}
	}
}

/* The base name of a process's program; "" when it cannot be read. */
static void process_executable(const struct service_names *names, pid_t pid, char name[64])
{
	static const char deleted[] = " (deleted)"; /* what the kernel adds after an upgrade */
	char path[256], target[512];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/exe", names->proc, (int)pid);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	if (n > 0 && ends_with(target, (size_t)n, deleted))
		target[(size_t)n - strlen(deleted)] = '\0';
	snprintf(name, 64, "%.63s", strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/* ---- naming ----------------------------------------------------------------------------------- */

static const struct service_match *find_match(const struct service_names *names,
					      const struct known *k, const char *cgroup)
{
	char executable[64];
	bool asked = false;

	for (size_t i = 0; i < names->match_count; i++) {
		const struct service_match *m = &names->matches[i];

		if (m->port && m->port != k->port)
			continue;
		if (m->cgroup[0] && !strstr(cgroup, m->cgroup))
			continue;
		if (m->command[0] && strcmp(m->command, k->command)) {
			if (!asked)
				process_executable(names, k->pid, executable);
			asked = true;
			if (strcmp(m->command, executable))
				continue;
		}
		return m;
	}
	return NULL;
}

/*
 * The kernel cuts commands at 15 bytes. One of that length is taken from the program when it begins
 * so; a command that the process chose itself stays.
 */
static void name_of_command(const struct service_names *names, struct known *k)
{
	char executable[64];

	snprintf(k->name, sizeof(k->name), "%s", k->command[0] ? k->command : "unknown");
	if (strlen(k->command) < sizeof(k->command) - 1)
		return;
	process_executable(names, k->pid, executable);
	if (!strncmp(executable, k->command, strlen(k->command)))
		snprintf(k->name, sizeof(k->name), "%s", executable);
}

static void known_name(const struct service_names *names, struct known *k)
{
	char text[FILE_MAX];
	const struct service_match *match;
	const char *cgroup;

	process_cgroup(names, k->pid, text, &cgroup);
	match = find_match(names, k, cgroup);
	if (match) {
		memcpy(k->name, match->service, sizeof(k->name));
		return;
	}
	service_name_of_cgroup(cgroup, k->name);
	if (!k->name[0])
		name_of_command(names, k);
}

/* Looks the process up again, which keeps its name when it is gone; false when it is. */
static bool known_look(const struct service_names *names, struct known *k, const char *command)
{
	char current[16];
	uint64_t started = 0;
	bool there = process_stat_read(names->proc, k->pid, current, &started);

	if (!there && k->name[0])
		return false;
	if (!there)
		snprintf(current, sizeof(current), "%.15s", command);
	else if (k->name[0] && started == k->started && !strcmp(current, k->command))
		return true;
	memcpy(k->command, current, sizeof(current));
	k->started = started;
	known_name(names, k);
	return there;
}

/* ---- the names used last ---------------------------------------------------------------------- */

static uint32_t *slot_of(struct service_names *names, pid_t pid, uint16_t port)
{
	uint64_t mixed = ((uint64_t)(uint32_t)pid << 16 | port) * UINT64_C(0x9e3779b97f4a7c15);

	return &names->slots[mixed >> 51]; /* SLOTS is 2^13 */
}

_Static_assert(SLOTS == 1 << 13, "slot_of() takes the top 13 bits");

static void use_unlink(struct service_names *names, uint32_t at)
{
	struct known *k = &names->known[at];

	if (k->newer != NONE)
		names->known[k->newer].older = k->older;
	else
		names->newest = k->older;
	if (k->older != NONE)
		names->known[k->older].newer = k->newer;
	else
		names->oldest = k->newer;
}

static void use_newest(struct service_names *names, uint32_t at)
{
	struct known *k = &names->known[at];

	k->newer = NONE;
	k->older = names->newest;
	if (names->newest != NONE)
		names->known[names->newest].newer = at;
	else
		names->oldest = at;
	names->newest = at;
}

/* Room for one more: a free entry, or that of the name not used for longest. */
static uint32_t known_room(struct service_names *names)
{
	uint32_t at = names->oldest;
	struct known *k;
	uint32_t *link;

	if (names->count < SERVICE_NAMES_MAX)
		return names->count++;
	k = &names->known[at];
	link = slot_of(names, k->pid, k->port);
	while (*link != at)
		link = &names->known[*link].next;
	*link = k->next;
	use_unlink(names, at);
	return at;
}

const char *service_name_of(struct service_names *names, const struct service_process *process,
			    mono_ns now)
{
	uint32_t *slot = slot_of(names, process->pid, process->port);
	uint32_t at = *slot;
	struct known *k;

	while (at != NONE &&
	       (names->known[at].pid != process->pid || names->known[at].port != process->port))
		at = names->known[at].next;
	if (at != NONE) {
		k = &names->known[at];
		if (names->newest != at) {
			use_unlink(names, at);
			use_newest(names, at);
		}
		if (now - k->looked_at < LOOK_NS)
			return k->name;
	} else {
		at = known_room(names);
		k = &names->known[at];
		*k = (struct known){.pid = process->pid, .port = process->port, .next = *slot};
		*slot = at;
		use_newest(names, at);
	}
	k->looked_at = now;
	if (known_look(names, k, process->command))
		process_list_add(names->processes, k->pid, k->name,
				 process->at ? process->at : now);
	return k->name;
}
