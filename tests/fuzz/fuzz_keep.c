/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages with descriptors between an agent, its keeper and a porter, each as its receiver gets them:
 * what becomes of them is what a model of the protocol says, and no descriptor stays open. The first
 * byte says who hears the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vow/shm.h>

#include "collectors/lanes/keeping.h"
#include "collectors/lanes/lanes.h"
#include "collectors/lanes/porters_state.h"
#include "keep/keeper.h"
#include "keep/porter.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/data/keep_wire.h"
#include "tests/fuzz/fuzz.h"

/* Five, as a socket of this kind takes ten messages and a porter answers with two. */
enum { MESSAGES = 5, FDS = 3, GUESTS = 4, BYTES = 80, FDS_OPEN = 128 };

/* What descriptors are of: two sealed memories, a pipe, and a connection of an application. */
enum kind { MEMORY, MEMORY_TOO, PIPE, CONNECTION, KINDS };

/* Beside the number of descriptors: the header is right, but for the version perhaps. */
enum { WHOLE = 4, KNOWN_INODE = 8, INODE_TOO = 16, LATER = 32 };

struct sent {
	_Alignas(8) uint8_t bytes[BYTES];
	size_t size;
	enum kind kinds[FDS];
	unsigned count; /* of descriptors */
};

static int pool[KINDS];
static uint64_t inodes[2]; /* of the memories */

static int sealed_memory(uint64_t *inode)
{
	int fd = memfd_create("vow-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
	FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	*inode = st.st_ino;
	return fd;
}

static void make_pool(void)
{
	int ends[2];

	log_init("fuzz", LOG_LEVEL_ERROR);
	pool[MEMORY] = sealed_memory(&inodes[0]);
	pool[MEMORY_TOO] = sealed_memory(&inodes[1]);
	FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pool[PIPE] = ends[0];
}

/* One message: flags, what its descriptors are of, how long it is, its bytes. */
static void take_message(struct fuzz_input *input, size_t whole, struct sent *sent)
{
	unsigned flags = (unsigned)fuzz_number(input, 1), kinds = (unsigned)fuzz_number(input, 1);
	size_t size = fuzz_number(input, 1) % (whole + 9);

	*sent = (struct sent){.size = flags & WHOLE ? whole : size, .count = flags % (FDS + 1)};
	fuzz_copy(input, sent->bytes, sent->size);
	for (unsigned i = 0; i < sent->count; i++)
		sent->kinds[i] = (kinds >> 2 * i) % KINDS;
	if (whole == sizeof(struct keep_message) && flags & WHOLE) {
		struct keep_message *message = (struct keep_message *)sent->bytes;

		message->magic = KEEP_MAGIC;
		message->version = KEEP_VERSION + !!(flags & LATER);
		if (flags & KNOWN_INODE)
			message->inode = inodes[!!(flags & INODE_TOO)];
	} else if (flags & WHOLE && whole == sizeof(struct porter_message)) {
		((struct porter_message *)sent->bytes)->version =
			PORTER_VERSION + !!(flags & LATER);
	} else if (flags & WHOLE) {
		((struct vow_shm_hello *)sent->bytes)->magic = VOW_SHM_MAGIC;
	}
}

static unsigned take_messages(struct fuzz_input *input, size_t whole, struct sent all[MESSAGES])
{
	unsigned count = 0;

	while (count < MESSAGES && fuzz_left(input))
		take_message(input, whole, &all[count++]);
	return count;
}

/* False: nobody hears any more. */
static bool send_message(int fd, const struct sent *sent)
{
	int fds[FDS];

	for (unsigned i = 0; i < sent->count; i++)
		fds[i] = pool[sent->kinds[i]];
	int rc = passing_send(fd, sent->bytes, sent->size, fds, sent->count);
	FUZZ_CHECK(rc == 0 || rc == -EPIPE);
	return rc == 0;
}

static void make_pair(int pair[2])
{
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ==
		   0);
}

/* ---- what a message means, said once more --------------------------------------------------------- */

enum meaning { END, FOREIGN, OTHER_VERSION, CUT, OURS };

