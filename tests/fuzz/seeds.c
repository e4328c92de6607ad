/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what fuzzers begin with, by the encoders themselves: fuzz_seeds DIR makes DIR/NAME/seed-*.
 * Configurations are texts and lie beside them, written by hand.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vow/shm.h>

#include "agent/keyframe.h"
#include "lib/base/fd.h"
#include "lib/data/journal.h"
#include "lib/data/keep_wire.h"
#include "lib/data/porter_wire.h"
#include "lib/model/judge.h"
#include "proto/stream.h"
#include "proto/tick.h"
#include "view/view.h"

#define SEED_WALL (UINT64_C(1795315200) * NS_PER_S)

static const char *seed_dir;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_seeds: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void seed(const char *fuzzer, const char *name, const void *bytes, size_t size)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", seed_dir, fuzzer);
	must(mkdir(path, 0777) == 0 || errno == EEXIST, path);
	snprintf(path, sizeof(path), "%s/%s/seed-%s", seed_dir, fuzzer, name);
	FILE *file = fopen(path, "w");
	must(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, path);
}

/* ---- histograms, ticks, states ----------------------------------------------------------------- */

static size_t some_hist(unsigned values, uint8_t packed[HIST_PACKED_MAX])
{
	static struct hist hist;

	hist_clear(&hist);
	for (unsigned i = 0; i < values; i++)
		hist_record(&hist, 1000 + i * i * UINT64_C(7919), 1 + i % 3);
	return (size_t)hist_pack(&hist, packed, HIST_PACKED_MAX);
}

static void seed_hists(void)
{
	static uint8_t packed[HIST_PACKED_MAX];

	seed("hist", "empty", packed, some_hist(0, packed));
	seed("hist", "one", packed, some_hist(1, packed));
	seed("hist", "many", packed, some_hist(200, packed));
}

static void fill_key(struct series_key *key)
{
	*key = (struct series_key){.kind = SERIES_HTTP, .status_class = CLASS_5XX};
	strcpy(key->service, "shop");
	strcpy(key->method, "GET");
	strcpy(key->route, "/pay/{id}");
	strcpy(key->peer, "10.0.0.7:80");
}

static struct action some_alert(void)
{
	struct action action = {.kind = ACTION_ALERT, .at = SEED_WALL};

	action.alert = (struct alert_action){
		.objective = "http-latency",
		.fingerprint = "00112233445566778899aabbccddeeff",
		.from = ALERT_PENDING,
		.to = ALERT_FIRING,
		.severity = SEVERITY_PAGE,
		.since = SEED_WALL - NS_PER_S,
		.burn_long = 5,
		.burn_short = 6,
		.good = 40,
		.bad = 60,
		.confidence = 0.99,
		.reason = "burns 5 times too fast",
		.evidence_count = 1,
	};
	fill_key(&action.alert.evidence[0].key);
	action.alert.evidence[0].bad = 60;
	action.alert.evidence[0].count = 100;
	return action;
}

static const struct action some_scale = {
	.kind = ACTION_SCALE,
	.at = SEED_WALL,
	.scale = {.scaler = "web",
		  .from = 3,
		  .to = 5,
		  .value = 420.5,
		  .target = 200,
		  .wanted = 7,
		  .limited_by = "maximum",
		  .reason = "twice the target"},
};

static const struct exemplar some_exemplar = {.at = SEED_WALL,
					      .latency_ns = 1234567,
					      .status = 503,
					      .tag = "4bf92f3577b34da6a3ce929d0e0e4736"};

