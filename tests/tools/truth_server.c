/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server that says what is true: for each response one line on stdout,
 *
 *	METHOD PATH STATUS BYTES STARTED_NS ENDED_NS PID READ_NS WRITE_NS
 *
 * where it took the first stamp as the read of the request came back and the second as the last
 * write of its response did (CLOCK_MONOTONIC), and READ_NS and WRITE_NS are how long these two
 * calls took. BYTES are those of the response, its head included, interim ones before it not.
 *
 *	truth_server LISTEN MODEL CALLS
 *
 * LISTEN	PORT of 127.0.0.1, 6:PORT of ::1, or the path of an AF_UNIX socket
 * MODEL	loop (one thread), threads (4), fork (4 workers), or pass (a parent accepts, its worker
 *		gets the descriptors by SCM_RIGHTS). Or ask: it is a client, which connects to LISTEN
 *		and asks for each path that comes on stdin
 * CALLS	how bytes move: read, recv, readv, recvmsg (and their counterparts); peek and peekmsg are
 *		recv and recvmsg behind a look at the same bytes (MSG_PEEK), which no stamp includes;
 *		sendfile and splice move bodies that way; uring and the other names of truth/uring.c
 *		move all through io_uring. Where receives wait there, one connection is served until
 *		it ends
 *
 * What a response looks like, its request asks for: /KIND/LENGTH/ANYTHING with a kind of
 *
 *	length		Content-Length
 *	chunked		chunks of at most 1000 bytes, all in one call
 *	until-close	no length; the connection closes
 *	pieces		Content-Length, head and body in three calls with 2 ms between them
 *	interim		100 Continue in a call of its own before it
 *	early		103 Early Hints in the same call
 *	empty		204
 *	upgrade		101, then an echo of whatever comes
 *	never		none; the connection closes
 *
 * A HEAD request gets the head alone; after a CONNECT, whatever comes is echoed. Ends with SIGTERM.
 * Prints "ready" on stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/truth/uring.h"

#define WORKERS	      4
#define TEXT_MAX      65536
#define BODY_MAX      (8 << 20)
#define DESCRIPTORS   4096
#define CHUNK	      1000
#define PIECE_WAIT_NS 2000000

enum calls { READ, RECV, READV, RECVMSG, PEEK, PEEKMSG, SENDFILE, SPLICE, URING };

static const char *const calls_names[URING] = {"read", "recv",	  "readv",    "recvmsg",
					       "peek", "peekmsg", "sendfile", "splice"};
