/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One observation beside what else a program could do: read a clock, send a statsd datagram; and
 * the same from 1 to 4 threads, which must not disturb each other. `bench_peers observe` prints the
 * ns of one observation alone, for bench_foreign.py.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
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

enum { PUSHES = 1000, ROUNDS = 400, THREADS_MAX = 4, DATAGRAMS = 200, TICKS = 20000 };
enum { CROWD_ROUNDS = 500, CROWD_ENOUGH = 50, CROWD_TRIES = 20000, CROWD_TURNS = 15 };

static vow_id route;

/* One round, and the lane emptied as the agent would. */
static void observe_round(void)
{
	for (unsigned i = 0; i < PUSHES; i++)
		vow_observe(route, 1000000 + i, 200);
	struct vow_shm_lane *lane = writer_mine->lane;
	__atomic_store_n(&lane->head, lane->tail, __ATOMIC_RELEASE);
}

static double observe_ns(void)
{
	double best = 1e300;

	for (int r = 0; r < ROUNDS; r++) {
		double start = measure_now();

		observe_round();
		best = measure_least(best, (measure_now() - start) / PUSHES);
	}
	return best;
}

/* ---- threads that observe at the same time ------------------------------------------------------ */

struct crowd_thread {
	unsigned rounds; /* finished so far; the others watch it */
	double ns[CROWD_ROUNDS]; /* one push, in rounds that count */
	unsigned count;
} __attribute__((aligned(128)));

static struct crowd_thread crowd[THREADS_MAX];
static unsigned crowd_size, crowd_unfinished;
static pthread_barrier_t crowd_barrier;

static unsigned crowd_rounds_of_others(const struct crowd_thread *mine)
{
	unsigned rounds = 0;

	for (unsigned i = 0; i < crowd_size; i++)
		if (&crowd[i] != mine)
			rounds += __atomic_load_n(&crowd[i].rounds, __ATOMIC_RELAXED);
	return rounds;
}

/*
 * A round counts when others finished some meanwhile: then they ran at the same time. On a machine
 * with other work, or with fewer processors than threads, most rounds are not such; their time
 * would only tell that one who is alone is not disturbed. When the others finished many, this
 * thread had to wait for a processor, which is no figure either.
 */
static bool crowd_counts(unsigned rounds_of_others)
{
	return crowd_size == 1 ||
	       (rounds_of_others > 0 && rounds_of_others <= 2 * (crowd_size - 1));
}

static void crowd_round(struct crowd_thread *mine)
{
	unsigned before = crowd_rounds_of_others(mine);
	double start = measure_now();

	observe_round();
	double took = measure_now() - start;
	__atomic_store_n(&mine->rounds, mine->rounds + 1, __ATOMIC_RELAXED);
	if (crowd_counts(crowd_rounds_of_others(mine) - before) && mine->count < CROWD_ROUNDS)
		mine->ns[mine->count++] = took / PUSHES;
}

/* Who is done goes on until all are, so that nobody is left alone. */
static void *crowd_main(void *arg)
{
	struct crowd_thread *mine = arg;

	observe_round(); /* claims the lane and touches its pages */
	pthread_barrier_wait(&crowd_barrier);
	for (int i = 0; i < CROWD_TRIES && mine->count < CROWD_ROUNDS; i++)
		crowd_round(mine);
	__atomic_fetch_sub(&crowd_unfinished, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&crowd_unfinished, __ATOMIC_RELAXED))
		crowd_round(mine);
	return NULL;
}

/* ns of one push among so many threads: the median of all rounds that count; 0: too few do. */
static double crowd_ns(unsigned threads)
{
	static double all[THREADS_MAX * CROWD_ROUNDS];
	pthread_t ids[THREADS_MAX];
	unsigned count = 0;

	memset(crowd, 0, sizeof(crowd));
	crowd_size = crowd_unfinished = threads;
	pthread_barrier_init(&crowd_barrier, NULL, threads);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, crowd_main, &crowd[i]))
			exit(1);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		memcpy(&all[count], crowd[i].ns, crowd[i].count * sizeof(all[0]));
		count += crowd[i].count;
	}
	pthread_barrier_destroy(&crowd_barrier);
	measure_sort(all, count);
	return count >= CROWD_ENOUGH ? all[count / 2] : 0;
}

static int compare_ratios(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (x[1] / x[0] > y[1] / y[0]) - (x[1] / x[0] < y[1] / y[0]);
}

/*
 * The machine may be half as fast again from one second to the next: one thread and many are
 * measured right after each other, and of such pairs the one with the median ratio is told. False
 * where threads hardly ever ran at the same time.
 */
static bool crowd_measure(unsigned threads, double *one, double *many)
{
	double pairs[CROWD_TURNS][2];
	unsigned count = 0;

	for (int turn = 0; turn < CROWD_TURNS; turn++) {
		pairs[count][0] = crowd_ns(1);
		pairs[count][1] = crowd_ns(threads);
		count += pairs[count][1] > 0;
	}
	if (!count)
		return false;
	qsort(pairs, count, sizeof(pairs[0]), compare_ratios);
	*one = pairs[count / 2][0];
	*many = pairs[count / 2][1];
	return true;
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
		best = measure_least(best, took);
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
		best = measure_least(best, took);
	}
	return best;
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
	measure_row("lane.observe", alone, "rdtsc or vDSO clock", ticks_ns(), 0.5);
	double datagram = statsd_ns();
	if (datagram > 0)
		measure_row("lane.observe", alone, "statsd over UDP", datagram, 0.02);
	for (unsigned threads = 2; threads <= THREADS_MAX; threads++) {
		double one, many;

		snprintf(name, sizeof(name), "lane.observe, %u threads", threads);
		if (crowd_measure(threads, &one, &many))
			measure_row(name, many, "1 thread", one, 1.2);
		else
			printf("# %s: two hardly ever ran at the same time\n", name);
	}
	return 0;
}
