/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that sends webhooks, and tells vow about it: on the public header and the C
 * library alone.
 *
 *	webhook_worker --url http://127.0.0.1:8080 [--workers N] [--rate N] [--slow MS] [--count N]
 *
 * One thread makes events of several types into a queue; N workers (8) take them and post them to
 * the receivers below the URL, up to three times with a short pause in between; what was refused
 * for good has failed, what never got through goes to the dead letters. Another thread plays the
 * requests that such a platform serves: SIGUSR1 makes its payments take MS (400) longer, SIGUSR2
 * mends them. --rate is webhooks a second (60), --count ends after so many (0: never). SIGTERM
 * ends it; it then prints what it did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <vow/vow.h>

#define ATTEMPTS_MAX 3
#define QUEUE_ROOM   1024
#define WORKERS_MAX  64
#define TIMEOUT_S    2
#define MS	     UINT64_C(1000000)

struct event_type {
	const char *name;
	unsigned priority;
	vow_id id;
};

static struct event_type event_types[] = {
	{"invoice.paid", 1, 0},	     {"payment.failed", 1, 0}, {"booking.created", 2, 0},
	{"booking.cancelled", 2, 0}, {"guest.rsvp", 3, 0},     {"supplier.updated", 4, 0},
	{"calendar.synced", 5, 0},
};

struct endpoint {
	const char *path;
	char name[128];
	vow_id id;
};

