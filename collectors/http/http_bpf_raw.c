/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_bpf_raw.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/http_raw.skel.h"
#include "lib/base/fd.h"
#include "lib/base/types.h"

#define OWN_TYPES "/sys/kernel/btf/vmlinux"
#define TYPES_FIX "give capture.btf a file with the types of this very kernel"
/* Those of a kernel take 5 MiB; a whole vmlinux, which has them in a section, up to 1 GiB. */
#define TYPES_MOST  (2LL << 30)
#define WHOLE_BYTES 1024 /* what these structures have at the very least */
#define TRY_BYTES   "unread"
#define TRY_WAIT    1000 /* ms, for what is at once on its way over loopback */

#define TRY_STATE 1 /* TCP_ESTABLISHED */

static int types_refuse(struct diag *d, int err, const char *types, const char *what)
{
	return diag_set(d, err, "eBPF tier C", TYPES_FIX, "%.200s: %s", types, what);
}

/* Neither a folder nor something that is never read to its end. */
static int types_is_file(const char *types, struct diag *d)
{
	_cleanup_(fd_closep) int fd = open(types, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat file;

	if (fd < 0 || fstat(fd, &file))
		return types_refuse(d, -errno, types, strerror(errno));
	if (!S_ISREG(file.st_mode) || file.st_size > TYPES_MOST)
		return types_refuse(d, -EINVAL, types, "no file of BTF");
	return 0;
}

/* Programs like ours name but the fields that they use. */
static bool types_have_whole(const struct btf *btf, const char *name)
{
	const int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);

	return id > 0 && btf__type_by_id(btf, (__u32)id)->size >= WHOLE_BYTES;
}

int http_bpf_raw_types(const char *types, struct diag *d)
{
	struct btf *btf;
	bool kernel;
	int err;

	if (!types && access(OWN_TYPES, R_OK))
		return diag_set(d, -ENOTSUP, "eBPF tier C",
				"use a kernel built with CONFIG_DEBUG_INFO_BTF, or " TYPES_FIX,
				"this kernel does not describe its types (" OWN_TYPES "): %s",
				strerror(errno));
	if (!types)
		return 0;
	err = types_is_file(types, d);
	if (err)
		return err;
	btf = btf__parse(types, NULL);
	if (!btf)
		return types_refuse(d, -EINVAL, types, "no BTF");
	kernel = types_have_whole(btf, "task_struct") && types_have_whole(btf, "tcp_sock");
	btf__free(btf);
	return kernel ? 0 : types_refuse(d, -EINVAL, types, "it describes no kernel");
}

/* ---- a connection to look at --------------------------------------------------------------------- */

struct
try {
	int listener, client, server;
	struct sockaddr_in address;
};

static void try_close(struct try *try)
{
	fd_closep(&try->listener);
	fd_closep(&try->client);
	fd_closep(&try->server);
}

/* 0 once the server has something to read. */
static int try_connect(struct try *try)
{
	struct sockaddr *address = (struct sockaddr *)&try->address;
	socklen_t size = sizeof(try->address);
	struct pollfd arrived;

	try->address.sin_family = AF_INET;
	try->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	try->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	try->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (try->listener < 0 || try->client < 0 || bind(try->listener, address, size) ||
	    listen(try->listener, 1) || getsockname(try->listener, address, &size) ||
	    connect(try->client, address, size))
		return -errno;
	try->server = accept4(try->listener, NULL, NULL, SOCK_CLOEXEC);
	if (try->server < 0 || send(try->client, TRY_BYTES, strlen(TRY_BYTES), MSG_NOSIGNAL) < 0)
		return -errno;
	arrived = (struct pollfd){.fd = try->server, .events = POLLIN};
	return poll(&arrived, 1, TRY_WAIT) == 1 ? 0 : -ETIMEDOUT;
}

/* Whether the programs have found what this connection is. */
static bool try_is_right(const struct try *try, const struct http_raw_skel *raw)
{
	struct sockaddr_in client = {0};
	socklen_t size = sizeof(client);
	struct stat file;

	if (getsockname(try->client, (struct sockaddr *)&client, &size) ||
	    fstat(try->server, &file))
		return false;
	return raw->bss->try_process && raw->bss->try_inode == file.st_ino &&
	       raw->bss->try_family == AF_INET && raw->bss->try_state == TRY_STATE &&
	       raw->bss->try_local_port == ntohs(try->address.sin_port) &&
	       raw->bss->try_remote_port == ntohs(client.sin_port) &&
	       raw->bss->try_unread == strlen(TRY_BYTES) && !raw->bss->try_unsent;
}

int http_bpf_raw_try(struct http_bpf_programs *programs, const char *types, struct diag *d)
{
	struct http_raw_skel *raw = programs->generated;
	_cleanup_(try_close) struct try try = {.listener = -1, .client = -1, .server = -1};
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = try_connect(&try);

	if (err)
		return diag_errno(d, err, "eBPF tier C", "let 127.0.0.1 be up",
				  "cannot make a connection to try the programs on");
	raw->bss->try_descriptor = (uint32_t)try.server;
	err = bpf_prog_test_run_opts(bpf_program__fd(raw->progs.http_try), &opts);
	if (err)
		return diag_errno(d, err, "eBPF tier C", "use kernel 5.13 or later",
				  "the kernel does not run the programs");
	if (!try_is_right(&try, raw))
		return types_refuse(
			d, -EINVAL, types ? types : OWN_TYPES,
			"the types of another kernel: fields lie elsewhere in this one");
	/* Without it, waits in the socket are unknown; nothing else needs it. */
	raw->links.http_arrived = bpf_program__attach(raw->progs.http_arrived);
	return 0;
}
