/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP capture costs whom it watches: a server whose handler works for 100 us, and its
 * client on the same host; with the capture and without it in turns.
 *
 * One row is its capacity, requests that follow one another at once; the other what its users feel
 * at a fixed rate, half of that: the 99th percentile from the instant at which each request was due.
 * Of each turn the least of its rounds counts for the first, the median of the turns for both.
 * Needs root; says so and does nothing without.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "bench/http_pair.h"
#include "bench/measure.h"

enum {
	TURNS = 15,
	ROUNDS = 8, /* of each turn, for the capacity */
	REQUESTS = 250, /* of each round */
	PACED = 1500, /* requests of each turn at the fixed rate */
	HANDLER = 100000, /* ns */
	PACE = 250000, /* ns between requests at the fixed rate */
};

/* What a turn showed, in ns. */
struct turn {
	double each; /* a request of the capacity */
	double p99; /* at the fixed rate */
};

/* ---- the child: a server and its client --------------------------------------------------------- */

static void wait_until(double at)
{
	while (measure_now() < at)
		;
}

static _Noreturn void *serve(void *arg)
{
	const struct both *c = arg;

	while (true) {
		request_take(c);
		wait_until(measure_now() + HANDLER);
		response_send(c);
	}
}

static double capacity(const struct both *c)
{
	double least = 1e300;

	for (int round = 0; round < ROUNDS; round++) {
		double start = measure_now();

		for (int i = 0; i < REQUESTS; i++) {
			request_send(c);
			response_take(c);
		}
		least = measure_least(least, (measure_now() - start) / REQUESTS);
	}
	return least;
}

static double paced_p99(const struct both *c)
{
	static double latency[PACED];
	double due = measure_now();

	for (int i = 0; i < PACED; i++) {
		due += PACE;
		wait_until(due);
		request_send(c);
		response_take(c);
		latency[i] = measure_now() - due;
	}
	measure_sort(latency, PACED);
	return latency[PACED * 99 / 100];
}

/* For each byte of the parent one turn. */
static _Noreturn void child_run(int asked, int answers)
{
	const struct sched_param above = {.sched_priority = 1};
	struct both c = connect_both();
	pthread_t server;
	char turn;

	/* Others can wait; where that is not allowed it goes as it goes. */
	sched_setscheduler(0, SCHED_FIFO, &above);
	must(!pthread_create(&server, NULL, serve, &c), "bench_handler: thread");
	while (read(asked, &turn, 1) == 1) {
		struct turn seen = {capacity(&c), paced_p99(&c)};

		moved(write(answers, &seen, sizeof(seen)));
	}
	exit(0);
}

/* ---- the parent --------------------------------------------------------------------------------- */

static struct turn turn_run(int asked, int answers)
{
	struct turn seen = {0};

	must(write(asked, "", 1) == 1 && read(answers, &seen, sizeof(seen)) == sizeof(seen),
	     "bench_handler: child");
	return seen;
}

static double median(double values[TURNS])
{
	measure_sort(values, TURNS);
	return values[TURNS / 2];
}

/* A row of the turns with and without; the ratio is the median of theirs. */
static void print_ratio(const char *what, double with[TURNS], double without[TURNS], double limit)
{
	double ratios[TURNS];

	for (int i = 0; i < TURNS; i++)
		ratios[i] = with[i] / without[i];
	printf("%s\t%.1f\tus\twithout it\t%.1f\t%.4f\t%.4f\n", what, median(with) / 1e3,
	       median(without) / 1e3, median(ratios), limit);
	printf("  quartiles %.4f and %.4f\n", ratios[TURNS / 4], ratios[3 * TURNS / 4]);
}

static void bench(int asked, int answers)
{
	double each[2][TURNS], p99[2][TURNS];

	for (int i = 0; i < TURNS * 2; i++) {
		/* Who comes first changes, so that a drift of the machine falls on both. */
		bool captured = (i + i / 2) % 2;
		struct http_bpf *bpf = captured ? capture_open('A') : NULL;
		struct turn seen = turn_run(asked, answers);

		if (bpf)
			http_bpf_close(bpf);
		each[captured][i / 2] = seen.each;
		p99[captured][i / 2] = seen.p99;
	}
	print_ratio("http.capture, handler of 100 us, a request", each[1], each[0], 1.0101);
	print_ratio("http.capture, handler of 100 us, 4 k/s, p99", p99[1], p99[0], 1.02);
}

int main(void)
{
	int to[2], from[2];

	if (geteuid()) {
		printf("skip bench_handler - it needs root\n");
		return 0;
	}
	must(!pipe(to) && !pipe(from), "bench_handler: pipe");
	switch (fork()) {
	case -1:
		must(false, "bench_handler: fork");
		break;
	case 0:
		close(to[1]);
		child_run(to[0], from[1]);
	}
	close(to[0]);
	bench(to[1], from[0]);
	return 0;
}
