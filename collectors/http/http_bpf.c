/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/http/http_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/bpf_refusal.h"
#include "collectors/http/http_bpf_programs.h"
#include "collectors/http/http_bpf_raw.h"
#include "collectors/http/http_ring.h"

_Static_assert(sizeof(struct http_record) == 320, "layout shared with the kernel side");
_Static_assert(sizeof(struct http_slot) == 256, "layout shared with the kernel side");

/*
 * A sweep of sockets' storage takes what there are sockets; one of a table by address 1 ms and more,
 * hence less often, and seldom while nothing moves.
 */
#define SWEEP_EVERY	    (125 * NS_PER_MS)
#define SWEEP_TABLE_EVERY   (250 * NS_PER_MS)
#define SWEEP_NOTHING_EVERY NS_PER_S

struct http_bpf {
	struct http_bpf_programs programs;
	struct http_ring_shape shape;
	struct http_ring_reader *rings;
	struct http_overflow_reader *overflow;
	struct tls_bpf *tls; /* NULL: nobody asked for probes */
	bool probes_apart;
	struct http_headers headers; /* that were asked for */
	char why[HTTP_BPF_WHY_MAX + 1];
	bool asked; /* for this tier */
};

/* Loads the programs of one tier; d may be NULL. */
static int tier_load(struct http_bpf *bpf, char tier, const struct http_bpf_constants *constants,
		     struct diag *d)
{
	int err = tier == 'C' ? http_bpf_raw_types(constants->types, d) : 0;

	if (err)
		return err;
	err = http_bpf_programs_open(&bpf->programs, tier, constants);
	if (err)
		return http_bpf_programs_explain(err, tier, d);
	return tier == 'C' ? http_bpf_raw_try(&bpf->programs, constants->types, d) : 0;
}

/* The best tier that this kernel takes, or the one that is asked for. */
static int load(struct http_bpf *bpf, const struct http_bpf_options *options, struct diag *d)
{
	const struct http_bpf_constants constants = {
		.shape = &bpf->shape,
		.headers = options->headers,
		.probes = options->probes,
		.probes_apart = options->probes_apart,
		.types = options->types && options->types[0] ? options->types : NULL,
	};
	const char asked = options->tier;
	int err = tier_load(bpf, asked ? asked : 'A', &constants, d);

	if (asked) {
		bpf->asked = true;
		snprintf(bpf->why, sizeof(bpf->why), "as configured");
		return err;
	}
	/* Without rights the other ones would be refused as well. */
	for (char tier = 'B'; err && err != -EPERM && tier <= 'C'; tier++) {
		struct diag refused = {0};

		http_bpf_programs_explain(err, (char)(tier - 1), &refused);
		snprintf(bpf->why, sizeof(bpf->why), "%.*s", HTTP_BPF_WHY_MAX, refused.what);
		http_bpf_programs_close(&bpf->programs);
		err = tier_load(bpf, tier, &constants, d);
	}
	return err;
}

int http_bpf_open(struct http_bpf **out, const struct http_bpf_options *options, struct diag *d)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct http_bpf *bpf = calloc(1, sizeof(*bpf));
	int err;

	if (!bpf)
		return diag_errno(d, -ENOMEM, "http", NULL, "no memory");
	bpf->shape =
		http_ring_shape_of(options->ring_bytes ? options->ring_bytes : HTTP_BPF_RING_BYTES,
				   processors > 0 ? (unsigned)processors : 1);
	if (options->headers)
		bpf->headers = *options->headers;
	bpf->probes_apart = options->probes_apart;
	bpf_quiet();
	err = load(bpf, options, d);
	if (!err)
		err = http_ring_open(&bpf->rings, bpf_map__fd(bpf->programs.rings), &bpf->shape, d);
	if (!err)
		err = http_overflow_open(&bpf->overflow, bpf_map__fd(bpf->programs.overflows), d);
	if (err) {
		http_bpf_close(bpf);
		return err;
	}
	__atomic_store_n(bpf->programs.capturing, 1, __ATOMIC_RELEASE);
	*out = bpf;
	return 0;
}

char http_bpf_tier(const struct http_bpf *bpf)
{
	return bpf->programs.tier;
}

const char *http_bpf_why(const struct http_bpf *bpf)
{
	return bpf->why;
}