/* Of a longer one the rest is cut off, which counts as a lost descriptor. */
static enum meaning keep_meaning(const struct sent *sent, struct keep_message *message)
{
	memset(message, 0, sizeof(*message));
	memcpy(message, sent->bytes, sent->size < sizeof(*message) ? sent->size : sizeof(*message));
	if (sent->size == 0)
		return END;
	if (sent->size < 16 || message->magic != KEEP_MAGIC) /* the words that no version changes */
		return FOREIGN;
	if (message->version != KEEP_VERSION)
		return OTHER_VERSION;
	if (sent->size < sizeof(*message))
		return FOREIGN;
	return sent->size > sizeof(*message) ? CUT : OURS;
}

static bool is_memory(const struct sent *sent, unsigned at)
{
	return at < sent->count && sent->kinds[at] <= MEMORY_TOO;
}

/* ---- the keeper ----------------------------------------------------------------------------------- */

/* What a keeper is to have and to say. */
struct keeper_model {
	bool agent, held[2], intake, ends;
	uint32_t refused;
};

static void model_caller(struct keeper_model *model, const struct sent *sent)
{
	struct keep_message message;

	model->agent = keep_meaning(sent, &message) == OURS && message.kind == KEEP_HELLO;
}

static void model_segment(struct keeper_model *model, const struct sent *sent)
{
	if (is_memory(sent, 0))
		model->held[sent->kinds[0]] = true;
	else
		model->refused += sent->count > 0;
}

static void model_obey(struct keeper_model *model, const struct sent *sent)
{
	struct keep_message message;
	enum meaning meaning = keep_meaning(sent, &message);

	if (meaning == CUT)
		model->refused++;
	else if (meaning != OURS)
		model->agent = false;
	else if (message.kind == KEEP_SEGMENT)
		model_segment(model, sent);
	else if (message.kind == KEEP_LISTENER)
		model->intake |= sent->count > 0;
	else if (message.kind == KEEP_END)
		model->ends = true;
	for (unsigned i = 0; i < 2 && meaning == OURS && message.kind == KEEP_LET_GO; i++)
		model->held[i] &= message.inode != inodes[i];
}

static void expect_said(int fd, uint32_t kind, uint32_t count)
{
	struct keep_message message;
	struct keep_fds fds;

	FUZZ_CHECK(keep_receive(fd, &message, &fds) == 1);
	FUZZ_CHECK(message.kind == kind && message.count == count && fds.connection < 0);
	FUZZ_CHECK(kind == KEEP_HELLO || fds.memfd < 0);
	fd_closep(&fds.memfd);
}

static void check_keeper(const struct keeper *keeper, const struct keeper_model *model, int fd)
{
	const struct held_table *held = &keeper->held;
	struct keep_message message;
	struct keep_fds fds;

	FUZZ_CHECK(held->count == (unsigned)model->held[0] + model->held[1]);
	for (unsigned i = 0; i < held->count; i++)
		FUZZ_CHECK((held->all[i].inode == inodes[0] && model->held[0]) ||
			   (held->all[i].inode == inodes[1] && model->held[1]));
	FUZZ_CHECK(held->count < 2 || held->all[0].inode != held->all[1].inode);
	FUZZ_CHECK(held->refused == model->refused && !held->passing);
	FUZZ_CHECK((keeper->intake >= 0) == model->intake && !!keeper->end_at == model->ends);
	FUZZ_CHECK((keeper->agent >= 0) == model->agent);
	if (!model->agent)
		return;
	expect_said(fd, KEEP_HELLO, 0);
	if (model->refused)
		expect_said(fd, KEEP_REFUSED, model->refused);
	expect_said(fd, KEEP_READY, 0);
	FUZZ_CHECK(keep_receive(fd, &message, &fds) == -EAGAIN);
}

/* One that can start no porter, as so many of them hang: a fuzzer starts no programs. */
static void start_none(struct porters *porters)
{
	porters->former_count = PORTERS_BARRED_MAX;
	for (unsigned i = 0; i < PORTERS_BARRED_MAX; i++)
		porters->former[i] = (struct porters_former){.pid = INT_MAX, .fd = -1};
}

