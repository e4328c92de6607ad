/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tls/tls_sites.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/tls/tls_code.h"
#include "lib/base/types.h"

/* The tables of names that are read at once; Node's, the largest met, has 21 MB. */
#define TABLE_MAX_BYTES (64u << 20)
#define SEGMENTS_MAX	64
/* Of larger functions only the beginning is looked at: an endbr64 and a push. */
#define CODE_MAX_BYTES 1024
#define BEGIN_BYTES    32 /* an endbr64 and what follows it */

#ifdef __aarch64__
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_X86_64
#endif

struct found {
	Elf *elf;
	int fd;
	uint64_t file_bytes;
	struct tls_sites sites;
	GElf_Sym symbols[TLS_CALLS];
	uint64_t given_to[TLS_CALLS]; /* address of the function that a call gives all to, or 0 */
};

const char *tls_call_name(enum tls_call call)
{
	static const char *const names[TLS_CALLS] = {
		[TLS_READ] = "SSL_read",
		[TLS_READ_EX] = "SSL_read_ex",
		[TLS_WRITE] = "SSL_write",
		[TLS_WRITE_EX] = "SSL_write_ex",
		[TLS_HANDSHAKE] = "SSL_do_handshake",
		[TLS_FREE] = "SSL_free",
	};

	return names[call];
}

static void elf_endp(Elf **elf)
{
	elf_end(*elf);
}

/* TLS_CALLS: none of them. */
static enum tls_call call_named(const char *name)
{
	enum tls_call call = 0;

	while (call < TLS_CALLS && strcmp(name, tls_call_name(call)) != 0)
		call++;
	return call;
}

/* Where in the file the code at an address lies; 0: nowhere. */
static uint64_t code_offset(const struct found *found, uint64_t address)
{
	size_t count = 0;
	GElf_Phdr segment;

	elf_getphdrnum(found->elf, &count);
	for (size_t i = 0; i < count && i < SEGMENTS_MAX; i++)
		if (gelf_getphdr(found->elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
		    segment.p_flags & PF_X && address >= segment.p_vaddr &&
		    address - segment.p_vaddr < segment.p_filesz &&
		    segment.p_offset < found->file_bytes &&
		    address - segment.p_vaddr < found->file_bytes - segment.p_offset)
			return segment.p_offset + (address - segment.p_vaddr);
	return 0;
}

/* ---- places in the code ----------------------------------------------------------------------- */

#ifdef __aarch64__
/* Which instructions its kernels emulate has not been tried: probes at the first are always right. */
static void site_improve(struct found *found, enum tls_call call)
{
	(void)found;
	(void)call;
}

static void twins_join(struct found *found)
{
	(void)found;
}
#else
/* Returns how many of these bytes the file has. */
static size_t code_read(const struct found *found, uint64_t offset, uint8_t *code, size_t size)
{
	ssize_t got = pread(found->fd, code, size, (off_t)offset);

	return got < 0 ? 0 : (size_t)got;
}

/* Where a return probe goes in the function that begins there; 0: nowhere that is cheap. */
static uint64_t returns_find(const struct found *found, uint64_t offset)
{
	uint8_t code[BEGIN_BYTES];
	size_t at;

	if (!offset || !tls_code_returns(code, code_read(found, offset, code, sizeof(code)), &at))
		return 0;
	return offset + at;
}

/* The whole of a call; its size, or 0. */
static size_t call_read(const struct found *found, enum tls_call call, uint8_t code[CODE_MAX_BYTES])
{
	size_t size = found->symbols[call].st_size;

	return size <= CODE_MAX_BYTES &&
			       code_read(found, found->sites.calls[call].entry, code, size) == size
		       ? size
		       : 0;
}

static bool places_read(const struct found *found, enum tls_call call, struct tls_code *places)
{
	uint8_t code[CODE_MAX_BYTES];
	size_t size = call_read(found, call, code);

	return size && tls_code_read(code, size, places);
}

static void site_improve(struct found *found, enum tls_call call)
{
	struct tls_site *site = &found->sites.calls[call];
	uint64_t returns = returns_find(found, site->entry), given_to;
	struct tls_code places;

	if (returns) {
		site->enters = site->returns = returns;
		site->emulated = true;
		return;
	}
	if (!places_read(found, call, &places))
		return;
	given_to = found->symbols[call].st_value + (uint64_t)places.returns;
	if (places.wraps)
		returns = returns_find(found, code_offset(found, given_to));
	else if (!places.leaf_count)
		returns = site->entry + (uint64_t)places.returns;
	if (!returns && !places.leaf_count)
		return;
	found->given_to[call] = places.wraps ? given_to : 0;
	site->enters = site->entry + places.enters;
	site->returns = returns;
	site->leaf_count = places.leaf_count;
	site->emulated = true;
	for (unsigned i = 0; i < places.leaf_count; i++)
		site->leaves[i] = site->entry + places.leaves[i];
}

/* Whether what a call moves, the function that its twin gives all to has moved. */
static bool is_by_twin(const struct found *found, enum tls_call call, enum tls_call twin)
{
	uint8_t code[CODE_MAX_BYTES];
	size_t size = call_read(found, call, code);

	return size && found->given_to[twin] && found->sites.calls[call].entry &&
	       tls_code_passes(code, size,
			       (int64_t)(found->given_to[twin] - found->symbols[call].st_value));
}

static void twin_join(struct found *found, enum tls_call call, enum tls_call twin)
{
	struct tls_site *site = &found->sites.calls[call], *all = &found->sites.calls[twin];

	if (!is_by_twin(found, call, twin))
		return;
	*site = (struct tls_site){.entry = site->entry, .emulated = true, .by_twin = true};
	all->enters = all->returns;
}

static void twins_join(struct found *found)
{
	twin_join(found, TLS_READ, TLS_READ_EX);
	twin_join(found, TLS_WRITE, TLS_WRITE_EX);
}
#endif

/* ---- tables of symbols ------------------------------------------------------------------------ */

static void symbol_take(struct found *found, const GElf_Sym *symbol, const char *name)
{
	enum tls_call call = call_named(name);
	struct tls_site *site = &found->sites.calls[call];

	if (call == TLS_CALLS || site->enters || symbol->st_shndx == SHN_UNDEF ||
	    GELF_ST_TYPE(symbol->st_info) != STT_FUNC)
		return;
	site->entry = code_offset(found, symbol->st_value);
	site->enters = site->entry;
	site->returns = site->entry;
	found->symbols[call] = *symbol;
	if (site->entry)
		site_improve(found, call);
}

static bool within(const struct found *found, const GElf_Shdr *section)
{
	return section->sh_size <= TABLE_MAX_BYTES && section->sh_offset <= found->file_bytes &&
	       section->sh_size <= found->file_bytes - section->sh_offset;
}

/* The symbols of a table, whose names are in another one. */
static void table_read(struct found *found, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Scn *names = elf_getscn(found->elf, header->sh_link);
	GElf_Shdr names_header;
	Elf_Data *data;
	GElf_Sym symbol;

	if (!within(found, header) || !names || !gelf_getshdr(names, &names_header) ||
	    names_header.sh_type != SHT_STRTAB || !within(found, &names_header))
		return;
	data = elf_getdata(section, NULL);
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = elf_strptr(found->elf, header->sh_link, symbol.st_name);

		if (name)
			symbol_take(found, &symbol, name);
	}
}

