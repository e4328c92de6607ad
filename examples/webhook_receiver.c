/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local receiver of webhooks with good and bad manners, by path:
 *
 *	/billing   answers at once             /calendar  takes 10 to 40 ms
 *	/mailer    takes 100 to 250 ms         /legacy    refuses six of ten with 503
 *	/gone      410 for ever                others     404
 *
 *	webhook_receiver [--port N]
 *
 * Listens on 127.0.0.1 (port 0, the default: any free one) and says where on its first line. Ends
 * on SIGTERM and prints how many requests it answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS	  32
#define TIMEOUT_S 5

struct manners {
	const char *path;
	unsigned least_ms, spread_ms; /* time taken */
	unsigned status;
	unsigned refuses; /* of ten, with 503 */
};

static const struct manners all_manners[] = {
	{"/billing", 0, 1, 200, 0}, {"/calendar", 10, 30, 200, 0}, {"/mailer", 100, 150, 202, 0},
	{"/legacy", 5, 5, 200, 6},  {"/gone", 0, 1, 410, 0},
};
static const struct manners unknown = {"", 0, 1, 404, 0};

static uint64_t answered, drawn; /* atomic */

/* A number that looks random; the same sequence in every run. */
static uint64_t draw(void)
{
	uint64_t x = __atomic_fetch_add(&drawn, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 31;
}

/* Reads a request to the end of its body. False when it is none, or too long. */
static bool request_read(int fd, char *buf, size_t size)
{
	size_t got = 0, wanted = 0;

	while (wanted == 0 || got < wanted) {
		ssize_t more = recv(fd, buf + got, size - 1 - got, 0);

		if (more <= 0)
			return false;
		got += (size_t)more;
		buf[got] = '\0';
		const char *end = strstr(buf, "\r\n\r\n");
		if (end && wanted == 0) {
			const char *length = strcasestr(buf, "\r\nContent-Length:");

			wanted = (size_t)(end + 4 - buf);
			if (length && length < end)
				wanted += strtoul(length + 17, NULL, 10);
		}
		if (wanted >= size || got == size - 1)
			return false;
	}
	return true;
}

static void answer(int fd)
{
	char request[4096], response[128], path[64];
	const struct manners *manners = &unknown;

	if (!request_read(fd, request, sizeof(request)) ||
	    sscanf(request, "%*15s %63[^ ?]", path) != 1)
		return;
	for (unsigned i = 0; i < sizeof(all_manners) / sizeof(all_manners[0]); i++)
		if (strcmp(path, all_manners[i].path) == 0)
			manners = &all_manners[i];
	uint64_t us = 1000 * manners->least_ms + draw() % (1000 * manners->spread_ms);
	struct timespec pause = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
	nanosleep(&pause, NULL);
	unsigned status = draw() % 10 < manners->refuses ? 503 : manners->status;
	int size =
		snprintf(response, sizeof(response),
			 "HTTP/1.1 %u -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
	if (send(fd, response, (size_t)size, MSG_NOSIGNAL) == size)
		__atomic_fetch_add(&answered, 1, __ATOMIC_RELAXED);
}

static void *serve(void *arg)
{
	int listener = *(const int *)arg;
	struct timeval timeout = {.tv_sec = TIMEOUT_S};

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return NULL;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		answer(fd);
		close(fd);
	}
}

static int listen_on(unsigned long port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 512) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
		fprintf(stderr, "cannot listen on 127.0.0.1:%lu: %s\n", port, strerror(errno));
		exit(1);
	}
	printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	unsigned long port = 0;
	sigset_t ends;
	int signum;

	if (argc == 3 && strcmp(argv[1], "--port") == 0) {
		port = strtoul(argv[2], NULL, 10);
	} else if (argc != 1) {
		fprintf(stderr, "usage: webhook_receiver [--port N]\n");
		return 2;
	}
	/* Blocked here and thus in all threads; taken by sigwait() below. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	int listener = listen_on(port);
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, serve, &listener) != 0)
			return 1;
	sigwait(&ends, &signum);
	printf("answered %llu\n", (unsigned long long)__atomic_load_n(&answered, __ATOMIC_RELAXED));
	return 0;
}