/* One of everything; the bytes are the writer's. */
static void some_tick(struct tick_writer *writer, const uint8_t **bytes, size_t *size)
{
	static const dur_ns thresholds[] = {200 * NS_PER_MS};
	static const struct gauge gauge = {
		.service = "shop", .name = "queue_depth", .label = "mail", .value = 17};
	static uint8_t packed[HIST_PACKED_MAX];
	struct action alert = some_alert();
	struct series_key key;
	struct series_delta delta = {.id = 7,
				     .hist = packed,
				     .hist_size = some_hist(9, packed),
				     .queue = packed,
				     .counts = {.count = 17, .errors = 2, .bad = {3}},
				     .thresholds = thresholds,
				     .threshold_count = 1};

	delta.queue_size = delta.hist_size;
	fill_key(&key);
	tick_begin(writer, SEED_WALL, NS_PER_S);
	must(!tick_add_series(writer, 7, &key) && !tick_add_delta(writer, &delta) &&
		     !tick_add_gauge(writer, &gauge) && !tick_add_total(writer, "http", NULL, 9) &&
		     !tick_add_total(writer, "http", "ring_full", 3) &&
		     !tick_add_action(writer, &alert) && !tick_add_action(writer, &some_scale) &&
		     !tick_add_exemplar(writer, 7, &some_exemplar) &&
		     !tick_end(writer, bytes, size),
	     "tick");
}

static void seed_judges(void)
{
	static uint8_t saved[1 << 20];
	static struct policy policy;

	policy_defaults(&policy);
	struct judge *judge = judge_new(&policy, "host:fuzz");
	must(judge, "judge");
	seed("judge", "young", saved, (size_t)judge_save(judge, saved, sizeof(saved)));
	for (unsigned i = 0; i < 30; i++) {
		static uint8_t packed[HIST_PACKED_MAX];
		struct series_key key;
		struct series_delta delta = {.key = &key,
					     .hist = packed,
					     .hist_size = some_hist(9, packed),
					     .counts = {.count = 17, .errors = i > 15 ? 9 : 0}};

		fill_key(&key);
		judge_delta(judge, &delta);
		judge_step(judge, (i + 1) * NS_PER_S, SEED_WALL + i * NS_PER_S, NULL, NULL, NULL);
	}
	seed("judge", "alarmed", saved, (size_t)judge_save(judge, saved, sizeof(saved)));
	judge_free(judge);
}

static void seed_keyframes(void)
{
	static struct policy policy;
	static struct agent agent;
	struct keyframe *keyframe;
	struct series_key key;

	policy_defaults(&policy);
	agent.series = series_table_new(&(struct series_table_options){
		.thresholds = policy_thresholds, .thresholds_arg = &policy});
	agent.judge = judge_new(&policy, "host:fuzz");
	agent.exemplars = exemplars_new(100);
	agent.tick_wall = SEED_WALL;
	must(agent.series && agent.judge && agent.exemplars, "agent");
	must(exemplars_add(agent.exemplars, 0, &some_exemplar, SEED_WALL), "exemplar");
	fill_key(&key);
	for (unsigned i = 0; i < 3; i++) {
		key.status_class = (uint8_t)(CLASS_2XX + i);
		series_record(series_get(agent.series, &key), 5000 + i * NS_PER_MS, i * 700);
		series_tick(agent.series, SEED_WALL - (7 - 3 * i) * NS_PER_S, NULL, NULL);
	}
	must(!keyframe_begin(&agent, &(struct keyframe_options){.slots_max = SIZE_MAX},
			     &agent.local, &keyframe),
	     "keyframe");
	while (keyframe_fill(keyframe, &agent.local) > 0) {
	}
	keyframe_free(keyframe);
	seed("keyframe", "young", agent.local.bytes, agent.local.size);
	local_free(&agent.local);
	exemplars_free(agent.exemplars);
	judge_free(agent.judge);
	series_table_free(agent.series);
}

/* ---- the wire ---------------------------------------------------------------------------------- */

