/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/dirs.h"
#include "lib/base/fd.h"
#include "lib/base/self.h"

/* ---- frames ------------------------------------------------------------------------------------ */

static int ask_send_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		at += sent;
		size -= (size_t)sent;
	}
	return 0;
}

int ask_send(int fd, const uint8_t *bytes, size_t size)
{
	uint32_t length = htole32((uint32_t)size);
	int rc = ask_send_all(fd, &length, sizeof(length));

	return rc ? rc : ask_send_all(fd, bytes, size);
}

/* timeout 0: for ever. */
static int ask_wait(int fd, mono_ns deadline, bool forever)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	mono_ns now = clock_mono();
	int ms = forever ? -1 : now < deadline ? (int)((deadline - now) / NS_PER_MS) + 1 : 0;
	int count = poll(&ready, 1, ms);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	return count ? 0 : -ETIMEDOUT;
}

static int ask_receive_all(int fd, void *buf, size_t size, mono_ns deadline, bool forever)
{
	uint8_t *at = buf;

	while (size) {
		int rc = ask_wait(fd, deadline, forever);
		ssize_t got = rc ? rc : recv(fd, at, size, MSG_DONTWAIT);

		if (rc)
			return rc;
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return got ? -errno : -ECONNRESET;
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

int ask_receive(int fd, size_t max, dur_ns timeout, uint8_t **bytes, size_t *size)
{
	mono_ns deadline = clock_mono() + timeout;
	uint32_t length;
	uint8_t *frame;
	int rc = ask_receive_all(fd, &length, sizeof(length), deadline, !timeout);

	if (rc)
		return rc;
	length = le32toh(length);
	if (length > max)
		return -EMSGSIZE;
	frame = malloc(length + 1);
	if (!frame)
		return -ENOMEM;
	rc = ask_receive_all(fd, frame, length, deadline, !timeout);
	if (rc) {
		free(frame);
		return rc;
	}
	*bytes = frame;
	*size = length;
	return 0;
}

/* ---- the agent's socket ------------------------------------------------------------------------ */

/* What to do, with the folder that was asked for: without it one would start another agent. */
static int ask_explain_none(int rc, const char *dir, const char *path, struct diag *d)
{
	char fix[sizeof(d->fix)];

	if (dir)
		snprintf(fix, sizeof(fix),
			 "start vowd --dir %.80s; what was can be read without it: vow --dir %.80s "
			 "routes --at TIME",
			 dir, dir);
	else
		snprintf(fix, sizeof(fix),
			 "start vowd, or name its folder with --dir DIR, or a hub with --hub "
			 "HOST:PORT; what was can be read without it: vow routes --at TIME");
	return diag_set(d, rc, path, fix,
			"no agent answers here: vowd is not running with this folder");
}

static int ask_explain_agent(int rc, const char *dir, const char *path, struct diag *d)
{
	struct stat st;
	struct group *group;

	if (rc == -EACCES || rc == -EPERM) {
		group = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;
		if (!group || st.st_gid == 0)
			return diag_set(d, rc, path, "ask as root (sudo vow ...)",
					"you may not ask this agent");
		diag_set(d, rc, path, NULL, "you may not ask this agent");
		snprintf(d->fix, sizeof(d->fix),
			 "ask as root, or as a member of group %s: sudo adduser $USER %s",
			 group->gr_name, group->gr_name);
		return rc;
	}
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		return ask_explain_none(rc, dir, path, d);
	return rc;
}

static int ask_open_agent(struct ask *ask, const char *dir, struct diag *d)
{
	char path[DIRS_PATH_MAX];
	struct dirs dirs;
	int rc = dirs_init(&dirs, dir, d);

	if (rc)
		return rc;
	rc = dirs_path(path, dirs.run, "control.sock");
	if (rc)
		return diag_set(d, rc, dirs.run, NULL, "the name of this folder is too long");
	snprintf(ask->where, sizeof(ask->where), "%s", path);
	rc = fd_connect(path, ASK_TIMEOUT, d);
	if (rc < 0)
		return ask_explain_agent(rc, dir, path, d);
	ask->fd = rc;
	return 0;
}

/* ---- the helper for hubs ----------------------------------------------------------------------- */

static void ask_exec_helper(const char *path, int fd, const char *hub)
{
	/* The socket is its stdin; dup2 clears close-on-exec. Its stderr stays ours. */
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(127);
	execl(path, "vow-fleet", hub, (char *)NULL);
	_exit(127);
}

static int ask_open_hub(struct ask *ask, const char *hub, struct diag *d)
{
	char path[PATH_MAX];
	int pair[2], rc = self_find_helper("vow-fleet", path, d);
	pid_t pid;

	if (rc)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return diag_errno(d, -errno, "vow-fleet", NULL, "cannot make its socket");
	pid = fork();
	if (pid == 0)
		ask_exec_helper(path, pair[1], hub);
	rc = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (rc) {
		close(pair[0]);
		return diag_errno(d, rc, "vow-fleet", NULL, "cannot start it");
	}
	ask->fd = pair[0];
	ask->helper = pid;
	snprintf(ask->where, sizeof(ask->where), "%s", hub);
	return 0;
}

/* ---- both -------------------------------------------------------------------------------------- */

int ask_open(struct ask *ask, const char *dir, const char *hub, struct diag *d)
{
	*ask = (struct ask){.fd = -1};
	return hub ? ask_open_hub(ask, hub, d) : ask_open_agent(ask, dir, d);
}

static int ask_explain(const struct ask *ask, int rc, struct diag *d)
{
	if (rc == -ETIMEDOUT)
		return diag_set(d, rc, ask->where, "try again; is the machine overloaded?",
				"no answer within %d s", (int)(ASK_TIMEOUT / NS_PER_S));
	if (rc == -EMSGSIZE)
		return diag_set(d, -EPROTO, ask->where, NULL,
				"what answers there does not speak vow's control protocol");
	if (rc == -ECONNRESET || rc == -EPIPE)
		return diag_set(d, rc, ask->where, "is it being stopped? see its log",
				"the connection was closed before an answer came");
	return diag_errno(d, rc, ask->where, NULL, "cannot ask");
}

int ask_view(struct ask *ask, const struct view_query *query, struct view **view, struct diag *d)
{
	/* A hub may first let a refused connection time out. */
	dur_ns timeout = ask->helper ? 2 * ASK_TIMEOUT : ASK_TIMEOUT;
	uint8_t *question, *answer;
	size_t question_size, answer_size;
	int rc = view_query_encode(query, &question, &question_size);

	if (rc)
		return diag_errno(d, rc, ask->where, NULL, "cannot ask");
	rc = ask_send(ask->fd, question, question_size);
	free(question);
	rc = rc ? rc : ask_receive(ask->fd, ASK_ANSWER_MAX, timeout, &answer, &answer_size);
	if (rc)
		return ask_explain(ask, rc, d);
	rc = view_decode(answer, answer_size, view, d);
	free(answer);
	if (rc == -EPROTO)
		snprintf(d->where, sizeof(d->where), "%.*s", (int)sizeof(d->where) - 1, ask->where);
	return rc > 0 ? (d->err < 0 ? d->err : -EPROTO) : rc;
}

void ask_close(struct ask *ask)
{
	fd_closep(&ask->fd);
	if (ask->helper) {
		/* It ends by itself at the end of its input, unless a hub keeps it waiting. */
		kill(ask->helper, SIGTERM);
		waitpid(ask->helper, NULL, 0);
		ask->helper = 0;
	}
}

int ask_once(const char *dir, const char *hub, const struct view_query *query, struct view **view,
	     struct diag *d)
{
	struct ask ask;
	int rc = ask_open(&ask, dir, hub, d);

	rc = rc ? rc : ask_view(&ask, query, view, d);
	ask_close(&ask);
	return rc;
}
