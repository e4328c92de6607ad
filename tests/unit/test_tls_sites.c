/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places for probes, held against what probes at these places see when the calls are made: each call
 * passes its place once, with its arguments, and each return passes one with its result.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collectors/tls/tls_sites.h"
#include "lib/base/fd.h"
#include "lib/base/types.h"
#include "tests/unit/check.h"
#include "tests/unit/uprobe.h"

/* Where in its file the code at this address of ours lies, by the kernel's account; 0: in none. */
static uint64_t offset_mapped(const void *code, char path[256])
{
	unsigned long begin, end, offset, at = (unsigned long)code, found = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (!found && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &begin, &end, &offset, path) ==
			    4 &&
		    at >= begin && at < end)
			found = at - begin + offset;
	fclose(maps);
	return found;
}

static int find_in(const char *path, struct tls_sites *sites, struct diag *diag)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : tls_sites_find(fd, sites, diag);
}

/* ---- calls under probes ----------------------------------------------------------------------- */

struct probed {
	struct tls_sites sites;
	char path[256];
	struct uprobe enters[TLS_CALLS], leaves[TLS_CALLS][TLS_LEAVES_MAX], returns[TLS_CALLS];
};

static void probed_open(struct probed *p, const char *path)
{
	if (geteuid() != 0)
		SKIP("probes are for root");
	CHECK_OK(find_in(path, &p->sites, NULL));
	for (enum tls_call call = 0; call < TLS_CALLS; call++) {
		const struct tls_site *site = &p->sites.calls[call];

		if (!site->enters)
			continue;
		CHECK_OK(uprobe_open(&p->enters[call], path, site->enters, false));
		for (unsigned i = 0; i < site->leaf_count; i++)
			CHECK_OK(uprobe_open(&p->leaves[call][i], path, site->leaves[i], false));
		CHECK(!site->leaf_count == !!site->returns);
		CHECK(!site->by_twin);
		if (site->returns)
			CHECK_OK(uprobe_open(&p->returns[call], path, site->returns, true));
	}
}

/* The kernel waits with each for 0.1 s, until nobody can be in it any more. */
static void probed_close(struct probed *p)
{
	for (enum tls_call call = 0; call < TLS_CALLS; call++) {
		const struct tls_site *site = &p->sites.calls[call];

		if (site->enters)
			uprobe_close(&p->enters[call]);
		for (unsigned i = 0; i < site->leaf_count; i++)
			uprobe_close(&p->leaves[call][i]);
		if (site->returns)
			uprobe_close(&p->returns[call]);
	}
}

/* Forgets what was seen so far, so that the next call is looked at alone. */
static void probed_forget(struct probed *p)
{
	struct uprobe_hit hit = {0};

	for (enum tls_call call = 0; call < TLS_CALLS; call++) {
		while (p->sites.calls[call].enters && uprobe_next(&p->enters[call], &hit))
			;
		for (unsigned i = 0; i < p->sites.calls[call].leaf_count; i++)
			while (uprobe_next(&p->leaves[call][i], &hit))
				;
		if (p->sites.calls[call].returns)
			while (uprobe_next(&p->returns[call], &hit))
				;
	}
}

/* What a call was made with, and what it returned. */
struct made {
	enum tls_call call;
	const void *ssl, *buffer;
	uint64_t size;
	const size_t *count;
	int result;
};

static void probed_saw_enter(struct probed *p, const struct made *made)
{
	struct uprobe_hit hit = {0};

	CHECK(uprobe_next(&p->enters[made->call], &hit));
	CHECK_EQ_U64(hit.di, (uintptr_t)made->ssl);
	if (made->call < TLS_HANDSHAKE) {
		CHECK_EQ_U64(hit.si, (uintptr_t)made->buffer);
		CHECK_EQ_U64((uint32_t)hit.dx, (uint32_t)made->size);
	}
	if (made->count)
		CHECK_EQ_U64(hit.cx, (uintptr_t)made->count);
	CHECK(!uprobe_next(&p->enters[made->call], &hit));
}

