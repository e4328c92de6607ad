/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/data/hist.h"
#include "lib/data/series.h"

/* What both sides of the segment must agree on, stated where both are seen. */
_Static_assert(VOW_SHM_SCALE == HIST_SCALE, "one histogram everywhere");
_Static_assert(VOW_SHM_HIST_SLOTS == HIST_SLOTS, "one histogram everywhere");
_Static_assert(VOW_SHM_THRESHOLDS == SERIES_THRESHOLDS, "a count for each threshold");
_Static_assert(CLASS_OK == 0 && CLASS_1XX == 1 && CLASS_5XX == 5, "classes as in the segment");
_Static_assert(CLASS_ERROR == VOW_SHM_CLASS_ERROR, "classes as in the segment");
_Static_assert(CLASS_COUNT <= VOW_SHM_CLASSES, "a block for each class");
/* Version 2, byte for byte: a change here is another version. */
_Static_assert(sizeof(struct vow_shm_record) == 32, "layout");
_Static_assert(sizeof(struct vow_shm_lane) == 135168, "layout");
_Static_assert(sizeof(struct vow_shm_block) == 90112, "layout");
_Static_assert(sizeof(struct vow_shm_exemplar) == 80, "layout");
_Static_assert(offsetof(struct vow_shm_lane, head) == 128, "layout");
_Static_assert(offsetof(struct vow_shm_lane, owner) == 256, "layout");
_Static_assert(offsetof(struct vow_shm_lane, exemplar) == 384, "layout");
_Static_assert(offsetof(struct vow_shm_lane, slots) == 4096, "layout");
_Static_assert(sizeof(struct vow_shm_header) == 144, "layout");
_Static_assert(offsetof(struct vow_shm, values) == 0x3000, "layout");
_Static_assert(offsetof(struct vow_shm, names) == 0x13000, "layout");
_Static_assert(offsetof(struct vow_shm, directory) == 0x33000, "layout");
_Static_assert(offsetof(struct vow_shm, lanes) == 0x3b000, "layout");
_Static_assert(offsetof(struct vow_shm, blocks) == 0x87b000, "layout");
_Static_assert(sizeof(struct vow_shm) == 0x1737b000, "layout");

#define SEGMENT_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* ---- the guard ------------------------------------------------------------------------------- */

static __thread sigjmp_buf *volatile segment_jump;
static pthread_once_t segment_guard_once = PTHREAD_ONCE_INIT;

/* Outside of a guard the signal is what it always was: the second try ends the program. */
static void segment_sigbus(int signum)
{
	if (segment_jump)
		siglongjmp(*segment_jump, 1);
	signal(signum, SIG_DFL);
}

static void segment_guard_install(void)
{
	struct sigaction action = {.sa_handler = segment_sigbus, .sa_flags = SA_NODEFER};

	sigaction(SIGBUS, &action, NULL);
}