const char *http_bpf_better(const struct http_bpf *bpf)
{
	return bpf->asked ? "set capture.http_tier to auto"
			  : "use a kernel that describes its types (CONFIG_DEBUG_INFO_BTF)";
}

const char *http_bpf_uring_lacks(const struct http_bpf *bpf)
{
	return bpf->programs.uring_lacks;
}

dur_ns http_bpf_patience(const struct http_bpf *bpf)
{
	return http_ring_patience(&bpf->shape);
}

void http_bpf_stop(struct http_bpf *bpf)
{
	__atomic_store_n(bpf->programs.capturing, 0, __ATOMIC_RELEASE);
	if (bpf->tls)
		tls_bpf_obey(bpf->tls);
}

void http_bpf_close(struct http_bpf *bpf)
{
	if (!bpf)
		return;
	tls_bpf_close(bpf->tls);
	http_overflow_close(bpf->overflow);
	http_ring_close(bpf->rings);
	http_bpf_programs_close(&bpf->programs);
	free(bpf);
}

unsigned http_bpf_drain(struct http_bpf *bpf, unsigned max, http_bpf_fn fn, void *arg)
{
	return http_ring_drain(bpf->rings, max, fn, arg);
}

uint64_t http_bpf_overflow(struct http_bpf *bpf, http_overflow_fn fn, void *arg)
{
	return http_overflow_drain(bpf->overflow, fn, arg);
}

/* Reading to the end is what runs a sweep that is an iterator; others are run as they are. */
static int sweep_run(const struct http_bpf_programs *programs)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	char nothing[64];
	ssize_t n;
	int fd;

	if (!programs->sweep)
		return bpf_prog_test_run_opts(bpf_program__fd(programs->sweep_program), &opts);
	fd = bpf_iter_create(bpf_link__fd(programs->sweep));
	if (fd < 0)
		return -errno;
	do
		n = read(fd, nothing, sizeof(nothing));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

dur_ns http_bpf_sweep_every(const struct http_bpf *bpf)
{
	const struct http_bpf_programs *programs = &bpf->programs;

	if (!programs->sweep_wanted)
		return SWEEP_EVERY;
	if (*programs->sweep_waiting || __atomic_load_n(programs->sweep_wanted, __ATOMIC_RELAXED))
		return SWEEP_TABLE_EVERY;
	return SWEEP_NOTHING_EVERY;
}

static uint64_t table_tell(const struct http_tally *table, http_bpf_in_flight_fn fn, void *arg)
{
	for (unsigned i = 0; i < TALLY_PLACES; i++)
		if (table->places[i].key)
			fn(arg, &table->places[i]);
	return table->placeless;
}

uint64_t http_bpf_in_flight(const struct http_bpf *bpf, http_bpf_in_flight_fn fn, void *arg)
{
	uint64_t placeless = 0;

	if (*bpf->programs.sweep_in_flight)
		placeless = table_tell(bpf->programs.sweep_table, fn, arg);
	if (bpf->tls)
		placeless += table_tell(tls_bpf_in_flight(bpf->tls), fn, arg);
	return placeless;
}

int http_bpf_sweep(struct http_bpf *bpf, struct http_bpf_sweep *sweep)
{
	struct http_bpf_programs *programs = &bpf->programs;
	int err;

	if (programs->sweep_wanted)
		__atomic_store_n(programs->sweep_wanted, 0, __ATOMIC_SEQ_CST);
	*programs->sweep_waiting = 0;
	*programs->sweep_kept = 0;
	*programs->sweep_open = 0;
	if (*programs->sweep_in_flight)
		memset(programs->sweep_table, 0, sizeof(*programs->sweep_table));
	*programs->sweep_in_flight = 0;
	*programs->sweep_oldest_at = 0;
	err = sweep_run(programs);
	if (err)
		return err;
	sweep->kept = *programs->sweep_kept;
	sweep->open = *programs->sweep_open;
	sweep->in_flight = *programs->sweep_in_flight;
	sweep->oldest_at = *programs->sweep_oldest_at;
	if (bpf->tls) {
		mono_ns oldest;

		sweep->in_flight += tls_bpf_sweep(bpf->tls, &oldest);
		if (oldest && (!sweep->oldest_at || oldest < sweep->oldest_at))
			sweep->oldest_at = oldest;
	}
	return err;
}

