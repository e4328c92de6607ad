/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector of what goes wrong between TCP and its peers: segments sent again, and connections
 * that did not come about, with the reason. By peer as a process of this host calls it; what
 * clients of an own port had sent again is of that port, ":8080".
 *
 * The kernel counts; once a second the agent looks whether any sum has grown, and only then at the
 * peers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collector.h"
#include "collectors/host/tcp_bpf.h"
#include "collectors/peer_text.h"
#include "config/config.h"

#define EVERY	  NS_PER_S
#define SHOWN_MAX 64 /* peers with gauges: those in trouble last */

struct tcp {
	struct gauge_table *gauges;
	const struct vow_config *config;
	struct tcp_bpf *bpf;
	struct tcp_bpf_sums sums;
	mono_ns looked_at;
	unsigned shown;
	struct tcp_bpf_peer peers[SHOWN_MAX];
	uint64_t present; /* entries, as of the last look at them */
	int err; /* of that look */
};

static int tcp_open(const struct collector_context *context, void **state, struct diag *d)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	int rc;

	if (!tcp)
		return diag_errno(d, -ENOMEM, "tcp", NULL, "no memory");
	tcp->gauges = context->gauges;
	tcp->config = context->config;
	rc = tcp_bpf_open(&tcp->bpf, d);
	if (rc) {
		free(tcp);
		return rc;
	}
	*state = tcp;
	return 0;
}

static void tcp_close(void *state)
{
	struct tcp *tcp = state;

	tcp_bpf_close(tcp->bpf);
	free(tcp);
}

/* Keeps those in trouble last. */
static void peer_taken(void *arg, const struct tcp_bpf_peer *peer)
{
	struct tcp *tcp = arg;
	unsigned oldest = 0;

	if (tcp->shown < SHOWN_MAX) {
		tcp->peers[tcp->shown++] = *peer;
		return;
	}
	for (unsigned i = 1; i < SHOWN_MAX; i++)
		if (tcp->peers[i].counts.last_at < tcp->peers[oldest].counts.last_at)
			oldest = i;
	if (peer->counts.last_at > tcp->peers[oldest].counts.last_at)
		tcp->peers[oldest] = *peer;
}

static void peers_take(struct tcp *tcp)
{
	int count;

	tcp->shown = 0;
	count = tcp_bpf_each(tcp->bpf, peer_taken, tcp);
	tcp->err = count < 0 ? count : 0;
	tcp->present = count < 0 ? tcp->present : (uint64_t)count;
}

static uint64_t evicted(const struct tcp *tcp)
{
	return tcp->sums.begun > tcp->present ? tcp->sums.begun - tcp->present : 0;
}

/* Peers of one name are one row, of the sums. */
struct row {
	char label[SERIES_NAME_MAX + 1];
	uint64_t counts[TCP_TROUBLE_KINDS];
};

static struct row *row_of(struct row *rows, unsigned *count, const char *label)
{
	unsigned i = 0;

	while (i < *count && strcmp(rows[i].label, label) != 0)
		i++;
	if (i == *count) {
		memset(&rows[i], 0, sizeof(rows[i]));
		series_text_set(rows[i].label, sizeof(rows[i].label), label, strlen(label));
		++*count;
	}
	return &rows[i];
}

static void rows_set(const struct tcp *tcp, const struct row *rows, unsigned count, mono_ns now)
{
#define TROUBLE_NAME(constant, name) [constant] = name,
	static const char *const names[TCP_TROUBLE_KINDS] = {TCP_TROUBLES(TROUBLE_NAME)};
#undef TROUBLE_NAME

	for (unsigned i = 0; i < count; i++)
		for (unsigned kind = 0; kind < TCP_TROUBLE_KINDS; kind++)
			if (rows[i].counts[kind])
				gauge_set(tcp->gauges, "", "", names[kind], rows[i].label,
					  (double)rows[i].counts[kind], now);
}

static void gauges_set(const struct tcp *tcp, mono_ns now)
{
	struct row rows[SHOWN_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < tcp->shown; i++) {
		const struct tcp_bpf_peer *p = &tcp->peers[i];
		char text[PEER_TEXT_MAX + 1];
		struct row *row = row_of(rows, &count,
					 peer_label(tcp->config->peers, tcp->config->peer_count,
						    p->peer.address, p->peer.port, text));

		for (unsigned kind = 0; kind < TCP_TROUBLE_KINDS; kind++)
			row->counts[kind] += p->counts.counts[kind];
	}
	rows_set(tcp, rows, count, now);
	if (evicted(tcp))
		gauge_set(tcp->gauges, "", "", "tcp_peers_evicted_total", "", (double)evicted(tcp),
			  now);
}

static uint64_t tcp_poll(void *state, mono_ns now)
{
	struct tcp *tcp = state;
	struct tcp_bpf_sums sums;

	if (tcp->looked_at && now - tcp->looked_at < EVERY)
		return 0;
	tcp->looked_at = now;
	tcp_bpf_sums(tcp->bpf, &sums);
	if (memcmp(&sums, &tcp->sums, sizeof(sums)) != 0 || tcp->err) {
		tcp->sums = sums;
		peers_take(tcp);
	}
	gauges_set(tcp, now);
	return 0;
}

static void tcp_reload(void *state, const struct vow_config *config)
{
	struct tcp *tcp = state;

	tcp->config = config;
}

static void tcp_status(const void *state, struct collector_status *status)
{
	const struct tcp *tcp = state;

	status->tier = tcp ? "bpf" : "off";
	if (!tcp)
		return;
	for (unsigned i = 0; i < TCP_TROUBLE_KINDS; i++)
		status->events_total += tcp->sums.seen[i];
	/* Sums of programs that are running: one may be ahead of the other. */
	status->events_total -=
		tcp->sums.failed < status->events_total ? tcp->sums.failed : status->events_total;
	status->drops[status->drop_count++] =
		(struct collector_drop){"no_memory", tcp->sums.failed};
	snprintf(status->detail, sizeof(status->detail),
		 "segments sent again and connections that failed, by peer, by tracepoints of TCP; "
		 "peers known %llu, evicted since others were in trouble later %llu",
		 (unsigned long long)tcp->present, (unsigned long long)evicted(tcp));
	if (tcp->err)
		snprintf(status->problem, sizeof(status->problem), "the peers cannot be read: %s",
			 strerror(-tcp->err));
}

const struct collector_ops tcp_collector = {
	.name = "tcp",
	.open = tcp_open,
	.poll = tcp_poll,
	.reload = tcp_reload,
	.status = tcp_status,
	.close = tcp_close,
};
