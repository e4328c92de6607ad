/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "view/view.h"

#define FRAME_HEADER 4

struct client {
	struct control *control;
	struct client *next;
	int fd;
	struct loop_fd *watch;
	mono_ns heard_at;
	/* the question as far as it came: header and bytes */
	uint8_t question[FRAME_HEADER + CONTROL_QUESTION_MAX];
	size_t question_size;
	/* the answer as far as it went; NULL when none is on its way */
	uint8_t *answer;
	size_t answer_size, answer_sent;
	bool waits; /* for what comes of its order */
	bool last; /* close when the answer is out: the stream can no longer be trusted */
};

struct control {
	struct control_options options;
	struct fd_listener listener;
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *sweep; /* runs while there is something to sweep: it is a wake-up */
	bool deaf; /* no connection could be taken: tried again at the next sweep */
	struct loop_wakeup *stop;
	struct loop_wakeup *ordered; /* rung when something came of an order */
	struct client *orders; /* whose order is on its way; NULL when it left, or there is none */
	struct client *clients;
	unsigned client_count;
	pthread_t thread;
};

static void client_close(struct client *client)
{
	struct client **at = &client->control->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	if (client->control->orders == client)
		client->control->orders = NULL;
	client->control->client_count--;
	loop_fd_unwatch(client->watch);
	close(client->fd);
	free(client->answer);
	free(client);
}

/* Sends as much as goes; false when the client is gone. */
static bool client_flush(struct client *client)
{
	while (client->answer) {
		ssize_t n = send(client->fd, client->answer + client->answer_sent,
				 client->answer_size - client->answer_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			loop_fd_change(client->watch, LOOP_WRITE);
			return true;
		}
		if (n < 0)
			return false;
		client->answer_sent += (size_t)n;
		if (client->answer_sent < client->answer_size)
			continue;
		free(client->answer);
		client->answer = NULL;
		loop_fd_change(client->watch, LOOP_READ);
	}
	return !client->last;
}

/* Takes over bytes as the answer, with its length before it. */
static bool client_answer(struct client *client, uint8_t *bytes, size_t size)
{
	uint32_t length = htole32((uint32_t)size);

	client->answer = malloc(FRAME_HEADER + size);
	if (client->answer) {
		memcpy(client->answer, &length, FRAME_HEADER);
		memcpy(client->answer + FRAME_HEADER, bytes, size);
		client->answer_size = FRAME_HEADER + size;
		client->answer_sent = 0;
	}
	free(bytes);
	return client->answer && client_flush(client);
}

static bool client_tell(struct client *client, const struct diag *error)
{
	uint8_t *bytes;
	size_t size;

	return !view_encode_error(error, &bytes, &size) && client_answer(client, bytes, size);
}

static bool client_refuse(struct client *client, const char *what)
{
	struct diag error = {0};

	diag_set(&error, -EPROTO, "control socket", "ask with the vow command of the same version",
		 "%s", what);
	client->last = true;
	return client_tell(client, &error);
}

static bool client_ask(struct client *client, const uint8_t *question, size_t size)
{
	const struct control_options *options = &client->control->options;
	struct board *board = board_take(options->post);
	uint8_t *answer;
	size_t answer_size;
	int rc = view_answer(options->series, board, options->host, clock_wall(), question, size,
			     &answer, &answer_size);

	board_unref(board);
	return rc == 0 && client_answer(client, answer, answer_size);
}

/* ---- orders ------------------------------------------------------------------------------------ */

/* Gives an order to the main thread; its outcome is the answer. */
static bool client_order(struct client *client, const struct trace_order *trace)
{
	struct control *control = client->control;
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t size = sizeof(who);
	struct order order = {.trace = *trace};
	struct diag error = {0};

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) ||
	    (who.uid != 0 && who.uid != geteuid())) {
		diag_set(&error, -EPERM, "control socket", "ask as root (sudo vow ...)",
			 "only root, and the user that vowd runs as, may change what it does");
		return client_tell(client, &error);
	}
	order.uid = who.uid;
	order.pid = who.pid;
	if (order_desk_give(control->options.desk, &order)) {
		diag_set(&error, -EBUSY, "control socket", "try again",
			 "another order is on its way");
		return client_tell(client, &error);
	}
	control->orders = client;
	client->waits = true;
	loop_fd_change(client->watch, 0);
	return true;
}

/* Whether it is an order, in *order. What is no question at all is answered as one. */
static bool client_orders(const uint8_t *question, size_t size, struct trace_order *order)
{
	struct view_query query;

	if (view_query_decode(question, size, &query, NULL) || !query.trace.service[0])
		return false;
	*order = query.trace;
	return true;
}

/* What is traced now, as the board says that was published with the order. */
static bool client_show(struct client *client)
{
	const struct view_query query = {.what = VIEW_TRACED};
	uint8_t *question;
	size_t size;
	bool stays;

	if (view_query_encode(&query, &question, &size))
		return false;
	stays = client_ask(client, question, size);
	free(question);
	return stays;
}

/* Size of the first whole question in the buffer with its header; 0 when more must come. */
static size_t client_whole(const struct client *client, uint32_t *length)
{
	if (client->question_size < FRAME_HEADER)
		return 0;
	memcpy(length, client->question, FRAME_HEADER);
	*length = le32toh(*length);
	if (*length > CONTROL_QUESTION_MAX)
		return FRAME_HEADER;
	return client->question_size >= FRAME_HEADER + *length ? FRAME_HEADER + *length : 0;
}

