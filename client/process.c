/* SPDX-License-Identifier: Apache-2.0 */
#include "client/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/intake.h"
#include "client/ticks.h"
#include "client/writer.h"
#include "lib/base/testpoint.h"
#include "lib/data/rendezvous.h"

static struct process process_empty;
struct process *process_mine = &process_empty;

/* A descriptor by its identity: the application may have closed it and used its number again. */
struct held {
	int fd; /* -1: none */
	dev_t dev;
	ino_t ino;
};

/* What outlives fork(): how to open the segment again, and where the parent's names are. */
static struct {
	bool open; /* changed under process_opening; asked by any thread, hence atomically */
	char service[VOW_SHM_SERVICE];
	char dir[1024];
	struct ticks ticks;
	/* The segment in use; in a child, until it opened its own, the parent's. */
	struct vow_shm *shm;
	struct held memfd, intake;
} process_saved;

static bool process_populate_known = true;

static struct held held_take(int fd)
{
	struct held held = {.fd = fd};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return (struct held){.fd = -1};
	held.dev = st.st_dev;
	held.ino = st.st_ino;
	return held;
}

static void held_close(const struct held *held)
{
	struct stat st;

	if (held->fd >= 0 && fstat(held->fd, &st) == 0 && st.st_dev == held->dev &&
	    st.st_ino == held->ino)
		close(held->fd);
}

int process_populate(void *start, size_t size)
{
	uintptr_t from = (uintptr_t)start & ~(uintptr_t)(VOW_SHM_PAGE - 1);
	uintptr_t to =
		((uintptr_t)start + size + VOW_SHM_PAGE - 1) & ~(uintptr_t)(VOW_SHM_PAGE - 1);

	int saved_errno = errno, rc;

	if (!__atomic_load_n(&process_populate_known, __ATOMIC_RELAXED))
		return 0;
	rc = madvise((void *)from, to - from, MADV_POPULATE_WRITE) == 0 ? 0 : -errno;
	errno = saved_errno;
	/* Before Linux 5.14 there is no such advice: pages then come when they are touched. */
	if (rc == -EINVAL)
		__atomic_store_n(&process_populate_known, false, __ATOMIC_RELAXED);
	return rc == -EINVAL || rc == -EINTR || rc == -EAGAIN ? 0 : rc;
}

static uint64_t process_random(void)
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id) || id == 0)
		id = (ticks_monotonic() ^ (uint64_t)getpid() << 40) | 1;
	return id;
}

static void process_describe(struct vow_shm *shm)
{
	struct vow_shm_header *header = &shm->header;

	header->version = VOW_SHM_VERSION;
	header->header_size = sizeof(*header);
	header->size = VOW_SHM_SIZE;
	header->id = process_random();
	header->pid = (uint32_t)getpid();
	header->clock = process_saved.ticks.clock;
	header->tick_ratio = process_saved.ticks.ratio;
	header->opened_ns = ticks_monotonic();
	header->lanes = VOW_SHM_LANES;
	header->lane_slots = VOW_SHM_LANE_SLOTS;
	header->names = VOW_SHM_NAMES;
	header->directory = VOW_SHM_DIRECTORY;
	header->hist_scale = VOW_SHM_SCALE;
	header->hist_slots = VOW_SHM_HIST_SLOTS;
	memcpy(header->service, process_saved.service, sizeof(header->service));
	header->magic = VOW_SHM_MAGIC;
}

static void process_name_write(struct vow_shm *shm, uint32_t index, enum vow_shm_name_kind kind,
			       const char *text, size_t length)
{
	struct vow_shm_name *name = &shm->names[index];

	memcpy(name->text, text, length);
	name->length = (uint16_t)length;
	name->kind = (uint8_t)kind;
	/* Partner: the agent's acquire in segment_names_load(). */
	__atomic_store_n(&shm->counters.names, index + 1, __ATOMIC_RELEASE);
	TESTPOINT(name_written);
}

