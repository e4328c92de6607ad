/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of the segment that a process shares with the agent, version 2. docs/shm-format.md tells
 * the same in prose, with the rules for writers and readers in any language.
 *
 * The application makes one segment per process (memfd "vow-XXXXXXXX", sealed against shrinking,
 * growing and further seals) and is the writer of everything except what is marked "agent". All
 * words are in the machine's byte order and naturally aligned. Pages that nobody touched do not
 * exist: the size below is address space, not memory.
 */
#ifndef VOW_SHM_H
#define VOW_SHM_H

#include <stdint.h>

#define VOW_SHM_MAGIC	UINT64_C(0x314d48532d574f56) /* "VOW-SHM1" read as little endian */
#define VOW_SHM_VERSION 2u
#define VOW_SHM_OLDEST	1u /* whose lanes do not grow; the same in all else, so read as well */
#define VOW_SHM_PAGE	4096u
#define VOW_SHM_SERVICE 64u /* bytes for the service name, with its NUL */

/* ---- sizes, fixed by the version ------------------------------------------------------------- */

#define VOW_SHM_LANES	   64u
#define VOW_SHM_LANE_SLOTS 1024u /* in use at first; a power of two */
#define VOW_SHM_LANE_ROOM  4096u /* in use once the lane has grown; a power of two */
#define VOW_SHM_NAMES	   1024u /* name 0 is "{unnamed}" */
#define VOW_SHM_NAME_TEXT  120u /* bytes of a name, no NUL needed */
#define VOW_SHM_DIRECTORY  4096u /* a power of two */
#define VOW_SHM_KINDS	   16u
#define VOW_SHM_CLASSES	   8u
#define VOW_SHM_SPARE	   (VOW_SHM_KINDS * VOW_SHM_CLASSES)
#define VOW_SHM_BLOCKS	   (VOW_SHM_DIRECTORY + VOW_SHM_SPARE)
#define VOW_SHM_SCALE	   7u /* of the histograms: 2^7 buckets an octave */
#define VOW_SHM_HIST_SLOTS 5377u /* 42 octaves of 128 and the slot of 1 ns */
#define VOW_SHM_GROUP	   128u /* histogram slots that lie together */
#define VOW_SHM_GROUPS	   43u
#define VOW_SHM_THRESHOLDS 4u
#define VOW_SHM_POLICIES   3u
#define VOW_SHM_EXEMPLARS  40u /* places of a lane */
#define VOW_SHM_TAG	   48u /* bytes of a tag, no NUL needed */

/* ---- page 0: read once by the agent, checked, never trusted again ---------------------------- */

enum vow_shm_clock {
	VOW_SHM_CLOCK_MONOTONIC = 1, /* ticks are ns of CLOCK_MONOTONIC */
	VOW_SHM_CLOCK_TSC = 2 /* ticks are those of the x86 time stamp counter */
};

struct vow_shm_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size; /* sizeof(struct vow_shm_header) */
	uint64_t size; /* of the whole segment in bytes, VOW_SHM_SIZE */
	uint64_t id; /* random, never 0: names this segment in the agent's journal */
	uint32_t pid; /* of the owner, in its own pid namespace */
	uint32_t clock; /* enum vow_shm_clock */
	uint64_t tick_ratio; /* ns = ticks * tick_ratio / 2^32 */
	uint64_t opened_ns; /* CLOCK_MONOTONIC when the segment was made */
	uint32_t lanes, lane_slots, names, directory;
	uint32_t hist_scale, hist_slots;
	char service[VOW_SHM_SERVICE]; /* ends with NUL */
};

/* ---- page 1: counters of the whole process --------------------------------------------------- */

/* Each only grows; changed atomically by any thread. */
struct vow_shm_counters {
	uint32_t names; /* names written so far, stored with release after the name */
	uint32_t directory; /* directory entries claimed so far, added after the entry */
	uint32_t lanes; /* lanes ever claimed: the first so many; raised before the first push */
	uint32_t reserved;
	uint64_t laneless; /* threads that found no free lane, once each, about */
	uint64_t lost; /* observations for which the kernel had no page: the only loss */
	uint64_t deliveries_begun, deliveries_settled;
	uint64_t attempts_begun, attempts_ended;
	uint64_t spare[VOW_SHM_SPARE / 64]; /* bit i: spare block i was used; set before its use */
};

/* ---- names and values ------------------------------------------------------------------------ */

enum vow_shm_name_kind {
	VOW_SHM_NAME_NONE, /* not written yet */
	VOW_SHM_NAME_ROUTE,
	VOW_SHM_NAME_QUEUE,
	VOW_SHM_NAME_JOB,
	VOW_SHM_NAME_GAUGE,
	VOW_SHM_NAME_EVENT, /* event type of deliveries */
	VOW_SHM_NAME_ENDPOINT, /* receiver of deliveries */
	VOW_SHM_NAME_KINDS
};

