/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints every HTTP pair that the BPF programs report, one line each, until SIGTERM or SIGINT:
 *
 *	role outcome method status path total_ns first_byte_ns queue_ns opening_ns request_bytes
 *	response_bytes pid flags local_port remote_port started_at command
 *
 * and what was counted when the rings were full, each sum as
 *
 *	sum role outcome method status pid port count sum_ns SLOT:COUNT,... SLOT:COUNT,... command
 *
 * of latencies and of waits ("-" none), slots as in lib/data/hist.h.
 *
 * queue_ns is -1 when unknown. The line "ready" on stderr says that capturing has begun. At the
 * end the rings are drained and stderr gets one line "NAME VALUE" for each counter, for "records"
 * (pairs taken), "summed" (pairs in sums), "kept" (sockets of which something is known), "missed"
 * (program runs that the kernel left out), "late" (pairs seen although
 * capturing had ended), and for "bpf_ns" and "bpf_runs" (0 without kernel.bpf_stats_enabled).
 *
 *	-q		print no pairs
 *	-p PORT		print only pairs in which one side has this port
 *	-r BYTES	size of the ring
 *	-n		look for the headers that are looked for by default, and print four more fields
 *			before the command: trace id, hash of the delivery, event, name of the peer;
 *			"-" none
 *	-j FIELD	with -n: and for this field of JSON bodies
 *	-t A|B|C	this tier instead of the best one
 *	-b FILE		the kernel's types, for tier C
 *	-s		sweep all the time, instead of ten times a second
 *	-T PID:FILE	probe the TLS calls of a process, which are in that file
 *	-a		each of their places for itself, as kernels before 6.13 want it
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collectors/http/http_bpf.h"
#include "collectors/http/http_names.h"
#include "collectors/http/http_text.h"
#include "config/config.h"

static volatile sig_atomic_t ended;

struct dump {
	bool quiet, notes, sweeping;
	unsigned port; /* 0: any */
	uint64_t records;
	uint64_t summed;
};

static void end(int signum)
{
	(void)signum;
	ended = 1;
}

static void notes_format(const struct http_record *r, char *text, size_t room)
{
	char trace[HTTP_TRACE_TEXT + 1], event[HTTP_EVENT_MAX + 1], id[20] = "-";

	if (r->notes.has & HTTP_HEADER_DELIVERY)
		snprintf(id, sizeof(id), "%016" PRIx64, (uint64_t)r->notes.delivery);
	snprintf(text, room, " %s %s %s %.*s", http_names_trace(r, trace) ? trace : "-", id,
		 http_names_event(r, event) ? event : "-", HTTP_PEER_NAME,
		 r->peer.words[0] ? (const char *)r->peer.words : "-");
}

static void print_record(void *arg, const struct http_record *r)
{
	struct dump *dump = arg;
	char path[HTTP_PATH_MAX + 1], notes[200] = "";

	dump->records++;
	if (dump->quiet ||
	    (dump->port && r->local_port != dump->port && r->remote_port != dump->port))
		return;
	http_text_path(r, path);
	if (dump->notes)
		notes_format(r, notes, sizeof(notes));
	printf("%s %s %s %u %s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       " %u %u %u %u %" PRIu64 "%s %s\n",
	       r->role == HTTP_CLIENT ? "client" : "server", http_text_outcome(r->outcome),
	       r->method ? http_text_method(r->method) : "-", r->status, path[0] ? path : "-",
	       (uint64_t)r->total_ns, (uint64_t)r->first_byte_ns, (int64_t)r->queue_ns,
	       (uint64_t)r->opening_ns, (uint64_t)r->request_bytes, (uint64_t)r->response_bytes,
	       r->pid, r->flags, r->local_port, r->remote_port, (uint64_t)r->started_at, notes,
	       r->command);
}

static void print_slots(const struct hist *hist)
{
	const char *between = " ";

	if (!hist->count)
		printf(" -");
	for (uint32_t slot = hist->low; slot < hist->high; slot++) {
		if (!hist->slots[slot])
			continue;
		printf("%s%u:%" PRIu64, between, slot, hist->slots[slot]);
		between = ",";
	}
}

static void print_sum(void *arg, const struct http_overflow_sum *sum)
{
	const struct http_record *r = &sum->record;
	struct dump *dump = arg;

	dump->summed += sum->count;
	if (dump->quiet ||
	    (dump->port && r->local_port != dump->port && r->remote_port != dump->port))
		return;
	printf("sum %s %s %s %u %u %u %" PRIu64 " %" PRIu64,
	       r->role == HTTP_CLIENT ? "client" : "server", http_text_outcome(r->outcome),
	       r->method ? http_text_method(r->method) : "-", r->status, r->pid,
	       r->role == HTTP_CLIENT ? r->remote_port : r->local_port, sum->count,
	       sum->latency->sum_ns);
	print_slots(sum->latency);
	print_slots(sum->queue);
	printf(" %s\n", r->command);
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * (long)NS_PER_MS}, NULL);
}

/*
 * Ends capturing, and waits until responses that end by silence are old enough for the last sweep.
 * Returns the pairs seen in this time; 10 ms are left to what was in a program at that instant.
 */
