/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP capture costs: a request whose two ends are both in one process, as nginx and a
 * plain client make their calls; a call on a socket that does not speak HTTP, and one on a file; a
 * turn within TLS, whose 1.4 us are 0.7 for each end; and the agent's time
 * for one record, from the ring into the series table. The process is a child of this one, since
 * the capture passes over whoever opened it.
 *
 * Rounds with the capture and without it take turns. Of each turn the least of its rounds counts,
 * since whatever else runs on the machine only adds, and of the turns the median: the processor
 * has slower and faster minutes. Then, for each program, the least of the kernel's accounts
 * (kernel.bpf_stats_enabled), in which counting takes some 60 ns of each run. Needs root; says so
 * and does nothing without.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/http_pair.h"
#include "bench/measure.h"
#include "collectors/collector.h"
#include "collectors/http/http_bpf.h"
#include "config/config.h"
#include "lib/base/clock.h"

#define BPF_STATS "/proc/sys/kernel/bpf_stats_enabled"

enum {
	TURNS = 15, /* with the capture and without it */
	ROUNDS = 25, /* in each turn */
	REQUESTS = 300, /* in each round: some 3 ms */
	CALLS = 4, /* socket calls of a request, both ends */
};

enum { HTTP, OTHER, TLS, PLAIN_FILE }; /* what goes over a connection, or over none */

static const char other[] = "\x01\x02\x03 neither a request nor a response";

/* ---- the child ---------------------------------------------------------------------------------- */

static void exchange_http(const struct both *c)
{
	request_send(c);
	request_take(c);
	response_send(c);
	response_take(c);
}

static void exchange_other(const struct both *c)
{
	char in[2048];

	moved(write(c->client, other, sizeof(other) - 1));
	moved(recv(c->server, in, 1024, 0));
	moved(write(c->server, other, sizeof(other) - 1));
	moved(read(c->client, in, sizeof(in)));
}

/* One record of TLS 1.2; length, of at most 255 bytes, counts what follows the five of its head. */
static void record_fill(char *record, char type, size_t length)
{
	const char start[] = {type, 3, 3, 0, (char)length};

	memcpy(record, start, sizeof(start));
	memset(record + sizeof(start), 'x', length);
}

static void record_pass(int from, int to, const char *record, size_t length)
{
	char in[2048];

	moved(write(from, record, 5 + length));
	moved(recv(to, in, sizeof(in), 0));
}

/* Hellos, so that who begins to capture here follows what comes; as much of them as it looks at. */
static void hello_tls(const struct both *c)
{
	enum { CIPHER = 5 + 39, LENGTH = 48 };
	char hello[5 + LENGTH];

	record_fill(hello, 22, LENGTH);
	memcpy(hello + 5, "\1\0\0\54", 4);
	record_pass(c->client, c->server, hello, LENGTH);
	hello[5] = 2;
	hello[CIPHER - 1] = 0; /* no session; then a cipher of TLS 1.2, and no extension */
	memcpy(hello + CIPHER, "\xc0\x2f\0\0\0", 5);
	record_pass(c->server, c->client, hello, LENGTH);
}

/* Of the size of the exchange in plain text. */
static void exchange_tls(const struct both *c)
{
	char record[5 + 255];

	record_fill(record, 23, sizeof(pair_request));
	record_pass(c->client, c->server, record, sizeof(pair_request));
	record_fill(record, 23, sizeof(pair_head));
	record_pass(c->server, c->client, record, sizeof(pair_head));
}

/* As many calls, which no program has any business with. */
static void exchange_file(void)
{
	static int zeros = -1;
	char in[64];

	if (zeros < 0)
		zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < CALLS; i++)
		moved(read(zeros, in, sizeof(in)));
}

static void exchange(const struct both c[], char which)
{
	switch (which) {
	case HTTP:
		exchange_http(&c[HTTP]);
		break;
	case OTHER:
		exchange_other(&c[OTHER]);
		break;
	case TLS:
		exchange_tls(&c[TLS]);
		break;
	default:
		exchange_file();
	}
}

/* For each request of the parent one round, whose ns an exchange are the answer. */
static _Noreturn void child_run(int asked, int answers)
{
	const struct sched_param above = {.sched_priority = 1};
	const struct both c[] = {connect_both(), connect_both(), connect_both()};
	char which;

	/* Others can wait these few milliseconds; where that is not allowed it goes as it goes. */
	sched_setscheduler(0, SCHED_FIFO, &above);
	while (read(asked, &which, 1) == 1) {
		double start, took;

		if (which == TLS)
			hello_tls(&c[TLS]);
		start = measure_now();
		for (int i = 0; i < REQUESTS; i++)
			exchange(c, which);
		took = (measure_now() - start) / REQUESTS;
		moved(write(answers, &took, sizeof(took)));
	}
	exit(0);
}

/* ---- the parent --------------------------------------------------------------------------------- */

struct bench {
	int asked, answers; /* pipes to and from the child */
	struct series_table *series;
	struct gauge_table *gauges;
};