int http_bpf_counters(const struct http_bpf *bpf, uint64_t counters[HTTP_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *each = cpus > 0 ? calloc((size_t)cpus, HTTP_COUNTERS * sizeof(*each)) : NULL;
	__u32 keys[HTTP_COUNTERS], next, count = HTTP_COUNTERS;
	int err = each ? 0 : -ENOMEM;

	/* All by one call, since it is made each second; at the end of the map it tells ENOENT. */
	if (!err &&
	    bpf_map_lookup_batch(bpf_map__fd(bpf->programs.counters), NULL, &next, keys, each,
				 &count, NULL) &&
	    errno != ENOENT)
		err = -errno;
	if (!err && count != HTTP_COUNTERS)
		err = -EPROTO;
	for (__u32 i = 0; !err && i < HTTP_COUNTERS; i++) {
		counters[keys[i]] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			counters[keys[i]] += each[i * (__u32)cpus + (__u32)cpu];
	}
	free(each);
	return err;
}

void http_bpf_busy(struct http_bpf *bpf, const struct http_busy_set *set)
{
	http_bpf_programs_busy(bpf->programs.busy_set, set);
	if (bpf->tls)
		tls_bpf_obey(bpf->tls);
}

void http_bpf_spare(struct http_bpf *bpf, bool paths, dur_ns records_from, bool busy)
{
	__atomic_store_n(bpf->programs.spare_paths, paths, __ATOMIC_RELAXED);
	http_bpf_programs_records(bpf->programs.records_from_ns, bpf->programs.spare_busy,
				  records_from, busy);
	if (bpf->tls)
		tls_bpf_obey(bpf->tls);
}

int http_bpf_probe(struct http_bpf *bpf, pid_t pid, const char *path, const struct tls_sites *sites,
		   struct tls_probes **probes, struct diag *d)
{
	const struct http_bpf_constants constants = {.shape = &bpf->shape,
						     .headers = &bpf->headers,
						     .probes = true,
						     .probes_apart = bpf->probes_apart};
	int err = 0;

	if (!bpf->programs.tls_traced)
		return diag_set(d, -ENOTSUP, "TLS probes", http_bpf_better(bpf),
				"tier C does not read requests within TLS in the clear");
	if (!bpf->tls)
		err = tls_bpf_open(&bpf->tls, &bpf->programs, &constants, d);
	return err ? err : tls_bpf_probe(bpf->tls, pid, path, sites, probes, d);
}

void http_bpf_release(struct http_bpf *bpf, const pid_t *pids, unsigned count)
{
	if (bpf->tls)
		tls_bpf_release(bpf->tls, pids, count);
}

int http_bpf_took(const struct http_bpf *bpf, struct http_cost costs[HTTP_COST_PROGRAMS])
{
	int cpus = libbpf_num_possible_cpus();
	struct http_cost *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;
	int err = each ? 0 : -ENOMEM;

	for (__u32 i = 0; !err && i < HTTP_COST_PROGRAMS; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(bpf->programs.costs), &i, each)) {
			err = -errno;
			break;
		}
		costs[i] = (struct http_cost){0};
		for (int cpu = 0; cpu < cpus; cpu++) {
			costs[i].runs += each[cpu].runs;
			costs[i].samples += each[cpu].samples;
			costs[i].ns += each[cpu].ns;
		}
	}
	free(each);
	return err;
}

/* The kernel's accounts of a program; all 0 when it does not tell. */
static struct bpf_prog_info accounts_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return (struct bpf_prog_info){0};
	return info;
}

uint64_t http_bpf_missed(const struct http_bpf *bpf)
{
	struct bpf_program *program;
	uint64_t missed = 0;

	bpf_object__for_each_program(program, bpf->programs.object) missed +=
		accounts_of(program).recursion_misses;
	return missed;
}

unsigned http_bpf_cost(const struct http_bpf *bpf, struct http_bpf_cost costs[HTTP_BPF_PROGRAMS])
{
	struct bpf_program *program;
	unsigned count = 0;

	bpf_object__for_each_program(program, bpf->programs.object)
	{
		struct bpf_prog_info info = accounts_of(program);

		if (count == HTTP_BPF_PROGRAMS)
			break;
		costs[count++] = (struct http_bpf_cost){
			.name = bpf_program__name(program),
			.ns = info.run_time_ns,
			.runs = info.run_cnt,
		};
	}
	return count;
}
