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
	bool last; /* close when the answer is out: the stream can no longer be trusted */
};

struct control {
	const struct series_table *series;
	struct board_post *post;
	const char *host;
	struct fd_listener listener;
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *sweep; /* runs while there is something to sweep: it is a wake-up */
	bool deaf; /* no connection could be taken: tried again at the next sweep */
	struct loop_wakeup *stop;
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

static bool client_refuse(struct client *client, const char *what)
{
	struct diag error = {0};
	uint8_t *bytes;
	size_t size;

	diag_set(&error, -EPROTO, "control socket", "ask with the vow command of the same version",
		 "%s", what);
	client->last = true;
	if (view_encode_error(&error, &bytes, &size))
		return false;
	return client_answer(client, bytes, size);
}

static bool client_ask(struct client *client, size_t size)
{
	const struct control *control = client->control;
	struct board *board = board_take(control->post);
	uint8_t *answer;
	size_t answer_size;
	int rc = view_answer(control->series, board, control->host, clock_wall(),
			     client->question + FRAME_HEADER, size, &answer, &answer_size);

	board_unref(board);
	return rc == 0 && client_answer(client, answer, answer_size);
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
	uint32_t length;
	size_t whole;

	while (!client->answer && (whole = client_whole(client, &length)) > 0) {
		if (length > CONTROL_QUESTION_MAX)
			return client_refuse(client,
					     "this is not a question of vow's control protocol");
		if (!client_ask(client, length))
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
	if (control->stop)
		loop_wakeup_free(control->stop);
	loop_free(control->loop);
	fd_listener_close(&control->listener);
	free(control);
}

int control_start(const char *path, const struct series_table *series, struct board_post *post,
		  const char *host, struct control **out, struct diag *d)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return diag_errno(d, -ENOMEM, path, NULL, "control socket");
	control->series = series;
	control->post = post;
	control->host = host;
	int rc = fd_listener_open(&control->listener, path, 0660, d);
	if (rc) {
		free(control);
		return rc;
	}
	control->loop = loop_new();
	if (control->loop) {
		control->watch = loop_fd_watch(control->loop, control->listener.fd, LOOP_READ,
					       on_connect, control);
		control->sweep = loop_timer_start(control->loop, NS_PER_S, 0, on_sweep, control);
		control->stop = loop_wakeup_new(control->loop, on_stop, control->loop);
	}
	if (!control->watch || !control->sweep || !control->stop)
		rc = -ENOMEM;
	else
		rc = -pthread_create(&control->thread, NULL, control_main, control);
	if (rc) {
		control_free(control);
		return diag_errno(d, rc, path, NULL, "control socket");
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
	control_free(control);
}