static void tables_read(struct found *found, uint32_t type)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(found->elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == type)
			table_read(found, section, &header);
}

static bool has_data_calls(const struct tls_sites *sites)
{
	return sites->calls[TLS_READ].enters || sites->calls[TLS_READ_EX].enters ||
	       sites->calls[TLS_WRITE].enters || sites->calls[TLS_WRITE_EX].enters;
}

static bool machine_is_ours(Elf *elf)
{
	GElf_Ehdr header;

	return elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
	       header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == MACHINE &&
	       (header.e_type == ET_DYN || header.e_type == ET_EXEC);
}

int tls_sites_find(int fd, struct tls_sites *sites, struct diag *diag)
{
	struct found found = {.fd = fd};
	_cleanup_(elf_endp) Elf *elf = NULL;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return diag_errno(diag, -errno, NULL, NULL, "cannot look at the file");
	if (!S_ISREG(status.st_mode) || elf_version(EV_CURRENT) == EV_NONE ||
	    !(elf = elf_begin(fd, ELF_C_READ, NULL)) || !machine_is_ours(elf))
		return diag_set(diag, -ENOEXEC, NULL, NULL,
				"is no library or program of this machine's kind");
	found.elf = elf;
	found.file_bytes = (uint64_t)status.st_size;
	tables_read(&found, SHT_DYNSYM);
	if (!has_data_calls(&found.sites))
		tables_read(&found, SHT_SYMTAB);
	if (!has_data_calls(&found.sites))
		return diag_set(diag, -ENOENT, NULL,
				"probes need OpenSSL's names: a shared libssl, or a program that "
				"exports them or is not stripped",
				"has neither SSL_read nor SSL_write");
	twins_join(&found);
	*sites = found.sites;
	return 0;
}