static uint64_t capture_stop(struct http_bpf *bpf)
{
	uint64_t then[HTTP_COUNTERS] = {0}, now[HTTP_COUNTERS] = {0};

	http_bpf_stop(bpf);
	pause_ms(10);
	http_bpf_counters(bpf, then);
	pause_ms(100);
	http_bpf_counters(bpf, now);
	return now[HTTP_SEEN] - then[HTTP_SEEN];
}

static void print_counters(struct http_bpf *bpf, const struct dump *dump)
{
	struct http_bpf_cost costs[HTTP_BPF_PROGRAMS];
	uint64_t counters[HTTP_COUNTERS], ns = 0, runs = 0;
	unsigned programs = http_bpf_cost(bpf, costs);

	if (!http_bpf_counters(bpf, counters))
		for (unsigned i = 0; i < HTTP_COUNTERS; i++)
			fprintf(stderr, "%s %" PRIu64 "\n", http_text_counter(i), counters[i]);
	for (unsigned i = 0; i < programs; i++) {
		ns += costs[i].ns;
		runs += costs[i].runs;
	}
	fprintf(stderr,
		"records %" PRIu64 "\nsummed %" PRIu64 "\nmissed %" PRIu64 "\nbpf_ns %" PRIu64
		"\nbpf_runs %" PRIu64 "\n",
		dump->records, dump->summed, http_bpf_missed(bpf), ns, runs);
}

static int trace(struct http_bpf *bpf, const char *what, struct tls_probes **probes, struct diag *d)
{
	const char *path = strchr(what, ':');
	int fd = path ? open(path + 1, O_RDONLY | O_CLOEXEC) : -1;
	struct tls_sites sites;
	int err;

	if (fd < 0)
		return diag_errno(d, -EINVAL, what, NULL, "no PID:FILE");
	err = tls_sites_find(fd, &sites, d);
	close(fd);
	return err ? err : http_bpf_probe(bpf, atoi(what), path + 1, &sites, probes, d);
}

/* As without a file, and what -j adds. */
static struct vow_config config = {
	.capture_traces = true,
	.capture_peer_names = true,
	.delivery_ids = {{"webhook-id", "Idempotency-Key", "X-*-Delivery"}, 3},
	.event_types = {{"X-GitHub-Event", "Stripe-Signature"}, 2},
};

static void fields_add(const char *name)
{
	struct header_names *types = &config.event_types;

	if (types->count < HEADER_NAMES)
		snprintf(types->names[types->count++], sizeof(types->names[0]), EVENT_FIELD "%s",
			 name);
}

int main(int argc, char **argv)
{
	struct dump dump = {0};
	struct http_bpf_options options = {0};
	struct http_bpf_sweep sweep;
	struct http_headers headers;
	struct sigaction action = {.sa_handler = end};
	struct http_bpf *bpf;
	struct diag d = {0};
	uint64_t late;
	char text[700];
	int option;
	const char *traced = NULL;
	struct tls_probes *probes = NULL;

	while ((option = getopt(argc, argv, "anqsb:j:p:r:t:T:")) != -1) {
		if (option == 'a')
			options.probes_apart = true;
		else if (option == 'q')
			dump.quiet = true;
		else if (option == 'n')
			dump.notes = true;
		else if (option == 's')
			dump.sweeping = true;
		else if (option == 'p')
			dump.port = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'r')
			options.ring_bytes = strtoul(optarg, NULL, 10);
		else if (option == 'j')
			fields_add(optarg);
		else if (option == 'b')
			options.types = optarg;
		else if (option == 't')
			options.tier = optarg[0];
		else if (option == 'T')
			traced = optarg;
		else
			return 2;
	}
	if (dump.notes) {
		http_names_of_config(&headers, &config);
		options.headers = &headers;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	options.probes = traced != NULL;
	if (http_bpf_open(&bpf, &options, &d) || (traced && trace(bpf, traced, &probes, &d))) {
		fprintf(stderr, "capture_dump: %s\n", diag_format(&d, text, sizeof(text)));
		return 1;
	}
	/* Whole lines, in order: readers see a file in which both outputs are. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	fprintf(stderr, "ready\n");
	for (unsigned turn = 0; !ended; turn++) {
		pause_ms(dump.sweeping ? 0 : 5);
		if (turn % 20 == 0 || dump.sweeping)
			http_bpf_sweep(bpf, &sweep);
		while (http_bpf_drain(bpf, 4096, print_record, &dump) == 4096)
			;
		http_bpf_overflow(bpf, print_sum, &dump);
	}
	late = capture_stop(bpf);
	/* One finds that a socket has gone, the next one forgets it, the last one counts. */
	for (unsigned i = 0; i < 3; i++)
		http_bpf_sweep(bpf, &sweep);
	while (http_bpf_drain(bpf, 4096, print_record, &dump))
		;
	http_bpf_overflow(bpf, print_sum, &dump);
	fflush(stdout); /* both may go to one file, where lines must stay whole */
	fprintf(stderr, "late %" PRIu64 "\nkept %" PRIu64 "\n", late, sweep.kept);
	print_counters(bpf, &dump);
	tls_probes_detach(probes);
	http_bpf_close(bpf);
	return 0;
}
