/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections, each short: opens batches of them, asks on each, closes them all, again and
 * again, against a server of its own on four ports.
 *
 *	soak CONNECTIONS REQUESTS PORT
 *
 * REQUESTS go over each connection; the ports are PORT to PORT + 3 of 127.0.0.1. After each tenth
 * of the connections it prints how many there were so far, "100000 of 1000000", and waits for a
 * line on standard input, while none is open. Ends with status 0 once all were answered.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS 4
#define BATCH 64 /* connections open at a time; the server takes those of a port in their order */

static const char request[] = "GET /soak HTTP/1.1\r\nHost: soak\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static struct sockaddr_in address_of(unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Reads exactly so many bytes; false at the end of the stream. */
static bool take(int fd, size_t size)
{
	char buf[sizeof(request) + sizeof(response)];

	while (size) {
		ssize_t n = read(fd, buf, size);

		if (n <= 0)
			return false;
		size -= (size_t)n;
	}
	return true;
}

static void give(int fd, const char *text, size_t size)
{
	if (send(fd, text, size, MSG_NOSIGNAL) != (ssize_t)size)
		err(1, "send");
}

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg;

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			err(1, "accept");
		while (take(fd, sizeof(request) - 1))
			give(fd, response, sizeof(response) - 1);
		close(fd);
	}
	return NULL;
}

static void server_start(unsigned port)
{
	struct sockaddr_in address = address_of(port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	pthread_t thread;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, BATCH))
		err(1, "port %u", port);
	if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener))
		errx(1, "no thread");
}

static int client_open(unsigned port)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	return fd;
}

static void batch_run(unsigned count, unsigned requests, unsigned port)
{
	int fds[BATCH];

	for (unsigned i = 0; i < count; i++)
		fds[i] = client_open(port + i % PORTS);
	for (unsigned i = 0; i < count; i++) {
		for (unsigned k = 0; k < requests; k++) {
			give(fds[i], request, sizeof(request) - 1);
			if (!take(fds[i], sizeof(response) - 1))
				errx(1, "no answer");
		}
		close(fds[i]);
	}
}

int main(int argc, char **argv)
{
	unsigned long total, done = 0, told = 0;
	unsigned requests, port;

	if (argc != 4)
		errx(2, "usage: soak CONNECTIONS REQUESTS PORT");
	total = strtoul(argv[1], NULL, 10);
	requests = (unsigned)strtoul(argv[2], NULL, 10);
	port = (unsigned)strtoul(argv[3], NULL, 10);
	for (unsigned i = 0; i < PORTS; i++)
		server_start(port + i);
	while (done < total) {
		unsigned long left = total - done;
		unsigned count = left < BATCH ? (unsigned)left : BATCH;

		batch_run(count, requests, port);
		done += count;
		if (done * 10 / total == told)
			continue;
		told = done * 10 / total;
		printf("%lu of %lu\n", done, total);
		fflush(stdout);
		while (getchar() != '\n' && !feof(stdin))
			;
	}
	return 0;
}
