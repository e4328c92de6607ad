/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/host/host_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define ANSWER_MAX   32768 /* the kernel's own limit of one part of a list */
#define STATE_LISTEN 10 /* TCP_LISTEN of the kernel */

void host_listen_open(struct host_listen *listen)
{
	memset(listen, 0, sizeof(*listen));
	listen->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

void host_listen_close(struct host_listen *listen)
{
	fd_closep(&listen->fd);
}

/* ---- what is known of each ---------------------------------------------------------------------- */

static struct host_listener *listener_find(struct host_listen *listen, uint64_t cookie)
{
	for (unsigned i = 0; i < listen->count; i++)
		if (listen->listeners[i].cookie == cookie)
			return &listen->listeners[i];
	return NULL;
}

static struct host_listener *listener_room(struct host_listen *listen)
{
	struct host_listener *oldest = listen->listeners;

	if (listen->count < HOST_LISTEN_MAX)
		return &listen->listeners[listen->count++];
	for (unsigned i = 1; i < listen->count; i++)
		if (listen->listeners[i].grown_at < oldest->grown_at)
			oldest = &listen->listeners[i];
	listen->forgot = true;
	return oldest;
}

static void listener_label(const struct inet_diag_msg *m, char label[SERIES_NAME_MAX + 1])
{
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(m->idiag_family, m->id.idiag_src, address, sizeof(address));
	snprintf(label, SERIES_NAME_MAX + 1,
		 m->idiag_family == AF_INET6 ? "[%.39s]:%u" : "%.39s:%u", address,
		 ntohs(m->id.idiag_sport));
}

/* drops is the kernel's 32-bit counter: differences are right over its wrap. */
static void listener_take(struct host_listen *listen, const struct inet_diag_msg *m, uint32_t drops,
			  mono_ns now)
{
	uint64_t cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
	struct host_listener *l = listener_find(listen, cookie);

	if (!l) {
		if (!drops)
			return;
		l = listener_room(listen);
		*l = (struct host_listener){.cookie = cookie};
		/* One that is new to us is new itself, unless we may have forgotten it. */
		if (!listen->known || listen->forgot)
			l->seen = drops;
		listener_label(m, l->label);
	}
	if (drops == l->seen)
		return;
	l->drops += drops - l->seen;
	l->seen = drops;
	l->grown_at = now;
}

/* ---- netlink ------------------------------------------------------------------------------------ */

static int list_ask(int fd, uint8_t family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 request;
	} ask = {
		.head = {.nlmsg_len = sizeof(ask),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = family,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			    .idiag_states = 1 << STATE_LISTEN},
	};

	return send(fd, &ask, sizeof(ask), 0) < 0 ? -errno : 0;
}

static void socket_take(struct host_listen *listen, const struct nlmsghdr *head, mono_ns now)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	int left = (int)NLMSG_PAYLOAD(head, sizeof(*m));

	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || head->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return;
	for (const struct rtattr *a = (const struct rtattr *)(m + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		uint32_t memory[SK_MEMINFO_VARS] = {0};

		if (a->rta_type != INET_DIAG_SKMEMINFO || RTA_PAYLOAD(a) < sizeof(memory))
			continue;
		memcpy(memory, RTA_DATA(a), sizeof(memory));
		listener_take(listen, m, memory[SK_MEMINFO_DROPS], now);
	}
}

/* One part of the answer. 1 when it was the last one, 0, or a negative errno. */
static int list_part(struct host_listen *listen, mono_ns now)
{
	uint32_t answer[ANSWER_MAX / sizeof(uint32_t)];
	ssize_t n = recv(listen->fd, answer, sizeof(answer), 0);
	ssize_t left = n; /* signed: the padding of the last one may not be there */

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (const struct nlmsghdr *head = (const struct nlmsghdr *)answer; NLMSG_OK(head, left);
	     head = NLMSG_NEXT(head, left)) {
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == NLMSG_ERROR)
			return -ENOTSUP;
		socket_take(listen, head, now);
	}
	return n ? 0 : 1;
}

int host_listen_read(struct host_listen *listen, mono_ns now)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int rc = listen->fd < 0 ? -ENOTSUP : 0;

	for (size_t i = 0; !rc && i < ARRAY_LEN(families); i++) {
		rc = list_ask(listen->fd, families[i]);
		while (!rc)
			rc = list_part(listen, now);
		rc = rc > 0 ? 0 : rc;
	}
	if (!rc)
		listen->known = true;
	return rc;
}

void host_listen_publish(const struct host_listen *listen, struct gauge_table *gauges, mono_ns now)
{
	for (unsigned i = 0; i < listen->count; i++) {
		const struct host_listener *l = &listen->listeners[i];
		uint64_t sum = 0;

		for (unsigned k = 0; k < listen->count; k++)
			if (!strcmp(listen->listeners[k].label, l->label))
				sum += listen->listeners[k].drops;
		if (sum)
			gauge_set(gauges, "", "", "tcp_listen_drops_total", l->label, (double)sum,
				  now);
	}
}