static enum calls calls;
static enum uring_way uring_way;
static int body_file; /* BODY_MAX bytes, for sendfile and splice */
static char body_text[BODY_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "truth_server: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- bytes in, bytes out ------------------------------------------------------------------------ */

static ssize_t receive(int fd, char *text, size_t size)
{
	/* Two stretches, the first of them small, where the call takes several. */
	struct iovec parts[2] = {{text, size < 100 ? size : 100}, {text + 100, 0}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	parts[1].iov_len = size - parts[0].iov_len;
	switch (calls) {
	case RECV:
	case PEEK:
		return recv(fd, text, size, 0);
	case READV:
		return readv(fd, parts, 2);
	case RECVMSG:
	case PEEKMSG:
		return recvmsg(fd, &message, 0);
	case URING:
		return uring_receive(uring_way, fd, text, size);
	default:
		return read(fd, text, size);
	}
}

/* Looks at what is there and leaves it, where the calls are such: that takes nothing from the socket. */
static void peek(int fd, char *text, size_t size)
{
	struct iovec part = {text, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (calls == PEEK)
		recv(fd, text, size, MSG_PEEK);
	else if (calls == PEEKMSG)
		recvmsg(fd, &message, MSG_PEEK);
}

static __thread uint64_t write_called_ns; /* when the last call that sends was made */

static ssize_t send_some(int fd, const char *text, size_t size)
{
	struct iovec parts[2] = {{(void *)text, size}, {0}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 1};

	write_called_ns = now_ns();
	switch (calls) {
	case RECV:
	case PEEK:
		return send(fd, text, size, MSG_NOSIGNAL);
	case READV:
		return writev(fd, parts, 1);
	case RECVMSG:
	case PEEKMSG:
		return sendmsg(fd, &message, MSG_NOSIGNAL);
	case URING:
		return uring_send(uring_way, fd, text, size);
	default:
		return write(fd, text, size);
	}
}

/* All of it, or false when the client is gone. */
static bool send_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t sent = send_some(fd, text, size);
		if (sent <= 0)
			return false;
		text += sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool send_file(int fd, size_t size)
{
	off_t at = 0;

	while ((size_t)at < size) {
		write_called_ns = now_ns();
		if (sendfile(fd, body_file, &at, size - (size_t)at) <= 0)
			return false;
	}
	return true;
}

static bool send_spliced(int fd, size_t size)
{
	static __thread int pipes[2];
	off_t at = 0;
	bool good = true;

	if (!pipes[1] && pipe(pipes) < 0)
		fail("pipe");
	while (good && size) {
		ssize_t held = splice(body_file, &at, pipes[1], NULL, size, 0);
		good = held > 0;
		size -= good ? (size_t)held : 0;
		while (good && held > 0) {
			write_called_ns = now_ns();
			ssize_t moved = splice(pipes[0], NULL, fd, NULL, (size_t)held,
					       size ? SPLICE_F_MORE : 0);
			good = moved > 0;
			held -= moved;
		}
	}
	/* The client is gone: what is left in the pipe is no other one's body. */
	if (!good) {
		close(pipes[0]);
		close(pipes[1]);
		pipes[0] = pipes[1] = 0;
	}
	return good;
}

static bool send_body(int fd, size_t size)
{
	switch (calls) {
	case SENDFILE:
		return send_file(fd, size);
	case SPLICE:
		return send_spliced(fd, size);
	default:
		return send_all(fd, body_text, size);
	}
}

/* ---- responses ---------------------------------------------------------------------------------- */

struct request {
	char method[16], path[256], kind[32];
	size_t body; /* bytes of the response's body */
	uint64_t started_ns, read_took_ns;
};

struct connection {
	int fd;
	bool upgraded;
	size_t held; /* bytes in text */
	size_t left; /* of a request's body, to be skipped */
	uint64_t read_ns, read_took_ns; /* when the last read came back, and how long it took */
	char text[TEXT_MAX];
};

static void tell(const struct request *r, int status, size_t bytes)
{
	uint64_t ended_ns = now_ns();

	dprintf(STDOUT_FILENO, "%s %s %d %zu %llu %llu %d %llu %llu\n", r->method, r->path, status,
		bytes, (unsigned long long)r->started_ns, (unsigned long long)ended_ns, getpid(),
		(unsigned long long)r->read_took_ns,
		(unsigned long long)(ended_ns - write_called_ns));
}

/*
 * Head and body in one call where the calls allow it, so that small responses are one call; the
 * first `interim` bytes of the head are those of an answer before it.
 */
static bool respond(int fd, const struct request *r, int status, const char *head, size_t interim,
		    size_t body)
{
	static __thread char text[TEXT_MAX];
	size_t length = strlen(head);
	bool joined = calls != SENDFILE && calls != SPLICE && length + body <= sizeof(text);
	bool good;

	if (joined) {
		memcpy(text, head, length);
		memcpy(text + length, body_text, body);
		good = send_all(fd, text, length + body);
	} else {
		good = send_all(fd, head, length) && send_body(fd, body);
	}
	if (good)
		tell(r, status, length - interim + body);
	return good;
}

static bool respond_in_pieces(int fd, const struct request *r, const char *head)
{
	const struct timespec wait = {.tv_nsec = PIECE_WAIT_NS};
	size_t length = strlen(head), half = length / 2;

	if (!send_all(fd, head, half))
		return false;
	nanosleep(&wait, NULL);
	if (!send_all(fd, head + half, length - half))
		return false;
	nanosleep(&wait, NULL);
	if (!send_body(fd, r->body))
		return false;
	tell(r, 200, length + r->body);
	return true;
}

static bool respond_in_chunks(int fd, const struct request *r)
{
	size_t size = r->body + r->body / CHUNK * 16 + 512, at;
	char *text = malloc(size);

	if (!text)
		fail("malloc");
	at = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t left = r->body; left;) {
		size_t chunk = left < CHUNK ? left : CHUNK;
		at += (size_t)sprintf(text + at, "%zx\r\n", chunk);
		memcpy(text + at, body_text, chunk);
		at += chunk;
		at += (size_t)sprintf(text + at, "\r\n");
		left -= chunk;
	}
	at += (size_t)sprintf(text + at, "0\r\n\r\n");
	bool good = send_all(fd, text, at);
	if (good)
		tell(r, 200, at);
	free(text);
	return good;
}

/* False when the connection is to be closed. */
static bool serve(struct connection *c, const struct request *r)
{
	char head[512];
	bool is_head = strcmp(r->method, "HEAD") == 0;
	int at = 0;

	if (strcmp(r->method, "CONNECT") == 0) {
		c->upgraded = true;
		return respond(c->fd, r, 200, "HTTP/1.1 200 Connection established\r\n\r\n", 0, 0);
	}
	if (strcmp(r->kind, "chunked") == 0)
		return respond_in_chunks(c->fd, r);
	if (strcmp(r->kind, "until-close") == 0) {
		respond(c->fd, r, 200, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 0, r->body);
		return false;
	}
	if (strcmp(r->kind, "empty") == 0)
		return respond(c->fd, r, 204, "HTTP/1.1 204 No Content\r\n\r\n", 0, 0);
	if (strcmp(r->kind, "never") == 0)
		return false;
	if (strcmp(r->kind, "upgrade") == 0) {
		c->upgraded = true;
		return respond(c->fd, r, 101,
			       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			       "Upgrade: websocket\r\n\r\n",
			       0, 0);
	}
	if (strcmp(r->kind, "interim") == 0 &&
	    !send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
		return false;
	if (strcmp(r->kind, "early") == 0)
		at = sprintf(head, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
	snprintf(head + at, sizeof(head) - (size_t)at,
		 "HTTP/1.1 200 OK\r\nServer: truth\r\nContent-Length: %zu\r\n\r\n", r->body);
	if (strcmp(r->kind, "pieces") == 0)
		return respond_in_pieces(c->fd, r, head);
	return respond(c->fd, r, 200, head, (size_t)at, is_head ? 0 : r->body);
}

/* ---- requests ----------------------------------------------------------------------------------- */

/* The request whose head, ended by a zero, begins in text; false when it is none. */
static bool request_parse(struct request *r, const char *head, size_t *body)
{
	unsigned long long length = 0;
	const char *field = strcasestr(head, "\r\nContent-Length:");

	*body = field ? strtoull(field + 17, NULL, 10) : 0;
	if (sscanf(head, "%15s %255s HTTP/1.1", r->method, r->path) != 2)
		return false;
	r->kind[0] = '\0';
	sscanf(r->path, "/%31[^/]/%llu", r->kind, &length);
	r->body = length < BODY_MAX ? length : BODY_MAX;
	return true;
}

/* Serves the requests that are whole; false when the connection is to be closed. */
static bool connection_serve(struct connection *c)
{
	for (;;) {
		size_t skipped = c->held < c->left ? c->held : c->left;
		struct request r = {.started_ns = c->read_ns, .read_took_ns = c->read_took_ns};

		c->left -= skipped;
		c->held -= skipped;
		memmove(c->text, c->text + skipped, c->held);
		c->text[c->held] = '\0';
		char *end = strstr(c->text, "\r\n\r\n");
		if (c->left || !end)
			return true;
		*end = '\0';
		if (!request_parse(&r, c->text, &c->left))
			return false;
		size_t length = (size_t)(end - c->text) + 4;
		c->held -= length;
		memmove(c->text, c->text + length, c->held);
		if (!serve(c, &r))
			return false;
	}
}

/* Bytes came, or the end; false when the connection is to be closed. */
static bool connection_ready(struct connection *c)
{
	peek(c->fd, c->text + c->held, sizeof(c->text) - 1 - c->held);

	uint64_t called_ns = now_ns();
	ssize_t got = receive(c->fd, c->text + c->held, sizeof(c->text) - 1 - c->held);

	c->read_ns = now_ns();
	c->read_took_ns = c->read_ns - called_ns;
	if (got <= 0)
		return false;
	if (c->upgraded)
		return send_all(c->fd, c->text, (size_t)got);
	c->held += (size_t)got;
	return connection_serve(c);
}

/* The same for all that comes, where nobody may look for it first. */
static bool connection_serves(struct connection *c)
{
	bool more = connection_ready(c);

	while (more && calls == URING && uring_waits(uring_way))
		more = connection_ready(c);
	return more;
}

/* ---- listening, waiting ------------------------------------------------------------------------- */

static int listen_at(const char *where)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	const struct sockaddr *address = (const struct sockaddr *)&v4;
	socklen_t size = sizeof(v4);
	int family = AF_INET, one = 1;

	if (*where == '/') {
		family = AF_UNIX;
		snprintf(local.sun_path, sizeof(local.sun_path), "%s", where);
		address = (const struct sockaddr *)&local;
		size = sizeof(local);
	} else if (strncmp(where, "6:", 2) == 0) {
		family = AF_INET6;
		v6.sin6_port = htons((uint16_t)atoi(where + 2));
		address = (const struct sockaddr *)&v6;
		size = sizeof(v6);
	} else {
		v4.sin_port = htons((uint16_t)atoi(where));
	}
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address, size) < 0 || listen(fd, 1024) < 0)
		fail(where);
	return fd;
}

/* A descriptor through a socket pair; -1 when the other end is gone. */
static int descriptor_receive(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(from, &message, 0) <= 0 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void descriptor_send(int to, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	sendmsg(to, &message, MSG_NOSIGNAL);
}

/* Where a worker gets its connections: a socket that listens, or one that passes them on. */
struct source {
	int fd;
	bool passes;
};

static void connection_new(int poll, const struct source *source)
{
	int fd = source->passes ? descriptor_receive(source->fd)
				: accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
	struct connection *c;
	int one = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c = calloc(1, sizeof(*c));
	if (!c)
		fail("calloc");
	c->fd = fd;
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void *work(void *arg)
{
	const struct source *source = arg;
	struct epoll_event events[16];
	int poll = epoll_create1(EPOLL_CLOEXEC);

	fcntl(source->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poll, EPOLL_CTL_ADD, source->fd,
		  &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
	for (;;) {
		int count = epoll_wait(poll, events, 16, -1);

		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c) {
				connection_new(poll, source);
			} else if (!connection_serves(c)) {
				/* Who passed it on may have it open yet: then its end is none for epoll. */
				epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
				close(c->fd);
				free(c);
			}
		}
	}
	return NULL;
}

static void worker_fork(struct source *source)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(source);
}

/* A client: asks for each path on stdin, and reads what it gets to the promised end. */
static void ask(const char *port)
{
	struct sockaddr_in server = {.sin_family = AF_INET,
				     .sin_port = htons((uint16_t)atoi(port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static char text[TEXT_MAX];
	char path[256], request[512];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		fail("connect");
	while (fgets(path, sizeof(path), stdin)) {
		size_t length = 0, got = 0;
		ssize_t n;
		char *end;

		path[strcspn(path, "\n")] = '\0';
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: truth\r\n\r\n", path);
		if (!send_all(fd, request, strlen(request)))
			fail("request");
		do {
			n = receive(fd, text + got, sizeof(text) - 1 - got);
			if (n <= 0)
				fail("response");
			got += (size_t)n;
			text[got] = '\0';
			end = strstr(text, "\r\n\r\n");
			if (end && strcasestr(text, "Content-Length:"))
				length = (size_t)(end + 4 - text) +
					 strtoull(strcasestr(text, "Content-Length:") + 15, NULL,
						  10);
		} while (!end || got < length);
	}
	close(fd);
}

static void serve_by(const char *model, struct source *source)
{
	pthread_t thread;
	int pair[2];

	if (strcmp(model, "threads") == 0) {
		for (unsigned i = 1; i < WORKERS; i++)
			if (pthread_create(&thread, NULL, work, source))
				fail("pthread_create");
	} else if (strcmp(model, "fork") == 0) {
		for (unsigned i = 0; i < WORKERS; i++)
			worker_fork(source);
		for (;;)
			pause();
	} else if (strcmp(model, "pass") == 0) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
			fail("socketpair");
		worker_fork(&(struct source){.fd = pair[1], .passes = true});
		for (;;) {
			int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				fail("accept");
			descriptor_send(pair[0], fd);
			close(fd);
		}
	}
	work(source);
}

static bool calls_parse(const char *name)
{
	for (calls = 0; calls < URING; calls++)
		if (strcmp(name, calls_names[calls]) == 0)
			return true;
	for (uring_way = 0; uring_way < URING_WAYS; uring_way++)
		if (strcmp(name, uring_names[uring_way]) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct source source = {0};

	if (argc != 4 || !calls_parse(argv[3])) {
		fprintf(stderr,
			"truth_server LISTEN loop|threads|fork|pass|ask "
			"read|recv|readv|recvmsg|peek|peekmsg|sendfile|splice|uring[-...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	memset(body_text, 'x', sizeof(body_text));
	body_file = memfd_create("body", MFD_CLOEXEC);
	if (body_file < 0 || write(body_file, body_text, BODY_MAX) != BODY_MAX)
		fail("body");
	if (strcmp(argv[2], "ask") == 0) {
		ask(argv[1]);
		return 0;
	}
	source.fd = listen_at(argv[1]);
	fprintf(stderr, "ready\n");
	serve_by(argv[2], &source);
	return 0;
}