/*
 * A call that is seen where its twin is. Where that says how many bytes there are is a variable of the
 * call's own, which is gone when it has returned.
 */
static void probed_saw_twin(struct probed *p, const struct made *made)
{
	const enum tls_call twin = made->call + 1;
	struct uprobe_hit hit = {0};

	CHECK_EQ_U64(p->sites.calls[made->call].leaf_count, 0);
	if (!uprobe_next(&p->enters[twin], &hit)) {
		CHECK(made->result <= 0);
		CHECK(!uprobe_next(&p->returns[twin], &hit));
		return;
	}
	CHECK_EQ_U64(hit.di, (uintptr_t)made->ssl);
	CHECK_EQ_U64(hit.si, (uintptr_t)made->buffer);
	CHECK_EQ_U64(hit.dx, made->size);
	CHECK(!uprobe_next(&p->enters[twin], &hit));
	CHECK(uprobe_next(&p->returns[twin], &hit));
	CHECK_EQ_I64((int)hit.ax > 0, made->result > 0);
	CHECK(!uprobe_next(&p->returns[twin], &hit));
}

static void probed_saw(struct probed *p, const struct made *made)
{
	const struct tls_site *site = &p->sites.calls[made->call];
	struct uprobe_hit hit = {0};
	unsigned left = 0;

	if (site->by_twin) {
		probed_saw_twin(p, made);
		return;
	}
	probed_saw_enter(p, made);
	for (unsigned i = 0; i < site->leaf_count; i++)
		while (uprobe_next(&p->leaves[made->call][i], &hit)) {
			left++;
			CHECK_EQ_I64((int)hit.ax, made->result);
		}
	if (site->leaf_count)
		CHECK_EQ_U64(left, 1);
	/* In a void call nothing is said about the register. */
	if (site->leaf_count || made->call == TLS_FREE)
		return;
	CHECK(uprobe_next(&p->returns[made->call], &hit));
	if ((int)hit.ax > 0 || made->result > 0)
		CHECK_EQ_I64((int)hit.ax, made->result);
}

/* ---- OpenSSL itself --------------------------------------------------------------------------- */

CHECK_TEST(test_entries_in_openssl_are_where_the_linker_maps_them)
{
	struct tls_sites sites;
	char path[256];
	void *library;

	offset_mapped((void *)SSL_read, path);
	CHECK_OK(find_in(path, &sites, NULL));
	library = dlopen(path, RTLD_NOW);
	for (enum tls_call call = 0; call < TLS_CALLS; call++)
		CHECK_EQ_U64(sites.calls[call].entry,
			     offset_mapped(dlsym(library, tls_call_name(call)), path));
	dlclose(library);
}

static int handshake_probed(struct probed *p, SSL *ssl)
{
	int result;

	probed_forget(p);
	result = SSL_do_handshake(ssl);
	probed_saw(p, &(struct made){.call = TLS_HANDSHAKE, .ssl = ssl, .result = result});
	return result;
}

static int read_probed(struct probed *p, SSL *ssl, void *buffer, int size)
{
	int result;

	probed_forget(p);
	result = SSL_read(ssl, buffer, size);
	probed_saw(p, &(struct made){TLS_READ, ssl, buffer, (uint64_t)size, NULL, result});
	return result;
}

static int read_ex_probed(struct probed *p, SSL *ssl, void *buffer, size_t size, size_t *count)
{
	int result;

	probed_forget(p);
	result = SSL_read_ex(ssl, buffer, size, count);
	probed_saw(p, &(struct made){TLS_READ_EX, ssl, buffer, size, count, result});
	return result;
}

static int write_probed(struct probed *p, SSL *ssl, const void *buffer, int size)
{
	int result;

	probed_forget(p);
	result = SSL_write(ssl, buffer, size);
	probed_saw(p, &(struct made){TLS_WRITE, ssl, buffer, (uint64_t)size, NULL, result});
	return result;
}

static int write_ex_probed(struct probed *p, SSL *ssl, const void *buffer, size_t size,
			   size_t *count)
{
	int result;

	probed_forget(p);
	result = SSL_write_ex(ssl, buffer, size, count);
	probed_saw(p, &(struct made){TLS_WRITE_EX, ssl, buffer, size, count, result});
	return result;
}

