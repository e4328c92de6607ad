/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into nginx: its clock moves with each socket call.
 *
 * nginx reads the clock once a turn of its loop, so a $request_time is off by what the turns at its
 * two ends lasted, which on a busy machine is more than the 1 ms that it is written with. Read anew
 * after each receive and send, it says when the bytes moved.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define EXPORTED __attribute__((visibility("default")))

/* nginx's own, exported for its modules. */
void ngx_time_update(void) __attribute__((weak));

static void *nginx_clock_next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static ssize_t nginx_clock_moved(ssize_t rc)
{
	if (rc > 0 && ngx_time_update)
		ngx_time_update();
	return rc;
}

EXPORTED ssize_t recv(int fd, void *buf, size_t size, int flags)
{
	static ssize_t (*next)(int, void *, size_t, int);

	if (!next)
		next = nginx_clock_next("recv");
	return nginx_clock_moved(next(fd, buf, size, flags));
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
	static ssize_t (*next)(int, const struct iovec *, int);

	if (!next)
		next = nginx_clock_next("writev");
	return nginx_clock_moved(next(fd, parts, count));
}

EXPORTED ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
	static ssize_t (*next)(int, int, off64_t *, size_t);

	if (!next)
		next = nginx_clock_next("sendfile64");
	return nginx_clock_moved(next(out, in, offset, count));
}