static void seed_streams(const uint8_t *tick, size_t tick_size)
{
	struct stream_hello hello = {
		.protocol = STREAM_PROTOCOL, .host = "web-1", .version = "0.1.0", .epoch = 9};
	struct stream_record records[] = {{1, tick, tick_size}, {2, tick, tick_size}};
	struct stream_batch batch = {
		.records = records, .record_count = 2, .gone_before = 1, .sent = SEED_WALL};
	struct stream_from_hub answer = {.committed_seq = 77, .credits = 5};
	uint8_t buf[STREAM_FROM_HUB_MAX], *bytes;
	size_t size;

	must(!stream_hello_encode(&hello, &bytes, &size), "hello");
	seed("stream", "hello", bytes, size);
	free(bytes);
	must(!stream_batch_encode(&batch, &bytes, &size), "batch");
	seed("stream", "batch", bytes, size);
	free(bytes);
	seed("stream", "from-hub", buf, stream_from_hub_encode(&answer, buf));
	must(!stream_envelope_pack(tick, tick_size, &bytes, &size), "envelope");
	seed("stream", "envelope", bytes, size);
	free(bytes);
}

static void seed_question(enum view_what what)
{
	struct view_query query = {
		.what = what, .window = WINDOW_1M, .service = "shop", .limit = 5};
	char name[64];
	uint8_t *bytes;
	size_t size;

	must(!view_query_encode(&query, &bytes, &size), "question");
	snprintf(name, sizeof(name), "ask-%s", view_what_name(what));
	seed("control", name, bytes, size);
	free(bytes);
}

static struct board *some_board(void)
{
	static struct policy policy;
	struct board *board = board_new();
	struct board_history *history = board_history_new();
	struct exemplars *exemplars = exemplars_new(1);
	struct action alert = some_alert();

	policy_defaults(&policy);
	struct judge *judge = judge_new(&policy, "host:fuzz");
	must(board && history && judge, "board");
	strcpy(board->program, "vowd");
	board_history_add(history, "web-1", &alert);
	board_history_add(history, "web-1", &some_scale);
	must(!board_from_history(board, history) && !board_from_judge(board, judge), "board");
	must(exemplars && exemplars_add(exemplars, 0, &some_exemplar, SEED_WALL), "exemplar");
	board->exemplars = exemplars_publish(exemplars, SEED_WALL);
	must(board->exemplars, "exemplars");
	exemplars_free(exemplars);
	judge_free(judge);
	board_history_free(history);
	return board;
}

static void seed_answer(const struct series_table *table, struct board *board, enum view_what what)
{
	struct view_query query = {.what = what, .window = SERIES_TOTAL};
	struct view *view;
	char name[64];
	uint8_t *bytes;
	size_t size;

	must(!view_query(table, board, "web-1", SEED_WALL, &query, &view), "answer");
	must(!view_encode(view, &bytes, &size), "answer");
	snprintf(name, sizeof(name), "answer-%s", view_what_name(what));
	seed("control", name, bytes, size);
	free(bytes);
	view_free(view);
}

static void seed_controls(void)
{
	struct series_table *table = series_table_new(&(struct series_table_options){0});
	struct board *board = some_board();
	struct series_key key;

	must(table, "table");
	fill_key(&key);
	series_record(series_get(table, &key), 5000, 700);
	key.kind = SERIES_DELIVERY;
	series_record(series_get(table, &key), 6000, 800);
	series_tick(table, NS_PER_S, NULL, NULL);
	series_reader_register();
	seed_question(VIEW_ROUTES);
	seed_question(VIEW_STATUS);
	for (enum view_what what = VIEW_STATUS; what < VIEW_COUNT; what++)
		seed_answer(table, board, what);
	series_reader_unregister();
	board_unref(board);
	series_table_free(table);
}