static void free_probed(struct probed *p, SSL *ssl)
{
	probed_forget(p);
	SSL_free(ssl);
	probed_saw(p, &(struct made){.call = TLS_FREE, .ssl = ssl});
}

/* Without certificates: what the ends prove to each other is not what is tested. */
static SSL *ssl_of(BIO *bio, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl;

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	CHECK(SSL_CTX_set_cipher_list(ctx, "aNULL:@SECLEVEL=0"));
	SSL_CTX_set_dh_auto(ctx, 1);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_bio(ssl, bio, bio);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

CHECK_TEST(test_probes_at_the_places_in_openssl_see_every_call)
{
	char text[16], path[256];
	struct probed p;
	BIO *ours, *theirs;
	SSL *client, *server;
	size_t count = 0;

	offset_mapped((void *)SSL_read, path);
	probed_open(&p, path);
	CHECK(BIO_new_bio_pair(&ours, 0, &theirs, 0));
	client = ssl_of(ours, false);
	server = ssl_of(theirs, true);
	for (int i = 0; i < 3; i++)
		if (handshake_probed(&p, client) == 1 && handshake_probed(&p, server) == 1)
			break;
		else
			handshake_probed(&p, server);
	CHECK_EQ_I64(handshake_probed(&p, server), 1);

	CHECK_EQ_I64(read_probed(&p, server, text, 16), -1);
	CHECK_EQ_I64(read_probed(&p, server, text, -1), -1);
	CHECK_EQ_I64(read_ex_probed(&p, server, text, 16, &count), 0);
	CHECK_EQ_I64(write_probed(&p, client, "twelve bytes", 12), 12);
	CHECK_EQ_I64(write_probed(&p, client, "twelve bytes", -5), -1);
	CHECK_EQ_I64(write_ex_probed(&p, client, "nine more", 9, &count), 1);
	CHECK_EQ_I64(read_probed(&p, server, text, 7), 7);
	CHECK_EQ_I64(read_probed(&p, server, text, 16), 5);
	CHECK_EQ_I64(read_ex_probed(&p, server, text, 16, &count), 1);
	CHECK_EQ_U64(count, 9);

	SSL_shutdown(client);
	CHECK_EQ_I64(read_probed(&p, server, text, 16), 0);
	CHECK_EQ_I64(write_ex_probed(&p, client, "too late", 8, &count), 0);
	free_probed(&p, client);
	free_probed(&p, server);
	free_probed(&p, NULL);
	probed_close(&p);
}

/* Debian's, where each of the four would be run alone by the processor at its first instruction. */
CHECK_TEST(test_the_data_calls_of_libssl_have_cheap_places)
{
	struct tls_sites sites;
	char path[256];

	offset_mapped((void *)SSL_read, path);
	CHECK_OK(find_in(path, &sites, NULL));
	for (enum tls_call call = TLS_READ; call <= TLS_WRITE_EX; call++)
		CHECK(sites.calls[call].emulated &&
		      sites.calls[call].enters != sites.calls[call].entry);
	/* Two exceptions a call, in the function that both twins call. */
	for (enum tls_call call = TLS_READ_EX; call <= TLS_WRITE_EX; call += 2) {
		CHECK(sites.calls[call - 1].by_twin);
		CHECK_EQ_U64(sites.calls[call].enters, sites.calls[call].returns);
	}
}

CHECK_TEST(test_a_program_that_exports_the_calls_has_places)
{
	struct tls_sites sites;

	if (find_in("/usr/bin/node", &sites, NULL) == -ENOENT)
		SKIP("this Node takes its TLS from a library");
	for (enum tls_call call = 0; call < TLS_CALLS; call++) {
		CHECK(sites.calls[call].entry);
		CHECK(sites.calls[call].emulated);
		CHECK_EQ_U64(sites.calls[call].leaf_count, 0);
	}
}

/* ---- libraries by compilers and options ------------------------------------------------------- */

/* Two calls will do: each probe takes 0.1 s to remove. */
static const char source[] =
	"#include <string.h>\n"
	"struct ssl { volatile int say; volatile long moved; };\n"
	"void complain(int why) { static volatile int w; w = why; }\n"
	"static __attribute__((noinline)) int moves(struct ssl *s, void *b, size_t n, size_t *m)\n"
	"{ complain(2); memset(b, 0, 1);\n"
	"  if (s->say > 0) *m = (size_t)s->moved < n ? (size_t)s->moved : n;\n"
	"  return s->say; }\n"
	"int SSL_read(struct ssl *s, void *b, int n) { size_t m; int r;\n"
	"  if (n < 0) { complain(n); return -1; }\n"
	"#ifdef STALE\n" /* a result that no function of the twin has given */
	"  if (s->say > 7) return s->say;\n"
	"#endif\n"
	"  r = moves(s, b, n, &m); return r > 0 ? (int)m : r; }\n"
	"int SSL_read_ex(struct ssl *s, void *b, size_t n, size_t *m) {\n"
	"  int r = moves(s, b, n, m); return r < 0 ? 0 : r; }\n"
	"#ifdef HIDDEN\n"
	"__attribute__((visibility(\"default\"))) void *hidden = (void *)SSL_read;\n"
	"#endif\n";

struct fake_ssl {
	int say;
	long moved;
};

static void calls_try(struct probed *p, void *library, struct fake_ssl *ssl, int size)
{
	int (*call)(void *, void *, int) = dlsym(library, "SSL_read");
	int (*call_ex)(void *, void *, size_t, size_t *) = dlsym(library, "SSL_read_ex");
	char buffer[64];
	size_t count;
	int result;

	probed_forget(p);
	result = call(ssl, buffer, size);
	probed_saw(p, &(struct made){TLS_READ, ssl, buffer, (uint64_t)size, NULL, result});
	probed_forget(p);
	result = call_ex(ssl, buffer, (size_t)size, &count);
	probed_saw(p, &(struct made){TLS_READ_EX, ssl, buffer, (uint64_t)size, &count, result});
}

static void library_make(const char *compiler_and_options, const char *path)
{
	char source_path[256], command[1024];
	FILE *file;

	snprintf(source_path, sizeof(source_path), "%s/calls.c", check_dir());
	file = fopen(source_path, "we");
	CHECK(file && fwrite(source, sizeof(source) - 1, 1, file) == 1);
	fclose(file);
	unlink(path); /* the next one is another file, or the loader would take it for this */
	snprintf(command, sizeof(command), "%s -shared -fPIC -o %s %s", compiler_and_options, path,
		 source_path);
	CHECK_EQ_I64(system(command), 0);
}

/* *sites is what was found in the library. */
static void library_try(const char *compiler_and_options, struct tls_sites *sites)
{
	struct probed p;
	char path[256];
	void *library;

	snprintf(path, sizeof(path), "%s/calls.so", check_dir());
	library_make(compiler_and_options, path);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(library);
	probed_open(&p, path);
	for (int say = -1; say <= 1; say++) {
		struct fake_ssl ssl = {say, 20};

		calls_try(&p, library, &ssl, 7);
		calls_try(&p, library, &ssl, 40);
		calls_try(&p, library, &ssl, -3);
	}
	*sites = p.sites;
	probed_close(&p);
	dlclose(library);
}

CHECK_TEST(test_functions_that_begin_with_a_push_are_probed_there)
{
	const struct tls_site *site;
	struct tls_sites sites;

	library_try("gcc -O0 -fcf-protection=full -fstack-protector-strong", &sites);
	site = &sites.calls[TLS_READ];
	CHECK_EQ_U64(site->enters, site->entry + 4); /* behind the endbr64 */
	CHECK_EQ_U64(site->returns, site->enters);
	library_try("clang -O2 -fno-omit-frame-pointer", &sites);
	site = &sites.calls[TLS_READ_EX];
	CHECK_EQ_U64(site->enters, site->entry);
	CHECK_EQ_U64(site->returns, site->entry);
}

CHECK_TEST(test_functions_that_check_their_canary_are_probed_there)
{
	struct tls_sites sites;

	library_try("gcc -O2 -fcf-protection=none -fstack-protector-strong -DSTALE", &sites);
	CHECK(sites.calls[TLS_READ].enters > sites.calls[TLS_READ].entry);
	CHECK_GE_U64(sites.calls[TLS_READ].leaf_count, 1);
	/* Hands all over to another one. */
	CHECK(sites.calls[TLS_READ_EX].enters > sites.calls[TLS_READ_EX].entry);
	CHECK(sites.calls[TLS_READ_EX].returns < sites.calls[TLS_READ_EX].entry);
}

CHECK_TEST(test_twins_that_call_the_same_function_are_probed_there)
{
	struct tls_sites sites;

	library_try("gcc -O2 -fcf-protection=none -fstack-protector-strong", &sites);
	CHECK(sites.calls[TLS_READ].by_twin);
	CHECK_EQ_U64(sites.calls[TLS_READ].enters, 0);
	CHECK(sites.calls[TLS_READ_EX].enters < sites.calls[TLS_READ_EX].entry);
	CHECK_EQ_U64(sites.calls[TLS_READ_EX].enters, sites.calls[TLS_READ_EX].returns);
	library_try("gcc -O2 -fcf-protection=none -fno-stack-protector", &sites);
	CHECK(sites.calls[TLS_READ].by_twin);
}

CHECK_TEST(test_functions_without_such_a_place_are_probed_at_their_first_instruction)
{
	const struct tls_site *site;
	struct tls_sites sites;

	library_try("gcc -O2 -fcf-protection=full -fno-stack-protector -DSTALE", &sites);
	site = &sites.calls[TLS_READ];
	CHECK(!site->emulated);
	CHECK_EQ_U64(site->enters, site->entry);
	CHECK_EQ_U64(site->returns, site->entry);
	CHECK_EQ_U64(site->leaf_count, 0);
}

CHECK_TEST(test_calls_that_are_not_exported_are_found_by_the_symbols_of_debuggers)
{
	struct tls_sites sites;
	char path[256], mapped[256];
	void *library, **hidden;

	snprintf(path, sizeof(path), "%s/calls.so", check_dir());
	library_make("gcc -O0 -fvisibility=hidden -DHIDDEN", path);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(library);
	CHECK(!dlsym(library, "SSL_read"));
	hidden = dlsym(library, "hidden");
	CHECK_OK(find_in(path, &sites, NULL));
	CHECK_EQ_U64(sites.calls[TLS_READ].entry, offset_mapped(*hidden, mapped));
	dlclose(library);
}

/* ---- files that are none ---------------------------------------------------------------------- */

CHECK_TEST(test_files_without_the_calls_are_told_from_damaged_ones)
{
	struct tls_sites sites = {.calls[0].enters = 7};
	struct diag diag;
	char path[256];

	offset_mapped((void *)getpid, path);
	CHECK_RC(find_in(path, &sites, &diag), -ENOENT);
	CHECK_STR(diag.what, "has neither SSL_read nor SSL_write");
	CHECK_RC(find_in("/proc/self/maps", &sites, &diag), -ENOEXEC);
	CHECK_RC(find_in("/etc/passwd", &sites, &diag), -ENOEXEC);
	CHECK_RC(find_in("/dev/null", &sites, &diag), -ENOEXEC);
	CHECK_EQ_U64(sites.calls[0].enters, 7);
}

CHECK_MAIN("tls_sites", test_a_program_that_exports_the_calls_has_places,
	   test_calls_that_are_not_exported_are_found_by_the_symbols_of_debuggers,
	   test_entries_in_openssl_are_where_the_linker_maps_them,
	   test_files_without_the_calls_are_told_from_damaged_ones,
	   test_functions_that_begin_with_a_push_are_probed_there,
	   test_functions_that_check_their_canary_are_probed_there,
	   test_functions_without_such_a_place_are_probed_at_their_first_instruction,
	   test_probes_at_the_places_in_openssl_see_every_call,
	   test_the_data_calls_of_libssl_have_cheap_places,
	   test_twins_that_call_the_same_function_are_probed_there)