static void child_start(struct bench *b)
{
	int to[2], from[2];

	must(!pipe(to) && !pipe(from), "bench_http: pipe");
	switch (fork()) {
	case -1:
		must(false, "bench_http: fork");
		break;
	case 0:
		close(to[1]);
		child_run(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	b->asked = to[1];
	b->answers = from[0];
}

/* ns for one exchange in one round. */
static double round_run(const struct bench *b, char which)
{
	double took = 0;

	must(write(b->asked, &which, 1) == 1 && read(b->answers, &took, sizeof(took)) > 0,
	     "bench_http: child");
	return took;
}

/* ns for one exchange, the least of a turn; bpf may be NULL. */
static double turn_run(const struct bench *b, char which, struct http_bpf *bpf)
{
	double took = 1e300;

	for (int round = 0; round < ROUNDS; round++) {
		took = measure_least(took, round_run(b, which));
		if (bpf)
			capture_drain(bpf);
	}
	return took;
}

static void print_more(const char *name, char tier, double more[TURNS], double without,
		       const char *peer, double aim)
{
	double median;

	measure_sort(more, TURNS);
	median = more[TURNS / 2];
	printf("%s, tier %c\t%.0f\tns\t%s\t%.0f\t%.3f\t%.3f\n", name, tier, median, peer, aim,
	       median / aim, 1.0);
	printf("  quartiles %.0f and %.0f; without the capture it takes %.0f ns\n", more[TURNS / 4],
	       more[3 * TURNS / 4], without);
	fflush(stdout);
}

/* A row for each tier: what the capture adds to one of `parts` equal parts of an exchange. */
static void bench_exchange(struct bench *b, const char *name, char which, int parts,
			   const char *peer, double aim)
{
	static const char tiers[] = {'A', 'B', 'C'};
	double without = 1e300, more[sizeof(tiers)][TURNS];

	for (int turn = 0; turn < TURNS; turn++) {
		double off = turn_run(b, which, NULL);

		for (unsigned i = 0; i < sizeof(tiers); i++) {
			struct http_bpf *bpf = capture_open(tiers[i]);

			more[i][turn] = (turn_run(b, which, bpf) - off) / parts;
			http_bpf_close(bpf);
		}
		without = measure_least(without, off / parts);
	}
	for (unsigned i = 0; i < sizeof(tiers); i++)
		print_more(name, tiers[i], more[i], without, peer, aim);
}

/* ---- the kernel's accounts ---------------------------------------------------------------------- */

/* Sets kernel.bpf_stats_enabled and returns what it was. */
static char stats_set(char to)
{
	int fd = open(BPF_STATS, O_RDWR | O_CLOEXEC);
	char was = '0';

	if (fd < 0 || read(fd, &was, 1) != 1 || pwrite(fd, &to, 1, 0) != 1)
		perror("bench_http: " BPF_STATS);
	close(fd);
	return was;
}

static void bench_programs(struct bench *b, char tier)
{
	struct http_bpf_cost before[HTTP_BPF_PROGRAMS], after[HTTP_BPF_PROGRAMS];
	double ns[HTTP_BPF_PROGRAMS], runs[HTTP_BPF_PROGRAMS] = {0}, sum = 0;
	struct http_bpf *bpf = capture_open(tier);
	unsigned count = 0;
	char was = stats_set('1');

	for (unsigned i = 0; i < HTTP_BPF_PROGRAMS; i++)
		ns[i] = 1e300;
	for (int round = 0; round < TURNS * ROUNDS; round++) {
		http_bpf_cost(bpf, before);
		round_run(b, HTTP);
		count = http_bpf_cost(bpf, after);
		for (unsigned i = 0; i < count; i++) {
			ns[i] = measure_least(ns[i],
					      (double)(after[i].ns - before[i].ns) / REQUESTS);
			runs[i] = (double)(after[i].runs - before[i].runs) / REQUESTS;
		}
		capture_drain(bpf);
	}
	stats_set(was);
	for (unsigned i = 0; i < count; i++) {
		sum += ns[i];
		if (runs[i] > 0.1)
			printf("  %-16s %5.0f ns a request, %.1f runs\n", after[i].name, ns[i],
			       runs[i]);
	}
	printf("  %-16s %5.0f ns a request, by the kernel's accounts\n", "all programs", sum);
	http_bpf_close(bpf);
}

/* ---- the agent's side --------------------------------------------------------------------------- */

static const struct collector_ops *http_ops(void)
{
	const struct collector_ops *const *ops = collector_table;

	while (*ops && strcmp((*ops)->name, "http"))
		ops++;
	return *ops;
}

static void bench_drain(struct bench *b)
{
	struct vow_config config = {0};
	struct collector_context context = {
		.series = b->series, .gauges = b->gauges, .host = "", .config = &config};
	const struct collector_ops *ops = http_ops();
	double ours = 1e300, clock = 1e300;
	struct diag d = {0};
	void *state;

	must(!ops->open(&context, &state, &d), "bench_http: collector");
	for (int round = 0; round < TURNS * ROUNDS; round++) {
		double start;
		uint64_t taken;

		clock = measure_least(clock, measure_clock());
		round_run(b, HTTP);
		start = measure_now();
		taken = ops->poll(state, clock_mono());
		/* The least: the first round names the service, and some rounds sweep. */
		if (taken)
			ours = measure_least(ours, (measure_now() - start) / (double)taken);
	}
	ops->close(state);
	measure_row("http.drain, a record", ours, "clock_gettime", clock, 8);
}

int main(void)
{
	static const struct series_table_options options = {0};
	struct bench b = {.series = series_table_new(&options), .gauges = gauge_table_new(0)};

	if (geteuid()) {
		printf("skip bench_http - it needs root\n");
		return 0;
	}
	if (!b.series || !b.gauges)
		return 1;
	child_start(&b);
	bench_exchange(&b, "http.capture, a request, both ends", HTTP, 1, "aim", 500);
	bench_exchange(&b, "http.capture, a call without HTTP", OTHER, CALLS, "read/write hooks",
		       225);
	bench_exchange(&b, "http.capture, a turn within TLS, both ends", TLS, 1, "aim", 1400);
	bench_exchange(&b, "http.capture, a call on a file", PLAIN_FILE, CALLS, "read/write hooks",
		       225);
	bench_programs(&b, 'A');
	bench_programs(&b, 'B');
	bench_programs(&b, 'C');
	bench_drain(&b);
	return 0;
}
