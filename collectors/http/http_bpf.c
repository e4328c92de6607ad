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
#include "collectors/http/http_ring.h"

_Static_assert(sizeof(struct http_record) == 328, "layout shared with the kernel side");
_Static_assert(sizeof(struct http_slot) == 256, "layout shared with the kernel side");

struct http_bpf {
	struct http_bpf_programs programs;
	struct http_ring_shape shape;
	struct http_ring_reader *rings;
	struct http_overflow_reader *overflow;
	struct tls_bpf *tls; /* NULL: nobody asked for probes */
	struct http_headers headers; /* that were asked for */
	char why[HTTP_BPF_WHY_MAX + 1];
};

/* The best tier that this kernel takes, or the one that is asked for. */
static int load(struct http_bpf *bpf, const struct http_bpf_options *options, struct diag *d)
{
	const struct http_bpf_constants constants = {&bpf->shape, options->headers,
						     options->probes};
	struct http_bpf_programs *programs = &bpf->programs;
	const char asked = options->tier;
	int err = http_bpf_programs_open(programs, asked ? asked : 'A', &constants);

	if (asked && !err)
		snprintf(bpf->why, sizeof(bpf->why), "as configured");
	/* Without rights the other one would be refused as well. */
	if (err && err != -EPERM && !asked) {
		struct diag refused = {0};

		http_bpf_programs_explain(err, 'A', &refused);
		snprintf(bpf->why, sizeof(bpf->why), "%.*s", HTTP_BPF_WHY_MAX, refused.what);
		http_bpf_programs_close(programs);
		err = http_bpf_programs_open(programs, 'B', &constants);
	}
	return err ? http_bpf_programs_explain(err, programs->tier, d) : 0;
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

/*
 * Reading to the end is what runs the sweep. What it writes are the keys of entries whose sockets
 * have gone; only tier B has such.
 */
static int sweep_read(struct http_bpf *bpf, int fd)
{
	const int conns = bpf_map__fd(bpf->programs.conns);
	uint64_t keys[512];
	ssize_t n;

	do {
		n = read(fd, keys, sizeof(keys));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(keys[0]); i++)
			bpf_map_delete_elem(conns, &keys[i]);
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

int http_bpf_sweep(struct http_bpf *bpf, struct http_bpf_sweep *sweep)
{
	struct http_bpf_programs *programs = &bpf->programs;
	int fd, err;

	*programs->sweep_kept = 0;
	*programs->sweep_open = 0;
	*programs->sweep_in_flight = 0;
	*programs->sweep_oldest_at = 0;
	fd = bpf_iter_create(bpf_link__fd(programs->sweep));
	if (fd < 0)
		return -errno;
	err = sweep_read(bpf, fd);
	close(fd);
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

void http_bpf_spare(struct http_bpf *bpf, bool paths, dur_ns records_from)
{
	__atomic_store_n(bpf->programs.spare_paths, paths, __ATOMIC_RELAXED);
	__atomic_store_n(bpf->programs.records_from_ns, records_from, __ATOMIC_RELAXED);
	if (bpf->tls)
		tls_bpf_obey(bpf->tls);
}

int http_bpf_probe(struct http_bpf *bpf, pid_t pid, const char *path, const struct tls_sites *sites,
		   struct tls_probes **probes, struct diag *d)
{
	const struct http_bpf_constants constants = {&bpf->shape, &bpf->headers, true};
	int err = 0;

	if (!bpf->programs.tls_traced)
		return diag_set(d, -ENOTSUP, "TLS probes", "use kernel 6.3 or later, and tier A",
				"they need tier A");
	if (!bpf->tls)
		err = tls_bpf_open(&bpf->tls, &bpf->programs, &constants, d);
	return err ? err : tls_probes_attach(probes, bpf->tls, pid, path, sites, d);
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
