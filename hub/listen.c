/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Splits "HOST:PORT" or "[HOST]:PORT". */
static int listen_split(const char *listen, char *host, size_t room, const char **port)
{
	const char *colon = strrchr(listen, ':');
	size_t length;

	if (!colon || !colon[1] || colon == listen)
		return -EINVAL;
	length = (size_t)(colon - listen);
	if (listen[0] == '[' && listen[length - 1] == ']') {
		listen++;
		length -= 2;
	}
	if (length >= room)
		return -EINVAL;
	memcpy(host, listen, length);
	host[length] = '\0';
	*port = colon + 1;
	return 0;
}

static int listen_resolve(const char *listen, struct addrinfo **found, struct diag *d)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	const char *port;
	char host[256];
	int rc;

	if (listen_split(listen, host, sizeof(host), &port))
		return diag_set(d, -EINVAL, listen, "write it as 127.0.0.1:7413 or [::1]:7413",
				"is no address to listen on");
	rc = getaddrinfo(host, port, &hints, found);
	if (rc)
		return diag_set(d, -EINVAL, listen, "write it as 127.0.0.1:7413 or [::1]:7413",
				"is no address to listen on: %s", gai_strerror(rc));
	return 0;
}

static bool listen_at_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	}
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

bool listen_is_loopback(const char *listen)
{
	struct addrinfo *found;
	bool loopback = true;

	if (listen_resolve(listen, &found, NULL))
		return false;
	/* A name may stand for several addresses, and gRPC listens on all of them. */
	for (const struct addrinfo *one = found; one && loopback; one = one->ai_next)
		loopback = listen_at_loopback(one->ai_addr);
	freeaddrinfo(found);
	return loopback;
}

static bool listen_is_local_name(const char *name)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, name, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(name, "localhost") == 0;
}

static bool listen_is_among(const char *name, const char *names)
{
	size_t length = strlen(name);

	while (names && *names) {
		size_t next;

		names += strspn(names, ", ");
		next = strcspn(names, ", ");
		if (next && next == length && strncasecmp(names, name, length) == 0)
			return true;
		names += next;
	}
	return false;
}

bool listen_is_asked(const char *host, const char *listen_on, const char *names)
{
	char name[256], own[256], whole[300];
	const char *port;

	/* Without a port it is given one, since what follows wants one: "[::1]" has colons too. */
	if ((size_t)snprintf(whole, sizeof(whole), "%s%s", host,
			     strrchr(host, ':') > strrchr(host, ']') ? "" : ":0") >=
		    sizeof(whole) ||
	    listen_split(whole, name, sizeof(name), &port))
		return false;
	if (listen_is_local_name(name) || listen_is_among(name, names))
		return true;
	return listen_split(listen_on, own, sizeof(own), &port) == 0 && strcasecmp(name, own) == 0;
}

int listen_open(const char *listen_on, int *out, struct diag *d)
{
	struct addrinfo *found;
	int rc = listen_resolve(listen_on, &found, d);
	int fd, on = 1;

	if (rc)
		return rc;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		rc = diag_errno(d, -errno, listen_on, NULL, "cannot make a socket");
		freeaddrinfo(found);
		return rc;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 512)) {
		rc = -errno;
		close(fd);
		diag_errno(d, rc, listen_on,
			   rc == -EADDRINUSE ? "choose another port with --http" : NULL,
			   "cannot listen");
	} else {
		*out = fd;
	}
	freeaddrinfo(found);
	return rc;
}