/* A byte for the size of pieces; questions, each with its length; the last one's may be wrong. */
static void seed_frames(const char *name, uint8_t piece, bool order, uint32_t last)
{
	const struct view_query queries[] = {
		{.what = VIEW_STATUS},
		{.what = order ? VIEW_TRACED : VIEW_ROUTES, .trace.lasts = order ? NS_PER_MIN : 0},
		{.what = VIEW_DOCTOR}};
	uint8_t frames[1024] = {piece}, *bytes;
	struct view_query query;
	size_t size, at = 1;

	for (unsigned i = 0; i < 2 * ARRAY_LEN(queries); i++) {
		query = queries[i % ARRAY_LEN(queries)];
		if (query.what == VIEW_TRACED)
			strcpy(query.trace.service, "shop");
		must(!view_query_encode(&query, &bytes, &size), "question");
		must(at + 4 + size + 4 < sizeof(frames), "questions");
		memcpy(frames + at, &(uint32_t){htole32((uint32_t)size)}, 4);
		memcpy(frames + at + 4, bytes, size);
		at += 4 + size;
		free(bytes);
	}
	memcpy(frames + at, &(uint32_t){htole32(last)}, 4);
	seed("control_frames", name, frames, at + 4);
}

static void seed_control_frames(void)
{
	seed_frames("questions", 255, false, 0);
	seed_frames("orders", 6, true, 7);
	seed_frames("too-long", 2, false, 1 << 20);
}

/* ---- a keeper and porters, as fuzz_keep.c reads them ---------------------------------------------- */

enum { WHOLE = 4, KNOWN_INODE = 8, LATER = 32 };

/* Flags with the number of descriptors, what they are of, and a size that does not count. */
static size_t put_sent(uint8_t *to, uint8_t flags, uint8_t kinds, const void *bytes, size_t size)
{
	to[0] = WHOLE | flags;
	to[1] = kinds;
	to[2] = 0;
	memcpy(to + 3, bytes, size);
	return 3 + size;
}

static void seed_keep(const char *name, uint8_t who, const struct keep_message *messages,
		      const uint8_t *flags, unsigned count)
{
	uint8_t bytes[512] = {who};
	size_t size = 1;

	for (unsigned i = 0; i < count; i++)
		size += put_sent(bytes + size, flags[i], i & 1, &messages[i], sizeof(messages[i]));
	seed("keep", name, bytes, size);
}

static void seed_porter(const char *name, uint8_t who, bool hello,
			const struct porter_message *messages, const uint8_t *flags, unsigned count)
{
	static const struct vow_shm_hello sent = {.magic = VOW_SHM_MAGIC,
						  .version = VOW_SHM_VERSION};
	uint8_t bytes[512] = {who};
	size_t size = 1;

	if (hello)
		size += put_sent(bytes + size, 1, 0, &sent, sizeof(sent));
	for (unsigned i = 0; i < count; i++)
		size += put_sent(bytes + size, flags[i], hello ? 3 : 0, &messages[i],
				 sizeof(messages[i]));
	seed("keep", name, bytes, size);
}

static void seed_keeps(void)
{
	static const struct keep_message to_keeper[] = {{.kind = KEEP_HELLO, .wait_ns = NS_PER_S},
							{.kind = KEEP_SEGMENT},
							{.kind = KEEP_LISTENER, .inode = 7},
							{.kind = KEEP_SEGMENT, .pid = 1},
							{.kind = KEEP_LET_GO}};
	static const struct keep_message to_agent[] = {{.kind = KEEP_HELLO, .pid = 9},
						       {.kind = KEEP_SEGMENT},
						       {.kind = KEEP_READY},
						       {.kind = KEEP_STRANGE, .count = 3},
						       {.kind = KEEP_BARRED, .count = 1}};
	static const struct porter_message orders[] = {{.kind = PORTER_LOOK, .number = 7},
						       {.kind = PORTER_DROP}};
	static const struct porter_message answers[] = {
		{.kind = PORTER_SEEN, .number = 1, .verdict = PORTER_MEMORY},
		{.kind = PORTER_DONE, .number = 1},
		{.kind = PORTER_SEEN, .number = 3, .verdict = PORTER_STRANGE},
		{.kind = PORTER_DONE, .number = 3}};

	seed_keep("to-keeper", 0, to_keeper, (const uint8_t[]){0, 1, 1, 2, KNOWN_INODE}, 5);
	seed_keep("to-agent", 1, to_agent, (const uint8_t[]){1, 2, 0, 0, 0}, 5);
	seed_keep("later-agent", 0, to_keeper, (const uint8_t[]){0, 1 | LATER, 1, 2, 0}, 5);
	seed_keep("later-keeper", 1, to_agent, (const uint8_t[]){LATER, 2, 0, 0, 0}, 5);
	seed_porter("to-porter", 2, true, orders, (const uint8_t[]){1, 1}, 2);
	seed_porter("from-porter", 3, false, answers, (const uint8_t[]){1, 0, 0, 0}, 4);
}

