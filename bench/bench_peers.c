/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One observation beside what else a program could do: read a clock, send a statsd datagram; and
 * the same from 1 to 4 threads, which must not disturb each other. `bench_peers observe` prints the
 * ns of one observation alone, for bench_foreign.py.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vow/vow.h>

#include "bench/measure.h"
#include "client/process.h"
#include "client/ticks.h"
#include "client/writer.h"

enum { PUSHES = 1000, ROUNDS = 400, THREADS_MAX = 4, DATAGRAMS = 200, TICKS = 20000, TURNS = 5 };

static vow_id route;

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* The least of many rounds, the lane emptied between them as the agent would. */
static double observe_ns(void)
{
	double best = 1e300;

	for (int r = 0; r < ROUNDS; r++) {
		double start = measure_now();

		for (unsigned i = 0; i < PUSHES; i++)
			vow_observe(route, 1000000 + i, 200);
		double took = (measure_now() - start) / PUSHES;
		struct vow_shm_lane *lane = writer_mine->lane;
		__atomic_store_n(&lane->head, lane->tail, __ATOMIC_RELEASE);
		best = least(best, took);
	}
	return best;
}

static pthread_barrier_t barrier;

static void *observe_thread(void *arg)
{
	pthread_barrier_wait(&barrier);
	*(double *)arg = observe_ns();
	return NULL;
}

/* The slowest of the threads. */
static double observe_threads_ns(unsigned threads)
{
	pthread_t ids[THREADS_MAX];
	double ns[THREADS_MAX], slowest = 0;

	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, observe_thread, &ns[i]))
			exit(1);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		slowest = ns[i] > slowest ? ns[i] : slowest;
	}
	pthread_barrier_destroy(&barrier);
	return slowest;
}

/* To a socket of our own whose buffer is full soon: the cheapest that a datagram can be. */
static double statsd_ns(void)
{
	static const char text[] = "shop.pay:320|ms";
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(to);
	int sink = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
	double best = 1e300;

	if (sink < 0 || fd < 0 || bind(sink, (struct sockaddr *)&to, size) != 0 ||
	    getsockname(sink, (struct sockaddr *)&to, &size) != 0 ||
	    connect(fd, (struct sockaddr *)&to, size) != 0)
		return 0;
	for (int r = 0; r < MEASURE_ROUNDS; r++) {
		double start = measure_now();

		for (int i = 0; i < DATAGRAMS; i++)
			measure_use((uint64_t)send(fd, text, sizeof(text) - 1, 0));
		double took = (measure_now() - start) / DATAGRAMS;
		best = least(best, took);
	}
	close(fd);
	close(sink);
	return best;
}

static double ticks_ns(void)
{
	double best = 1e300;

	for (int r = 0; r < MEASURE_ROUNDS; r++) {
		double start = measure_now();

		for (int i = 0; i < TICKS; i++)
			measure_use(ticks_now());
		double took = (measure_now() - start) / TICKS;
		best = least(best, took);
	}
	return best;
}

static void row(const char *name, double ours, const char *peer, double its, double limit)
{
	printf("%s\t%.2f\tns\t%s\t%.2f\t%.3f\t%.3f\n", name, ours, peer, its, ours / its, limit);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/vow-bench-XXXXXX";
	struct vow_options vow = {.service = "bench", .dir = dir};
	char name[64];

	if (!mkdtemp(dir) || vow_open_options(&vow) < 0)
		return 1;
	rmdir(dir);
	route = vow_route("/orders/{id}");
	vow_observe(route, 1, 200);
	double alone = observe_ns();
	if (argc > 1 && !strcmp(argv[1], "observe")) {
		printf("%.3f\n", alone);
		return 0;
	}
	row("lane.observe", alone, "rdtsc or vDSO clock", ticks_ns(), 0.5);
	double datagram = statsd_ns();
	if (datagram > 0)
		row("lane.observe", alone, "statsd over UDP", datagram, 0.02);
	for (unsigned threads = 2; threads <= THREADS_MAX; threads++) {
		double one = 1e300, many = 1e300;

		for (int turn = 0; turn < TURNS; turn++) {
			one = least(one, observe_threads_ns(1));
			many = least(many, observe_threads_ns(threads));
		}
		snprintf(name, sizeof(name), "lane.observe, %u threads", threads);
		row(name, many, "1 thread", one, 1.2);
	}
	return 0;
}