int segment_guard(int (*visit)(void *arg), void *arg)
{
	sigjmp_buf jump;

	pthread_once(&segment_guard_once, segment_guard_install);
	/* The mask is not saved (a system call): SA_NODEFER leaves it as it is. */
	if (sigsetjmp(jump, 0)) {
		segment_jump = NULL;
		return -EFAULT;
	}
	segment_jump = &jump;
	/* Compilers may see into visit: none of its loads comes before this, or after the next. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	int rc = visit(arg);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	segment_jump = NULL;
	return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

static const char made_by_libvow[] = "share a memfd made by vow_open()";

int segment_is_no_memfd(struct diag *d)
{
	return diag_set(d, -EPERM, NULL, made_by_libvow, "the shared segment is not a memfd");
}

static int segment_check_file(int fd, struct stat *st, struct diag *d)
{
	struct statfs fs;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return segment_is_no_memfd(d);
	if ((seals & SEGMENT_SEALS) != SEGMENT_SEALS)
		return diag_set(d, -EPERM, NULL,
				"seal it with F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL",
				"the segment is not sealed against shrinking, growing and more "
				"seals");
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return diag_set(d, -EPERM, NULL, "do not seal it against writing",
				"the segment is sealed against the agent's own words");
	if (fstat(fd, st) != 0)
		return diag_errno(d, -errno, NULL, NULL, "cannot look at the segment");
	if ((uint64_t)st->st_size < VOW_SHM_PAGE)
		return diag_set(d, -EPROTO, NULL, made_by_libvow, "the segment has only %lld bytes",
				(long long)st->st_size);
	return 0;
}

static int segment_copy_header(void *arg)
{
	void **pair = arg;

	memcpy(pair[0], pair[1], sizeof(struct vow_shm_header));
	return 0;
}

/* A copy of the header alone: the rest is mapped only when it says that it is there. */
static int segment_read_header(int fd, struct vow_shm_header *header, struct diag *d)
{
	void *page = mmap(NULL, VOW_SHM_PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return diag_errno(d, -errno, NULL, NULL, "cannot map the segment");
	void *pair[2] = {header, page};
	int rc = segment_guard(segment_copy_header, pair);
	munmap(page, VOW_SHM_PAGE);
	return rc < 0 ? diag_errno(d, rc, NULL, NULL, "cannot read the segment") : 0;
}

static int segment_check_header(const struct vow_shm_header *header, uint64_t size, struct diag *d)
{
	if (header->magic != VOW_SHM_MAGIC)
		return diag_set(d, -EPROTO, NULL, made_by_libvow,
				"the segment does not begin as one of vow");
	if (header->version < VOW_SHM_OLDEST || header->version > VOW_SHM_VERSION)
		return diag_set(
			d, -ENOTSUP, NULL, "link the application with the libvow of this release",
			"the segment has layout version %u, this agent reads versions %u to %u",
			header->version, VOW_SHM_OLDEST, VOW_SHM_VERSION);
	if (header->header_size != sizeof(*header) || header->size != VOW_SHM_SIZE ||
	    size != VOW_SHM_SIZE || header->lanes != VOW_SHM_LANES ||
	    header->lane_slots != VOW_SHM_LANE_SLOTS || header->names != VOW_SHM_NAMES ||
	    header->directory != VOW_SHM_DIRECTORY || header->hist_scale != VOW_SHM_SCALE ||
	    header->hist_slots != VOW_SHM_HIST_SLOTS || header->id == 0)
		return diag_set(d, -EPROTO, NULL, made_by_libvow,
				"the segment's header contradicts its layout version");
	if (header->service[0] == '\0' || !memchr(header->service, '\0', sizeof(header->service)))
		return diag_set(d, -EPROTO, NULL, made_by_libvow, "the segment names no service");
	return 0;
}

int segment_open(int fd, struct segment *segment, struct diag *d)
{
	struct vow_shm_header header;
	struct stat st;
	int rc = segment_check_file(fd, &st, d);

	if (rc == 0)
		rc = segment_read_header(fd, &header, d);
	if (rc == 0)
		rc = segment_check_header(&header, (uint64_t)st.st_size, d);
	if (rc < 0)
		return rc;
	/* From 3 on, as 0 says that there is none. */
	int memfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (memfd < 0)
		return diag_errno(d, -errno, NULL, NULL, "cannot keep the segment");
	void *map = mmap(NULL, VOW_SHM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (map == MAP_FAILED) {
		rc = diag_errno(d, -errno, NULL, NULL, "cannot map the segment");
		close(memfd);
		return rc;
	}
	*segment = (struct segment){
		.shm = map,
		.id = header.id,
		.inode = st.st_ino,
		.memfd = memfd,
		.pid = header.pid,
		.clock = header.clock,
		.tick_ratio = header.tick_ratio,
	};
	memcpy(segment->service, header.service, sizeof(segment->service));
	return 0;
}

void segment_close(struct segment *segment)
{
	if (segment->shm)
		munmap(segment->shm, VOW_SHM_SIZE);
	segment->shm = NULL;
	if (segment->memfd)
		close(segment->memfd);
	segment->memfd = 0;
}

uint64_t segment_bytes(const struct segment *segment)
{
	enum { STAT_BLOCK = 512 };
	struct stat st;

	if (!segment->memfd || fstat(segment->memfd, &st) != 0)
		return 0;
	return (uint64_t)st.st_blocks * STAT_BLOCK;
}

/* ---- names and values ------------------------------------------------------------------------ */

/* Under segment_guard(). */
static unsigned segment_names_load(const struct segment *segment)
{
	/* Partner: the release in the client's process_name_write(). */
	uint32_t count = __atomic_load_n(&segment->shm->counters.names, __ATOMIC_ACQUIRE);

	return count < VOW_SHM_NAMES ? count : VOW_SHM_NAMES;
}

static int segment_names_visit(void *arg)
{
	return (int)segment_names_load(arg);
}

unsigned segment_names_known(const struct segment *segment)
{
	int known = segment_guard(segment_names_visit, (void *)segment);

	return known < 0 ? 0 : (unsigned)known;
}

struct segment_copy {
	const struct segment *segment;
	unsigned index;
	struct vow_shm_name name;
	struct vow_shm_value value;
	struct vow_shm_counters counters;
	bool there;
};

static int segment_copy_name(void *arg)
{
	struct segment_copy *copy = arg;

	if (copy->index < segment_names_load(copy->segment)) {
		copy->name = copy->segment->shm->names[copy->index];
		copy->there = true;
	}
	return 0;
}

bool segment_name(const struct segment *segment, unsigned index, struct segment_name *name)
{
	struct segment_copy copy = {.segment = segment, .index = index};

	if (segment_guard(segment_copy_name, &copy) < 0 || !copy.there)
		return false;
	if (copy.name.kind == VOW_SHM_NAME_NONE || copy.name.kind >= VOW_SHM_NAME_KINDS ||
	    copy.name.length == 0 || copy.name.length > VOW_SHM_NAME_TEXT)
		return false;
	name->kind = copy.name.kind;
	name->length = copy.name.length;
	memcpy(name->text, copy.name.text, name->length);
	return true;
}

static int segment_copy_value(void *arg)
{
	struct segment_copy *copy = arg;
	const struct vow_shm_value *value = &copy->segment->shm->values[copy->index];

	/* Partner: the release in the client's observe_value_mark(). */
	copy->there = __atomic_load_n(&value->set, __ATOMIC_ACQUIRE) != 0;
	for (unsigned i = 0; i < ARRAY_LEN(value->word); i++)
		copy->value.word[i] = __atomic_load_n(&value->word[i], __ATOMIC_RELAXED);
	return 0;
}

bool segment_value(const struct segment *segment, unsigned index, uint64_t words[7])
{
	struct segment_copy copy = {.segment = segment, .index = index};

	if (index >= VOW_SHM_NAMES || segment_guard(segment_copy_value, &copy) < 0 || !copy.there)
		return false;
	memcpy(words, copy.value.word, sizeof(copy.value.word));
	return true;
}

static int segment_copy_counters(void *arg)
{
	struct segment_copy *copy = arg;
	const struct vow_shm_counters *from = &copy->segment->shm->counters;
	struct vow_shm_counters *to = &copy->counters;

	/* Partners: the releases in the client's spill_block() and spill_spare(). */
	to->directory = __atomic_load_n(&from->directory, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < ARRAY_LEN(to->spare); i++)
		to->spare[i] = __atomic_load_n(&from->spare[i], __ATOMIC_ACQUIRE);
	to->names = __atomic_load_n(&from->names, __ATOMIC_RELAXED);
	to->lanes = __atomic_load_n(&from->lanes, __ATOMIC_RELAXED);
	to->laneless = __atomic_load_n(&from->laneless, __ATOMIC_RELAXED);
	to->lost = __atomic_load_n(&from->lost, __ATOMIC_RELAXED);
	to->deliveries_begun = __atomic_load_n(&from->deliveries_begun, __ATOMIC_RELAXED);
	to->deliveries_settled = __atomic_load_n(&from->deliveries_settled, __ATOMIC_RELAXED);
	to->attempts_begun = __atomic_load_n(&from->attempts_begun, __ATOMIC_RELAXED);
	to->attempts_ended = __atomic_load_n(&from->attempts_ended, __ATOMIC_RELAXED);
	return 0;
}

struct vow_shm_counters segment_counters(const struct segment *segment)
{
	struct segment_copy copy = {.segment = segment};

	if (segment_guard(segment_copy_counters, &copy) < 0)
		return (struct vow_shm_counters){0};
	return copy.counters;
}