/* ---- the journal ------------------------------------------------------------------------------- */

static size_t some_journal(const uint8_t *tick, size_t tick_size, uint8_t *bytes, size_t room)
{
	char dir[] = "/tmp/vow-seeds-XXXXXX", path[512], *text;
	struct local local = {0};
	struct journal *journal;
	size_t size;

	must(mkdtemp(dir) && !journal_open(dir, NULL, &journal, NULL), dir);
	must(local_open(&local, "lanes", 4), "local");
	memset(local.bytes + local.size + LOCAL_HEADER, 1, 4);
	local_close(&local, 4);
	for (unsigned i = 0; i < 3; i++)
		must(!journal_append(journal, SEED_WALL, tick, i == 1 ? tick_size : 3, local.bytes,
				     local.size, NULL, NULL),
		     "append");
	journal_close(journal);
	snprintf(path, sizeof(path), "%s/0000000000000001.vowj", dir);
	must(!fd_read_file(path, room, &text, &size, NULL), path);
	memcpy(bytes, text, size);
	free(text);
	local_free(&local);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	rmdir(dir);
	return size;
}

/* Flags and the first one's size in front; the second one's format is that many versions later. */
static void seed_two_segments(const char *name, const uint8_t *segment, size_t size,
			      uint8_t versions)
{
	uint8_t bytes[8192] = {3, (uint8_t)(size & 0xff), (uint8_t)(size >> 8)};

	must(3 + 2 * size <= sizeof(bytes), name);
	memcpy(bytes + 3, segment, size);
	memcpy(bytes + 3 + size, segment, size);
	bytes[3 + size + 8] += versions;
	seed("journal", name, bytes, 3 + 2 * size);
}

/* A byte of flags in front, as fuzz_journal.c has it: whole, and with checksums to be mended. */
static void seed_journals(const uint8_t *tick, size_t tick_size)
{
	static uint8_t bytes[8192];
	size_t size = 1 + some_journal(tick, tick_size, bytes + 1, sizeof(bytes) - 1);

	bytes[0] = 0;
	seed("journal", "whole", bytes, size);
	seed_two_segments("two", bytes + 1, size - 1, 0);
	seed_two_segments("later-version", bytes + 1, size - 1, 1);
	bytes[0] = 1;
	bytes[size - 20] ^= 1;
	seed("journal", "changed", bytes, size);
	seed("journal", "cut", bytes, size - 9);
}

/* ---- shared memory, as patches (forged.c) ------------------------------------------------------- */

struct patch {
	uint8_t step, part, index;
	uint16_t word;
	uint64_t value;
};

static size_t put_patch(uint8_t *to, const struct patch *patch, bool step)
{
	uint8_t *at = to;

	if (step)
		*at++ = patch->step;
	*at++ = patch->part;
	*at++ = patch->index;
	memcpy(at, &patch->word, 2);
	at[2] = 7; /* eight bytes */
	memcpy(at + 3, &patch->value, 8);
	return (size_t)(at + 11 - to);
}

