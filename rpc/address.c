/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX 255 /* a DNS name's limit */

struct host_port {
	char host[HOST_MAX + 1];
	char port[6];
};

static bool port_valid(const char *port)
{
	size_t digits = strspn(port, "0123456789");

	return digits > 0 && digits <= 5 && port[digits] == '\0' && atoi(port) <= 65535;
}

static int address_split(const char *text, struct host_port *address)
{
	const char *colon = strrchr(text, ':');
	size_t length;

	if (!colon || !port_valid(colon + 1))
		return -EINVAL;
	length = (size_t)(colon - text);
	/* Colons in a host are IPv6 and need brackets, or the port would be a guess. */
	if (length >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		length -= 2;
	} else if (memchr(text, ':', length)) {
		return -EINVAL;
	}
	if (length == 0 || length > HOST_MAX)
		return -EINVAL;
	memcpy(address->host, text, length);
	address->host[length] = '\0';
	strcpy(address->port, colon + 1);
	return 0;
}

const char *rpc_address_path(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

int rpc_address_check(const char *text, struct diag *d)
{
	const char *path = rpc_address_path(text);
	struct host_port address;

	if (path) {
		if (path[0] && strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
			return 0;
		return diag_set(d, -EINVAL, text, "use a shorter path",
				"the path of a unix socket has 1 to 107 bytes");
	}
	if (address_split(text, &address) == 0)
		return 0;
	return diag_set(d, -EINVAL, text,
			"write HOST:PORT, [IPV6]:PORT or unix:PATH, as in 127.0.0.1:7412",
			"not an address");
}

bool rpc_address_is_local(const char *text)
{
	struct host_port address;
	struct in_addr ip;

	if (rpc_address_path(text))
		return true;
	if (address_split(text, &address))
		return false;
	if (inet_pton(AF_INET, address.host, &ip) == 1)
		return ntohl(ip.s_addr) >> 24 == 127;
	return strcmp(address.host, "::1") == 0 || strcmp(address.host, "localhost") == 0;
}

static int resolve(const char *text, struct addrinfo **list, struct diag *d)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct host_port address;
	int rc = address_split(text, &address);

	if (rc)
		return rpc_address_check(text, d);
	rc = getaddrinfo(address.host, address.port, &hints, list);
	if (rc)
		return diag_set(d, -EADDRNOTAVAIL, text, "check the name",
				"cannot look up '%s': %s", address.host, gai_strerror(rc));
	return 0;
}

static int bind_once(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static const char *bind_fix(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another program listens there: end it, or choose another port";
	case -EACCES:
		return "ports below 1024 need root";
	case -EADDRNOTAVAIL:
		return "use an address of this host, or 0.0.0.0";
	default:
		return NULL;
	}
}

int rpc_address_why_not_bound(const char *text, struct diag *d)
{
	struct addrinfo *list, *one;
	int rc;

	if (rpc_address_path(text))
		return diag_set(d, -EIO, text, "check that the folder exists and is writable",
				"cannot listen");
	rc = resolve(text, &list, d);
	if (rc)
		return rc;
	for (one = list; one && !rc; one = one->ai_next)
		rc = bind_once(one);
	freeaddrinfo(list);
	if (!rc)
		rc = -EIO;
	return diag_errno(d, rc, text, bind_fix(rc), "cannot listen");
}

static bool connect_fd(int fd, const struct sockaddr *address, socklen_t length, dur_ns timeout)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	int err = 0;
	socklen_t size = sizeof(err);

	if (connect(fd, address, length) == 0)
		return true;
	if (errno != EINPROGRESS || poll(&ready, 1, (int)(timeout / NS_PER_MS)) != 1)
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) == 0 && err == 0;
}

static bool connect_once(int family, const struct sockaddr *address, socklen_t length,
			 dur_ns timeout)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool accepted = fd >= 0 && connect_fd(fd, address, length, timeout);

	if (fd >= 0)
		close(fd);
	return accepted;
}

bool rpc_address_accepts(const char *text, dur_ns timeout)
{
	const char *path = rpc_address_path(text);
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct addrinfo *list, *one;
	bool accepted = false;

	if (path) {
		snprintf(local.sun_path, sizeof(local.sun_path), "%s", path);
		return connect_once(AF_UNIX, (const struct sockaddr *)&local, sizeof(local),
				    timeout);
	}
	if (resolve(text, &list, NULL))
		return false;
	for (one = list; one && !accepted; one = one->ai_next)
		accepted = connect_once(one->ai_family, one->ai_addr, one->ai_addrlen, timeout);
	freeaddrinfo(list);
	return accepted;
}
