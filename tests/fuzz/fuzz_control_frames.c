/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket as it runs, thread and loop and all, and what one client writes to it, cut into
 * pieces: each whole question has one answer, in order, of the kind that its bytes deserve, and then the
 * connection ends. The first byte says how large pieces are. Every other order fails.
 */
#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control.h"
#include "lib/base/fd.h"
#include "tests/fuzz/fuzz.h"
#include "view/view.h"

#define FRAMES_HEADER 4u

enum answer { ROWS, ERROR };

/* A client, as far as it came. */
static struct client {
	struct loop_fd *watch;
	const uint8_t *bytes;
	size_t size, sent, piece;
	uint8_t *got;
	size_t got_size, got_room;
	unsigned orders; /* that were given */
} client;

static char path[256];
static struct loop *loop;

static int carry_out(void *arg, const struct order *order, struct diag *d)
{
	(void)arg;
	FUZZ_CHECK(order->trace.service[0] && order->uid == geteuid() && order->pid == getpid());
	return client.orders++ % 2 ? diag_set(d, -ENOENT, "fuzz", NULL, "every other one") : 0;
}

static void start_control(void)
{
	struct series_table *table = series_table_new(&(struct series_table_options){0});
	struct series_key key = {.service = "shop", .route = "/pay"};
	struct board_post *post = board_post_new();
	struct control *control;
	struct diag d = {0};

	FUZZ_CHECK(table && post && (loop = loop_new()));
	series_record(series_get(table, &key), 1000, SERIES_NO_QUEUE);
	series_tick(table, NS_PER_S, NULL, NULL);
	board_publish(post, board_new());
	const struct control_options options = {.path = fuzz_path("control.sock", path),
						.series = table,
						.post = post,
						.host = "web1",
						.desk = order_desk_new(loop, carry_out, NULL)};
	FUZZ_CHECK(options.desk && control_start(&options, &control, &d) == 0);
}

/* ---- the client ----------------------------------------------------------------------------------- */

static void send_piece(int fd)
{
	size_t left = client.size - client.sent;
	ssize_t n = send(fd, client.bytes + client.sent, left < client.piece ? left : client.piece,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	FUZZ_CHECK(n >= 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
	if (n < 0 && errno == EAGAIN)
		return;
	client.sent = n < 0 ? client.size : client.sent + (size_t)n;
	if (client.sent < client.size)
		return;
	shutdown(fd, SHUT_WR);
	loop_fd_change(client.watch, LOOP_READ);
}

/* False: nothing more is there now, or ever. */
static bool receive(int fd)
{
	if (client.got_room - client.got_size < 4096) {
		client.got_room = 2 * client.got_room + 8192;
		FUZZ_CHECK(client.got = realloc(client.got, client.got_room));
	}
	ssize_t n = recv(fd, client.got + client.got_size, client.got_room - client.got_size,
			 MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	FUZZ_CHECK(n >= 0 || errno == ECONNRESET);
	if (n <= 0)
		loop_stop(loop);
	else
		client.got_size += (size_t)n;
	return n > 0;
}

static void on_client(void *arg, int fd, unsigned ready)
{
	(void)arg;
	if (ready & LOOP_WRITE)
		send_piece(fd);
	/* The end with bytes unread is an error, after which the watch is silent: all is read at once. */
	while (ready & (LOOP_READ | LOOP_HANGUP) && receive(fd))
		;
}

static void talk(const uint8_t *bytes, size_t size, size_t piece)
{
	_cleanup_(fd_closep) int fd = fd_connect(path, 0, NULL);

	FUZZ_CHECK(fd >= 0);
	client.bytes = bytes;
	client.size = size;
	client.sent = client.got_size = 0;
	client.piece = size / piece > 64 ? size / 64 : piece;
	client.orders = 0;
	client.watch = loop_fd_watch(loop, fd, LOOP_READ | LOOP_WRITE, on_client, NULL);
	FUZZ_CHECK(client.watch);
	loop_run(loop);
	loop_fd_unwatch(client.watch);
}

/* ---- what is to come of it ------------------------------------------------------------------------ */

static enum answer expected_of(const uint8_t *question, size_t size, unsigned *orders)
{
	struct view_query query;

	if (view_query_decode(question, size, &query, NULL) != 0)
		return ERROR;
	return query.trace.service[0] && (*orders)++ % 2 ? ERROR : ROWS;
}

static void expect_answer(size_t *at, enum answer expected)
{
	struct view *view;
	struct diag d = {0};
	uint32_t length;

	FUZZ_CHECK(client.got_size - *at >= FRAMES_HEADER);
	memcpy(&length, client.got + *at, FRAMES_HEADER);
	length = le32toh(length);
	*at += FRAMES_HEADER;
	FUZZ_CHECK(client.got_size - *at >= length);
	int rc = view_decode(client.got + *at, length, &view, &d);
	FUZZ_CHECK(rc == (expected == ROWS ? 0 : 1));
	if (rc == 0)
		view_free(view);
	*at += length;
}

static void check_answers(const uint8_t *bytes, size_t size)
{
	size_t at = 0, got = 0;
	unsigned orders = 0;
	uint32_t length = 0;

	while (size - at >= FRAMES_HEADER) {
		memcpy(&length, bytes + at, FRAMES_HEADER);
		length = le32toh(length);
		at += FRAMES_HEADER;
		if (length > CONTROL_QUESTION_MAX) {
			expect_answer(&got, ERROR);
			break;
		}
		if (size - at < length)
			break;
		expect_answer(&got, expected_of(bytes + at, length, &orders));
		at += length;
	}
	FUZZ_CHECK(got == client.got_size && orders == client.orders);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, bytes + size};

	if (!loop)
		start_control();
	size_t piece = 1 + fuzz_number(&input, 1);
	talk(input.at, fuzz_left(&input), piece);
	check_answers(input.at, fuzz_left(&input));
	return 0;
}