static void seed_lanes(void)
{
	/* Two records in lane 1, a tick, a block with three observations, a death, a tick. */
	static const struct patch before[] = {
		{6, 6, 1, 1, 1000}, {6, 6, 1, 2, 0x000100c800000001},
		{6, 6, 1, 5, 2000}, {6, 6, 1, 6, 0x000301f400000001},
		{6, 5, 1, 0, 2},
	};
	static const struct patch after[] = {
		{6, 4, 0, 0, 0x8000010200010000},
		{6, 7, 0, 0, 1},
		{6, 7, 0, 1, 900},
		{6, 8, 0, 9, 3},
		{6, 1, 0, 0, 0x100000002},
	};
	uint8_t bytes[256];
	size_t size = 0;

	for (unsigned i = 0; i < ARRAY_LEN(before); i++)
		size += put_patch(bytes + size, &before[i], true);
	bytes[size++] = 0; /* drain */
	bytes[size++] = 3; /* record and commit */
	for (unsigned i = 0; i < ARRAY_LEN(after); i++)
		size += put_patch(bytes + size, &after[i], true);
	bytes[size++] = 1; /* a round */
	bytes[size++] = 4; /* record and die */
	bytes[size++] = 2; /* a thorough round */
	seed("lane", "death", bytes, size);
}

/* An exemplar in lane 1, read, and another in its place that is read after a death. */
static void seed_exemplars(void)
{
	static const struct patch first[] = {
		{6, 5, 1, 49, 1000000000},   {6, 5, 1, 50, 5000}, {6, 5, 1, 51, 0x000100c800000001},
		{6, 5, 1, 52, 0x6563617274}, {6, 5, 1, 48, 1},	  {6, 5, 1, 1, 1},
	};
	static const struct patch second[] = {
		{6, 5, 1, 50, 7000}, {6, 5, 1, 48, 2}, {6, 5, 1, 1, 2}};
	uint8_t bytes[256];
	size_t size = 0;

	for (unsigned i = 0; i < ARRAY_LEN(first); i++)
		size += put_patch(bytes + size, &first[i], true);
	bytes[size++] = 0; /* drain */
	for (unsigned i = 0; i < ARRAY_LEN(second); i++)
		size += put_patch(bytes + size, &second[i], true);
	bytes[size++] = 4; /* record and die */
	bytes[size++] = 0;
	seed("lane", "exemplars", bytes, size);
}

static void seed_segments(void)
{
	static const struct patch patches[] = {
		{0, 1, 0, 0, 5}, {0, 3, 0, 32, 0x78780002000001}, {0, 0, 0, 2, 1}, {0, 2, 0, 8, 1}};
	uint8_t bytes[128] = {1};
	size_t size = 1;

	for (unsigned i = 0; i < ARRAY_LEN(patches); i++)
		size += put_patch(bytes + size, &patches[i], false);
	seed("segment", "names", bytes, size);
	bytes[0] = 3;
	seed("segment", "header", bytes, size);
}

static void seed_https(void)
{
	static const char paths[] = "\1/api/suppliers/4711\n/static/a/b.css\n/a/1b2c3d4e5f60718\n"
				    "http://shop.example/pay?card=1\n/x/2f1c7a52-90aa-4a6e-8d33-"
				    "6a4f8d1c2b3a/y\n*\n/\n/a/b/c/d/e/f/g/h/i/j/k/l/m\n";

	seed("http", "paths", paths, sizeof(paths) - 1);
}

/* ---- libraries of TLS ---------------------------------------------------------------------------- */

