/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP capture costs whom it watches: a server whose handler works for 100 us, and its
 * client on the same host; with the capture and without it in turns.
 *
 * One row is its capacity, requests that follow one another at once; the others are of a fixed rate,
 * half of that: whether it is kept, and what its users feel, the 99th percentile from the instant at
 * which each request was due. Of each turn the least of its rounds counts, of the turns the median.
 *
 * Both ends share one processor, the last: between two of a virtual machine each wake-up is an
 * interrupt whose way through the host takes longer, and less evenly, than what is measured here.
 * They go before others by niceness alone: who spins at a priority of its own is stopped for 50 ms
 * of each second.
 * Needs root; says so and does nothing without.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "bench/http_pair.h"
#include "bench/measure.h"

enum {
	TURNS = 15,
	ROUNDS = 8, /* of each turn */
	REQUESTS = 250, /* of each round for the capacity */
	PACED = 400, /* and at the fixed rate */
	HANDLER = 100000, /* ns */
	PACE = 250000, /* ns between requests at the fixed rate */
};

/* What a turn showed, in ns. */
struct turn {
	double each; /* a request of the capacity */
	double paced; /* the same at the fixed rate, from the first until the last is done */
	double p99; /* of what they took at the fixed rate */
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

static void paced_round(const struct both *c, struct turn *seen)
{
	static double latency[PACED];
	double start = measure_now(), due = start;

	for (int i = 0; i < PACED; i++) {
		due += PACE;
		wait_until(due);
		request_send(c);
		response_take(c);
		latency[i] = measure_now() - due;
	}
	seen->paced = measure_least(seen->paced, (measure_now() - start) / PACED);
	measure_sort(latency, PACED);
	seen->p99 = measure_least(seen->p99, latency[PACED * 99 / 100]);
}

static void share_one_processor(void)
{
	cpu_set_t all, last;
	int cpu = CPU_SETSIZE - 1;

	must(!sched_getaffinity(0, sizeof(all), &all), "bench_handler: processors");
	while (!CPU_ISSET(cpu, &all))
		cpu--;
	CPU_ZERO(&last);
	CPU_SET(cpu, &last);
	must(!sched_setaffinity(0, sizeof(last), &last), "bench_handler: processor");
}

/* For each byte of the parent one turn. */
static _Noreturn void child_run(int asked, int answers)
{
	struct both c = connect_both();
	pthread_t server;
	char turn;

	share_one_processor();
	/* Where it is not allowed it goes as it goes. */
	setpriority(PRIO_PROCESS, 0, -20);
	must(!pthread_create(&server, NULL, serve, &c), "bench_handler: thread");
	while (read(asked, &turn, 1) == 1) {
		struct turn seen = {.each = capacity(&c), .paced = 1e300, .p99 = 1e300};

		for (int round = 0; round < ROUNDS; round++)
			paced_round(&c, &seen);
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
	double each[2][TURNS], paced[2][TURNS], p99[2][TURNS];

	for (int i = 0; i < TURNS * 2; i++) {
		/* Who comes first changes, so that a drift of the machine falls on both. */
		bool captured = (i + i / 2) % 2;
		struct http_bpf *bpf = captured ? capture_open('A') : NULL;
		struct turn seen = turn_run(asked, answers);

		if (bpf)
			http_bpf_close(bpf);
		each[captured][i / 2] = seen.each;
		paced[captured][i / 2] = seen.paced;
		p99[captured][i / 2] = seen.p99;
	}
	print_ratio("http.capture, handler of 100 us, a request", each[1], each[0], 1 / 0.95);
	print_ratio("http.capture, handler of 100 us, 4 k/s", paced[1], paced[0], 1 / 0.99);
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