/* Written once, before counters.names grows past its index; never changed afterwards. */
struct vow_shm_name {
	uint8_t kind; /* enum vow_shm_name_kind */
	uint8_t reserved;
	uint16_t length; /* bytes of text, 1..VOW_SHM_NAME_TEXT */
	uint32_t reserved2;
	char text[VOW_SHM_NAME_TEXT];
};

/* Last values of the name with the same index; single words, each stored for itself. */
struct vow_shm_value {
	uint64_t set; /* 0: never set, the words mean nothing */
	uint64_t word[7];
};

enum vow_shm_word {
	VOW_SHM_GAUGE_VALUE = 0, /* bits of a double */
	VOW_SHM_QUEUE_DEPTH = 0,
	VOW_SHM_QUEUE_OLDEST_NS = 1,
	VOW_SHM_JOB_TOTAL = 0,
	VOW_SHM_JOB_DONE = 1,
	VOW_SHM_JOB_FAILED = 2
};

/* ---- lanes ----------------------------------------------------------------------------------- */

enum vow_shm_kind {
	VOW_SHM_NOTHING, /* what a page never written holds; not an observation */
	VOW_SHM_OBSERVED,
	VOW_SHM_ATTEMPT,
	VOW_SHM_DELIVERED,
	VOW_SHM_FAILED,
	VOW_SHM_DEAD_LETTERED,
	VOW_SHM_RECORD_KINDS,
	/* In overflow blocks only: waits that DELIVERED.. records carry, kind + VOW_SHM_WAIT. */
	VOW_SHM_WAIT = 8
};

/* Four words, so that a record is written with four stores. */
struct vow_shm_record {
	/* DELIVERED..: ns waited before the first attempt; else ticks at the end, or 0. */
	uint64_t extra;
	uint64_t latency_ns;
	uint64_t what; /* VOW_SHM_WHAT() */
	uint64_t tag; /* delivery id, else 0 */
};

/*
 * name: route, job or event type. peer: endpoint of a delivery or attempt, else 0. status: 0 fine,
 * 100..599 as HTTP, anything else an error. attempt: attempts so far, at most 31, and priority
 * (0..7) << 5.
 */
#define VOW_SHM_WHAT(kind, name, peer, status, attempt)                         \
	((uint64_t)(name) | (uint64_t)(peer) << 16 | (uint64_t)(status) << 32 | \
	 (uint64_t)(kind) << 48 | (uint64_t)(attempt) << 56)
#define VOW_SHM_WHAT_NAME(what)	   ((unsigned)(what)&0xffff)
#define VOW_SHM_WHAT_PEER(what)	   ((unsigned)((what) >> 16) & 0xffff)
#define VOW_SHM_WHAT_STATUS(what)  ((unsigned)((what) >> 32) & 0xffff)
#define VOW_SHM_WHAT_KIND(what)	   ((unsigned)((what) >> 48) & 0xff)
#define VOW_SHM_WHAT_ATTEMPT(what) ((unsigned)((what) >> 56) & 0xff)

/*
 * A tagged observation, beside its record, for people who look for the slow ones. Optional: an
 * agent that does not know it sees nothing, an owner that does not leaves zeros. The owner stores 0
 * into `number`, then the other words, each with release, then into `number` with release what it
 * stores into lane.exemplars behind that. A reader takes the words only between two loads of the
 * same number. The owner writes over places whose number is at most lane.exemplars_taken, and else,
 * if it likes, over what was faster.
 */
struct vow_shm_exemplar {
	uint64_t number; /* 0: none, or being written */
	uint64_t ended_unix_ns; /* CLOCK_REALTIME, to some milliseconds */
	uint64_t latency_ns;
	uint64_t what; /* as in the record */
	uint64_t tag[VOW_SHM_TAG / 8]; /* visible characters of ASCII, zeros behind */
};

/*
 * One writer thread at a time. The owner stores a record into slot tail & (slots - 1) and then
 * tail + 1 with release; there is room while tail - head < slots. 128-byte lines keep the two sides
 * (and the prefetcher of neighbouring lines) apart.
 *
 * slots is VOW_SHM_LANE_SLOTS until the owner stores VOW_SHM_LANE_ROOM into `grown`, which it may
 * do once, before a push and while tail == head: then no record is left that was stored by the
 * smaller number, and the agent sees `grown` with the tail behind it.
 */
struct vow_shm_lane {
	uint64_t tail; /* records ever written */
	uint64_t exemplars; /* exemplars ever written */
	uint64_t pad0[14];
	uint64_t head; /* agent: records that its journal holds */
	uint64_t exemplars_taken; /* agent: of these it has read */
	uint64_t pad1[14];
	uint32_t owner; /* thread id, 0 while free */
	uint32_t generation; /* grows with each new owner */
	uint64_t overflowed; /* observations of this lane's owners that went to overflow blocks */
	uint32_t grown; /* 0 or VOW_SHM_LANE_ROOM; never back */
	uint32_t reserved;
	uint64_t pad2[13];
	struct vow_shm_exemplar exemplar[VOW_SHM_EXEMPLARS];
	uint8_t room[VOW_SHM_PAGE - 3 * 128 - VOW_SHM_EXEMPLARS * sizeof(struct vow_shm_exemplar)];
	struct vow_shm_record slots[VOW_SHM_LANE_ROOM];
};