static void hear_as_keeper(struct fuzz_input *input)
{
	static struct keeper keeper;
	struct keeper_model model = {0};
	struct sent all[MESSAGES];
	unsigned count = take_messages(input, sizeof(struct keep_message), all);
	int pair[2];

	make_pair(pair);
	keeper = (struct keeper){.agent = -1, .intake = -1};
	FUZZ_CHECK(porters_open(&(struct porters_options){0}, &keeper.guests) == 0);
	start_none(keeper.guests);
	int caller = pair[0];
	for (unsigned i = 0; i < count && send_message(pair[1], &all[i]); i++) {
		if (i == 0) {
			keeper_caller_ready(&keeper, &caller);
			FUZZ_CHECK(caller < 0);
			model_caller(&model, &all[i]);
		} else {
			keeper_agent_ready(&keeper);
			model_obey(&model, &all[i]);
		}
	}
	FUZZ_CHECK(!keeper_say_all(&keeper));
	check_keeper(&keeper, &model, pair[1]);
	while (keeper.held.count)
		held_drop(&keeper.held, 0);
	porters_close(keeper.guests, -1);
	fd_closep(&keeper.agent);
	fd_closep(&keeper.intake);
	fd_closep(&caller);
	close(pair[1]);
}

/* ---- the agent ------------------------------------------------------------------------------------ */

/* A keeper of its own thread: it answers each greeting with what is in the script, and goes. */
static struct script {
	struct sent all[MESSAGES];
	unsigned count;
	int listener;
	sem_t done;
} script;

/* What an agent is to take. */
struct agent_model {
	bool greeted;
	unsigned found;
	uint64_t strangers;
};

static struct agent_model taken;
static struct lanes lanes;

static void *keeper_main(void *arg)
{
	struct keep_message hello;
	struct keep_fds fds;

	(void)arg;
	for (;;) {
		int fd = accept4(script.listener, NULL, NULL, SOCK_CLOEXEC);
		struct pollfd ready = {.fd = fd, .events = POLLIN};

		FUZZ_CHECK(fd >= 0 && poll(&ready, 1, -1) == 1);
		FUZZ_CHECK(keep_receive(fd, &hello, &fds) == 1 && hello.kind == KEEP_HELLO);
		for (unsigned i = 0; i < script.count && send_message(fd, &script.all[i]); i++)
			;
		close(fd);
		sem_post(&script.done);
	}
}