/* SSL_read as gcc writes it: a canary, a test, a call; then one that hands all over to another one. */
static const uint8_t tls_read_code[] = {
	0x48, 0x83, 0xec, 0x18, /* sub $0x18,%rsp */
	0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0x00, 0x00, 0x00, /* mov %fs:0x28,%rax */
	0x48, 0x89, 0x44, 0x24, 0x08, /* mov %rax,0x8(%rsp) */
	0x85, 0xd2, 0x78, 0x19, /* test %edx,%edx; js */
	0xe8, 0x25, 0x00, 0x00, 0x00, /* call */
	0x48, 0x8b, 0x54, 0x24, 0x08, /* mov 0x8(%rsp),%rdx */
	0x48, 0x2b, 0x14, 0x25, 0x28, 0x00, 0x00, 0x00, /* sub 0x28,%rdx */
	0x75, 0x07, /* jne */
	0x48, 0x83, 0xc4, 0x18, 0xc3, /* add $0x18,%rsp; ret */
	0xeb, 0xea, /* jmp */
	0xe8, 0x00, 0x00, 0x00, 0x00, /* call, which does not come back */
};
static const uint8_t tls_read_ex_code[] = {
	0x48, 0x83, 0xec, 0x08, 0xe8, 0x0c, 0x00, 0x00, 0x00, /* sub $8,%rsp; call */
	0x31, 0xd2, 0x85, 0xc0, 0x0f, 0x48, 0xc2, /* xor %edx,%edx; test %eax,%eax; cmovs */
	0x48, 0x83, 0xc4, 0x08, 0xc3, /* add $8,%rsp; ret */
	0x55, 0x5d, 0xc3, /* push %rbp; pop %rbp; ret */
};

static void seed_tls_library(void)
{
	struct {
		uint8_t kind;
		struct __attribute__((packed)) {
			Elf64_Ehdr header;
			Elf64_Phdr segment;
			Elf64_Shdr sections[3];
			Elf64_Sym symbols[3];
			char names[24];
			uint8_t read[sizeof(tls_read_code)], read_ex[sizeof(tls_read_ex_code)];
		} file;
	} __attribute__((packed)) library = {.file.names = "\0SSL_read\0SSL_read_ex"};

#define AT(member) ((size_t)((uint8_t *)&library.file.member - (uint8_t *)&library.file))
	memcpy(library.file.read, tls_read_code, sizeof(tls_read_code));
	memcpy(library.file.read_ex, tls_read_ex_code, sizeof(tls_read_ex_code));
	library.file.header = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = AT(segment),
		.e_shoff = AT(sections),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
	};
	library.file.segment = (Elf64_Phdr){.p_type = PT_LOAD,
					    .p_flags = PF_R | PF_X,
					    .p_filesz = sizeof(library.file),
					    .p_memsz = sizeof(library.file)};
	library.file.sections[1] = (Elf64_Shdr){.sh_type = SHT_DYNSYM,
						.sh_offset = AT(symbols),
						.sh_size = sizeof(library.file.symbols),
						.sh_link = 2,
						.sh_entsize = sizeof(Elf64_Sym)};
	library.file.sections[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
						.sh_offset = AT(names),
						.sh_size = sizeof(library.file.names)};
	library.file.symbols[1] = (Elf64_Sym){.st_name = 1,
					      .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
					      .st_shndx = 1,
					      .st_value = AT(read),
					      .st_size = sizeof(tls_read_code)};
	library.file.symbols[2] = (Elf64_Sym){.st_name = 10,
					      .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
					      .st_shndx = 1,
					      .st_value = AT(read_ex),
					      .st_size = sizeof(tls_read_ex_code) - 3};
#undef AT
	seed("tls_sites", "library", &library, sizeof(library));
}

static void seed_tls_code(const char *name, const uint8_t *code, size_t size)
{
	uint8_t bytes[128] = {1};

	memcpy(bytes + 1, code, size);
	seed("tls_sites", name, bytes, size + 1);
}

static void seed_tls_sites(void)
{
	seed_tls_library();
	seed_tls_code("canary", tls_read_code, sizeof(tls_read_code));
	seed_tls_code("wrapper", tls_read_ex_code, sizeof(tls_read_ex_code) - 3);
}

/* The size of windows, and a body. */
static void seed_bodies(void)
{
	static const char event[] =
		"\x10{\"id\": \"evt_1\", \"data\": {\"type\": \"inner\", \"list\": [1, \"}\", "
		"\"a\\\"b\\\\\"], \"text\": \"a text that is longer than what is looked at at a "
		"time "
		"so that it takes another window or two\"}, \"type\": \"invoice.paid\"}";
	static const char chunk[] = "~1f\r\n{\"type\":\"push\",\"a\":[]}\r\n0\r\n\r\n";

	seed("json_event", "event", event, strlen(event));
	seed("json_event", "chunk", chunk, strlen(chunk));
}