/* Answers whole questions, one at a time; false when the client must go. */
static bool client_take(struct client *client)
{
	struct trace_order order;
	const uint8_t *question;
	uint32_t length;
	size_t whole;

	while (!client->answer && !client->waits && (whole = client_whole(client, &length)) > 0) {
		if (length > CONTROL_QUESTION_MAX)
			return client_refuse(client,
					     "this is not a question of vow's control protocol");
		question = client->question + FRAME_HEADER;
		if (client_orders(question, length, &order) ? !client_order(client, &order)
							    : !client_ask(client, question, length))
			return false;
		client->question_size -= whole;
		memmove(client->question, client->question + whole, client->question_size);
	}
	return true;
}

static bool client_read(struct client *client)
{
	ssize_t n = recv(client->fd, client->question + client->question_size,
			 sizeof(client->question) - client->question_size, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	client->question_size += (size_t)n;
	client->heard_at = clock_mono();
	return client_take(client);
}

static void on_client(void *arg, int fd, unsigned ready)
{
	struct client *client = arg;
	bool stays = true;

	(void)fd;
	if (ready & LOOP_WRITE) {
		stays = client_flush(client);
		/* The next question may have come in the same packet as the last. */
		if (stays && !client->answer)
			stays = client_take(client);
	} else if (ready & (LOOP_READ | LOOP_HANGUP)) {
		stays = client_read(client);
	}
	if (!stays)
		client_close(client);
}

static void on_ordered(void *arg)
{
	struct control *control = arg;
	struct client *client = control->orders;
	struct diag d = {0};
	bool stays;
	int rc;

	if (!order_desk_take(control->options.desk, &rc, &d))
		return;
	control->orders = NULL;
	if (!client)
		return;
	client->waits = false;
	stays = rc ? client_tell(client, &d) : client_show(client);
	/* Another question may have come meanwhile. */
	if (stays && !client->answer)
		stays = client_take(client);
	if (!stays)
		client_close(client);
}

static void sweep_later(struct control *control)
{
	loop_timer_again(control->sweep, NS_PER_S, 0);
}

static void on_connect(void *arg, int listen_fd, unsigned ready)
{
	struct control *control = arg;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ready;
	if (fd < 0) {
		/* Out of descriptors, say: who waits keeps the socket ready, until the next sweep. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_change(control->watch, 0);
			control->deaf = true;
			sweep_later(control);
		}
		return;
	}
	struct client *client =
		control->client_count < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (client)
		client->watch = loop_fd_watch(control->loop, fd, LOOP_READ, on_client, client);
	if (!client || !client->watch) {
		free(client);
		close(fd);
		return;
	}
	client->control = control;
	client->fd = fd;
	client->heard_at = clock_mono();
	client->next = control->clients;
	control->clients = client;
	if (control->client_count++ == 0)
		sweep_later(control);
}

static void on_sweep(void *arg)
{
	struct control *control = arg;
	mono_ns now = clock_mono();

	if (control->deaf)
		loop_fd_change(control->watch, LOOP_READ);
	control->deaf = false;
	for (struct client *client = control->clients, *next; client; client = next) {
		next = client->next;
		if (now - client->heard_at > CONTROL_IDLE_S * NS_PER_S)
			client_close(client);
	}
	if (control->clients)
		sweep_later(control);
}

static void on_stop(void *arg)
{
	loop_stop(arg);
}

static void *control_main(void *arg)
{
	struct control *control = arg;

	series_reader_register();
	loop_run(control->loop);
	while (control->clients)
		client_close(control->clients);
	series_reader_unregister();
	return NULL;
}

static void control_free(struct control *control)
{
	loop_fd_unwatch(control->watch);
	loop_timer_stop(control->sweep);
	loop_wakeup_free(control->stop);
	loop_wakeup_free(control->ordered);
	loop_free(control->loop);
	fd_listener_close(&control->listener);
	free(control);
}

static int control_thread(struct control *control)
{
	control->loop = loop_new();
	if (control->loop) {
		control->watch = loop_fd_watch(control->loop, control->listener.fd, LOOP_READ,
					       on_connect, control);
		control->sweep = loop_timer_start(control->loop, NS_PER_S, 0, on_sweep, control);
		control->stop = loop_wakeup_new(control->loop, on_stop, control->loop);
		control->ordered = loop_wakeup_new(control->loop, on_ordered, control);
	}
	if (!control->watch || !control->sweep || !control->stop || !control->ordered)
		return -ENOMEM;
	order_desk_wakes(control->options.desk, control->ordered);
	return -pthread_create(&control->thread, NULL, control_main, control);
}

int control_start(const struct control_options *options, struct control **out, struct diag *d)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return diag_errno(d, -ENOMEM, options->path, NULL, "control socket");
	control->options = *options;
	int rc = fd_listener_open(&control->listener, options->path, 0660, d);
	if (rc) {
		free(control);
		return rc;
	}
	rc = control_thread(control);
	if (rc) {
		order_desk_wakes(options->desk, NULL);
		control_free(control);
		return diag_errno(d, rc, options->path, NULL, "control socket");
	}
	*out = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	loop_wake(control->stop);
	pthread_join(control->thread, NULL);
	order_desk_wakes(control->options.desk, NULL);
	control_free(control);
}