static struct endpoint endpoints[] = {
	{"/billing", "", 0}, {"/calendar", "", 0}, {"/mailer", "", 0},
	{"/legacy", "", 0},  {"/gone", "", 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A webhook in the queue; vow's part of it lies beside the rest. */
struct webhook {
	const struct event_type *type;
	const struct endpoint *endpoint;
	uint64_t id, enqueued_ns;
	struct vow_delivery delivery;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled, drained;
	struct webhook items[QUEUE_ROOM];
	uint64_t head, tail; /* taken and put so far */
	bool closed;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
	   .filled = PTHREAD_COND_INITIALIZER,
	   .drained = PTHREAD_COND_INITIALIZER};

static struct {
	struct sockaddr_in address;
	char host[64];
	unsigned workers, rate, slow_ms;
	uint64_t count;
} options = {.workers = 8, .rate = 60, .slow_ms = 400};

static struct {
	uint64_t enqueued, attempts, delivered, failed, dead_lettered;
} done; /* added to atomically */

/* Set by signals, and ending by main() as well; read by the threads. */
static atomic_bool ending, slow;

static void on_signal(int signum)
{
	if (signum == SIGUSR1 || signum == SIGUSR2)
		slow = signum == SIGUSR1;
	else
		ending = true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec pause = {(time_t)(ns / (1000 * MS)), (long)(ns % (1000 * MS))};

	nanosleep(&pause, NULL);
}

/* A number for events that looks random and is the same in every run. */
static uint64_t scatter(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* ---- the queue --------------------------------------------------------------------------------- */

/* False when the program ends; the webhook is then not in the queue. */
static bool queue_put(const struct webhook *webhook)
{
	pthread_mutex_lock(&queue.lock);
	while (!queue.closed && queue.tail - queue.head == QUEUE_ROOM)
		pthread_cond_wait(&queue.drained, &queue.lock);
	bool open = !queue.closed;
	if (open) {
		struct webhook *item = &queue.items[queue.tail++ % QUEUE_ROOM];

		*item = *webhook;
		item->enqueued_ns = now_ns();
		vow_delivery_enqueued(&item->delivery, item->type->id, item->endpoint->id,
				      item->type->priority, item->id);
		count(&done.enqueued);
		pthread_cond_signal(&queue.filled);
	}
	pthread_mutex_unlock(&queue.lock);
	return open;
}

/* False when it is closed and empty. */
static bool queue_take(struct webhook *webhook)
{
	pthread_mutex_lock(&queue.lock);
	while (!queue.closed && queue.tail == queue.head)
		pthread_cond_wait(&queue.filled, &queue.lock);
	bool some = queue.tail != queue.head;
	if (some) {
		*webhook = queue.items[queue.head++ % QUEUE_ROOM];
		pthread_cond_signal(&queue.drained);
	}
	pthread_mutex_unlock(&queue.lock);
	return some;
}

static void queue_close(void)
{
	pthread_mutex_lock(&queue.lock);
	queue.closed = true;
	pthread_cond_broadcast(&queue.filled);
	pthread_cond_broadcast(&queue.drained);
	pthread_mutex_unlock(&queue.lock);
}

static void queue_tell(vow_id name)
{
	pthread_mutex_lock(&queue.lock);
	uint64_t depth = queue.tail - queue.head;
	uint64_t oldest = depth ? queue.items[queue.head % QUEUE_ROOM].enqueued_ns : 0;
	pthread_mutex_unlock(&queue.lock);
	vow_queue_set(name, depth, depth ? now_ns() - oldest : 0);
}

/* ---- posting ----------------------------------------------------------------------------------- */

static int dial(void)
{
	struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&options.address, sizeof(options.address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One attempt: the HTTP status, or 1 when there was none. */
static unsigned post(const struct webhook *webhook)
{
	char request[512], response[256];
	char body[128];
	unsigned status = 1;
	int fd = dial();

	if (fd < 0)
		return status;
	int length = snprintf(body, sizeof(body), "{\"id\":%llu,\"type\":\"%s\"}",
			      (unsigned long long)webhook->id, webhook->type->name);
	int size = snprintf(request, sizeof(request),
			    "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
			    "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
			    webhook->endpoint->path, options.host, length, body);
	if (send(fd, request, (size_t)size, MSG_NOSIGNAL) == size) {
		size_t got = 0;
		ssize_t more;

		while (got < sizeof(response) - 1 &&
		       (more = recv(fd, response + got, sizeof(response) - 1 - got, 0)) > 0)
			got += (size_t)more;
		response[got] = '\0';
		if (sscanf(response, "HTTP/1.%*u %u", &status) != 1)
			status = 1;
	}
	close(fd);
	return status;
}

/* Up to three attempts; then vow hears the outcome, whatever it was. */
static void deliver(struct webhook *webhook)
{
	for (unsigned attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
		vow_attempt_begin(&webhook->delivery);
		unsigned status = post(webhook);
		vow_attempt_end(&webhook->delivery, status);
		count(&done.attempts);

		if (status >= 200 && status < 300) {
			vow_delivery_delivered(&webhook->delivery);
			count(&done.delivered);
			return;
		}
		/* The receiver does not want it: asking again would change nothing. */
		if (status >= 400 && status < 500 && status != 429) {
			vow_delivery_failed(&webhook->delivery);
			count(&done.failed);
			return;
		}
		if (attempt < ATTEMPTS_MAX)
			sleep_ns(20 * MS << attempt);
	}
	vow_delivery_dead_lettered(&webhook->delivery);
	count(&done.dead_lettered);
}

static void *worker(void *unused)
{
	struct webhook webhook;

	(void)unused;
	while (queue_take(&webhook))
		deliver(&webhook);
	return NULL;
}

/* ---- the rest of the platform ------------------------------------------------------------------ */

/*
 * Requests and a batch job, played: latencies are drawn, not waited for, 100 of each route a
 * second. A real application would put vow_span_begin() and vow_span_end() around its handlers.
 * Payments have the trace id of their request as a tag, by which the slow ones can be looked up.
 */
static void *platform(void *unused)
{
	vow_id payments = vow_route("payments"), availability = vow_route("availability");
	vow_id rsvp = vow_route("rsvp"), job = vow_job("invoices"), waiting = vow_queue("webhooks");
	vow_id pool = vow_gauge("pool_in_use");
	char trace[33];

	(void)unused;
	for (uint64_t i = 0; !ending; i++) {
		uint64_t draw = scatter(i);
		uint64_t late = slow ? options.slow_ms * MS : 0;

		snprintf(trace, sizeof(trace), "%016llx%016llx",
			 (unsigned long long)scatter(draw + 1),
			 (unsigned long long)scatter(draw + 2));
		vow_observe_tagged(payments, 20 * MS + draw % (40 * MS) + late, i % 200 ? 201 : 502,
				   trace);
		vow_observe(availability, 5 * MS + draw % (60 * MS), 200);
		vow_observe(rsvp, 10 * MS + draw % (90 * MS), i % 50 ? 200 : 404);
		vow_gauge_set(pool, (double)(draw % 20));
		if (i % 1000 == 0)
			vow_job_total(job, 1000 * (i / 1000 + 1));
		vow_job_progress(job, i % 100 != 0, i % 100 == 0);
		queue_tell(waiting);
		sleep_ns(10 * MS);
	}
	return NULL;
}

/* Events at an even rate, until the program ends or enough were made. */
static void produce(void)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; !ending && (options.count == 0 || i < options.count); i++) {
		uint64_t draw = scatter(i);
		/* One in fifty to a receiver that is no more, else most to the first. */
		unsigned to = (draw >> 8) % 8 < 4 ? (unsigned)(draw >> 8) % 4 : 0;
		struct webhook webhook = {
			.type = &event_types[(draw >> 16) % COUNT(event_types)],
			.endpoint = &endpoints[draw % 50 == 0 ? 4 : to],
			.id = i + 1,
		};

		if (!queue_put(&webhook))
			return;
		uint64_t due = start + (i + 1) * 1000 * MS / options.rate, now = now_ns();
		if (due > now)
			sleep_ns(due - now);
	}
}

/* ---- starting and ending ----------------------------------------------------------------------- */

static void usage(void)
{
	fprintf(stderr, "usage: webhook_worker --url http://ADDRESS:PORT [--workers N] [--rate N] "
			"[--slow MS] [--count N]\n");
	exit(2);
}

static bool parse_url(const char *url)
{
	char host[64];
	unsigned port = 80;

	if (sscanf(url, "http://%63[0-9.]:%u", host, &port) < 1 || port == 0 || port > 65535)
		return false;
	options.address.sin_family = AF_INET;
	options.address.sin_port = htons((uint16_t)port);
	snprintf(options.host, sizeof(options.host), "%.50s:%u", host, port);
	return inet_pton(AF_INET, host, &options.address.sin_addr) == 1;
}

static void parse(int argc, char **argv)
{
	bool url = false;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		unsigned long number = strtoul(value, NULL, 10);

		if (strcmp(argv[i], "--url") == 0 && parse_url(value))
			url = true;
		else if (strcmp(argv[i], "--workers") == 0 && number - 1 < WORKERS_MAX)
			options.workers = (unsigned)number;
		else if (strcmp(argv[i], "--rate") == 0 && number - 1 < 100000)
			options.rate = (unsigned)number;
		else if (strcmp(argv[i], "--slow") == 0 && number - 1 < 600000)
			options.slow_ms = (unsigned)number;
		else if (strcmp(argv[i], "--count") == 0 && *value)
			options.count = number;
		else
			usage();
	}
	if (!url)
		usage();
}

static void name_all(void)
{
	for (unsigned i = 0; i < COUNT(event_types); i++)
		event_types[i].id = vow_event(event_types[i].name);
	for (unsigned i = 0; i < COUNT(endpoints); i++) {
		snprintf(endpoints[i].name, sizeof(endpoints[i].name), "%s%s", options.host,
			 endpoints[i].path);
		endpoints[i].id = vow_endpoint(endpoints[i].name);
	}
}

int main(int argc, char **argv)
{
	const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t workers[WORKERS_MAX], player;

	parse(argc, argv);
	for (unsigned i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &action, NULL);
	int rc = vow_open("webhook-worker");
	if (rc < 0)
		fprintf(stderr, "goes on unmeasured: %s\n", strerror(-rc));
	name_all();
	for (unsigned i = 0; i < options.workers; i++)
		if (pthread_create(&workers[i], NULL, worker, NULL) != 0)
			return 1;
	if (pthread_create(&player, NULL, platform, NULL) != 0)
		return 1;
	produce();
	queue_close();
	for (unsigned i = 0; i < options.workers; i++)
		pthread_join(workers[i], NULL);
	ending = true;
	pthread_join(player, NULL);
	printf("enqueued %llu attempts %llu delivered %llu failed %llu dead_lettered %llu\n",
	       (unsigned long long)done.enqueued, (unsigned long long)done.attempts,
	       (unsigned long long)done.delivered, (unsigned long long)done.failed,
	       (unsigned long long)done.dead_lettered);
	vow_close();
	return 0;
}