/* ---- the host, and names on it ------------------------------------------------------------------ */

/* A list of one listener, with so many drops, and its end. */
static size_t put_list(uint8_t *to, uint32_t drops)
{
	struct {
		uint16_t length;
		struct __attribute__((packed)) {
			struct nlmsghdr head;
			struct inet_diag_msg socket;
			struct rtattr attribute;
			uint32_t memory[SK_MEMINFO_VARS];
		} message;
		uint8_t end[2];
	} __attribute__((packed)) list = {.length = sizeof(list.message)};

	list.message.head.nlmsg_len = sizeof(list.message);
	list.message.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	list.message.socket.idiag_family = 2;
	list.message.socket.id.idiag_sport = 0x901f;
	list.message.socket.id.idiag_cookie[0] = 9;
	list.message.attribute.rta_len = sizeof(struct rtattr) + sizeof(list.message.memory);
	list.message.attribute.rta_type = INET_DIAG_SKMEMINFO;
	list.message.memory[SK_MEMINFO_DROPS] = drops;
	memcpy(to, &list, sizeof(list));
	return sizeof(list);
}

static void seed_host_listen(void)
{
	uint8_t bytes[512];
	size_t size = put_list(bytes, 3);

	seed("host_listen", "one", bytes, size);
	size += put_list(bytes + size, 0xfffffff0);
	size += put_list(bytes + size, 5);
	seed("host_listen", "wraps", bytes, size);
}

static void seed_service_names(void)
{
	static const char unit[] = "7 (java) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 4711\n"
				   "1:name=systemd:/\n0::/system.slice/web\\x2dshop.service\n";
	static const char container[] =
		"7 (a) b) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 4711\n"
		"4:memory:/docker/"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
	static const char payload[] = "\n0::/lxc.payload.web\n";

	seed("service_name", "unit", unit, strlen(unit));
	seed("service_name", "container", container, strlen(container));
	seed("service_name", "payload", payload, strlen(payload));
}

static void seed_peers(void)
{
	static const char names[] = "\1\17api.example:443\2\12some.where\2\0\1\11"
				    "127.0.0.1";
	static const char many[] = "\1\2a1\1\2b1\1\2c1\1\2d1\1\0\1\2a1\1\2e1\1\2a1\7\2a1";

	seed("http_peers", "names", names, sizeof(names) - 1);
	seed("http_peers", "many", many, sizeof(many) - 1);
}

static void seed_deliveries(void)
{
	/* An attempt is what it is, its id, by how much it comes late, and how long it took. */
	static const uint8_t retried[] = {3, 1, 7, 0, 2, 3, 9, 7, 0, 2, 1, 90, 1, 90, 2};
	static const uint8_t lost[] = {3, 1, 7, 0, 2, 0, 3, 5, 7, 200, 2, 2, 3, 9, 7, 0, 1};

	seed("http_deliveries", "retried", retried, sizeof(retried));
	seed("http_deliveries", "lost", lost, sizeof(lost));
}

int main(int argc, char **argv)
{
	const uint8_t *tick;
	size_t size;

	must(argc == 2, "usage: fuzz_seeds DIR");
	seed_dir = argv[1];
	struct tick_writer *writer = tick_writer_new();
	must(writer, "tick");
	some_tick(writer, &tick, &size);
	seed("tick", "everything", tick, size);
	seed_hists();
	seed_judges();
	seed_keyframes();
	seed_streams(tick, size);
	seed_controls();
	seed_control_frames();
	seed_keeps();
	seed_journals(tick, size);
	seed_lanes();
	seed_exemplars();
	seed_segments();
	seed_https();
	seed_tls_sites();
	seed_bodies();
	seed_host_listen();
	seed_service_names();
	seed_peers();
	seed_deliveries();
	tick_writer_free(writer);
	return 0;
}