static void start_keeper(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[256];
	pthread_t thread;

	FUZZ_CHECK(strlen(fuzz_path(KEEP_SOCKET, path)) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	script.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(bind(script.listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		   listen(script.listener, 1) == 0 && sem_init(&script.done, 0, 0) == 0 &&
		   pthread_create(&thread, NULL, keeper_main, NULL) == 0);
}

static void on_found(void *arg, int memfd, int connection, pid_t pid, uint64_t started)
{
	(void)arg, (void)pid, (void)started;
	FUZZ_CHECK(memfd >= 0);
	taken.found++;
	fd_closep(&memfd);
	fd_closep(&connection);
}

static void on_strangers(void *arg, const struct keep_message *message)
{
	(void)arg;
	lanes_on_strangers(&lanes, message);
}

/* False: it hears nothing further. */
static bool model_take(struct agent_model *model, const struct sent *sent)
{
	struct keep_message message;
	enum meaning meaning = keep_meaning(sent, &message);

	if (meaning == CUT)
		return true;
	if (meaning != OURS || (!model->greeted && message.kind != KEEP_HELLO))
		return false;
	model->greeted = true;
	model->found += message.kind == KEEP_SEGMENT && sent->count;
	model->strangers += message.kind == KEEP_STRANGE ? message.count : 0;
	return true;
}

static void hear_as_agent(struct fuzz_input *input)
{
	static struct loop *loop;
	struct agent_model model = {0};
	struct keeping *keeping;
	struct diag d = {0};
	char dir[256];
	uint64_t inode;

	if (!loop) {
		FUZZ_CHECK(loop = loop_new());
		start_keeper();
	}
	script.count = take_messages(input, sizeof(struct keep_message), script.all);
	for (unsigned i = 0; i < script.count && model_take(&model, &script.all[i]); i++)
		;
	taken = (struct agent_model){0};
	lanes.refused_total = 0;
	fuzz_path("", dir);
	const struct keeping_options options = {.loop = loop,
						.dir = dir,
						.patience = NS_PER_H,
						.found = on_found,
						.strangers = on_strangers};
	FUZZ_CHECK(keeping_open(&options, &keeping, &d) == 0);
	sem_wait(&script.done);
	loop_run(loop); /* until its connection ends, as nothing else is watched */
	FUZZ_CHECK(taken.found == model.found);
	FUZZ_CHECK(lanes.refused_total == model.strangers && !lanes.keeper_barred.count);
	FUZZ_CHECK(!keeping_number(keeping) && !keeping_pid(keeping));
	int listener = keeping_take_listener(keeping, &inode);
	FUZZ_CHECK(listener < 0 || model.greeted);
	fd_closep(&listener);
	keeping_close(keeping);
}

/* ---- a porter ------------------------------------------------------------------------------------- */

static enum porter_verdict model_verdict(const struct sent *hello)
{
	const struct vow_shm_hello *bytes = (const struct vow_shm_hello *)hello->bytes;

	if (hello->size < sizeof(*bytes) || bytes->magic != VOW_SHM_MAGIC || !hello->count)
		return PORTER_NOTHING;
	return is_memory(hello, 0) ? PORTER_MEMORY : PORTER_STRANGE;
}

static bool porter_understands(const struct sent *sent)
{
	return sent->size >= sizeof(struct porter_message) &&
	       ((const struct porter_message *)sent->bytes)->version == PORTER_VERSION;
}

static void expect_answer(int fd, uint32_t kind, uint32_t number, enum porter_verdict verdict)
{
	struct porter_message answer;
	int memfd;

	FUZZ_CHECK(porter_receive(fd, &answer, &memfd) == 1);
	FUZZ_CHECK(answer.kind == kind && answer.number == number && answer.verdict == verdict);
	FUZZ_CHECK((memfd >= 0) == (kind == PORTER_SEEN && verdict == PORTER_MEMORY));
	fd_closep(&memfd);
}

/* A hello is in the connection, until the porter has looked at it or has dropped it. */
static void hear_as_porter(struct fuzz_input *input)
{
	struct sent hello, all[MESSAGES];
	struct porter_message message;
	int pair[2], connection[2], none;
	bool there = true, hears = true;

	take_message(input, sizeof(struct vow_shm_hello), &hello);
	for (unsigned i = 0; i < hello.count; i++)
		hello.kinds[i] = hello.kinds[i] == CONNECTION ? PIPE : hello.kinds[i];
	unsigned count = take_messages(input, sizeof(struct porter_message), all);

	make_pair(pair);
	make_pair(connection);
	porter_prepare(connection[0]);
	send_message(connection[1], &hello);
	pool[CONNECTION] = connection[0];
	for (unsigned i = 0; i < count; i++)
		send_message(pair[1], &all[i]);
	shutdown(pair[1], SHUT_WR);
	porter_run(pair[0]);
	for (unsigned i = 0; i < count && hears; i++) {
		memcpy(&message, all[i].bytes, sizeof(message));
		hears = porter_understands(&all[i]);
		if (!hears || message.kind != PORTER_LOOK || !all[i].count)
			continue;
		bool here = all[i].kinds[0] == CONNECTION && there;
		enum porter_verdict verdict = here ? model_verdict(&hello) : PORTER_NOTHING;

		expect_answer(pair[1], PORTER_SEEN, message.number, verdict);
		expect_answer(pair[1], PORTER_DONE, message.number, verdict);
		there &= !here;
	}
	FUZZ_CHECK(porter_receive(pair[1], &message, &none) == -EAGAIN);
	FUZZ_CHECK(there || porter_next(connection[0]) == PORTER_EMPTY);
	close(pair[0]);
	close(pair[1]);
	close(connection[0]);
	close(connection[1]);
}

/* ---- who has a porter ----------------------------------------------------------------------------- */

struct guests_model {
	unsigned came, strange;
};

static void on_came(void *arg, int memfd, int connection)
{
	struct guests_model *heard = arg;

	FUZZ_CHECK(fcntl(memfd, F_GETFD) >= 0 && fcntl(connection, F_GETFD) >= 0);
	heard->came++;
	close(memfd);
	close(connection);
}

static void on_strange(void *arg, pid_t pid)
{
	struct guests_model *heard = arg;

	FUZZ_CHECK(pid == getpid());
	heard->strange++;
}

/* Guests 1 to GUESTS, each given to the porter; the other ends are the caller's. */
static void give_guests(struct porters *porters, int ends[GUESTS])
{
	for (unsigned i = 0; i < GUESTS; i++) {
		int pair[2];

		make_pair(pair);
		ends[i] = pair[1];
		porters_take(porters, pair[0]);
		struct porters_guest *guest = porters_first(porters, PORTERS_SILENT, 0);

		FUZZ_CHECK(guest && guest->number == i + 1);
		porters_state_set(porters, guest, PORTERS_GIVEN);
		guest->spare = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	}
}

static struct guests_model model_guests(const struct sent *all, unsigned count)
{
	struct {
		bool seen, done, memory;
		uint32_t verdict;
	} guests[GUESTS + 1] = {0};
	struct guests_model model = {0};
	struct porter_message message;

	for (unsigned i = 0; i < count && porter_understands(&all[i]); i++) {
		memcpy(&message, all[i].bytes, sizeof(message));
		uint32_t at = message.number;

		if (!at || at > GUESTS || guests[at].done)
			continue;
		if (message.kind == PORTER_SEEN && !guests[at].seen) {
			guests[at].seen = true;
			guests[at].memory = all[i].count;
			guests[at].verdict = message.verdict;
		}
		guests[at].done = message.kind == PORTER_DONE;
		model.came += guests[at].done && guests[at].memory;
		model.strange += guests[at].done && !guests[at].memory &&
				 guests[at].verdict == PORTER_STRANGE;
	}
	return model;
}

static void hear_a_porter(struct fuzz_input *input)
{
	struct guests_model heard = {0}, model;
	const struct porters_options options = {
		.came = on_came, .strange = on_strange, .arg = &heard};
	struct porters *porters;
	struct sent all[MESSAGES];
	unsigned count = take_messages(input, sizeof(struct porter_message), all);
	int pair[2], ends[GUESTS];

	make_pair(pair);
	FUZZ_CHECK(porters_open(&options, &porters) == 0);
	give_guests(porters, ends);
	pool[CONNECTION] = pair[1];
	porters->fd = pair[0];
	porters->pid = INT_MAX; /* nobody's */
	for (unsigned i = 0; i < count; i++)
		send_message(pair[1], &all[i]);
	shutdown(pair[1], SHUT_WR);
	porters_hear(porters, clock_mono());
	model = model_guests(all, count);
	FUZZ_CHECK(heard.came == model.came && heard.strange == model.strange);
	FUZZ_CHECK(porters->fd < 0 && porters->former_count == 1 && !porters->given);
	porters_reap(porters);
	FUZZ_CHECK(!porters->former_count);
	porters_close(porters, -1);
	close(pair[1]);
	for (unsigned i = 0; i < GUESTS; i++)
		close(ends[i]);
}

/* ---- all ------------------------------------------------------------------------------------------ */

static unsigned open_count(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FDS_OPEN; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static void (*const hear[])(struct fuzz_input *) = {hear_as_keeper, hear_as_agent,
							    hear_as_porter, hear_a_porter};
	struct fuzz_input input = {bytes, bytes + size}, nothing = {bytes, bytes};

	if (!pool[MEMORY]) {
		make_pool();
		hear_as_agent(&nothing); /* its loop and its thread stay */
	}
	const unsigned before = open_count();

	pool[CONNECTION] = pool[PIPE];
	hear[fuzz_number(&input, 1) % ARRAY_LEN(hear)](&input);
	FUZZ_CHECK(open_count() == before);
	return 0;
}