/* ---- overflow -------------------------------------------------------------------------------- */

/*
 * Where observations go that found their lane full. Block i of the directory belongs to the key
 * directory[i], claimed by storing the key into an entry that is 0 (compare and swap), searched
 * from VOW_SHM_HASH(key) upwards over at most VOW_SHM_PROBES entries. When none of these is free,
 * the spare block of the kind and class takes it: exact in number, without a name.
 */
#define VOW_SHM_PROBES	  64u
#define VOW_SHM_HASH(key) ((uint32_t)(((key)*UINT64_C(0x9e3779b97f4a7c15)) >> 52))
#define VOW_SHM_KEY(kind, status_class, shard, name, peer)                             \
	(UINT64_C(1) << 63 | (uint64_t)(kind) << 40 | (uint64_t)(status_class) << 36 | \
	 (uint64_t)(shard) << 32 | (uint64_t)(name) << 16 | (uint64_t)(peer))
#define VOW_SHM_KEY_KIND_SHIFT 40
#define VOW_SHM_KEY_KIND(key)  ((unsigned)((key) >> 40) & 15)
#define VOW_SHM_KEY_CLASS(key) ((unsigned)((key) >> 36) & 7)
#define VOW_SHM_KEY_NAME(key)  ((unsigned)((key) >> 16) & 0xffff)
#define VOW_SHM_KEY_PEER(key)  ((unsigned)(key)&0xffff)
#define VOW_SHM_SHARDS	       4u /* a block is shared with every fourth lane or processor */

/* Classes of status: 0 fine, 1..5 HTTP by hundreds, 6 error. */
#define VOW_SHM_CLASS_ERROR 6u

struct vow_shm_group {
	uint64_t slots[VOW_SHM_GROUP];
	uint64_t taken[VOW_SHM_GROUP]; /* agent: how much of each slot its journal holds */
};

/*
 * A histogram that any thread adds to. The addition to a slot is last and is what counts: a
 * process killed before it did not observe. Slot s is groups[s / 128].slots[s % 128].
 *
 * Thresholds come from the agent in one of three banks; `policy` says which one is in force, so
 * that a count in bad[] always belongs to known thresholds.
 */
struct vow_shm_block {
	uint64_t used; /* bit g: groups[g] may hold something; set before the first addition */
	uint64_t sum_ns; /* each addition is at least 1 and at most 2^48 */
	uint64_t max_ns;
	uint64_t unjudged; /* added while policy was 0 */
	uint64_t bad[VOW_SHM_POLICIES][VOW_SHM_THRESHOLDS]; /* slower than bank[policy - 1][i] */

	uint64_t policy; /* agent: 0 none yet, 1..3 the bank in force; stored with release */
	uint64_t bank[VOW_SHM_POLICIES][VOW_SHM_THRESHOLDS]; /* agent: ns; UINT64_MAX: unused */
	uint64_t pad0[3];

	/* agent: how much of the words above its journal holds */
	uint64_t taken_sum_ns, taken_unjudged;
	uint64_t taken_bad[VOW_SHM_POLICIES][VOW_SHM_THRESHOLDS];
	uint64_t pad1[82];

	struct vow_shm_group groups[VOW_SHM_GROUPS];
	uint64_t pad2[128];
};

/* ---- the whole ------------------------------------------------------------------------------- */

struct vow_shm {
	struct vow_shm_header header;
	uint8_t header_rest[VOW_SHM_PAGE - sizeof(struct vow_shm_header)];
	struct vow_shm_counters counters;
	uint8_t counters_rest[VOW_SHM_PAGE - sizeof(struct vow_shm_counters)];
	uint8_t agent_page[VOW_SHM_PAGE]; /* agent: reserved, 0 */
	struct vow_shm_value values[VOW_SHM_NAMES];
	struct vow_shm_name names[VOW_SHM_NAMES];
	uint64_t directory[VOW_SHM_DIRECTORY];
	struct vow_shm_lane lanes[VOW_SHM_LANES];
	struct vow_shm_block blocks[VOW_SHM_BLOCKS];
};

#define VOW_SHM_SIZE ((uint64_t)sizeof(struct vow_shm))

/* ---- the intake socket ----------------------------------------------------------------------- */

/* One SOCK_SEQPACKET message with the segment's descriptor as SCM_RIGHTS; nothing is answered. */
struct vow_shm_hello {
	uint64_t magic; /* VOW_SHM_MAGIC */
	uint32_t version; /* VOW_SHM_VERSION */
	uint32_t reserved;
};

#define VOW_SHM_INTAKE "intake.sock" /* below the runtime folder */

#endif