/* In a child: the parent's names with the parent's ids. */
static void process_names_inherit(struct vow_shm *shm, const struct vow_shm *parent)
{
	uint32_t count = __atomic_load_n(&parent->counters.names, __ATOMIC_ACQUIRE);

	for (uint32_t i = 1; i < count && i < VOW_SHM_NAMES; i++)
		process_name_write(shm, i, parent->names[i].kind, parent->names[i].text,
				   parent->names[i].length);
}

/* A sealed memfd of the right size, mapped. 0 or a negative errno with nothing left behind. */
static int process_map(int *memfd, struct vow_shm **shm)
{
	char name[RENDEZVOUS_NAME_SIZE];
	int rc = rendezvous_name(process_saved.dir, name);

	if (rc < 0)
		return rc;
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	void *map = MAP_FAILED;
	if (ftruncate(fd, (off_t)VOW_SHM_SIZE) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		map = mmap(NULL, VOW_SHM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		rc = -errno;
		close(fd);
		return rc;
	}
	/* A core file has no use for 390 MB of holes. */
	madvise(map, VOW_SHM_SIZE, MADV_DONTDUMP);
	*memfd = fd;
	*shm = map;
	return 0;
}

/* Ends what this process, or the parent it was forked from, has open. */
static void process_release(void)
{
	if (!process_saved.shm)
		return;
	munmap(process_saved.shm, VOW_SHM_SIZE);
	process_saved.shm = NULL;
	held_close(&process_saved.memfd);
	held_close(&process_saved.intake);
}

/* Opens this process's segment as process_saved says. process_opening is held. */
static int process_open(struct process *process)
{
	struct vow_shm *shm = NULL;
	int memfd = -1;
	int rc = process_map(&memfd, &shm);

	if (rc < 0)
		return rc;
	/* Header, counters, values and names: what is written to later without asking. */
	rc = process_populate(shm, offsetof(struct vow_shm, lanes));
	if (rc < 0) {
		munmap(shm, VOW_SHM_SIZE);
		close(memfd);
		return rc;
	}
	process_name_write(shm, 0, VOW_SHM_NAME_ROUTE, "{unnamed}", strlen("{unnamed}"));
	if (process_saved.shm)
		process_names_inherit(shm, process_saved.shm);
	process_release();
	process_describe(shm);
	TESTPOINT(segment_described);
	process_saved.shm = shm;
	process_saved.memfd = held_take(memfd);
	process_saved.intake = held_take(intake_offer(process_saved.dir, memfd));
	TESTPOINT(segment_offered);
	process->lanes_free = VOW_SHM_LANES;
	__atomic_store_n(&process->shm, shm, __ATOMIC_RELEASE);
	return 0;
}

/*
 * One thread opens or closes at a time. fork() waits for it, so that no child finds the lock taken
 * by a thread that it does not have, or process_saved half written.
 */
static pthread_mutex_t process_opening = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t process_fork_once = PTHREAD_ONCE_INIT;
static int process_fork_rc;

static void process_opening_lock(void)
{
	pthread_mutex_lock(&process_opening);
}

static void process_opening_unlock(void)
{
	pthread_mutex_unlock(&process_opening);
}

static void process_fork_watch(void)
{
	process_fork_rc = -pthread_atfork(process_opening_lock, process_opening_unlock,
					  process_opening_unlock);
}

static void process_open_set(bool open)
{
	__atomic_store_n(&process_saved.open, open, __ATOMIC_RELAXED);
}

/* In a child after fork(), unless another thread was faster. process_opening is held. */
static int process_open_again(void)
{
	if (process_shm() || !process_saved.open)
		return 0;
	int rc = process_open(process_mine);
	/* A child that cannot open its segment goes without, and does not try at every call. */
	if (rc < 0)
		process_open_set(false);
	return rc;
}

struct vow_shm *process_segment(void)
{
	struct vow_shm *shm = process_shm();
	int saved_errno = errno;

	if (shm || process_current() == &process_empty ||
	    !__atomic_load_n(&process_saved.open, __ATOMIC_RELAXED))
		return shm;
	process_opening_lock();
	process_open_again();
	shm = process_shm();
	process_opening_unlock();
	errno = saved_errno;
	return shm;
}

vow_id process_name(enum vow_shm_name_kind kind, const char *text, size_t length)
{
	struct vow_shm *shm = process_segment();
	struct process *process = process_current();
	vow_id id = 0;

	if (!shm || length == 0)
		return 0;
	if (length > VOW_SHM_NAME_TEXT)
		length = VOW_SHM_NAME_TEXT;
	pthread_mutex_lock(&process->lock);
	uint32_t count = shm->counters.names;
	for (uint32_t i = 1; i < count && !id; i++) {
		const struct vow_shm_name *name = &shm->names[i];

		if (name->kind == kind && name->length == length &&
		    memcmp(name->text, text, length) == 0)
			id = i;
	}
	if (!id && count < VOW_SHM_NAMES) {
		process_name_write(shm, count, kind, text, length);
		id = count;
	}
	pthread_mutex_unlock(&process->lock);
	return id;
}

static int process_options_save(const struct vow_options *options)
{
	const char *dir = options->dir;

	if (!dir || !dir[0])
		dir = secure_getenv("VOW_DIR");
	if (!dir || !dir[0])
		dir = RENDEZVOUS_DEFAULT_DIR;
	if (!options->service || !options->service[0] ||
	    strlen(options->service) >= sizeof(process_saved.service))
		return -EINVAL;
	if (strlen(dir) >= sizeof(process_saved.dir))
		return -ENAMETOOLONG;
	memset(process_saved.service, 0, sizeof(process_saved.service));
	strcpy(process_saved.service, options->service);
	strcpy(process_saved.dir, dir);
	return 0;
}

/* Pages of their own for struct process: fresh at each opening, see the head of process.h. */
static int process_pages(struct process **process)
{
	size_t size = (sizeof(struct process) + VOW_SHM_PAGE - 1) & ~(size_t)(VOW_SHM_PAGE - 1);
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return -errno;
	if (madvise(pages, size, MADV_WIPEONFORK) != 0) {
		int rc = errno == EINVAL ? -ENOSYS : -errno;

		munmap(pages, size);
		return rc;
	}
	*process = pages;
	return 0;
}

static int process_open_first(void)
{
	struct process *process = NULL;
	int rc = process_pages(&process);

	if (rc < 0)
		return rc;
	ticks_calibrate(&process_saved.ticks, TICKS_SOURCE);
	ticks_use(&process_saved.ticks);
	rc = process_open(process);
	if (rc < 0) {
		munmap(process, sizeof(*process));
		return rc;
	}
	process_open_set(true);
	/* Partner: the acquire in process_current(). */
	__atomic_store_n(&process_mine, process, __ATOMIC_RELEASE);
	return 0;
}

static int process_open_options(const struct vow_options *options)
{
	if (process_shm())
		return -EALREADY;
	int rc = process_options_save(options);
	if (rc == 0)
		rc = writer_key_make();
	if (rc < 0)
		return rc;
	/* A child after fork() that says who it is: pages and clock are there. */
	return process_saved.open ? process_open_again() : process_open_first();
}

int vow_open_options(const struct vow_options *options)
{
	int saved_errno = errno;

	pthread_once(&process_fork_once, process_fork_watch);
	process_opening_lock();
	int rc = process_fork_rc ? process_fork_rc : process_open_options(options);
	process_opening_unlock();
	errno = saved_errno;
	return rc;
}

int vow_open(const char *service)
{
	struct vow_options options = {.service = service};

	return vow_open_options(&options);
}

void vow_close(void)
{
	int saved_errno = errno;

	process_opening_lock();
	process_release();
	if (process_mine != &process_empty)
		memset(process_mine, 0, sizeof(*process_mine));
	process_open_set(false);
	__atomic_store_n(&process_mine, &process_empty, __ATOMIC_RELEASE);
	process_opening_unlock();
	errno = saved_errno;
}
